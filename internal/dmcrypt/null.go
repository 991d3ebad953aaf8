package dmcrypt

// nullCipher is the kernel's name of the null cipher.
const nullCipher = "cipher_null"

// isNullECB reports whether a specification is the null cipher in ECB mode. In other modes the null
// cipher changes the data, and nobody uses it.
func isNullECB(text string) bool {
	s, err := parse(text)
	return err == nil && s.cipher == nullCipher && s.mode == "ecb"
}

// null copies its input.
type null struct{ sectorSize int }

func (c *null) Encrypt(dst, src []byte, _ uint64) { copy(checkBuffers(dst, src, c.sectorSize), src) }

func (c *null) Decrypt(dst, src []byte, _ uint64) { copy(checkBuffers(dst, src, c.sectorSize), src) }

func (c *null) SectorSize() int { return c.sectorSize }

func (*null) Close() {}
