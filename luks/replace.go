package luks

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/luksimg/luksimg/internal/af"
)

// ChangeKey replaces the key slot that opens with old by one that opens with passphrase;
// see [Editor.ReplaceSlot]. To give a slot another key derivation function, give the same
// passphrase twice.
func (e *Editor) ChangeKey(ctx context.Context, old, passphrase []byte, o KeyOptions) (int, error) {
	volumeKey, slot, err := e.h.VolumeKey(ctx, old, AnySlot)
	if err != nil {
		return 0, err
	}
	defer clear(volumeKey)
	return e.ReplaceSlot(ctx, slot, NewKey{Passphrase: passphrase, VolumeKey: volumeKey, KeyOptions: o})
}

// ReplaceSlot replaces the key slot with this number by another one, as [Editor.AddKey] makes it. It
// returns the number of the new one:
// LUKS2 keeps the old number, LUKS1 takes a free slot if it has one.
//
// The new key material is written to room that is free, the header is changed, and then the
// old material is wiped, so that one of the two opens at each moment. If there is no room,
// as in LUKS1 with all slots in use and long keys, the new material shares all but its last
// block with the old one, and starts a block later: the old slot stays whole until the
// header is changed, and of its material the first block is wiped, without which the rest
// is worth nothing. Only if there is not even room for a block is the old material
// overwritten before the header is changed, as cryptsetup does; if that is cut off, neither
// the old nor the new passphrase opens, and all other key slots do.
func (e *Editor) ReplaceSlot(ctx context.Context, slot int, k NewKey) (int, error) {
	volumeKey, err := e.openFor(ctx, k)
	if err != nil {
		return 0, err
	}
	defer clear(volumeKey)
	old := e.h.slot(slot)
	if old == nil {
		return 0, fmt.Errorf("luks: %w: %d", ErrNoSlot, slot)
	}
	before := *old
	passphrase := e.h.typedFor(slot, k.Passphrase)
	defer clear(passphrase)
	if e.h.version == 1 {
		n, err := e.AddKey(ctx, AnySlot, NewKey{Passphrase: passphrase, VolumeKey: volumeKey, KeyOptions: k.KeyOptions})
		if err == nil {
			return n, e.KillSlot(slot, false)
		}
		if !errors.Is(err, ErrNoSlot) {
			return 0, err
		}
	}
	s, err := e.freshSlot(volumeKey, k.KeyOptions)
	if err != nil {
		return 0, err
	}
	s.id, s.priority = slot, before.priority
	if e.h.version == 1 {
		s.area = before.area
	}
	if s.area.offset, err = e.room(s.area.size); err == nil {
		return slot, e.replaceElsewhere(ctx, s, before, volumeKey, passphrase)
	}
	if before.keySize != s.keySize || before.area.size < s.area.size {
		return 0, err
	}
	return slot, e.replaceHere(ctx, s, before, volumeKey, passphrase)
}

// replaceElsewhere gives slot s its own key material where there is room.
func (e *Editor) replaceElsewhere(ctx context.Context, s, before keyslot, volumeKey, passphrase []byte) error {
	if err := e.writeSlot(ctx, s, volumeKey, passphrase); err != nil {
		return err
	}
	if err := e.wipe(before.area.offset, before.area.size); err != nil {
		return err
	}
	if e.h.version == 1 { // where the slots of LUKS1 are is known to others
		return e.moveV1(s, before.area.offset)
	}
	return nil
}

// moveV1 gives a key slot of LUKS1 another place, which is free.
func (e *Editor) moveV1(s keyslot, off int64) error {
	if err := e.copyMaterial(s.area, off); err != nil {
		return err
	}
	err := e.changeV1(func(b []byte) {
		binary.BigEndian.PutUint32(b[v1SlotsOffset+s.id*v1SlotSize+40:], uint32(off/sectorSize))
	})
	if err != nil {
		return err
	}
	return e.wipe(s.area.offset, s.area.size)
}

// replaceHere gives slot s key material where that of the slot that it replaces is.
func (e *Editor) replaceHere(ctx context.Context, s, before keyslot, volumeKey, passphrase []byte) error {
	block := int64(sectorSize)
	if e.h.version == 2 {
		block = 4096 // what cryptsetup asks for
	}
	s.area.size = before.area.size
	if e.roomBehind(before.area) < block {
		s.area.offset = before.area.offset
		if down := s.area.offset &^ 4095; e.roomBefore(before.area) >= s.area.offset-down {
			s.area.offset = down // where it was before it was replaced for the first time
		}
		return e.writeSlot(ctx, s, volumeKey, passphrase)
	}
	s.area.offset = before.area.offset + block
	if err := e.newSalt(&s, before); err != nil {
		return err
	}
	used := roundUp(int64(s.keySize)*stripes, sectorSize)
	shared := make([]byte, used-block)
	if err := readFull(e.f, shared, s.area.offset); err != nil {
		return fmt.Errorf("luks: reading key material: %w", err)
	}
	material, err := s.sealBehind(ctx, shared, passphrase, volumeKey, e.rand)
	if err != nil {
		return err
	}
	if err := e.storeSlot(s, material[len(shared):], s.area.offset+int64(len(shared))); err != nil {
		return err
	}
	return e.wipe(before.area.offset, block)
}

