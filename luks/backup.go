package luks

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// HeaderSize returns the length of the header with its key slots, in bytes from the start of the image.
// The data start there or later.
func (h *Header) HeaderSize() int64 {
	if h.version == 2 {
		return 2*h.hdrSize + h.keyslots
	}
	end := int64(v1HeaderSize)
	for _, s := range h.slots {
		end = max(end, s.area.offset+s.area.size)
	}
	end = roundUp(end, 4096)
	if data := h.segment.offset; data != 0 {
		end = min(end, data) // LUKS1 data can start at any sector
	}
	return end
}

// Backup writes the header that was read from an image, with its key slots, to w, as cryptsetup
// luksHeaderBackup does. The backup and a passphrase that was valid at that time open the image, even
// if that passphrase was removed since.
func (h *Header) Backup(w io.Writer) error {
	if h.r == nil {
		return fmt.Errorf("luks: this header was not read from an image")
	}
	size := h.backupSize()
	n, err := io.Copy(w, io.NewSectionReader(h.r, 0, size))
	if err == nil && n < size {
		// A LUKS1 file can end with its last key slot, within the last 4096 bytes.
		_, err = w.Write(make([]byte, size-n))
	}
	return err
}

// backupSize returns the length of a backup: whole blocks of 4096 bytes, as cryptsetup requires. If the
// data start within the last block, the backup includes their first sectors. [Restore] does not write
// those back.
func (h *Header) backupSize() int64 { return roundUp(h.HeaderSize(), 4096) }

// Restore replaces the header of the image in f, a file of size bytes, by a backup of backupSize bytes,
// made by [Header.Backup] or cryptsetup. The backup must be complete, and its data must start inside
// the image. It must also have the UUID, version and layout of the image's current header, else the
// error is [ErrBackup]. If the image has no header, Restore cannot check that, and fails. force skips
// both checks, but never the check that the data offsets of both headers agree. So Restore never
// overwrites data. If the image is ambiguous ([ErrAmbiguous]), repair it first.
//
// The whole header is replaced. If there is room for the key slots of both headers, the image opens at
// each moment with the keys of one of them. If there is no room, or no valid header, an interrupted
// Restore must be repeated before the image opens again.
func Restore(f File, size int64, backup io.ReaderAt, backupSize int64, force bool) (*Header, error) {
	b, err := Open(backup, backupSize, OpenOptions{})
	if err != nil {
		return nil, fmt.Errorf("the backup: %w", err)
	}
	if backupSize < b.HeaderSize() {
		return nil, fmt.Errorf("luks: the backup has %d bytes, its header needs %d: %w", backupSize, b.HeaderSize(), io.ErrUnexpectedEOF)
	}
	if err := b.checkFits(f, size, force); err != nil {
		return nil, err
	}
	if b.segment.offset != 0 && size < b.segment.offset {
		return nil, fmt.Errorf("luks: the image has %d bytes, but the backup puts its data at byte %d", size, b.segment.offset)
	}
	if e, err := Edit(f, size, OpenOptions{}); err == nil && e.h.version == b.version && e.h.hdrSize == b.hdrSize {
		if err := e.makeRoom(b); err != nil {
			return nil, err
		}
	}
	r := restoration{f, backup}
	for _, s := range b.slots {
		if s.active {
			if err := r.copy(s.area.offset, s.area.offset+s.area.size); err != nil {
				return nil, err
			}
		}
	}
	first, err := r.header(b)
	if err != nil {
		return nil, err
	}
	// The new header does not use the rest.
	if err := r.copy(first, b.HeaderSize()); err != nil {
		return nil, err
	}
	return Open(f, size, OpenOptions{})
}

// A restoration copies parts of a backup to the image.
type restoration struct {
	f      File
	backup io.ReaderAt
}

// copy copies the bytes from off to end and makes them durable.
func (r restoration) copy(off, end int64) error {
	buf := make([]byte, min(256<<10, max(0, end-off)))
	for off < end {
		p := buf[:min(int64(len(buf)), end-off)]
		if err := readFull(r.backup, p, off); err != nil {
			return fmt.Errorf("luks: reading the backup: %w", err)
		}
		if _, err := r.f.WriteAt(p, off); err != nil {
			return err
		}
		off += int64(len(p))
	}
	return r.f.Sync()
}

