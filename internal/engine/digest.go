package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	"github.com/luksimg/luksimg/internal/pieces"
)

// Digests are the SHA-256 digests of a disk and of the image made from it.
type Digests struct{ source, file hash.Hash }

// NewDigests returns new digests.
func NewDigests() *Digests { return &Digests{sha256.New(), sha256.New()} }

// File returns the writer for the bytes before the data in the file.
func (d *Digests) File() io.Writer { return d.file }

// Sums returns the digests in hexadecimal, "" if d is nil.
func (d *Digests) Sums() (source, file string) {
	if d == nil {
		return "", ""
	}
	return hex.EncodeToString(d.source.Sum(nil)), hex.EncodeToString(d.file.Sum(nil))
}

// around returns the steps that hash the plaintext, encrypt, and hash the ciphertext.
func (d *Digests) around(encrypt step) []step {
	in := func(buf []byte, p pieces.Piece) error {
		d.source.Write(buf[:p.Disk])
		return nil
	}
	out := func(buf []byte, p pieces.Piece) error {
		d.file.Write(buf[:p.Length])
		return nil
	}
	return []step{{Do: in, InOrder: true}, encrypt, {Do: out, InOrder: true}}
}
