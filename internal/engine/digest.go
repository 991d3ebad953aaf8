package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	"github.com/luksimg/luksimg/internal/pieces"
)

// Digests are the SHA-256 of a disk and of the image that is made of it.
type Digests struct{ source, file hash.Hash }

// NewDigests returns digests of nothing yet.
func NewDigests() *Digests { return &Digests{sha256.New(), sha256.New()} }

// File takes what is in front of the data in the file.
func (d *Digests) File() io.Writer { return d.file }

// Sums returns the digests in hexadecimal, "" if d is nil.
func (d *Digests) Sums() (source, file string) {
	if d == nil {
		return "", ""
	}
	return hex.EncodeToString(d.source.Sum(nil)), hex.EncodeToString(d.file.Sum(nil))
}

// around returns the steps that hash the plaintext before encrypting, and the ciphertext after it.
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