// newSalt gives slot s a salt. The fields of key slot 6 of LUKS1 lie in two sectors of the
// disk. If one of them is written and the other not, the slot opens all the same if what the
// first one has did not change: the first bytes of the salt, and the iterations, unless
// others were asked for.
func (e *Editor) newSalt(s *keyslot, before keyslot) error {
	var err error
	if s.salt, err = randomBytes(e.rand, saltSize); err != nil {
		return err
	}
	const straddles = 6
	if e.h.version == 1 && s.id == straddles && s.id == before.id {
		copy(s.salt[:sectorSize-v1SlotsOffset-straddles*v1SlotSize-8], before.salt)
	}
	return nil
}

// roomBehind returns how many bytes behind an area belong to nothing.
func (e *Editor) roomBehind(a area) int64 {
	_, end := e.materialBounds()
	for _, s := range e.h.slots {
		if s.area.offset > a.offset {
			end = min(end, s.area.offset)
		}
	}
	return end - a.offset - a.size
}

// roomBefore is roomBehind for what lies before an area.
func (e *Editor) roomBefore(a area) int64 {
	first, _ := e.materialBounds()
	for _, s := range e.h.slots {
		if s.area.offset < a.offset {
			first = max(first, s.area.offset+s.area.size)
		}
	}
	return a.offset - first
}

// materialBounds returns where key material may start and has to end.
func (e *Editor) materialBounds() (first, end int64) {
	if e.h.version == 2 {
		return 2 * e.h.hdrSize, 2*e.h.hdrSize + e.h.keyslots
	}
	last := int64(0)
	for _, s := range e.h.slots {
		last = max(last, s.area.offset+s.area.size)
	}
	end = e.h.segment.offset
	if end == 0 || end > e.size {
		end = e.size
	}
	// Behind the last slot there may be luksmeta, which clevis has.
	meta := roundUp(last, 4096)
	mark := []byte("LUKSMETA")
	got := make([]byte, len(mark))
	if err := readFull(e.f, got, meta); err == nil && bytes.Equal(got, mark) {
		end = min(end, meta)
	}
	return v1FirstArea * sectorSize, end
}

// sealBehind returns key material of s that starts with shared, which other material has too:
// what it says is random to who does not have both passphrases. All that the key asks for is
// in the last stripe, which lies behind shared.
func (s *keyslot) sealBehind(ctx context.Context, shared, passphrase, key []byte, rand io.Reader) ([]byte, error) {
	newHash, err := hashByName(s.afHash)
	if err != nil {
		return nil, err
	}
	cipher, err := s.cipher(ctx, passphrase)
	if err != nil {
		return nil, err
	}
	defer cipher.Close()
	n := int64(len(key)) * stripes
	plain := make([]byte, roundUp(n, sectorSize))
	defer clear(plain)
	if _, err := io.ReadFull(rand, plain[len(shared):]); err != nil {
		return nil, fmt.Errorf("luks: reading random bytes: %w", err)
	}
	cipher.Decrypt(plain[:len(shared)], shared, 0)
	last := plain[n-int64(len(key)) : n]
	clear(last)
	mixed := af.Merge(plain[:n], len(key), newHash) // all stripes but the last, which is zero
	defer clear(mixed)
	subtle.XORBytes(last, mixed, key)
	material := make([]byte, len(plain))
	cipher.Encrypt(material, plain, 0)
	return material, nil
}

// copyMaterial copies an area to another place and makes it durable.
func (e *Editor) copyMaterial(a area, to int64) error {
	material := make([]byte, a.size)
	if err := readFull(e.f, material, a.offset); err != nil {
		return fmt.Errorf("luks: reading key material: %w", err)
	}
	return e.write(material, to)
}

// writeSlot seals the volume key into s, writes the key material, and then the header.
func (e *Editor) writeSlot(ctx context.Context, s keyslot, volumeKey, passphrase []byte) error {
	before := keyslot{id: -1}
	if b := e.h.slot(s.id); b != nil {
		before = *b
	}
	if err := e.newSalt(&s, before); err != nil {
		return err
	}
	material, err := s.seal(ctx, passphrase, volumeKey, e.rand)
	if err != nil {
		return err
	}
	return e.storeSlot(s, material, s.area.offset)
}

// storeSlot writes key material of s, all that is not there yet, to an offset, and then the
// header.
func (e *Editor) storeSlot(s keyslot, material []byte, off int64) error {
	if err := e.checkUnchanged(); err != nil {
		return err
	}
	if err := e.write(material, off); err != nil {
		return err
	}
	if e.h.version == 1 {
		return e.changeV1(func(b []byte) {
			p := b[v1SlotsOffset+s.id*v1SlotSize:]
			binary.BigEndian.PutUint32(p, v1Active)
			binary.BigEndian.PutUint32(p[4:], s.kdf.Iterations)
			copy(p[8:40], s.salt)
			binary.BigEndian.PutUint32(p[40:], uint32(s.area.offset/sectorSize))
		})
	}
	return e.changeV2(func(m metadata, _ *Header) error {
		for i := range e.h.digests {
			if d := e.h.digests[i]; slices.Contains(d.segments, 0) {
				m.bind(d.id, s.id)
			}
		}
		return m.set("keyslots", s.id, s.json())
	})
}
