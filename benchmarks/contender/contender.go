// Package contender gives different implementations of AES-XTS one signature: those of package xts and
// their peers.
package contender

import "errors"

// A Crypt encrypts or decrypts the complete sectors in src to dst. The plain64 tweaks count sectors
// from first.
type Crypt func(dst, src []byte, first uint64)

// A Contender is an implementation of AES-XTS for sectors.
type Contender struct {
	// Name identifies the contender. Names of package xts begin with "luksimg/".
	Name string

	// Version is the version of the library, or "".
	Version string

	// New prepares an operation, "enc" or "dec", with a key of 32 or 64 bytes and a sector size. If the
	// contender does not support them, the error is ErrUnsupported.
	New func(op string, key []byte, sectorSize int) (Crypt, error)
}

// ErrUnsupported means that a contender does not support an operation.
var ErrUnsupported = errors.New("unsupported")

// cgo holds the contenders that need C libraries; see the build tags in openssl.go and libgcrypt.go.
var cgo []Contender

// All lists the contenders of this build, with the fastest of package xts first.
func All() []Contender {
	return append(append(ours(), cgo...), cryptoAES, xCrypto, luksyPath)
}
