// Package manifest reads and writes the manifest of an encrypted image. The manifest is a JSON file
// beside the image that describes the image and its source. It contains no key.
package manifest

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/wrap"
)

// Version is the version of the format. It changes when a member changes its meaning, but not when
// members are added.
const Version = 1

// Suffix is appended to the name of an image to form the name of its manifest.
const Suffix = ".manifest.json"

// maxSize bounds the length of a manifest in bytes.
const maxSize = 1 << 20

// A Manifest describes an encrypted image and its source. docs/manifest.md describes its JSON form.
type Manifest struct {
	Version int       `json:"manifest_version"`
	Created time.Time `json:"created"`
	Tool    string    `json:"tool"` // name and version

	Source Source `json:"source"`
	Image  Image  `json:"image"`

	Profile       string `json:"profile,omitempty"`
	KeyConvention string `json:"key_convention"`
	// PassphraseEncoding is "hex" or "base64" if the passphrase is that encoding of the bytes in the
	// key file.
	PassphraseEncoding string `json:"passphrase_encoding,omitempty"`
	KeyFingerprint     string `json:"key_fingerprint,omitempty"`
}

// A Source describes the source of the image.
type Source struct {
	Name        string `json:"name,omitempty"`      // without folders
	Format      string `json:"format"`              // a [luksimg.Format]
	FileSize    int64  `json:"file_size,omitempty"` // bytes
	VirtualSize int64  `json:"virtual_size"`        // bytes
	SHA256      string `json:"sha256,omitempty"`    // digest of the disk
}

// An Image describes the encrypted image.
type Image struct {
	Name           string `json:"name"`      // without folders
	Container      string `json:"container"` // a [luksimg.Format]
	UUID           string `json:"uuid,omitempty"`
	FileSize       int64  `json:"file_size"`        // bytes
	VolumeSize     int64  `json:"volume_size"`      // bytes, of the plaintext
	SHA256         string `json:"sha256,omitempty"` // digest of the file
	Cipher         string `json:"cipher"`           // as dm-crypt names it
	KeyBits        int    `json:"key_bits"`
	SectorSize     int    `json:"sector_size"`               // of the encryption, bytes
	DataOffset     int64  `json:"data_offset"`               // bytes
	DetachedHeader string `json:"detached_header,omitempty"` // file name of the detached header
	ZerosDiscarded bool   `json:"zeros_discarded,omitempty"` // see [luksimg.EncryptOptions]
	KDF            KDF    `json:"kdf"`
}

// A KDF is the key derivation function and its cost.
type KDF struct {
	Type       string `json:"type"`
	Hash       string `json:"hash,omitempty"`
	Iterations uint32 `json:"iterations"`           // of PBKDF2, or passes of Argon2
	Memory     uint32 `json:"memory_kib,omitempty"` // of Argon2, KiB
	Parallel   uint32 `json:"parallel,omitempty"`   // lanes of Argon2
}

// Options are the parts of a manifest that the result of Encrypt does not contain.
type Options struct {
	Created time.Time
	Tool    string // name and version

	Source  Source // without the size and the digest of the disk
	Name    string // of the image, without folders
	Header  string // file name of the detached header, without folders
	Profile luksimg.Profile

	ZerosDiscarded bool

	// PassphraseEncoding is as in [Manifest].
	PassphraseEncoding string

	// Generated is a key of the image, if it was generated. Only a generated key can have a fingerprint
	// in a file beside an image; see [wrap.Fingerprint].
	Generated []byte
}

// New returns the manifest for a result of Encrypt.
func New(r *luksimg.Result, o Options) *Manifest {
	l := r.LUKS
	m := &Manifest{
		Version: Version,
		Created: o.Created,
		Tool:    o.Tool,
		Source:  o.Source,
		Image: Image{
			Name: o.Name, Container: string(r.Format), UUID: r.UUID,
			FileSize: r.FileSize, VolumeSize: r.VolumeSize, SHA256: r.FileSHA256,
			Cipher: r.Cipher, KeyBits: r.KeyBits, SectorSize: max(l.SectorSize, 512), DataOffset: l.DataOffset,
			DetachedHeader: o.Header, ZerosDiscarded: o.ZerosDiscarded,
		},
		Profile:        string(o.Profile),
		KeyConvention:  o.Profile.Rules().Convention.Text(),
		KeyFingerprint: wrap.Fingerprint(o.Generated),
	}
	if e := o.PassphraseEncoding; e != "" {
		m.PassphraseEncoding = e
		m.KeyConvention = "the " + e + " text of the bytes in the key file stands for its content; " + m.KeyConvention
	}
	m.Source.VirtualSize, m.Source.SHA256 = r.SourceSize, r.SourceSHA256
	for _, slot := range l.Keyslots {
		m.Image.KDF = KDF{Type: slot.KDF, Iterations: slot.Iterations}
		if slot.KDF == luks.PBKDF2 {
			m.Image.KDF.Hash = slot.Hash
		} else {
			m.Image.KDF.Memory, m.Image.KDF.Parallel = slot.Memory, slot.Parallel
		}
	}
	return m
}

// Write writes m as JSON.
func (m *Manifest) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(m)
}

// Read reads a manifest. A manifest of another version is an error.
func Read(r io.Reader) (*Manifest, error) {
	m := new(Manifest)
	if err := json.NewDecoder(io.LimitReader(r, maxSize)).Decode(m); err != nil {
		return nil, err
	}
	if m.Version != Version {
		return nil, fmt.Errorf("manifest version %d is not supported, want %d", m.Version, Version)
	}
	return m, nil
}

// Compare returns the differences between an image and its manifest, one sentence each.
func (m *Manifest) Compare(i *luksimg.Info) []string {
	var all []string
	differ := func(what string, says, is any) {
		if says != is {
			all = append(all, fmt.Sprintf("the manifest belongs to another image: its %s is %v, that of this image is %v", what, says, is))
		}
	}
	differ("file size", m.Image.FileSize, i.FileSize)
	differ("container", m.Image.Container, string(i.Format))
	if i.LUKS != nil {
		differ("UUID", m.Image.UUID, i.LUKS.UUID)
	}
	return all
}

// Fields yields the name and the value of each field, for display. Text is as in the file and can
// contain anything.
func (m *Manifest) Fields() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, f := range []struct{ name, value string }{
			{"manifest", fmt.Sprintf("made %s by %s", m.Created.Format(time.DateTime), m.Tool)},
			{"  source", fmt.Sprintf("%q, %s, disk of %d bytes", m.Source.Name, m.Source.Format, m.Source.VirtualSize)},
			{"  source SHA-256", m.Source.SHA256},
			{"  image SHA-256", m.Image.SHA256},
			{"  profile", m.Profile},
			{"  key", m.KeyConvention},
			{"  key fingerprint", m.KeyFingerprint},
		} {
			if f.value != "" && !yield(f.name, f.value) {
				return
			}
		}
	}
}
