package xts

// EncryptStealing is [Cipher.EncryptUnit] for a data unit of any number of bytes
// from 16 on: IEEE 1619 encrypts a last block that is not whole by ciphertext
// stealing. Disks have no such units.
//
// EncryptStealing panics if src is shorter than 16 bytes or longer than 16 MiB, and
// for the same buffer misuse as [Cipher.Encrypt].
func (c *Cipher) EncryptStealing(dst, src []byte, tweak *[16]byte) {
	k := c.mustBeOpen()
	dst = checkStealing(dst, src)
	t := tweakFrom(tweak)
	whole := len(src) / blockSize * blockSize
	rest := len(src) - whole
	if rest == 0 {
		k.encrypt(dst, src, whole, t)
		return
	}
	var partial [blockSize]byte // before dst is written, which may be src
	copy(partial[:], src[whole:])
	k.encrypt(dst[:whole], src[:whole], whole, t)
	// The last whole block gives its beginning to the end, and what is left of it
	// is filled up with the plaintext of the end and encrypted as the last block.
	last := dst[whole-blockSize : whole]
	copy(dst[whole:], last[:rest])
	copy(last, partial[:rest])
	k.encryptBlock(last, last, t, whole/blockSize)
	clear(partial[:])
}

// DecryptStealing is the inverse of [Cipher.EncryptStealing], with the same rules.
func (c *Cipher) DecryptStealing(dst, src []byte, tweak *[16]byte) {
	k := c.mustBeOpen()
	dst = checkStealing(dst, src)
	t := tweakFrom(tweak)
	whole := len(src) / blockSize * blockSize
	rest := len(src) - whole
	if rest == 0 {
		k.decrypt(dst, src, whole, t)
		return
	}
	var partial [blockSize]byte
	copy(partial[:], src[whole:])
	before := whole - blockSize
	k.decrypt(dst[:before], src[:before], before, t)
	last := dst[before:whole]
	k.decryptBlock(last, src[before:whole], t, whole/blockSize)
	copy(dst[whole:], last[:rest])
	copy(last, partial[:rest])
	k.decryptBlock(last, last, t, before/blockSize)
}
