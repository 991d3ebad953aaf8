package dmcrypt

// nullCipher is the kernel's name of what encrypts nothing.
const nullCipher = "cipher_null"

// isNullECB tells whether a specification is of sectors that are not encrypted. In
// other modes, the null cipher is not quite nothing, and nobody has that.
func isNullECB(text string) bool {
	s, err := parse(text)
	return err == nil && s.cipher == nullCipher && s.mode == "ecb"
}

// null copies.
type null struct{ sectorSize int }

func (c *null) Encrypt(dst, src []byte, _ uint64) { copy(checkBuffers(dst, src, c.sectorSize), src) }

func (c *null) Decrypt(dst, src []byte, _ uint64) { copy(checkBuffers(dst, src, c.sectorSize), src) }

func (c *null) SectorSize() int { return c.sectorSize }

func (*null) Close() {}
