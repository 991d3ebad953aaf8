package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/wrap"
)

// manifestVersion changes when a member changes its meaning. New members do not change it.
const manifestVersion = 1

// manifestSuffix is what inspect adds to the name of an image to find its manifest.
const manifestSuffix = ".manifest.json"

// maxManifest bounds what is read of a manifest.
const maxManifest = 1 << 20

// A manifest tells what encrypt made, and of what. It holds no key. docs/manifest.md
// describes it.
type manifest struct {
	Version int       `json:"manifest_version"`
	Created time.Time `json:"created"`
	Tool    string    `json:"tool"` // name and version

	Source manifestFile  `json:"source"`
	Image  manifestImage `json:"image"`

	Profile        string `json:"profile,omitempty"`
	KeyConvention  string `json:"key_convention"`
	KeyFingerprint string `json:"key_fingerprint,omitempty"`
}

type manifestFile struct {
	Name        string `json:"name,omitempty"` // without folders
	Format      string `json:"format"`
	FileSize    int64  `json:"file_size,omitempty"`
	VirtualSize int64  `json:"virtual_size"`
	SHA256      string `json:"sha256,omitempty"` // of the disk
}

type manifestImage struct {
	Name           string      `json:"name"`
	Container      string      `json:"container"`
	UUID           string      `json:"uuid,omitempty"`
	FileSize       int64       `json:"file_size"`
	VolumeSize     int64       `json:"volume_size"`
	SHA256         string      `json:"sha256,omitempty"` // of the file
	Cipher         string      `json:"cipher"`
	KeyBits        int         `json:"key_bits"`
	SectorSize     int         `json:"sector_size"`
	DataOffset     int64       `json:"data_offset"`
	DetachedHeader string      `json:"detached_header,omitempty"` // its name
	ZerosDiscarded bool        `json:"zeros_discarded,omitempty"`
	KDF            manifestKDF `json:"kdf"`
}

// manifestKDF is how the key is derived, and what that costs.
type manifestKDF struct {
	Type       string `json:"type"`
	Hash       string `json:"hash,omitempty"`
	Iterations uint32 `json:"iterations"`           // of Argon2: passes
	Memory     uint32 `json:"memory_kib,omitempty"` // of Argon2
	Parallel   uint32 `json:"parallel,omitempty"`   // of Argon2: lanes
}

// keyConventions say what of a key is the passphrase.
var keyConventions = map[luksimg.Profile]string{
	"":                  "the passphrase is the content of the key file, each byte of it",
	luksimg.ClassicLUKS: "the passphrase is the base64 text of the data encryption key, without a newline; the same text is wrapped",
	luksimg.ClassicVHD:  "the key of the data is the content of the key file, 32 or 64 bytes; the base64 text of it is wrapped",
	luksimg.VPCQCOW2:    "the passphrase is the text in the key file, without a newline; the base64 text of it is wrapped",
}

func (o *encryptFlags) manifest(dst string, s *diskSource, r *luksimg.Result, key []byte) manifest {
	l := r.LUKS
	m := manifest{
		Version: manifestVersion,
		Created: now(),
		Tool:    toolName(),
		Source:  manifestFile{Format: s.format, VirtualSize: r.SourceSize, SHA256: r.SourceSHA256},
		Image: manifestImage{
			Name: filepath.Base(dst), Container: string(r.Format), UUID: r.UUID,
			FileSize: r.FileSize, VolumeSize: r.VolumeSize, SHA256: r.FileSHA256,
			Cipher: r.Cipher, KeyBits: r.KeyBits, SectorSize: max(l.SectorSize, 512), DataOffset: l.DataOffset,
			ZerosDiscarded: o.discardZeros,
		},
		Profile:       o.profile,
		KeyConvention: keyConventions[luksimg.Profile(o.profile)],
	}
	if o.generateKey != "" || isDEK(wrap.Convention(o.profile)) {
		m.KeyFingerprint = wrap.Fingerprint(key)
	}
	if s.source != nil {
		m.Source.Name, m.Source.FileSize = filepath.Base(s.name), s.source.size
	}
	if o.header != "" {
		m.Image.DetachedHeader = filepath.Base(o.header)
	}
	for _, slot := range l.Keyslots {
		m.Image.KDF = manifestKDF{Type: slot.KDF, Iterations: slot.Iterations}
		if slot.KDF == luks.PBKDF2 {
			m.Image.KDF.Hash = slot.Hash
		} else {
			m.Image.KDF.Memory, m.Image.KDF.Parallel = slot.Memory, slot.Parallel
		}
	}
	return m
}

// writeManifest writes m to a file that is yet to be committed.
func writeManifest(f *output.File, m manifest) error {
	e := json.NewEncoder(f)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(m)
}

// readManifest reads the manifest beside an image, nil if there is none.
func readManifest(ctx context.Context, image string) (*manifest, error) {
	if isStdin(image) {
		return nil, nil
	}
	name := image + manifestSuffix
	f, err := openFile(ctx, name, os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := new(manifest)
	if err := json.NewDecoder(io.LimitReader(f, maxManifest)).Decode(m); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if m.Version != manifestVersion {
		return nil, fmt.Errorf("%s: manifest version %d, and %d is known here", name, m.Version, manifestVersion)
	}
	return m, nil
}

// compare tells where an image is not what its manifest says.
func (m *manifest) compare(i *luksimg.Info) []string {
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
