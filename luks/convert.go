package luks

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Convert converts the header from LUKS1 to LUKS2 or back, in place. Key slots, their numbers and
// passphrases, the volume key and the data are unchanged. As with every change the image opens at each
// moment.
//
// LUKS1 to LUKS2 needs one unused key slot. Unless the header is detached, it also needs 28 KiB between
// the last key slot and the data. LUKS2 to LUKS1 is possible if LUKS1 supports everything in the
// header: sectors of 512 bytes, PBKDF2 with one hash everywhere, key slots 0 to 7 of one key, no
// tokens. Else the error is [ErrUnsupported].
func (e *Editor) Convert(version int) error {
	switch {
	case version == e.h.version:
		return nil
	case version == 2:
		return e.convertToV2()
	case version == 1:
		return e.convertToV1()
	}
	return fmt.Errorf("luks: no such version: %d", version)
}

// convertToV2 converts LUKS1 to LUKS2. The new header copies overwrite the key material of key slot 0,
// so that moves first, to the area of an unused slot. All other key slots stay in place: LUKS2 requires
// no order.
func (e *Editor) convertToV2() error {
	h := e.h
	end, data := h.HeaderSize(), h.segment.offset
	detached := data == 0
	if detached { // the header can use its whole file
		data = max(end, e.size&^4095)
	}
	n := &Header{version: 2, hdrSize: v2HdrSize, keyslots: min(data-2*v2HdrSize, v2MaxKeyslotsSize), seqid: 1, uuid: h.uuid, segment: h.segment}
	for _, s := range h.slots {
		if s.area.offset%4096 != 0 {
			return unsupported("key slot %d starts at byte %d, which is not a multiple of 4096", s.id, s.area.offset)
		}
	}
	if data%4096 != 0 || n.keyslots%4096 != 0 || !detached && data < end+28<<10 || n.keyslots > v2MaxKeyslotsSize {
		return unsupported("there is no room for a LUKS2 header: the key slots end at byte %d, the data start at %d", end, data)
	}
	// Key slots that the new header would overwrite.
	moved := map[int]int{} // slot number to the number of the slot whose area it gets
	for _, s := range h.slots {
		if !s.active || s.area.offset >= 2*v2HdrSize {
			continue
		}
		free := slices.IndexFunc(h.slots, func(o keyslot) bool { return !o.active && o.area.offset >= 2*v2HdrSize })
		if free < 0 {
			return noSlot("converting needs an unused key slot")
		}
		if err := e.copySlotV1(s.id, free); err != nil {
			return err
		}
		moved[free] = s.id
		h = e.h
	}
	for _, s := range h.slots {
		if !s.active {
			continue
		}
		if id, ok := moved[s.id]; ok {
			s.id = id
		}
		s.area.size = roundUp(s.area.size, 4096)
		s.priority = priorityNormal
		n.slots = append(n.slots, s)
	}
	d := h.digests[0]
	d.slots = nil
	for _, s := range n.slots {
		d.slots = append(d.slots, s.id)
	}
	slices.Sort(d.slots)
	n.digests = []digest{d}
	text, err := n.encodeJSON()
	if err != nil {
		return err
	}
	// The secondary copy is ignored while the file is still LUKS1. It is the only valid copy while the
	// primary one is written.
	if err := e.checkUnchanged(); err != nil {
		return err
	}
	for _, off := range []int64{n.hdrSize, 0} {
		b, err := n.encodeCopy(off, text, e.rand)
		if err != nil {
			return err
		}
		if err := e.write(b, off); err != nil {
			return err
		}
	}
	if err := e.reread(); err != nil {
		return err
	}
	if err := e.wipeGaps(end); err != nil {
		return err
	}
	return e.align()
}

