package luks

import (
	"errors"
	"fmt"
	"math"

	"github.com/luksimg/luksimg/internal/dmcrypt"
	"github.com/luksimg/luksimg/internal/memory"
	"github.com/luksimg/luksimg/internal/pbkdf2"
)

// defaultMaxWork is 20 seconds of SHA-256 on a fast machine of these years, 8 million iterations
// a second. cryptsetup measures what takes 2 seconds and has an image ask for that: eight such
// key slots, with their digests, are tried one after the other with room to spare.
const defaultMaxWork = 160_000_000

// argon2Work is how many units of work a KiB of memory in a pass of Argon2 is, with the usual
// four lanes.
const argon2Work = 4

// A budget is what is left of the work that one unlocking may take: all its key slots and
// digests together.
type budget struct {
	work   uint64 // as in [OpenOptions]
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

// take takes the work off the budget, or returns [ErrLimit] and takes nothing.
func (b *budget) take(work uint64, what string) error {
	if work > b.work {
		return fmt.Errorf("%w: %s takes %d units of work, more than is left of %d", ErrLimit, what, work, b.all)
	}
	b.work -= work
	return nil
}

// checkMemory refuses a KDF that takes more memory than is allowed.
func (b *budget) checkMemory(k KDF) error {
	if int64(k.Memory) > b.memory>>10 {
		return fmt.Errorf("%w: %s asks for %d KiB of memory, allowed are %d", ErrLimit, k.Type, k.Memory, b.memory>>10)
	}
	return nil
}

// work returns what deriving n bytes takes, in the unit of [OpenOptions].
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

// hashWork returns how many units of work an iteration with a hash is, roughly.
func hashWork(name string) uint64 {
	switch name {
	case "sha1", "sha224", "sha256":
		return 1
	case "sha384", "sha512":
		return 2
	case "whirlpool", "wp512":
		return 30
	}
	return 6 // SHA-3, BLAKE2 and others without help from the processor
}

// work returns what computing d takes.
func (d *digest) work() (uint64, error) {
	if d.problem != nil {
		return 0, d.problem
	}
	return KDF{Type: PBKDF2, Hash: d.hash, Iterations: d.iterations}.work(len(d.value))
}

// checkRoom refuses a KDF for which there is not enough memory.
func (k KDF) checkRoom() error {
	if k.Memory == 0 {
		return nil
	}
	if err := memory.Check(int64(min(uint64(k.Memory)<<10, math.MaxInt64))); err != nil {
		return fmt.Errorf("%w, for %s", err, k.Type)
	}
	return nil
}

// checkKey tells whether a cipher is known, may be used, and takes keys of n bytes.
func (h *Header) checkKey(encryption string, n int) error {
	err := dmcrypt.CheckKeySize(encryption, n)
	if h.opts.AllowNullCipher && errors.Is(err, dmcrypt.ErrNull) {
		return nil
	}
	return cipherError(err)
}
