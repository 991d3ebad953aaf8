// Package manifest has the manifest of an encrypted image: JSON, in a file beside the image, that
// tells what was made, and of what. It holds no key.
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

// Version changes when a member changes its meaning. New members do not change it.
const Version = 1

// Suffix is what the name of an image has behind it in the name of its manifest.
const Suffix = ".manifest.json"

// maxSize bounds what is read of a manifest.
const maxSize = 1 << 20

// A Manifest tells what was made, and of what. docs/manifest.md describes its JSON form.
type Manifest struct {
	Version int       `json:"manifest_version"`
	Created time.Time `json:"created"`
	Tool    string    `json:"tool"` // name and version

	Source Source `json:"source"`
	Image  Image  `json:"image"`

	Profile       string `json:"profile,omitempty"`
	KeyConvention string `json:"key_convention"`
	// PassphraseEncoding is "hex" or "base64" if the passphrase is that text of the bytes in the
	// key file.
	PassphraseEncoding string `json:"passphrase_encoding,omitempty"`
	KeyFingerprint     string `json:"key_fingerprint,omitempty"`
}

// A Source is the file that the image was made of.
type Source struct {
	Name        string `json:"name,omitempty"` // without folders
	Format      string `json:"format"`
	FileSize    int64  `json:"file_size,omitempty"`
	VirtualSize int64  `json:"virtual_size"`
	SHA256      string `json:"sha256,omitempty"` // of the disk
}

// An Image is the encrypted image.
type Image struct {
	Name           string `json:"name"`
	Container      string `json:"container"`
	UUID           string `json:"uuid,omitempty"`
	FileSize       int64  `json:"file_size"`
	VolumeSize     int64  `json:"volume_size"`
	SHA256         string `json:"sha256,omitempty"` // of the file
	Cipher         string `json:"cipher"`
	KeyBits        int    `json:"key_bits"`
	SectorSize     int    `json:"sector_size"`
	DataOffset     int64  `json:"data_offset"`
	DetachedHeader string `json:"detached_header,omitempty"` // its name
	ZerosDiscarded bool   `json:"zeros_discarded,omitempty"`
	KDF            KDF    `json:"kdf"`
}

// A KDF is how the key is derived, and what that costs.
type KDF struct {
	Type       string `json:"type"`
	Hash       string `json:"hash,omitempty"`
	Iterations uint32 `json:"iterations"`           // of Argon2: passes
	Memory     uint32 `json:"memory_kib,omitempty"` // of Argon2
	Parallel   uint32 `json:"parallel,omitempty"`   // of Argon2: lanes
}

// Options are what the result of encrypting does not tell.
type Options struct {
	Created time.Time
	Tool    string // name and version

	Source  Source // but for the size and the digest of its disk
	Name    string // of the image, without folders
	Header  string // the name of the file with its detached header, without folders
	Profile luksimg.Profile

	ZerosDiscarded bool

	// PassphraseEncoding is as in [Manifest].
	PassphraseEncoding string

	// Generated is a key of the image that was generated. Only such a key may have a fingerprint
	// in a file that stands beside an image; see [wrap.Fingerprint].
	Generated []byte
}

// New returns the manifest of what encrypting has made.
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

// Read reads a manifest. One of another version is an error.
func Read(r io.Reader) (*Manifest, error) {
	m := new(Manifest)
	if err := json.NewDecoder(io.LimitReader(r, maxSize)).Decode(m); err != nil {
		return nil, err
	}
	if m.Version != Version {
		return nil, fmt.Errorf("manifest version %d, and %d is known here", m.Version, Version)
	}
	return m, nil
}

// Compare tells, in a sentence each, where an image is not what its manifest says.
func (m *Manifest) Compare(i *luksimg.Info) []string {
	var all []string
	differ := func(what string, says, is any) {
		if says != is {
			all = append(all, fmt.Sprintf("the manifest is of another image: its %s is %v, here it is %v", what, says, is))
		}
	}
	differ("file size", m.Image.FileSize, i.FileSize)
	differ("container", m.Image.Container, string(i.Format))
	if i.LUKS != nil {
		differ("UUID", m.Image.UUID, i.LUKS.UUID)
	}
	return all
}

// Fields yields what the manifest says, for a person: the name of each field and its value. Text
// is as it is in the file, and may hold anything.
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
