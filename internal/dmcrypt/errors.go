package dmcrypt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var (
	// ErrUnknownCipher is for a specification that is not one, or that names a block
	// cipher, mode or IV generator that is not supported here or that the kernel
	// refuses.
	ErrUnknownCipher = errors.New("unsupported cipher")

	// ErrUnknownHash is for a hash that is not supported here.
	ErrUnknownHash = errors.New("unsupported hash")

	// ErrNotRegistered is for a cipher or hash that is supported, but not linked in.
	// The error's text says which import adds it.
	ErrNotRegistered = errors.New("not linked in")

	// ErrNull is for cipher_null, which encrypts nothing.
	ErrNull = errors.New("the null cipher does not encrypt")

	// ErrKeySize is for a key of a size that the cipher does not take.
	ErrKeySize = errors.New("wrong key size")
)

// ciphersPackage registers all that is not built in.
const ciphersPackage = "github.com/luksimg/luksimg/luks/ciphers"

// refuse says of which specification an error is.
func (s *spec) refuse(err error) error {
	return fmt.Errorf("dmcrypt: cipher %q: %w", s.text, err)
}

// unknown is refuse with ErrUnknownCipher and the reason.
func (s *spec) unknown(format string, args ...any) error {
	return s.refuse(fmt.Errorf("%w: "+format, append([]any{ErrUnknownCipher}, args...)...))
}

// notRegistered is the error for a name that the package luks/ciphers has.
func notRegistered(name string) error {
	return fmt.Errorf("%s is %w: import _ %q", name, ErrNotRegistered, ciphersPackage)
}

// anyOf writes sizes as a list for an error text. Long ones, which are all numbers of
// a range or all even ones, are cut short.
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
