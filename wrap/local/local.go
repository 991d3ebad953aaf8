// Package local keeps a root key in a file and wraps data encryption keys with it. Use it for tests, for images that
// stay out of the cloud, and as a spare for a cloud's root key.
//
// The file holds exactly 32 random bytes. Whoever can read it can open every image whose key it wrapped.
package local

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/pbkdf2"
	"github.com/luksimg/luksimg/wrap"
)

const (
	keySize = 32

	// A wrapped key is base64 of: magic, the check value of the root key, the RFC 5649 ciphertext.
	magic       = "LKW1"
	checkSize   = 8
	checkDomain = "luksimg local root key check v1"
	maxWDEK     = 128 << 10
)

var (
	// ErrOtherKey means that another root key wrapped the key. It matches [wrap.ErrWDEK].
	ErrOtherKey = fmt.Errorf("%w: another root key wrapped it", wrap.ErrWDEK)

	// ErrFile means that a file cannot be a root key: it has the wrong length, is not a regular file, or other users
	// have access ([ErrMode]).
	ErrFile = advice.New("not a root key file", "luksimg keygen --kms local:FILE makes a root key")

	// ErrMode means that users other than the owner can read or write the file. It matches [ErrFile].
	ErrMode = fmt.Errorf("%w: users other than its owner can read or write it", ErrFile)
)

// A Key is a root key. It implements [wrap.Wrapper] and [wrap.Unwrapper], and is safe for concurrent use.
type Key struct {
	block cipher.Block
	check [checkSize]byte
}

// New returns the root key with these 32 bytes, which it copies. If the length is different, the error is [ErrFile].
func New(key []byte) (*Key, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("%w: it has %d bytes, want %d", ErrFile, len(key), keySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	k := &Key{block: block}
	copy(k.check[:], pbkdf2.MAC(sha256.New, key, []byte(checkDomain)))
	return k, nil
}

// Open reads a root key from a regular file of exactly 32 bytes. On systems with Unix modes, only the owner may have
// access to the file. Errors match [ErrFile] or those of package os.
func Open(name string) (*Key, error) {
	// Check before opening too: opening a pipe blocks until its other end is open.
	if fi, err := os.Stat(name); err != nil {
		return nil, err
	} else if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: not a regular file", name, ErrFile)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: not a regular file", name, ErrFile)
	}
	if mode := fi.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, advice.With(fmt.Errorf("%s: %w: the mode is %#o, want 0600", name, ErrMode, mode), "chmod 600 "+name+"; if others could read it, they may have a copy")
	}
	if fi.Size() != keySize {
		return nil, fmt.Errorf("%s: %w: it has %d bytes, want %d", name, ErrFile, fi.Size(), keySize)
	}
	key := make([]byte, keySize)
	defer clear(key)
	if _, err := f.ReadAt(key, 0); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return New(key)
}

// Create generates a root key and writes it to a new file of mode 0600. The file appears when the key is complete and
// synced. If the file exists, the error matches [os.ErrExist].
func Create(name string) (*Key, error) {
	key := make([]byte, keySize)
	defer clear(key)
	rand.Read(key)
	if err := output.WriteNew(name, key, 0o600); err != nil {
		return nil, err
	}
	return New(key)
}

// Prefix begins the name of a root key in a file, and the kms of an envelope.
const Prefix = "local:"

// FileOf returns the name of the file in local:FILE.
func FileOf(kms string) (string, error) {
	name, ok := strings.CutPrefix(kms, Prefix)
	if !ok || name == "" {
		return "", advice.With(fmt.Errorf("--kms %s: want local:FILE", kms), "local:FILE names a root key in a file")
	}
	return name, nil
}

// RootKey opens the root key in the file that local:FILE names. Errors are those of [Open].
func RootKey(kms string) (*wrap.RootKey, error) {
	name, err := FileOf(kms)
	if err != nil {
		return nil, err
	}
	k, err := Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, advice.With(err, "luksimg keygen --kms "+kms+" makes one")
	}
	if err != nil {
		return nil, err
	}
	return &wrap.RootKey{Wrapper: k, Unwrapper: k, KMS: k.String()}, nil
}

// ID returns 16 hexadecimal digits that identify the key and reveal nothing of it. "local:" and the ID are the kms of
// an envelope.
func (k *Key) ID() string { return hex.EncodeToString(k.check[:]) }

// String returns the ID with the prefix "local:".
func (k *Key) String() string { return Prefix + k.ID() }

// GoString returns the same text as String, so that fmt's %#v does not print the key.
func (k *Key) GoString() string { return k.String() }

// Wrap implements [wrap.Wrapper] with AES-256 key wrap with padding (RFC 5649). Equal plaintexts give equal wrapped
// keys. If the plaintext is not base64 text, the error is [wrap.ErrKey].
func (k *Key) Wrap(ctx context.Context, plaintext []byte) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	key, err := decode(plaintext)
	if err != nil {
		return "", fmt.Errorf("%w: the plaintext is not base64 text", wrap.ErrKey)
	}
	defer clear(key)
	wrapped, err := kwpWrap(k.block, key)
	if err != nil {
		return "", fmt.Errorf("%w: %w", wrap.ErrKey, err)
	}
	blob := append([]byte(magic), k.check[:]...)
	return base64.StdEncoding.EncodeToString(append(blob, wrapped...)), nil
}

// Unwrap implements [wrap.Unwrapper]. If another root key wrapped the key, the error is [ErrOtherKey]; if the wrapped
// key is damaged, it is [wrap.ErrWDEK]. The root key has no versions, so Rewrapped is empty.
func (k *Key) Unwrap(ctx context.Context, wdek string) (wrap.Unwrapped, error) {
	if err := ctx.Err(); err != nil {
		return wrap.Unwrapped{}, err
	}
	if len(wdek) > maxWDEK {
		return wrap.Unwrapped{}, fmt.Errorf("%w: it is too long", wrap.ErrWDEK)
	}
	blob, err := decode([]byte(wdek))
	if err != nil || !strings.HasPrefix(string(blob), magic) || len(blob) < len(magic)+checkSize {
		return wrap.Unwrapped{}, fmt.Errorf("%w: it was not made by a local root key", wrap.ErrWDEK)
	}
	check, wrapped := blob[len(magic):len(magic)+checkSize], blob[len(magic)+checkSize:]
	if !hmac.Equal(check, k.check[:]) {
		return wrap.Unwrapped{}, ErrOtherKey
	}
	key, err := kwpUnwrap(k.block, wrapped)
	if err != nil {
		return wrap.Unwrapped{}, fmt.Errorf("%w: it is damaged: %w", wrap.ErrWDEK, err)
	}
	defer clear(key)
	text := make([]byte, base64.StdEncoding.EncodedLen(len(key)))
	base64.StdEncoding.Encode(text, key)
	return wrap.Unwrapped{Plaintext: text}, nil
}

// decode accepts strict base64 on one line.
func decode(text []byte) ([]byte, error) {
	if bytes.ContainsAny(text, "\r\n") {
		return nil, errIntegrity
	}
	b := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(b, text)
	if err != nil {
		clear(b)
		return nil, errIntegrity
	}
	return b[:n], nil
}
