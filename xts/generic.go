package xts

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// maskSize is the number of bytes of whitening masks made at a time. It is the most common sector size,
// and small enough that the masks stay in the L1 cache with the data.
const maskSize = 512

// generic is the portable kernel. It calls crypto/aes once per block. crypto/aes uses AES instructions
// if the CPU has them; else it uses tables and is not constant-time.
type generic struct {
	data, tweak cipher.Block
}

var genericImplementation = implementation{name: "generic", newKernel: newGeneric}

func newGeneric(key []byte) (kernel, error) {
	data, err := aes.NewCipher(key[:len(key)/2])
	if err != nil {
		return nil, err
	}
	tweak, err := aes.NewCipher(key[len(key)/2:])
	if err != nil {
		return nil, err
	}
	return &generic{data, tweak}, nil
}

// wipe only drops the references: crypto/aes offers no way to overwrite its expanded keys.
func (g *generic) wipe() { *g = generic{} }

func (g *generic) encrypt(dst, src []byte, unit int, t tweak) {
	g.crypt(dst, src, unit, t, encryptBlocks)
}

func (g *generic) decrypt(dst, src []byte, unit int, t tweak) {
	g.crypt(dst, src, unit, t, decryptBlocks)
}

func (g *generic) encryptBlock(dst, src []byte, t tweak, index int) {
	g.block(dst, src, t, index, encryptBlocks)
}

func (g *generic) decryptBlock(dst, src []byte, t tweak, index int) {
	g.block(dst, src, t, index, decryptBlocks)
}

func (g *generic) block(dst, src []byte, t tweak, index int, blocks func(cipher.Block, []byte)) {
	dst, src = dst[:blockSize], src[:blockSize]
	lo, hi := g.firstMask(dst, src, t)
	lo, hi = timesPower(lo, hi, index)
	var mask [blockSize]byte
	store(mask[:], lo, hi)
	subtle.XORBytes(dst, src, mask[:])
	blocks(g.data, dst)
	subtle.XORBytes(dst, dst, mask[:])
}

// crypt works in chunks. It makes the masks, XORs them into all blocks, runs AES over all blocks, and
// XORs again. Block by block, each 16-byte load of AES would wait for the two 8-byte stores before it,
// which the CPU cannot forward to one load. Then the AES of neighbouring blocks would not overlap.
func (g *generic) crypt(dst, src []byte, unit int, t tweak, blocks func(cipher.Block, []byte)) {
	var masks [maskSize]byte
	for ; len(src) > 0; t = t.next() {
		lo, hi := g.firstMask(dst, src, t)
		for left := unit; left > 0; {
			n := min(left, maskSize)
			lo, hi = fillMasks(masks[:n], lo, hi)
			subtle.XORBytes(dst[:n], src[:n], masks[:n])
			blocks(g.data, dst[:n])
			subtle.XORBytes(dst[:n], dst[:n], masks[:n])
			dst, src, left = dst[n:], src[n:], left-n
		}
	}
}

func encryptBlocks(b cipher.Block, buf []byte) {
	for ; len(buf) >= blockSize; buf = buf[blockSize:] {
		b.Encrypt(buf[:blockSize], buf[:blockSize])
	}
}

func decryptBlocks(b cipher.Block, buf []byte) {
	for ; len(buf) >= blockSize; buf = buf[blockSize:] {
		b.Decrypt(buf[:blockSize], buf[:blockSize])
	}
}

// firstMask returns the encrypted tweak of the data unit at the start of src, which is the mask of its
// first block.
//
// It uses the first block of dst as scratch space: a local array would escape to the heap because of
// the interface call. dst can be src, so firstMask restores the bytes of src. Other bytes of dst are
// about to be overwritten anyway.
func (g *generic) firstMask(dst, src []byte, t tweak) (lo, hi uint64) {
	b := dst[:blockSize]
	srcLo, srcHi := load(src)
	store(b, t.lo, t.hi)
	g.tweak.Encrypt(b, b)
	lo, hi = load(b)
	store(b, srcLo, srcHi)
	return lo, hi
}

// fillMasks fills b with the masks of consecutive blocks, starting with hi:lo, and returns the next
// mask.
func fillMasks(b []byte, lo, hi uint64) (uint64, uint64) {
	for len(b) >= blockSize {
		store(b, lo, hi)
		lo, hi = double(lo, hi)
		b = b[blockSize:]
	}
	return lo, hi
}
