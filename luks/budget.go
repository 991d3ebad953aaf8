package luks

import (
	"errors"
	"fmt"
	"math"

	"github.com/luksimg/luksimg/internal/dmcrypt"
	"github.com/luksimg/luksimg/internal/memory"
	"github.com/luksimg/luksimg/internal/pbkdf2"
)

// defaultMaxWork is 20 seconds of SHA-256 on a current fast machine, at 8 million iterations a second.
// cryptsetup chooses a cost of about 2 seconds per key slot. So eight such key slots and their digests
// can be tried one after the other.
const defaultMaxWork = 160_000_000

// argon2Work is the work of one KiB of memory in one pass of Argon2, with the usual four lanes.
const argon2Work = 4

// A budget is the work that is left for one unlocking: all its key slots and digests together.
type budget struct {
	work   uint64 // in the unit of [OpenOptions.MaxWork]
	all    uint64 // at the beginning
	memory int64  // bytes, for each derivation
}

func (o OpenOptions) budget() *budget {
	b := &budget{work: o.MaxWork, memory: o.MaxMemory}
	if b.work == 0 {
		b.work = defaultMaxWork
	}
	b.all = b.work
	if b.memory == 0 {
		b.memory = maxArgon2Memory << 10
	}
	return b
}

// take subtracts the work from the budget. If too little is left, it returns [ErrLimit] and subtracts
// nothing.
func (b *budget) take(work uint64, what string) error {
	if work > b.work {
		return fmt.Errorf("%w: %s needs %d units of work, more than remain of %d", ErrLimit, what, work, b.all)
	}
	b.work -= work
	return nil
}

// checkMemory refuses a KDF that needs more memory than is allowed.
func (b *budget) checkMemory(k KDF) error {
	if int64(k.Memory) > b.memory>>10 {
		return fmt.Errorf("%w: %s needs %d KiB of memory, at most %d KiB are allowed", ErrLimit, k.Type, k.Memory, b.memory>>10)
	}
	return nil
}

// work returns the cost of deriving n bytes, in the unit of [OpenOptions.MaxWork].
func (k KDF) work(n int) (uint64, error) {
	if k.Type != PBKDF2 {
		return argon2Work * uint64(k.Iterations) * uint64(k.Memory), nil
	}
	newHash, err := hashByName(k.Hash)
	if err != nil {
		return 0, err
	}
	return uint64(k.Iterations) * uint64(pbkdf2.Blocks(newHash, n)) * hashWork(k.Hash), nil
}

// hashWork returns the approximate work of one iteration with a hash.
func hashWork(name string) uint64 {
	switch name {
	case "sha1", "sha224", "sha256":
		return 1
	case "sha384", "sha512":
		return 2
	case "whirlpool", "wp512":
		return 30
	}
	return 6 // SHA-3, BLAKE2 and others have no processor support
}

// work returns the cost of computing d.
func (d *digest) work() (uint64, error) {
	if d.problem != nil {
		return 0, d.problem
	}
	return KDF{Type: PBKDF2, Hash: d.hash, Iterations: d.iterations}.work(len(d.value))
}

// checkRoom refuses a KDF that needs more memory than is available.
func (k KDF) checkRoom() error {
	if k.Memory == 0 {
		return nil
	}
	if err := memory.Check(int64(min(uint64(k.Memory)<<10, math.MaxInt64))); err != nil {
		return fmt.Errorf("%w, for %s", err, k.Type)
	}
	return nil
}

// checkKey checks that a cipher is known, is allowed, and has keys of n bytes.
func (h *Header) checkKey(encryption string, n int) error {
	err := dmcrypt.CheckKeySize(encryption, n)
	if h.opts.AllowNullCipher && errors.Is(err, dmcrypt.ErrNull) {
		return nil
	}
	return cipherError(err)
}
