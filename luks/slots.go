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

// KeyOptions say how a new key slot is made. The zero value is right for a passphrase.
type KeyOptions struct {
	// KDF derives the slot's key; see [KDF] for the defaults.
	KDF KDF

	// Hash is that of the anti-forensic splitter and, by default, of PBKDF2; "" is
	// "sha256". LUKS1 has one hash for all, and takes that.
	Hash string

	// GeneratedKey says that the passphrase is a generated key of full entropy, as in
	// [Options].
	GeneratedKey bool
}

// A NewKey is what a key slot is made of: its passphrase, and one of Existing and VolumeKey, without which
// there is nothing to put into it.
type NewKey struct {
	Passphrase []byte // that opens the new key slot
	Existing   []byte // a passphrase that opens a key slot that is there
	VolumeKey  []byte // the key of the data itself, as [Header.VolumeKey] gives it

	KeyOptions
}

// AddKey adds a key slot. It is the one with this number, which must be free, or [AnySlot]. AddKey returns
// the number. An Existing passphrase that opens nothing is [ErrPassphrase], and a VolumeKey that is not
// that of the image [ErrVolumeKey].
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

var errOneKey = errors.New("luks: a key slot is made with a passphrase that is there or with the volume key: give one of them")

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

// RemoveKey removes the key slot that opens with passphrase, and returns its number. The
// last one for the data stays, and that is [ErrLastSlot], unless force is set.
func (e *Editor) RemoveKey(ctx context.Context, passphrase []byte, force bool) (int, error) {
	key, slot, err := e.h.VolumeKey(ctx, passphrase, AnySlot)
	if err != nil {
		return 0, err
	}
	clear(key)
	return slot, e.KillSlot(slot, force)
}

// KillSlot removes a key slot without opening it: its key material is overwritten, then
// it is taken out of the header. The last one for the data stays, and that is
// [ErrLastSlot], unless force is set.
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

// Erase removes all key slots. There is no way to the data then but the volume key, or a
// backup of the header.
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

// newSlot returns a key slot with a number and room, but for its salt.
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

// freshSlot returns a key slot without a number, a place and a salt.
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

// freeV1 returns the number and the room of a LUKS1 key slot that is not in use.
func (e *Editor) freeV1(slot int) (int, area, error) {
	for _, s := range e.h.slots {
		if !s.active && (slot == AnySlot || s.id == slot) {
			return s.id, s.area, nil
		}
	}
	return 0, area{}, notFree(slot, v1Slots)
}

// notFree is why none of n key slots, or not the one with this number, can be taken.
func notFree(slot, n int) error {
	switch {
	case slot == AnySlot:
		return noSlot("none of the %d key slots is free", n)
	case slot < 0 || slot >= n:
		return noSlot("no such key slot: %d; they are 0 to %d", slot, n-1)
	}
	return noSlot("key slot %d is not free", slot)
}

// room returns where n bytes are free between the key slots, or behind them.
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
		return 0, noSlot("there is no room for another key slot, which takes %d bytes", n)
	}
	return off, nil
}
