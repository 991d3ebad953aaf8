package luks

import (
	"fmt"
	"io"
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
	return roundUp(end, 4096)
}

// Backup writes the header that was read from an image, with its key slots, to w, as
// cryptsetup luksHeaderBackup does. Whoever has it and a passphrase that was right when
// it was made can open the image, also when that passphrase was removed since.
func (h *Header) Backup(w io.Writer) error {
	if h.r == nil {
		return fmt.Errorf("luks: this header was not read from an image")
	}
	n, err := io.Copy(w, io.NewSectionReader(h.r, 0, h.HeaderSize()))
	if err == nil && n < h.HeaderSize() {
		// A LUKS1 file may end with its last key slot, within the last 4096 bytes.
		_, err = w.Write(make([]byte, h.HeaderSize()-n))
	}
	return err
}

// Restore writes a header that [Header.Backup] or cryptsetup saved, of backupSize bytes,
// back to the image in f, of size bytes. The backup must be whole, and its data must start
// inside the image. It must also be one of this image: of the same UUID, version and
// layout as the header that is there. Without a header there that can not be told. With
// force neither is asked.
//
// All of the header is overwritten. If that is cut off, the image opens again when
// Restore was repeated.
func Restore(f File, size int64, backup io.ReaderAt, backupSize int64, force bool) (*Header, error) {
	b, err := Open(backup, backupSize, OpenOptions{})
	if err != nil {
		return nil, fmt.Errorf("the backup: %w", err)
	}
	if backupSize < b.HeaderSize() {
		return nil, fmt.Errorf("luks: the backup has %d bytes, its header needs %d: %w", backupSize, b.HeaderSize(), io.ErrUnexpectedEOF)
	}
	if b.segment.offset != 0 && size < b.segment.offset {
		return nil, fmt.Errorf("luks: the image has %d bytes, and by the backup its data start at %d", size, b.segment.offset)
	}
	if !force {
		if err := b.checkFits(f, size); err != nil {
			return nil, err
		}
	}
	e := &Editor{f: f, size: size}
	// The first copy of the header goes last: what is restored is whole when it says so.
	n := b.HeaderSize()
	first := int64(4096)
	if b.version == 2 {
		first = b.hdrSize
	}
	buf := make([]byte, 256<<10)
	for off := first; off < n; {
		p := buf[:min(int64(len(buf)), n-off)]
		if _, err := readFull(backup, p, off); err != nil {
			return nil, fmt.Errorf("luks: reading the backup: %w", err)
		}
		if _, err := f.WriteAt(p, off); err != nil {
			return nil, err
		}
		off += int64(len(p))
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	p := make([]byte, first)
	if _, err := readFull(backup, p, 0); err != nil {
		return nil, fmt.Errorf("luks: reading the backup: %w", err)
	}
	if err := e.write(p, 0); err != nil {
		return nil, err
	}
	return Open(f, size, OpenOptions{})
}

// checkFits tells whether h, of a backup, belongs to the image in r.
func (h *Header) checkFits(r io.ReaderAt, size int64) error {
	now, err := Open(r, size, OpenOptions{})
	if err != nil {
		return fmt.Errorf("luks: %w: whether it belongs there can not be told, as there is no header: %w", ErrBackup, err)
	}
	for _, c := range []struct {
		what      string
		have, now any
	}{
		{"version", h.version, now.version},
		{"UUID", h.uuid, now.uuid},
		{"data offset", h.segment.offset, now.segment.offset},
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
