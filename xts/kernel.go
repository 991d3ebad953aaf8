package xts

// A kernel runs AES-XTS over data units with one key, which it holds in expanded form.
//
// In encrypt and decrypt, dst and src have equal lengths, a multiple of unit bytes. They are the same
// memory or do not overlap. unit is a multiple of the block size. src can be empty, and then unit can
// be zero. Both methods are safe for concurrent use.
type kernel interface {
	encrypt(dst, src []byte, unit int, t tweak)
	decrypt(dst, src []byte, unit int, t tweak)

	// encryptBlock and decryptBlock process one block of a data unit, the one with the given index.
	encryptBlock(dst, src []byte, t tweak, index int)
	decryptBlock(dst, src []byte, t tweak, index int)

	// wipe overwrites the expanded keys if the kernel owns them.
	wipe()
}

// An implementation is one kind of kernel. Tests and benchmarks run on all of them, by name.
type implementation struct {
	name      string
	newKernel func(key []byte) (kernel, error)
}

// tweak is the unencrypted tweak of a data unit, the little-endian number hi:lo, with the rule for the
// tweak of the next unit.
type tweak struct {
	lo, hi uint64
	step   uint64 // added to lo for the next unit
	mask   uint64 // bits of lo that are kept after the addition
}

func (t tweak) next() tweak {
	t.lo = (t.lo + t.step) & t.mask
	return t
}
