package luks

import (
	"bytes"
	"cmp"
	"context"
	"crypto/fips140"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/luksimg/luksimg/internal/dmcrypt"
)

// AnySlot lets an [Editor] choose a free key slot.
const AnySlot = -1

// KeyOptions configure a new key slot. The zero value is right for a passphrase.
type KeyOptions struct {
	// KDF derives the slot's key; see [KDF] for the defaults.
	KDF KDF

	// Hash is the hash of the anti-forensic splitter and, by default, of PBKDF2; "" means "sha256".
	// LUKS1 always uses the hash of its header.
	Hash string

	// GeneratedKey means that the passphrase is a generated key with full entropy; see [Options].
	GeneratedKey bool
}

// A NewKey describes a new key slot: its passphrase, and either Existing or VolumeKey, from which the
// volume key is taken.
type NewKey struct {
	Passphrase []byte // opens the new key slot
	Existing   []byte // opens an existing key slot
	VolumeKey  []byte // the volume key, as [Header.VolumeKey] returns it

	KeyOptions
}

// AddKey adds a key slot with the number slot, which must be free, or with any free number if slot is
// [AnySlot]. It returns the number. If Existing opens no key slot, the error is [ErrPassphrase]. If
// VolumeKey is not the key of the image, it is [ErrVolumeKey].
func (e *Editor) AddKey(ctx context.Context, slot int, k NewKey) (int, error) {
	volumeKey, err := e.openFor(ctx, k)
	if err != nil {
		return 0, err
	}
	defer clear(volumeKey)
	s, err := e.newSlot(volumeKey, slot, k.KeyOptions)
	if err != nil {
		return 0, err
	}
	if err := e.writeSlot(ctx, s, volumeKey, k.Passphrase); err != nil {
		return 0, err
	}
	return s.id, nil
}

var errOneKey = errors.New("luks: a new key slot needs either an existing passphrase or the volume key")

// openFor returns the volume key for a new key slot. The caller wipes it.
func (e *Editor) openFor(ctx context.Context, k NewKey) ([]byte, error) {
	switch {
	case len(k.Passphrase) == 0:
		return nil, errEmptyPassphrase
	case k.Existing != nil && k.VolumeKey != nil, k.Existing == nil && k.VolumeKey == nil:
		return nil, errOneKey
	case k.Existing != nil:
		volumeKey, _, err := e.h.VolumeKey(ctx, k.Existing, AnySlot)
		return volumeKey, err
	}
	if err := e.h.checkVolumeKey(ctx, k.VolumeKey); err != nil {
		return nil, err
	}
	return bytes.Clone(k.VolumeKey), nil
}

// RemoveKey removes the key slot that opens with passphrase and returns its number. Unless force is
// set, it does not remove the last key slot for the data and returns [ErrLastSlot].
func (e *Editor) RemoveKey(ctx context.Context, passphrase []byte, force bool) (int, error) {
	key, slot, err := e.h.VolumeKey(ctx, passphrase, AnySlot)
	if err != nil {
		return 0, err
	}
	clear(key)
	return slot, e.KillSlot(slot, force)
}

// KillSlot removes a key slot without opening it. It overwrites the key material and then removes the
// slot from the header. Unless force is set, it does not remove the last key slot for the data and
// returns [ErrLastSlot].
func (e *Editor) KillSlot(slot int, force bool) error {
	s := e.h.slot(slot)
	if s == nil {
		return fmt.Errorf("luks: %w: %d", ErrNoSlot, slot)
	}
	others := slices.DeleteFunc(e.h.boundSlots(), func(o keyslot) bool { return o.id == slot })
	if len(others) == 0 && e.h.digestOf(*s) != nil && !force {
		return fmt.Errorf("luks: key slot %d: %w", slot, ErrLastSlot)
	}
	if err := e.checkUnchanged(); err != nil {
		return err
	}
	if err := e.wipe(s.area.offset, s.area.size); err != nil {
		return err
	}
	if e.h.version == 1 {
		return e.changeV1(func(b []byte) {
			p := b[v1SlotsOffset+slot*v1SlotSize:][:v1SlotSize]
			binary.BigEndian.PutUint32(p, v1Inactive)
			clear(p[4:40]) // iterations and salt
		})
	}
	return e.changeV2(func(m metadata, _ *Header) error { m.removeSlot(slot); return nil })
}

