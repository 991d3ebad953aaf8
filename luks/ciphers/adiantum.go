package ciphers

import (
	"bytes"
	"sync"

	"lukechampine.com/adiantum"
	"lukechampine.com/adiantum/hbsh"

	"github.com/luksimg/luksimg/internal/dmcrypt"
)

// adiantumRounds are the variants of Adiantum. They differ in the rounds of XChaCha.
var adiantumRounds = map[string]func(key []byte) *hbsh.HBSH{
	"xchacha12,aes": adiantum.New,
	"xchacha20,aes": adiantum.New20,
}

func init() {
	for name, newHBSH := range adiantumRounds {
		dmcrypt.RegisterAdiantum(name, func(key []byte) (dmcrypt.Tweakable, error) {
			return newWide(key, newHBSH), nil
		})
	}
}

// wide makes a hbsh.HBSH, which contains a buffer, safe for concurrent use.
type wide struct {
	key  []byte // the HBSHs refer to it
	pool sync.Pool
}

func newWide(key []byte, newHBSH func(key []byte) *hbsh.HBSH) *wide {
	w := &wide{key: bytes.Clone(key)}
	first := newHBSH(w.key)
	w.pool.New = func() any {
		h := *first // shares everything except the buffer
		return &h
	}
	return w
}

func (w *wide) Encrypt(dst, src, tweak []byte) {
	h := w.pool.Get().(*hbsh.HBSH)
	copy(dst, src)
	h.Encrypt(dst, tweak) // in place
	w.pool.Put(h)
}

func (w *wide) Decrypt(dst, src, tweak []byte) {
	h := w.pool.Get().(*hbsh.HBSH)
	copy(dst, src)
	h.Decrypt(dst, tweak)
	w.pool.Put(h)
}

func (w *wide) Close() { clear(w.key) }
