package luks

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"math"
	"slices"

	"github.com/luksimg/luksimg/internal/af"
	"github.com/luksimg/luksimg/internal/pbkdf2"
)

// Unlock opens the image that h was read from with a passphrase, which may also
// be the content of a key file: each byte counts. It tries the key slots in
// their order, or only those of higher priority first, and returns
// [ErrPassphrase] if none opens. The caller closes the Volume.
//
// It takes as long, and as much memory, as the key derivation functions of the
// key slots ask for, within the limits of [OpenOptions], unless ctx is done earlier.
func (h *Header) Unlock(ctx context.Context, passphrase []byte) (*Volume, error) {
	key, err := h.VolumeKey(ctx, passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return h.volume(h.r, h.size, key) // which its digest has shown to be the right one
}

// UnlockVolumeKey opens the image that h was read from with its volume key, or
// returns [ErrVolumeKey].
func (h *Header) UnlockVolumeKey(ctx context.Context, key []byte) (*Volume, error) {
	return h.Volume(ctx, h.r, h.size, key)
}

// VolumeKey returns the key of the data, which the caller wipes after use. Most
// callers want [Header.Unlock].
func (h *Header) VolumeKey(ctx context.Context, passphrase []byte) ([]byte, error) {
	if h.dataProblem != nil {
		return nil, h.dataProblem
	}
	key, _, err := h.FindSlot(ctx, passphrase)
	return key, err
}

// FindSlot returns the key of the data, as [Header.VolumeKey] does, and the number of
// the key slot that passphrase opens. It also tells of images whose data can not be read
// here which slot opens.
func (h *Header) FindSlot(ctx context.Context, passphrase []byte) (key []byte, slot int, err error) {
	slots := slices.DeleteFunc(h.boundSlots(), func(s keyslot) bool { return s.priority == priorityIgnore })
	slices.SortStableFunc(slots, func(a, b keyslot) int { return b.priority - a.priority })
	if len(slots) == 0 {
		return nil, 0, fmt.Errorf("luks: the image has no key slot for its data: %w", ErrPassphrase)
	}
	var failed error
	for _, s := range slots {
		key, err := h.openSlot(ctx, s, passphrase)
		if err != nil && ctx.Err() != nil {
			return nil, 0, context.Cause(ctx)
		}
		if err != nil && failed == nil {
			failed = fmt.Errorf("key slot %d was not tried: %w", s.id, err)
		}
		if key != nil {
			return key, s.id, nil
		}
	}
	if failed != nil {
		return nil, 0, fmt.Errorf("luks: %w; %w", ErrPassphrase, failed)
	}
	return nil, 0, fmt.Errorf("luks: %w", ErrPassphrase)
}

// OpenSlot returns the key that passphrase opens in one key slot, of whatever priority,
// or [ErrPassphrase]. The caller wipes it after use.
func (h *Header) OpenSlot(ctx context.Context, slot int, passphrase []byte) ([]byte, error) {
	s := h.slot(slot)
	if s == nil {
		return nil, fmt.Errorf("luks: %w: %d", ErrNoSlot, slot)
	}
	if h.digestOf(*s) == nil {
		return nil, unsupported("key slot %d is not for the data of the image", slot)
	}
	key, err := h.openSlot(ctx, *s, passphrase)
	switch {
	case err != nil:
		return nil, fmt.Errorf("luks: key slot %d: %w", slot, err)
	case key == nil:
		return nil, fmt.Errorf("luks: key slot %d: %w", slot, ErrPassphrase)
	}
	return key, nil
}

// slot returns a key slot in use, or nil.
func (h *Header) slot(id int) *keyslot {
	for i := range h.slots {
		if s := &h.slots[i]; s.id == id && s.active {
			return s
		}
	}
	return nil
}

// boundSlots returns the key slots in use that are for the data of the image.
func (h *Header) boundSlots() []keyslot {
	return slices.DeleteFunc(slices.Clone(h.slots), func(s keyslot) bool {
		return !s.active || h.digestOf(s) == nil
	})
}

// openSlot returns the volume key in slot s, nil if passphrase is not the slot's,
// or an error if the slot could not be tried.
func (h *Header) openSlot(ctx context.Context, s keyslot, passphrase []byte) ([]byte, error) {
	if h.r == nil {
		return nil, errors.New("this header was not read from an image")
	}
	if s.problem != nil {
		return nil, s.problem
	}
	newHash, err := hashByName(s.afHash)
	if err != nil {
		return nil, err
	}
	if err := h.checkCost(s.kdf); err != nil {
		return nil, err
	}
	d := h.digestOf(s)
	if err := h.checkDigest(d); err != nil {
		return nil, err
	}
	c, n := s.area, int64(s.keySize)*stripes
	material := make([]byte, roundUp(n, sectorSize))
	if _, err := readFull(h.r, material, c.offset); err != nil {
		return nil, fmt.Errorf("reading key material: %w", err)
	}
	derived, err := s.kdf.derive(ctx, passphrase, s.salt, c.keySize)
	if err != nil {
		return nil, err
	}
	defer clear(derived)
	cipher, err := newCipher(c.encryption, derived, sectorSize, h.opts.AllowNullCipher)
	if err != nil {
		return nil, err
	}
	defer cipher.Close()
	cipher.Decrypt(material, material, 0)
	defer clear(material)
	key := af.Merge(material[:n], s.keySize, newHash)
	if ok, err := d.matches(ctx, key); !ok {
		clear(key)
		return nil, err
	}
	return key, nil
}

// checkCost refuses what would take more than the caller allows.
func (h *Header) checkCost(k KDF) error {
	memory, work := h.opts.MaxMemory, h.opts.MaxWork
	if memory == 0 {
		memory = min(maxArgon2Memory<<10, machineMemory())
	}
	if work == 0 {
		work = defaultMaxWork
	}
	work = min(work, math.MaxInt) // what crypto/pbkdf2 takes on a 32-bit machine
	if int64(k.Memory) > memory>>10 {
		return fmt.Errorf("%w: %s asks for %d KiB of memory, allowed are %d", ErrLimit, k.Type, k.Memory, memory>>10)
	}
	if k.Memory == 0 && uint64(k.Iterations) > work {
		return fmt.Errorf("%w: %s asks for %d iterations, allowed are %d", ErrLimit, k.Type, k.Iterations, work)
	}
	if n := uint64(k.Iterations) * uint64(k.Memory); n > work {
		return fmt.Errorf("%w: %s asks for %d passes over %d KiB, allowed are %d blocks of 1 KiB", ErrLimit, k.Type, k.Iterations, k.Memory, work)
	}
	return nil
}

// digestOf returns the digest that is for both slot s and the data, also those that are being
// encrypted anew.
func (h *Header) digestOf(s keyslot) *digest {
	for i := range h.digests {
		d := &h.digests[i]
		if slices.Contains(d.slots, s.id) && len(d.segments) > 0 {
			return d
		}
	}
	return nil
}

// checkVolumeKey compares key with the digest of the data.
func (h *Header) checkVolumeKey(ctx context.Context, key []byte) error {
	for _, d := range h.digests {
		if !slices.Contains(d.segments, h.segment.id) {
			continue
		}
		if err := h.checkDigest(&d); err != nil {
			return err
		}
		if len(key) == 0 {
			break
		}
		if ok, err := d.matches(ctx, key); ok || err != nil {
			return err
		}
	}
	return fmt.Errorf("luks: %w", ErrVolumeKey)
}

// checkDigest tells whether d can be computed, within the limits.
func (h *Header) checkDigest(d *digest) error {
	if d.problem != nil {
		return d.problem
	}
	if _, err := hashByName(d.hash); err != nil {
		return err
	}
	return h.checkCost(KDF{Type: PBKDF2, Iterations: d.iterations})
}

// matches tells in constant time whether key is the one that d was made of. Its
// hash and the length of its value have been checked.
func (d *digest) matches(ctx context.Context, key []byte) (bool, error) {
	newHash, err := hashByName(d.hash)
	if err != nil || len(d.value) == 0 {
		return false, err
	}
	sum, err := d.sum(ctx, newHash, key, len(d.value))
	return err == nil && subtle.ConstantTimeCompare(sum, d.value) == 1, err
}

// sum returns the first n bytes of the digest of key.
func (d *digest) sum(ctx context.Context, newHash func() hash.Hash, key []byte, n int) ([]byte, error) {
	return pbkdf2.Key(ctx, newHash, key, d.salt, uint64(d.iterations), n)
}