// Erase removes all key slots. Then only the volume key or a backup of the header gives access to the
// data.
func (e *Editor) Erase() error {
	for _, s := range e.h.slots {
		if !s.active {
			continue
		}
		if err := e.KillSlot(s.id, true); err != nil {
			return err
		}
	}
	return nil
}

// newSlot returns a key slot with a number and an area, but no salt.
func (e *Editor) newSlot(volumeKey []byte, slot int, o KeyOptions) (keyslot, error) {
	s, err := e.freshSlot(volumeKey, o)
	if err != nil {
		return s, err
	}
	if e.h.version == 1 {
		s.id, s.area, err = e.freeV1(slot)
		return s, err
	}
	s.id = slot
	if slot == AnySlot {
		m, err := parseJSON(e.h.raw)
		if err != nil {
			return s, err
		}
		s.id = metadata(m).free("keyslots")
	}
	if s.id < 0 || s.id >= maxObjects || e.h.slot(s.id) != nil {
		return s, notFree(slot, maxObjects)
	}
	s.area.offset, err = e.room(s.area.size)
	return s, err
}

// freshSlot returns a key slot without a number, an area and a salt.
func (e *Editor) freshSlot(volumeKey []byte, o KeyOptions) (keyslot, error) {
	hash := cmp.Or(o.Hash, "sha256")
	if e.h.version == 1 {
		hash = e.h.segment.hash
	}
	if fips140.Enabled() {
		if err := dmcrypt.ApprovedHash(hash); err != nil {
			return keyslot{}, cipherError(err)
		}
	}
	kdf, err := o.KDF.resolve(Options{Version: e.h.version, Hash: hash, GeneratedKey: o.GeneratedKey})
	if err != nil {
		return keyslot{}, err
	}
	s := keyslot{active: true, keySize: len(volumeKey), priority: priorityNormal, kdf: kdf, afHash: hash}
	if e.h.version == 2 {
		s.area.size = roundUp(int64(s.keySize)*stripes, 4096)
		s.area.encryption, s.area.keySize = slotCipher(e.h.segment.encryption, s.keySize)
	}
	return s, nil
}

// freeV1 returns the number and the area of an unused LUKS1 key slot.
func (e *Editor) freeV1(slot int) (int, area, error) {
	for _, s := range e.h.slots {
		if !s.active && (slot == AnySlot || s.id == slot) {
			return s.id, s.area, nil
		}
	}
	return 0, area{}, notFree(slot, v1Slots)
}

// notFree returns the error for a key slot that is in use, or for [AnySlot] if all n are in use.
func notFree(slot, n int) error {
	switch {
	case slot == AnySlot:
		return noSlot("none of the %d key slots is free", n)
	case slot < 0 || slot >= n:
		return noSlot("no such key slot: %d; valid numbers are 0 to %d", slot, n-1)
	}
	return noSlot("key slot %d is not free", slot)
}

// room returns the offset of n free bytes between the key slots or after them.
func (e *Editor) room(n int64) (int64, error) {
	areas := make([]area, 0, len(e.h.slots))
	for _, s := range e.h.slots {
		areas = append(areas, s.area)
	}
	slices.SortFunc(areas, func(a, b area) int { return cmp.Compare(a.offset, b.offset) })
	off, end := e.materialBounds()
	for _, a := range areas {
		if a.offset-off >= n {
			break
		}
		off = roundUp(max(off, a.offset+a.size), 4096)
	}
	if end-off < n {
		return 0, noSlot("there is no room for another key slot of %d bytes", n)
	}
	return off, nil
}
