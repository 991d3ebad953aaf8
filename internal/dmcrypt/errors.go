package dmcrypt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var (
	// ErrUnknownCipher means that a specification is invalid, or that its block cipher, mode or IV
	// generator is not supported or is refused by the kernel.
	ErrUnknownCipher = errors.New("unsupported cipher")

	// ErrUnknownHash means that a hash is not supported.
	ErrUnknownHash = errors.New("unsupported hash")

	// ErrNotRegistered means that a supported cipher or hash is not linked in. The error names the
	// import that adds it.
	ErrNotRegistered = errors.New("not linked in")

	// ErrNull means that a specification is cipher_null, which does not encrypt.
	ErrNull = errors.New("the null cipher does not encrypt")

	// ErrKeySize means that the cipher has no keys of this size.
	ErrKeySize = errors.New("wrong key size")
)

// ciphersPackage registers the ciphers and hashes that are not built in.
const ciphersPackage = "github.com/luksimg/luksimg/luks/ciphers"

// refuse adds the specification to an error.
func (s *spec) refuse(err error) error {
	return fmt.Errorf("dmcrypt: cipher %q: %w", s.text, err)
}

// unknown returns an ErrUnknownCipher with a reason.
func (s *spec) unknown(format string, args ...any) error {
	return s.refuse(fmt.Errorf("%w: "+format, append([]any{ErrUnknownCipher}, args...)...))
}

// notRegistered returns the error for a name that package luks/ciphers registers.
func notRegistered(name string) error {
	return fmt.Errorf("%s is %w: import _ %q", name, ErrNotRegistered, ciphersPackage)
}

// anyOf formats sizes as a list. It shortens long lists, which have all numbers, or all even numbers,
// of a range.
func anyOf(sizes []int) string {
	const most = 4
	var text []string
	for _, n := range sizes {
		text = append(text, strconv.Itoa(n))
	}
	if n := len(text); n > most {
		return text[0] + ", " + text[1] + " to " + text[n-1]
	}
	if n := len(text); n > 1 {
		return strings.Join(text[:n-1], ", ") + " or " + text[n-1]
	}
	return strings.Join(text, "")
}