// align moves the key slots of LUKS2 to adjacent areas, as cryptsetup lays them out, if there is room.
// The gaps are too small for another key slot.
func (e *Editor) align() error {
	for _, s := range e.h.slots {
		first, step := 2*e.h.hdrSize, s.area.size
		if step <= 0 || (s.area.offset-first)%step == 0 {
			continue
		}
		for off := first; off+step <= first+e.h.keyslots; off += step {
			taken := slices.ContainsFunc(e.h.slots, func(o keyslot) bool {
				return o.area.offset < off+step && off < o.area.offset+o.area.size
			})
			if taken {
				continue
			}
			if err := e.move(s, off); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// move moves a key slot of LUKS2 to a free area.
func (e *Editor) move(s keyslot, off int64) error {
	if err := e.copyMaterial(s.area, off); err != nil {
		return err
	}
	err := e.changeV2(func(m metadata, _ *Header) error {
		slot := m.objects("keyslots")[strconv.Itoa(s.id)].(map[string]any)
		slot["area"].(map[string]any)["offset"] = strconv.FormatInt(off, 10)
		return nil
	})
	if err != nil {
		return err
	}
	return e.wipe(s.area.offset, s.area.size)
}

// copySlotV1 copies the key slot numbered from, with its key material, to the unused slot numbered to.
// It then marks slot from as unused, without overwriting its material yet.
func (e *Editor) copySlotV1(from, to int) error {
	if err := e.copyMaterial(e.h.slots[from].area, e.h.slots[to].area.offset); err != nil {
		return err
	}
	field := func(b []byte, i int) []byte { return b[v1SlotsOffset+i*v1SlotSize:][:40] }
	if err := e.changeV1(func(b []byte) { copy(field(b, to), field(b, from)) }); err != nil {
		return err
	}
	return e.changeV1(func(b []byte) {
		p := field(b, from)
		binary.BigEndian.PutUint32(p, v1Inactive)
		clear(p[4:])
	})
}

// wipeGaps overwrites the areas between the key slots up to end: unused key material and copies of the
// old header.
func (e *Editor) wipeGaps(end int64) error {
	areas := make([]area, 0, len(e.h.slots))
	for _, s := range e.h.slots {
		if s.active {
			areas = append(areas, s.area)
		}
	}
	slices.SortFunc(areas, func(a, b area) int { return cmp.Compare(a.offset, b.offset) })
	off := int64(4096)
	if e.h.version == 2 {
		off = 2 * e.h.hdrSize
	}
	for _, a := range append(areas, area{offset: end}) {
		if a.offset > off {
			if err := e.wipe(off, a.offset-off); err != nil {
				return err
			}
		}
		off = max(off, a.offset+a.size)
	}
	return nil
}

// convertToV1 converts LUKS2 to LUKS1. All key slots stay in place; unused slots get areas between
// them.
func (e *Editor) convertToV1() error {
	d, err := e.h.fitsV1()
	if err != nil {
		return err
	}
	n, err := e.h.asV1(d)
	if err != nil { // no room between the key slots: try before and after them
		if err := e.align(); err != nil {
			return err
		}
		n, err = e.h.asV1(d)
	}
	if err != nil {
		return err
	}
	h := e.h
	b := n.headerV1()
	if _, err := openV1(overlay{e.f, b}, e.size, e.opts); err != nil {
		return wouldBreak(err)
	}
	if err := e.checkUnchanged(); err != nil {
		return err
	}
	// If the secondary copy is bad, repair it first: it must not be the only copy for a moment.
	if e.h.stale != [2]bool{} {
		if _, err := e.Repair(); err != nil {
			return err
		}
	}
	// The LUKS1 header does not fit in a sector, so the write can be torn. First write everything past
	// the first sector: that breaks the primary copy, but the secondary one is still valid. Then write
	// the first sector, which makes the file LUKS1.
	if err := e.write(b[sectorSize:], sectorSize); err != nil {
		return err
	}
	if err := e.write(b[:sectorSize], 0); err != nil {
		return err
	}
	if err := e.reread(); err != nil {
		return err
	}
	return e.wipeGaps(2 * h.hdrSize)
}

// asV1 returns the LUKS1 header for a LUKS2 header whose key slots stay in place.
func (h *Header) asV1(d digest) (*Header, error) {
	keySize := h.slots[0].keySize
	n := &Header{version: 1, uuid: h.uuid, segment: h.segment, digests: []digest{d}}
	n.segment.hash = d.hash
	n.digests[0].value = d.value[:v1DigestSize]
	need := roundUp(int64(keySize)*stripes, sectorSize)
	for i := range v1Slots {
		if s := h.slot(i); s != nil {
			c := *s
			c.area.size = need
			n.slots = append(n.slots, c)
		} else {
			n.slots = append(n.slots, keyslot{id: i, keySize: keySize, area: area{size: need}})
		}
	}
	return n, n.placeV1(2*h.hdrSize, cmp.Or(h.segment.offset, h.HeaderSize()))
}

// fitsV1 returns the digest of the data, or an error if LUKS1 does not support the header.
func (h *Header) fitsV1() (digest, error) {
	s := h.segment
	switch {
	case s.sectorSize != sectorSize:
		return digest{}, unsupported("LUKS1 has no sectors of %d bytes", s.sectorSize)
	case s.size != 0:
		return digest{}, unsupported("LUKS1 does not support data of a fixed size")
	case s.offset/sectorSize > 1<<32-1:
		return digest{}, unsupported("LUKS1 cannot store the data offset %d", s.offset)
	case h.tokens > 0 || len(h.flags) > 0:
		return digest{}, unsupported("LUKS1 has no tokens and no flags: remove them first")
	case len(h.digests) != 1:
		return digest{}, unsupported("LUKS1 has one digest, not %d", len(h.digests))
	case len(h.slots) == 0:
		return digest{}, noSlot("no key slot gives the size of the volume key")
	case strings.HasPrefix(s.encryption, "capi:"):
		return digest{}, unsupported("LUKS1 has no cipher %s", s.encryption)
	}
	d := h.digests[0]
	if len(d.value) < v1DigestSize {
		return d, unsupported("a digest of %d bytes is too short for LUKS1", len(d.value))
	}
	for _, k := range h.slots {
		switch {
		case k.id >= v1Slots:
			return d, unsupported("LUKS1 has no key slot %d", k.id)
		case k.kdf.Type != PBKDF2:
			return d, unsupported("key slot %d uses %s, LUKS1 supports only pbkdf2", k.id, k.kdf.Type)
		case k.kdf.Hash != d.hash || k.afHash != d.hash:
			return d, unsupported("key slot %d uses the hashes %s and %s, the digest uses %s; LUKS1 has one hash for all", k.id, k.kdf.Hash, k.afHash, d.hash)
		case k.keySize != h.slots[0].keySize || k.area.keySize != k.keySize || k.area.encryption != s.encryption:
			return d, unsupported("key slot %d has another cipher than the data", k.id)
		case k.priority == priorityIgnore:
			return d, unsupported("key slot %d has priority ignored; LUKS1 has no priorities", k.id)
		}
	}
	return d, nil
}

// placeV1 assigns areas between first and end to the unused key slots.
func (h *Header) placeV1(first, end int64) error {
	taken := slices.DeleteFunc(slices.Clone(h.slots), func(s keyslot) bool { return !s.active })
	slices.SortFunc(taken, func(a, b keyslot) int { return cmp.Compare(a.area.offset, b.area.offset) })
	off := first
	for i := range h.slots {
		s := &h.slots[i]
		if s.active {
			continue
		}
		for len(taken) > 0 && off+s.area.size > taken[0].area.offset {
			off = roundUp(max(off, taken[0].area.offset+taken[0].area.size), 4096)
			taken = taken[1:]
		}
		s.area.offset = off
		off = roundUp(off+s.area.size, 4096)
	}
	for _, s := range h.slots {
		if s.area.offset+s.area.size > end {
			return unsupported("there is no room for eight key slots before the data")
		}
	}
	return nil
}
