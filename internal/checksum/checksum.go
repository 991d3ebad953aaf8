// Package checksum reads the lists of checksums that are published beside files, such as
// SHA256SUMS, and tells whether a file is the one that was published.
package checksum

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/luksimg/luksimg/internal/advice"
)

var (
	// ErrMismatch is a file that is not the one that was published.
	ErrMismatch = advice.New("the checksum differs", "get the file again, from another server if there is one; if it stays so, do not use it")

	// ErrFormat is text that is no checksum, or no list of them.
	ErrFormat = errors.New("not a checksum")

	// ErrNotListed is a file that a list has no checksum of.
	ErrNotListed = errors.New("not in the list")
)

// An Algorithm is told by its name, or by the length of its sums.
type Algorithm struct {
	Name   string           // in capitals, without a hyphen: "SHA256"
	Size   int              // of a sum in bytes
	New    func() hash.Hash // nil if it is not computed here
	Proves bool             // that a file is the one that was published: no other file with the same sum can be made
}

// algorithms are all that are known, the weakest first.
var algorithms = []Algorithm{
	{"MD5", 16, nil, false},
	{"SHA1", sha1.Size, sha1.New, false},
	{"SHA224", sha256.Size224, sha256.New224, false},
	{"SHA256", sha256.Size, sha256.New, true},
	{"SHA384", sha512.Size384, sha512.New384, true},
	{"SHA512", sha512.Size, sha512.New, true},
}

// Named returns the algorithm of this name, in capitals or not, and its place among all, the weakest of
// which is at 0. The place is -1 if there is none.
func Named(name string) (Algorithm, int) {
	for i, a := range algorithms {
		if strings.EqualFold(a.Name, name) {
			return a, i
		}
	}
	return Algorithm{}, -1
}

// A Sum is what the digest of a file must be.
type Sum struct {
	Algorithm
	want []byte
}

// Parse reads a checksum in hexadecimal, whose length tells whether it is of SHA-256, SHA-384 or
// SHA-512.
func Parse(text string) (Sum, error) {
	s, err := parse(text)
	if err == nil && !s.Proves {
		err = fmt.Errorf("%w that proves anything: it is of %s", ErrFormat, s.Name)
	}
	return s, err
}

func parse(text string) (Sum, error) {
	b, err := hex.DecodeString(text)
	if err == nil {
		for _, a := range algorithms {
			if len(b) == a.Size {
				return Sum{a, b}, nil
			}
		}
	}
	return Sum{}, fmt.Errorf("%w: %.80q: want 64 hexadecimal digits of SHA-256, 96 of SHA-384 or 128 of SHA-512", ErrFormat, text)
}

// New returns the hash that computes the digest.
func (s Sum) New() hash.Hash { return s.Algorithm.New() }

// String returns the algorithm and the sum: "sha256:9f86...".
func (s Sum) String() string { return s.text(s.want) }

func (s Sum) text(sum []byte) string { return fmt.Sprintf("%s:%x", strings.ToLower(s.Name), sum) }

// Check compares a digest with the one that was published: [ErrMismatch] if it is another one.
func (s Sum) Check(got []byte) error {
	if bytes.Equal(s.want, got) {
		return nil
	}
	return fmt.Errorf("%w: it is %s, and %s was published", ErrMismatch, s.text(got), s)
}
