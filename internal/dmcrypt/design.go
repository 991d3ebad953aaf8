package dmcrypt

import (
	"crypto/cipher"
	"fmt"
	"hash"
	"slices"

	"github.com/luksimg/luksimg/xts"
)

// A design is a specification whose names are all resolved. Only the key is missing to make a cipher.
type design struct {
	spec      *spec
	mode      modeInfo
	block     blockCipher                         // not set for Adiantum
	adiantum  func(key []byte) (Tweakable, error) // for mode adiantum only
	essivHash func() hash.Hash                    // for IV generator essiv only
}

// modeInfo has the properties of a mode of operation, as in the kernel.
type modeInfo struct {
	ivSize int // in bytes; 0 for none
	unit   int // its block size; 1 for a stream mode
	keys   int // number of keys of the block cipher
}

var modes = map[string]modeInfo{
	"adiantum": {ivSize: 32, unit: 16, keys: 1},
	"cbc":      {ivSize: 16, unit: 16, keys: 1},
	"ctr":      {ivSize: 16, unit: 1, keys: 1},
	"ecb":      {ivSize: 0, unit: 16, keys: 1},
	"xts":      {ivSize: 16, unit: 16, keys: 2},
}

// adiantumKeySize is the key size of XChaCha.
const adiantumKeySize = 32

// resolve parses a specification and looks up its names.
func resolve(text string) (*design, error) {
	s, err := parse(text)
	if err != nil {
		return nil, err
	}
	if s.cipher == nullCipher {
		return nil, s.refuse(ErrNull)
	}
	if err := s.enforce(0); err != nil {
		return nil, err
	}
	d := &design{spec: s}
	var ok bool
	if d.mode, ok = modes[s.mode]; !ok {
		return nil, s.unknown("mode %q", s.mode)
	}
	if err := d.findCipher(); err != nil {
		return nil, err
	}
	if err := d.findIV(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *design) findCipher() error {
	s := d.spec
	var ok bool
	var optional []string
	if s.mode == "adiantum" {
		d.adiantum, ok = lookup(registry.adiantum, s.cipher)
		optional = optionalAdiantum
	} else {
		d.block, ok = lookup(registry.blocks, s.cipher)
		optional = optionalBlocks
	}
	switch {
	case ok && s.mode != "adiantum" && d.block.size != blockSize:
		return d.shorten()
	case ok:
		return nil
	case slices.Contains(optional, s.cipher):
		return s.refuse(notRegistered(s.cipher))
	}
	return s.unknown("block cipher %q", s.cipher)
}

// shorten adapts the mode to a block cipher with shorter blocks.
func (d *design) shorten() error {
	if d.spec.mode == "xts" {
		return d.spec.unknown("XTS has no blocks of %d bytes", d.block.size)
	}
	d.mode.ivSize = min(d.mode.ivSize, d.block.size)
	d.mode.unit = min(d.mode.unit, d.block.size)
	return nil
}

func (d *design) findIV() error {
	s := d.spec
	switch {
	case s.iv == "" || slices.Contains(plainIVs, s.iv):
		return nil
	case s.iv != "essiv":
		return s.unknown("IV generator %q", s.iv)
	case s.ivOpts == "":
		return s.unknown("no hash for ESSIV")
	case d.mode.ivSize == 0 || d.adiantum != nil:
		return s.unknown("mode %s does not support ESSIV", s.mode)
	}
	h, err := essivHash(s.ivOpts)
	if err != nil {
		return s.refuse(fmt.Errorf("ESSIV: %w", err))
	}
	// The whole digest is the key. If its size is not a key size, the kernel refuses.
	if n := h().Size(); !slices.Contains(d.block.keySizes, n) {
		return s.unknown("ESSIV: %s has no keys of %d bytes, the digest size of %s", s.cipher, n, s.ivOpts)
	}
	d.essivHash = h
	return nil
}

func (d *design) keySizes() []int {
	if d.adiantum != nil {
		return []int{adiantumKeySize}
	}
	sizes := slices.Clone(d.block.keySizes)
	for i := range sizes {
		sizes[i] *= d.mode.keys
	}
	return sizes
}

// build makes the cipher. The size of key has been checked.
func (d *design) build(key []byte, opts Options) (SectorCipher, error) {
	s := d.spec
	if s.mode == "xts" && s.cipher == "aes" && len(key) != 2*24 {
		return d.buildXTS(key, opts)
	}
	m, err := d.newMode(key)
	if err != nil {
		return nil, err
	}
	return d.newSectors(m, key, opts)
}

// buildXTS uses package xts for AES-XTS as far as possible: for whole runs with plain sector numbers,
// for single sectors with other IVs, and not for AES-192.
func (d *design) buildXTS(key []byte, opts Options) (SectorCipher, error) {
	plain := d.spec.iv == "plain"
	c, err := xts.New(key, xts.Options{SectorSize: opts.SectorSize, LargeIV: opts.LargeIV, Plain32: plain})
	if err != nil {
		return nil, d.spec.refuse(err)
	}
	if plain || d.spec.iv == "plain64" {
		return c, nil
	}
	return d.newSectors(aesXTS{c}, key, opts)
}

// newMode returns the mode of operation with its key.
func (d *design) newMode(key []byte) (mode, error) {
	if d.adiantum != nil {
		t, err := d.adiantum(key)
		if err != nil {
			return nil, d.spec.refuse(err)
		}
		return adiantum{t}, nil
	}
	n := len(key) / d.mode.keys
	b, err := d.newBlock(key[:n])
	if err != nil {
		return nil, err
	}
	switch d.spec.mode {
	case "cbc":
		return cbc{b}, nil
	case "ctr":
		return ctr{b}, nil
	case "ecb":
		return ecb{b}, nil
	}
	tweak, err := d.newBlock(key[n:])
	if err != nil {
		return nil, err
	}
	return genericXTS{data: b, tweak: tweak}, nil
}

func (d *design) newBlock(key []byte) (cipher.Block, error) {
	b, err := d.block.new(key)
	if err != nil {
		return nil, d.spec.refuse(err)
	}
	return b, nil
}
