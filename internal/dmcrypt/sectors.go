package dmcrypt

import "sync"

// minSectorSize is the unit of the kernel's sector numbers in bytes.
const minSectorSize = 512

// sectors splits a run into sectors, numbers them, and passes each to a mode.
type sectors struct {
	mode       mode // nil after Close
	iv         ivGenerator
	ivSize     int
	sectorSize int
	step       uint64 // from the IV number of a sector to the next
}

// A mode encrypts single sectors. The IV is in the scratch, whose content a mode can change.
type mode interface {
	encrypt(dst, src []byte, s *scratch)
	decrypt(dst, src []byte, s *scratch)
	close()
}

// scratch has the buffers of a mode. Block ciphers are called through an interface, so arrays on the
// stack would escape to the heap at every call.
type scratch struct {
	iv    [32]byte
	block [blockSize]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// newSectors returns the cipher for a mode that has its key. The IV generator can need the key too.
func (d *design) newSectors(m mode, key []byte, opts Options) (*sectors, error) {
	c := &sectors{mode: m, ivSize: d.mode.ivSize, sectorSize: opts.SectorSize, step: 1}
	if !opts.LargeIV {
		c.step = uint64(c.sectorSize / minSectorSize)
	}
	if c.ivSize == 0 {
		// The kernel accepts an IV generator for a mode without an IV, and ignores it.
		c.iv = func([]byte, uint64) {}
		return c, nil
	}
	var err error
	if c.iv, err = d.newIV(key); err != nil {
		m.close()
		return nil, err
	}
	return c, nil
}

func (c *sectors) Encrypt(dst, src []byte, sector uint64) { c.crypt(dst, src, sector, true) }

func (c *sectors) Decrypt(dst, src []byte, sector uint64) { c.crypt(dst, src, sector, false) }

func (c *sectors) crypt(dst, src []byte, sector uint64, encrypt bool) {
	if c.mode == nil {
		panic("dmcrypt: use of closed cipher")
	}
	dst = checkBuffers(dst, src, c.sectorSize)
	s := scratches.Get().(*scratch)
	n := sector * c.step
	for size := c.sectorSize; len(src) > 0; n += c.step {
		clear(s.iv[:])
		c.iv(s.iv[:c.ivSize], n)
		if encrypt {
			c.mode.encrypt(dst[:size], src[:size], s)
		} else {
			c.mode.decrypt(dst[:size], src[:size], s)
		}
		dst, src = dst[size:], src[size:]
	}
	clear(s.block[:]) // key stream
	scratches.Put(s)
}

func (c *sectors) SectorSize() int { return c.sectorSize }

func (c *sectors) Close() {
	if c.mode != nil {
		c.mode.close()
		c.mode, c.iv = nil, nil
	}
}
