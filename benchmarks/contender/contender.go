// Package contender has ways to encrypt sectors with AES-XTS behind one signature:
// those of package xts and those that it is compared with.
package contender

import "errors"

// A Crypt encrypts or decrypts the whole sectors in src into dst, with plain64
// tweaks counted in sectors from first on.
type Crypt func(dst, src []byte, first uint64)

// A Contender is a way to encrypt sectors.
type Contender struct {
	// Name tells contenders apart: those of package xts begin with "luksimg/".
	Name string

	// Version is that of the library, where it says.
	Version string

	// New prepares for an operation, "enc" or "dec", a key of 32 or 64 bytes and a
	// sector size. The error is ErrUnsupported for what a contender does not do.
	New func(op string, key []byte, sectorSize int) (Crypt, error)
}

// ErrUnsupported says that a contender does not do what it is asked for.
var ErrUnsupported = errors.New("unsupported")

// cgo holds contenders that need C libraries: see the build tags in openssl.go and
// libgcrypt.go.
var cgo []Contender

// All lists the contenders of this build, the fastest of our own first.
func All() []Contender {
	return append(append(ours(), cgo...), cryptoAES, xCrypto, luksyPath)
}