// header copies the header without its key slots and returns its end.
func (r restoration) header(b *Header) (int64, error) {
	parts := [][2]int64{{b.hdrSize, 2 * b.hdrSize}, {0, b.hdrSize}} // one copy, then the other
	if b.version == 1 {
		// The LUKS1 header does not fit in a sector, so the write can be torn. The first sector has key
		// slots 0 to 5.
		parts = [][2]int64{{0, sectorSize}, {sectorSize, 4096}}
		if !slices.ContainsFunc(b.slots[:6], func(s keyslot) bool { return s.active }) {
			slices.Reverse(parts)
		}
	}
	end := int64(0)
	for _, p := range parts {
		if err := r.copy(p[0], p[1]); err != nil {
			return 0, err
		}
		end = max(end, p[1])
	}
	return end, nil
}

// makeRoom moves key slots away from the areas of the backup's key slots, so that both headers keep
// their key slots for a while. Key slots that fit nowhere else stay.
func (e *Editor) makeRoom(b *Header) error {
	inTheWay := func(a area) bool {
		return slices.ContainsFunc(b.slots, func(o keyslot) bool {
			return o.active && o.area.offset < a.offset+a.size && a.offset < o.area.offset+o.area.size
		})
	}
	for _, s := range e.h.slots {
		if !s.active || !inTheWay(s.area) {
			continue
		}
		if e.h.version == 1 {
			to := slices.IndexFunc(e.h.slots, func(o keyslot) bool { return !o.active && !inTheWay(o.area) })
			if to < 0 {
				return nil
			}
			if err := e.copySlotV1(s.id, to); err != nil {
				return err
			}
			continue
		}
		to := s.area
		first, end := 2*e.h.hdrSize, 2*e.h.hdrSize+e.h.keyslots
		for to.offset = first; to.offset+to.size <= end; to.offset += 4096 {
			taken := slices.ContainsFunc(e.h.slots, func(o keyslot) bool {
				return o.area.offset < to.offset+to.size && to.offset < o.area.offset+o.area.size
			})
			if !taken && !inTheWay(to) {
				break
			}
		}
		if to.offset+to.size > end {
			return nil
		}
		if err := e.move(s, to.offset); err != nil {
			return err
		}
	}
	return nil
}

// inReencryption reports whether the data are being reencrypted.
func (h *Header) inReencryption() bool {
	return slices.ContainsFunc(h.requirements, func(s string) bool { return strings.Contains(s, "reencrypt") })
}

// checkFits checks that h, the header of a backup, belongs to the image in r. With force it checks only
// that restoring h does not harm the data.
func (h *Header) checkFits(r io.ReaderAt, size int64, force bool) error {
	if h.inReencryption() {
		return unsupported("the backup was made during a reencryption: it no longer matches the data")
	}
	now, err := Open(r, size, OpenOptions{})
	switch {
	case err != nil && force:
		return nil
	case err != nil:
		other := ""
		if name, off, _ := foreignSignature(r, size); name != "" {
			other = fmt.Sprintf(", but %s (signature at byte %d)", name, off)
		}
		return fmt.Errorf("luks: %w: the image has no header to compare it with%s: %w", ErrBackup, other, err)
	case now.ambiguous != nil:
		return now.ambiguous
	case now.inReencryption():
		return unsupported("the data are being reencrypted: an older header does not match them")
	case h.segment.offset != now.segment.offset:
		return fmt.Errorf("luks: %w: the backup puts the data at byte %d, the header of the image at byte %d; restoring it could overwrite data",
			ErrDataOffset, h.segment.offset, now.segment.offset)
	case force:
		return nil
	case h.refused != nil:
		return fmt.Errorf("luks: %w: part of the backup is unknown or invalid: %w", ErrBackup, h.refused)
	case now.refused != nil:
		return fmt.Errorf("luks: %w: part of the image's header is unknown or invalid: %w", ErrBackup, now.refused)
	}
	for _, c := range []struct {
		what      string
		have, now any
	}{
		{"version", h.version, now.version},
		{"UUID", h.uuid, now.uuid},
		{"cipher", h.segment.encryption, now.segment.encryption},
		{"sector size", h.segment.sectorSize, now.segment.sectorSize},
		{"header size", h.HeaderSize(), now.HeaderSize()},
	} {
		if c.have != c.now {
			return fmt.Errorf("luks: %w: its %s is %v, that of the image is %v", ErrBackup, c.what, c.have, c.now)
		}
	}
	return nil
}
