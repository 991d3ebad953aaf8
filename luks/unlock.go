package luks

import (
	"context"
	"crypto/fips140"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"

	"github.com/luksimg/luksimg/internal/af"
	"github.com/luksimg/luksimg/internal/pbkdf2"
)

// Unlock opens the image that h was read from with a passphrase, which can be the content of a key
// file: each byte counts. It tries the key slots in order, those of higher priority first. If none
// opens, the error is [ErrPassphrase]; if none could be tried, it is [ErrNotTried]. The caller closes
// the Volume.
//
// Time and memory depend on the key derivation functions of the key slots, within the limits of
// [OpenOptions]. If ctx is done, Unlock returns its cause.
func (h *Header) Unlock(ctx context.Context, passphrase []byte) (*Volume, error) {
	if h.dataProblem != nil {
		return nil, h.dataProblem
	}
	key, _, err := h.VolumeKey(ctx, passphrase, AnySlot)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return h.volume(h.r, h.size, key) // the digest has verified the key
}

// VolumeKey returns the key of the data and the number of the key slot that passphrase opens. If slot
// is [AnySlot], it tries all slots; else only that slot, whatever its priority. The caller wipes the
// key after use. Most callers need [Header.Unlock] instead.
//
// It works even if this package cannot read the data of the image. [ErrPassphrase] means that key slots
// were tried, [ErrNotTried] that none could be. Both list the slots that were left out, and the
// reasons. If the slot does not exist, the error is [ErrNoSlot].
//
// A key slot with a token of type [RecoveryToken] opens with all typed forms of its recovery key.
func (h *Header) VolumeKey(ctx context.Context, passphrase []byte, slot int) (key []byte, opened int, err error) {
	if slot != AnySlot {
		key, err := h.slotKey(ctx, slot, passphrase)
		return key, slot, err
	}
	slots := h.boundSlots()
	if len(slots) == 0 {
		return nil, 0, noSlot("the image has no key slot for its data")
	}
	slices.SortStableFunc(slots, func(a, b keyslot) int { return b.priority - a.priority })
	budget := h.opts.budget()
	tried := false
	var left leftOut
	for _, s := range slots {
		if s.priority == priorityIgnore {
			left.add(s.id, fmt.Errorf("priority %q", priorityNames[s.priority]))
			continue
		}
		key, err := h.openTyped(ctx, s, passphrase, budget)
		switch {
		case key != nil:
			return key, s.id, nil
		case err == nil:
			tried = true
		case ctx.Err() != nil:
			return nil, 0, context.Cause(ctx)
		default:
			left.add(s.id, err)
		}
	}
	kind := ErrNotTried
	if tried {
		kind = ErrPassphrase
	}
	if len(left) > 0 {
		return nil, 0, fmt.Errorf("luks: %w; %w", kind, left)
	}
	return nil, 0, fmt.Errorf("luks: %w", kind)
}

// leftOut lists the key slots that were not tried, grouped by reason.
type leftOut []struct {
	slots []string
	err   error
}

func (l *leftOut) add(slot int, err error) {
	for i := range *l {
		if r := &(*l)[i]; r.err.Error() == err.Error() {
			r.slots = append(r.slots, strconv.Itoa(slot))
			return
		}
	}
	*l = append(*l, struct {
		slots []string
		err   error
	}{[]string{strconv.Itoa(slot)}, err})
}

func (l leftOut) Error() string {
	var text []string
	for _, r := range l {
		what := "key slot " + r.slots[0] + " was"
		if len(r.slots) > 1 {
			what = "key slots " + strings.Join(r.slots, ", ") + " were"
		}
		text = append(text, what+" left out: "+strings.TrimPrefix(r.err.Error(), "luks: "))
	}
	return strings.Join(text, "; ")
}

// Unwrap returns the reasons.
func (l leftOut) Unwrap() []error {
	var all []error
	for _, r := range l {
		all = append(all, r.err)
	}
	return all
}

// slotKey returns the key that passphrase opens in one key slot.
func (h *Header) slotKey(ctx context.Context, slot int, passphrase []byte) ([]byte, error) {
	s := h.slot(slot)
	if s == nil {
		return nil, fmt.Errorf("luks: %w: %d", ErrNoSlot, slot)
	}
	if h.digestOf(*s) == nil {
		return nil, unsupported("key slot %d does not hold the key of the data", slot)
	}
	key, err := h.openTyped(ctx, *s, passphrase, h.opts.budget())
	switch {
	case err != nil:
		return nil, fmt.Errorf("luks: key slot %d: %w", slot, err)
	case key == nil:
		return nil, &slotError{fmt.Sprintf("key slot %d does not open with this passphrase", slot), ErrPassphrase}
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

// boundSlots returns the key slots in use that hold the key of the data.
func (h *Header) boundSlots() []keyslot {
	return slices.DeleteFunc(slices.Clone(h.slots), func(s keyslot) bool {
		return !s.active || h.digestOf(s) == nil
	})
}

// openSlot returns the volume key in slot s, or nil if passphrase does not open it. If the slot cannot
// be tried, it returns an error. The work is subtracted from left.
func (h *Header) openSlot(ctx context.Context, s keyslot, passphrase []byte, left *budget) ([]byte, error) {
	if h.r == nil {
		return nil, errors.New("this header was not read from an image")
	}
	// Check everything before the expensive work.
	if s.problem != nil {
		return nil, s.problem
	}
	if err := s.kdf.approved(); err != nil && fips140.Enforced() {
		return nil, err
	}
	newHash, err := hashByName(s.afHash)
	if err != nil {
		return nil, err
	}
	c, d := s.area, h.digestOf(s)
	if err := h.checkKey(c.encryption, c.keySize); err != nil {
		return nil, err
	}
	if h.dataProblem == nil {
		if err := h.checkKey(h.segment.encryption, s.keySize); err != nil {
			return nil, err
		}
	}
	if err := h.spend(s, d, left); err != nil {
		return nil, err
	}
	n := int64(s.keySize) * stripes
	material := make([]byte, roundUp(n, sectorSize))
	defer clear(material)
	if err := readFull(h.r, material, c.offset); err != nil {
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
	key := af.Merge(material[:n], s.keySize, newHash)
	if ok, err := d.matches(ctx, key); !ok {
		clear(key)
		return nil, err
	}
	return key, nil
}

// spend subtracts the work of opening slot s, and of its digest d, from left.
func (h *Header) spend(s keyslot, d *digest, left *budget) error {
	if err := left.checkMemory(s.kdf); err != nil {
		return err
	}
	kdf, err := s.kdf.work(s.area.keySize)
	if err != nil {
		return err
	}
	check, err := d.work()
	if err != nil {
		return err
	}
	// Neither sum overflows: each is at most 2^32 iterations of 26 blocks.
	return left.take(kdf+check, fmt.Sprintf("%s with %d iterations for %d bytes, and a digest with %d,", s.kdf.Type, s.kdf.Iterations, s.area.keySize, d.iterations))
}

// digestOf returns the digest of both slot s and the data, also during a reencryption.
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
	left := h.opts.budget()
	for _, d := range h.digests {
		if !slices.Contains(d.segments, h.segment.id) {
			continue
		}
		work, err := d.work()
		if err == nil {
			err = left.take(work, fmt.Sprintf("a digest with %d iterations", d.iterations))
		}
		if err != nil {
			return fmt.Errorf("luks: %w", err)
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

// matches reports in constant time whether d is the digest of key. The hash of d and the length of its
// value have been checked.
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
