package xts

// A kernel runs AES-XTS over data units with one key, which it holds expanded in
// the form that suits it.
//
// In encrypt and decrypt dst and src are of equal length, a whole number of units
// of unit bytes, and the same memory or apart; unit is a multiple of the block
// size. src may be empty, and then unit may be zero. Both may be called
// concurrently.
type kernel interface {
	encrypt(dst, src []byte, unit int, t tweak)
	decrypt(dst, src []byte, unit int, t tweak)

	// encryptBlock and decryptBlock do one block of a data unit, that of the given
	// index.
	encryptBlock(dst, src []byte, t tweak, index int)
	decryptBlock(dst, src []byte, t tweak, index int)

	// wipe overwrites the expanded keys where the kernel owns them.
	wipe()
}

// An implementation is one way to make a kernel, named for tests and benchmarks,
// which run on all of them.
type implementation struct {
	name      string
	newKernel func(key []byte) (kernel, error)
}

// tweak is the tweak of a data unit before the tweak key encrypts it, the
// little-endian number hi:lo, together with how that of the next unit follows.
type tweak struct {
	lo, hi uint64
	step   uint64 // what lo grows by from a unit to the next
	mask   uint64 // bits of lo that are kept then
}

func (t tweak) next() tweak {
	t.lo = (t.lo + t.step) & t.mask
	return t
}
