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

// ChangeKey replaces the key slot that opens with old by one that opens with passphrase; see
// [Editor.ReplaceSlot]. To change only the key derivation function of a slot, pass the same passphrase
// twice.
func (e *Editor) ChangeKey(ctx context.Context, old, passphrase []byte, o KeyOptions) (int, error) {
	volumeKey, slot, err := e.h.VolumeKey(ctx, old, AnySlot)
	if err != nil {
		return 0, err
	}
	defer clear(volumeKey)
	return e.ReplaceSlot(ctx, slot, NewKey{Passphrase: passphrase, VolumeKey: volumeKey, KeyOptions: o})
}

// ReplaceSlot replaces a key slot by a new one, made as by [Editor.AddKey]. It returns the new number:
// LUKS2 keeps the number, LUKS1 uses a free slot if there is one.
//
// ReplaceSlot writes the new key material to free space, changes the header, and then wipes the old
// material. So at each moment one of the two opens.
//
// If there is no free space, as in LUKS1 with all slots in use and long keys, the new material overlaps
// the old. It starts one block later and shares all other blocks of the old. The old slot stays valid
// until the header is changed. Then the first block of the old material is wiped, without which the
// rest is useless.
//
// If there is no room for even one block, the old material is overwritten before the header is changed,
// as cryptsetup does. If that is interrupted, neither the old nor the new passphrase opens the image,
// but all other key slots do.
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

// replaceElsewhere writes the key material of slot s to free space.
func (e *Editor) replaceElsewhere(ctx context.Context, s, before keyslot, volumeKey, passphrase []byte) error {
	if err := e.writeSlot(ctx, s, volumeKey, passphrase); err != nil {
		return err
	}
	if err := e.wipe(before.area.offset, before.area.size); err != nil {
		return err
	}
	if e.h.version == 1 { // other programs expect the standard areas of LUKS1
		return e.moveV1(s, before.area.offset)
	}
	return nil
}

// moveV1 moves a key slot of LUKS1 to a free area.
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

// replaceHere writes the key material of slot s over that of the slot it replaces.
func (e *Editor) replaceHere(ctx context.Context, s, before keyslot, volumeKey, passphrase []byte) error {
	block := int64(sectorSize)
	if e.h.version == 2 {
		block = 4096 // as cryptsetup requires
	}
	s.area.size = before.area.size
	if e.roomBehind(before.area) < block {
		s.area.offset = before.area.offset
		if down := s.area.offset &^ 4095; e.roomBefore(before.area) >= s.area.offset-down {
			s.area.offset = down // its area before the first replacement
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

// newSalt sets a new salt in slot s. The fields of LUKS1 key slot 6 cross a sector boundary, so the
// write can be torn. The slot still opens then if the bytes in the first sector did not change: the
// start of the salt, and the iterations unless the caller changes them.
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

// roomBehind returns the number of free bytes after an area.
func (e *Editor) roomBehind(a area) int64 {
	_, end := e.materialBounds()
	for _, s := range e.h.slots {
		if s.area.offset > a.offset {
			end = min(end, s.area.offset)
		}
	}
	return end - a.offset - a.size
}

// roomBefore returns the number of free bytes before an area.
func (e *Editor) roomBefore(a area) int64 {
	first, _ := e.materialBounds()
	for _, s := range e.h.slots {
		if s.area.offset < a.offset {
			first = max(first, s.area.offset+s.area.size)
		}
	}
	return a.offset - first
}

// materialBounds returns the bounds of the area for key material.
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
	// luksmeta, which clevis uses, can follow the last slot.
	meta := roundUp(last, 4096)
	mark := []byte("LUKSMETA")
	got := make([]byte, len(mark))
	if err := readFull(e.f, got, meta); err == nil && bytes.Equal(got, mark) {
		end = min(end, meta)
	}
	return v1FirstArea * sectorSize, end
}

// sealBehind returns key material of s that starts with shared, bytes of other key material. shared
// looks random to anybody who does not have both passphrases. The entropy of the new key is in the last
// stripe, which follows shared.
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
	mixed := af.Merge(plain[:n], len(key), newHash) // all stripes except the last, which is zero
	defer clear(mixed)
	subtle.XORBytes(last, mixed, key)
	material := make([]byte, len(plain))
	cipher.Encrypt(material, plain, 0)
	return material, nil
}

// copyMaterial copies an area to another place and syncs.
func (e *Editor) copyMaterial(a area, to int64) error {
	material := make([]byte, a.size)
	if err := readFull(e.f, material, a.offset); err != nil {
		return fmt.Errorf("luks: reading key material: %w", err)
	}
	return e.write(material, to)
}

// writeSlot seals the volume key into s, then writes the key material and the header.
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

// storeSlot writes the missing key material of s at an offset, and then the header.
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
