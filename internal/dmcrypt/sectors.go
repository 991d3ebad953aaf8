package dmcrypt

import "sync"

// minSectorSize is what the kernel counts disks in.
const minSectorSize = 512

// sectors cuts a run into sectors, numbers them, and leaves each one to a mode.
type sectors struct {
	mode       mode // nil once closed
	iv         ivGenerator
	ivSize     int
	sectorSize int
	step       uint64 // from one sector's IV to the next
}

// A mode encrypts single sectors. The IV is in the scratch, whose content it may
// change.
type mode interface {
	encrypt(dst, src []byte, s *scratch)
	decrypt(dst, src []byte, s *scratch)
	close()
}

// scratch is what a mode works in. Block ciphers are called through an interface, which
// would move arrays on the stack to the heap at every call.
type scratch struct {
	iv    [32]byte
	block [blockSize]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// newSectors returns the cipher for a mode that has its key; the IV generator may need
// the key too.
func (d *design) newSectors(m mode, key []byte, opts Options) (*sectors, error) {
	c := &sectors{mode: m, ivSize: d.mode.ivSize, sectorSize: opts.SectorSize, step: 1}
	if !opts.LargeIV {
		c.step = uint64(c.sectorSize / minSectorSize)
	}
	if c.ivSize == 0 {
		// The kernel takes an IV generator for a mode without an IV, and ignores it.
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
