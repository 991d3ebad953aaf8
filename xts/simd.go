//go:build (amd64 || arm64) && !purego

package xts

const (
	// pieceSize bounds the bytes per assembly call. The scheduler and the garbage collector cannot
	// preempt such a call.
	pieceSize = 64 << 10

	// streamPiece is the bound for runs that bypass the caches. They are longer because read-ahead
	// stops at the end of each call.
	streamPiece = 256 << 10

	// strideSize is a multiple of every path's group size.
	strideSize = 512

	// maskBatch is the number of masks that the assembly writes at a time. It writes twice as many if it
	// needs more than that. The room for masks is a multiple of maskBatch.
	maskBatch = 16
)

// mask is XORed into a block before and after AES. It is the encrypted tweak of the data unit,
// multiplied by x for each block before it.
type mask = [blockSize]byte

// simd is the kernel whose loops are assembly; path selects the loops. It owns its expanded keys.
type simd struct {
	enc, dec schedule
	tweak    roundKeys
	rounds   int
	path     path
	wide     *wide // additional schedules of the path, or nil
}

func newSIMD(p path) func(key []byte) (kernel, error) {
	return func(key []byte) (kernel, error) {
		k := &simd{path: p}
		var enc, dec roundKeys
		defer clear(enc[:])
		defer clear(dec[:])
		k.rounds = expandKey(&enc, key[:len(key)/2])
		invertKey(&dec, &enc, k.rounds)
		k.enc.fill(&enc, k.rounds)
		k.dec.fill(&dec, k.rounds)
		expandKey(&k.tweak, key[len(key)/2:])
		if p.needsWide() {
			k.wide = newWide(&k.enc, &k.dec, k.rounds)
		}
		return k, nil
	}
}

func (k *simd) wipe() {
	k.wide.wipe()
	*k = simd{}
}

func (k *simd) encrypt(dst, src []byte, unit int, t tweak) { k.crypt(false, dst, src, unit, t) }
func (k *simd) decrypt(dst, src []byte, unit int, t tweak) { k.crypt(true, dst, src, unit, t) }

func (k *simd) encryptBlock(dst, src []byte, t tweak, index int) {
	k.block(false, dst, src, t, index)
}

func (k *simd) decryptBlock(dst, src []byte, t tweak, index int) {
	k.block(true, dst, src, t, index)
}

func (k *simd) block(decrypt bool, dst, src []byte, t tweak, index int) {
	raceReadWrite(src, dst)
	lo, hi := k.firstMask(t)
	lo, hi = timesPower(lo, hi, index)
	k.tail(decrypt, dst[:blockSize], src[:blockSize], lo, hi)
}

func (k *simd) crypt(decrypt bool, dst, src []byte, unit int, t tweak) {
	if len(src) == 0 {
		return
	}
	raceReadWrite(src, dst)
	switch {
	case unit%strideSize != 0 || unit > pieceSize:
		for ; len(src) > 0; t = t.next() {
			k.anyUnit(decrypt, dst[:unit], src[:unit], t)
			dst, src = dst[unit:], src[unit:]
		}
	case len(src) <= maskBatch*unit:
		// Setting up and wiping room for more masks would cost more than it saves.
		var masks [maskBatch]mask
		k.units(k.path, decrypt, dst, src, unit, t, pieceSize, masks[:])
	default:
		if p := k.path.forBuffers(dst, src); p != k.path {
			k.stream(p, decrypt, dst, src, unit, t)
			return
		}
		var masks [pieceSize / strideSize]mask
		k.units(k.path, decrypt, dst, src, unit, t, pieceSize, masks[:])
	}
}

// stream processes long runs with path p. It is a function of its own because its masks need a large
// stack frame.
func (k *simd) stream(p path, decrypt bool, dst, src []byte, unit int, t tweak) {
	var masks [streamPiece / strideSize]mask
	k.units(p, decrypt, dst, src, unit, t, streamPiece, masks[:])
}

// units processes data units that are whole strides and fit in a piece, with path p, piece bytes at a
// time. It uses masks as scratch space and wipes it.
func (k *simd) units(p path, decrypt bool, dst, src []byte, unit int, t tweak, piece int, masks []mask) {
	var c counters
	for len(src) > 0 {
		n := min(len(src)/unit, piece/unit, len(masks))
		k.makeMasks(masks, n, t, &c)
		k.run(p, decrypt, &dst[0], &src[0], &masks[0], n, unit)
		dst, src = dst[n*unit:], src[n*unit:]
		t.lo = (t.lo + uint64(n)*t.step) & t.mask
	}
	clear(masks)
}

// anyUnit processes one data unit of any number of blocks.
func (k *simd) anyUnit(decrypt bool, dst, src []byte, t tweak) {
	lo, hi := k.firstMask(t)
	var m mask
	for len(src) >= strideSize {
		n := min(len(src)/strideSize*strideSize, pieceSize)
		store(m[:], lo, hi)
		k.run(k.path, decrypt, &dst[0], &src[0], &m, 1, n)
		dst, src = dst[n:], src[n:]
		lo, hi = timesPower(lo, hi, n/blockSize)
	}
	k.tail(decrypt, dst, src, lo, hi)
	clear(m[:])
}

// tail processes less than a stride on a padded copy. hi:lo is the mask of its first block.
func (k *simd) tail(decrypt bool, dst, src []byte, lo, hi uint64) {
	if len(src) == 0 {
		return
	}
	var stride [strideSize]byte
	var m mask
	copy(stride[:], src)
	store(m[:], lo, hi)
	k.run(k.path, decrypt, &stride[0], &stride[0], &m, 1, strideSize)
	copy(dst, stride[:len(src)])
	clear(stride[:])
	clear(m[:])
}

// firstMask returns the mask of the first block of the data unit with the tweak t.
func (k *simd) firstMask(t tweak) (lo, hi uint64) {
	var c counters
	var masks [maskBatch]mask
	k.makeMasks(masks[:], 1, t, &c)
	lo, hi = load(masks[0][:])
	clear(masks[:])
	return lo, hi
}

// makeMasks sets the first n of masks to the masks of the first blocks of the data units from t on.
func (k *simd) makeMasks(masks []mask, n int, t tweak, c *counters) {
	c.set(t, k.path.lanes())
	k.runTweaks(&masks[0], n, c)
}
