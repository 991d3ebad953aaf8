// Package checksum reads published lists of checksums, such as SHA256SUMS, and verifies files with
// them.
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
	// ErrMismatch means that a file differs from the published file.
	ErrMismatch = advice.New("the checksum differs", "get the file again, from another server if there is one; if the checksum still differs, do not use the file")

	// ErrFormat means that a text is not a checksum or not a list of checksums.
	ErrFormat = errors.New("not a checksum")

	// ErrNotListed means that a list has no checksum of a file.
	ErrNotListed = errors.New("not in the list")
)

// An Algorithm is identified by its name or by the length of its sums.
type Algorithm struct {
	Name   string           // in capitals, without a hyphen: "SHA256"
	Size   int              // of a sum in bytes
	New    func() hash.Hash // nil if the algorithm is not supported
	Proves bool             // collision-resistant: nobody can make another file with the same sum
}

// algorithms are the known algorithms, the weakest first.
var algorithms = []Algorithm{
	{"MD5", 16, nil, false},
	{"SHA1", sha1.Size, sha1.New, false},
	{"SHA224", sha256.Size224, sha256.New224, false},
	{"SHA256", sha256.Size, sha256.New, true},
	{"SHA384", sha512.Size384, sha512.New384, true},
	{"SHA512", sha512.Size, sha512.New, true},
}

// Named returns the algorithm with a name, ignoring case, and its rank. The weakest has rank 0; an
// unknown one has rank -1.
func Named(name string) (Algorithm, int) {
	for i, a := range algorithms {
		if strings.EqualFold(a.Name, name) {
			return a, i
		}
	}
	return Algorithm{}, -1
}

// A Sum is the expected digest of a file.
type Sum struct {
	Algorithm
	want []byte
}

// Parse parses a checksum in hexadecimal. Its length determines the algorithm: SHA-256, SHA-384 or
// SHA-512.
func Parse(text string) (Sum, error) {
	s, err := parse(text)
	if err == nil && !s.Proves {
		err = fmt.Errorf("%w that proves anything: its algorithm is %s", ErrFormat, s.Name)
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

// New returns a hash that computes the digest.
func (s Sum) New() hash.Hash { return s.Algorithm.New() }

// String returns the algorithm and the checksum: "sha256:9f86...".
func (s Sum) String() string { return s.text(s.want) }

func (s Sum) text(sum []byte) string { return fmt.Sprintf("%s:%x", strings.ToLower(s.Name), sum) }

// Check compares a digest with the published one. If they differ, the error is [ErrMismatch].
func (s Sum) Check(got []byte) error {
	if bytes.Equal(s.want, got) {
		return nil
	}
	return fmt.Errorf("%w: it is %s, but %s was published", ErrMismatch, s.text(got), s)
}
