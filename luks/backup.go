package luks

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// HeaderSize returns how many bytes from the start of the image the header and its key
// slots take. The data start there or later.
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
		end = min(end, data) // of LUKS1, whose data start with any sector
	}
	return end
}

// Backup writes the header that was read from an image, with its key slots, to w, as
// cryptsetup luksHeaderBackup does. Whoever has it and a passphrase that was right when
// it was made can open the image, also when that passphrase was removed since.
func (h *Header) Backup(w io.Writer) error {
	if h.r == nil {
		return fmt.Errorf("luks: this header was not read from an image")
	}
	size := h.backupSize()
	n, err := io.Copy(w, io.NewSectionReader(h.r, 0, size))
	if err == nil && n < size {
		// A LUKS1 file may end with its last key slot, within the last 4096 bytes.
		_, err = w.Write(make([]byte, size-n))
	}
	return err
}

// backupSize returns how many bytes a backup has: whole blocks of 4096, as cryptsetup wants
// it. Where the data start within the last one, the backup has their first sectors too, which
// [Restore] does not write back.
func (h *Header) backupSize() int64 { return roundUp(h.HeaderSize(), 4096) }

// Restore writes a header that [Header.Backup] or cryptsetup saved, of backupSize bytes,
// back to the image in f, of size bytes. The backup must be whole, and its data must start
// inside the image. It must also be one of this image: of the same UUID, version and
// layout as the header that is there. Without a header there that can not be told. With
// force neither is asked. But whatever force is, the data must start where they do in the
// header that is there, or that is [ErrBackup]: nothing is ever written to the data. An image
// that is [ErrAmbiguous] is repaired first.
//
// All of the header becomes that of the backup. The image opens at each moment, with the
// keys of the one or of the other, if there is a header and room for the key slots of
// both; if not, and Restore is cut off, it opens again when Restore was repeated.
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
		return nil, fmt.Errorf("luks: the image has %d bytes, and by the backup its data start at %d", size, b.segment.offset)
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
	// What is left means nothing to the header that is now there.
	if err := r.copy(first, b.HeaderSize()); err != nil {
		return nil, err
	}
	return Open(f, size, OpenOptions{})
}

// A restoration copies parts of a backup to their places.
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

// header copies the header itself, and returns where it ends.
func (r restoration) header(b *Header) (int64, error) {
	parts := [][2]int64{{b.hdrSize, 2 * b.hdrSize}, {0, b.hdrSize}} // a copy, then the other
	if b.version == 1 {
		// It does not fit a sector of the disk, and may be written in part. The first
		// one has key slots 0 to 5.
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

// makeRoom moves key slots out of the way of those that another header of the image has, so
// that both have theirs for a while. What there is no room for stays.
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

// inReencryption tells whether the data are being encrypted with another key.
func (h *Header) inReencryption() bool {
	return slices.ContainsFunc(h.requirements, func(s string) bool { return strings.Contains(s, "reencrypt") })
}

// checkFits tells whether h, of a backup, belongs to the image in r; with force, only whether
// it can be written there without harm to the data.
func (h *Header) checkFits(r io.ReaderAt, size int64, force bool) error {
	if h.inReencryption() {
		return unsupported("the backup was made while the data were being encrypted anew: they are not what it says any more")
	}
	now, err := Open(r, size, OpenOptions{})
	switch {
	case err != nil && force:
		return nil
	case err != nil:
		other := ""
		if name, off, _ := foreignSignature(r, size); name != "" {
			other = fmt.Sprintf(", and there is %s, by its signature at byte %d", name, off)
		}
		return fmt.Errorf("luks: %w: whether it belongs there can not be told, as there is no header%s: %w", ErrBackup, other, err)
	case now.ambiguous != nil:
		return now.ambiguous
	case now.inReencryption():
		return unsupported("the data are being encrypted anew; a header of before does not fit them")
	case h.segment.offset != now.segment.offset:
		return fmt.Errorf("luks: %w: by the backup the data start at byte %d, by the header that is there at byte %d; restoring it could overwrite data",
			ErrDataOffset, h.segment.offset, now.segment.offset)
	case force:
		return nil
	case h.refused != nil:
		return fmt.Errorf("luks: %w: not all of the backup is known here: %w", ErrBackup, h.refused)
	case now.refused != nil:
		return fmt.Errorf("luks: %w: not all of the header that is there is known here: %w", ErrBackup, now.refused)
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
