package xts

// EncryptStealing is [Cipher.EncryptUnit] for a data unit of any length from 16 bytes. IEEE 1619
// encrypts a partial last block with ciphertext stealing. Disks have no such units.
//
// EncryptStealing panics if src is shorter than 16 bytes or longer than 16 MiB, and for the same buffer
// misuse as [Cipher.Encrypt].
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
	var partial [blockSize]byte // copied before dst is written, which can be src
	copy(partial[:], src[whole:])
	k.encrypt(dst[:whole], src[:whole], whole, t)
	// The start of the encrypted last whole block becomes the partial block. The plaintext of the
	// partial block replaces it, and the result is encrypted as the last block.
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
