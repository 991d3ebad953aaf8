package luks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/luksimg/luksimg/internal/dmcrypt"
)

// A Volume is the plaintext of an unlocked image: an [io.ReaderAt] and [io.WriterAt] of Size bytes.
// Except for Close, its methods are safe for concurrent use.
type Volume struct {
	// partial is locked for writing while a sector is read, changed and written back. All other
	// accesses to the data lock it for reading.
	partial sync.RWMutex

	r      io.ReaderAt
	offset int64 // of the data in r
	size   int64
	cipher dmcrypt.SectorCipher
}

// Volume returns the plaintext of the data in r, a file of size bytes that starts with h. It compares
// the volume key with the digest of the header, and copies it. r can be nil if only
// [Volume.EncryptSectors] is used. Detached headers need this method; for others see [Header.Unlock].
func (h *Header) Volume(ctx context.Context, r io.ReaderAt, size int64, key []byte) (*Volume, error) {
	if err := h.checkVolumeKey(ctx, key); err != nil {
		return nil, err
	}
	return h.volume(r, size, key)
}

func (h *Header) volume(r io.ReaderAt, size int64, key []byte) (*Volume, error) {
	if h.dataProblem != nil {
		return nil, h.dataProblem
	}
	s := h.segment
	c, err := newCipher(s.encryption, key, s.sectorSize, h.opts.AllowNullCipher)
	if err != nil {
		return nil, err
	}
	v := &Volume{r: r, offset: s.offset, cipher: c}
	if r == nil {
		return v, nil
	}
	if size < s.offset {
		c.Close()
		return nil, fmt.Errorf("luks: the image ends at byte %d, before its data, which start at %d: %w",
			size, s.offset, io.ErrUnexpectedEOF)
	}
	v.size = size - s.offset
	if s.size > 0 {
		if s.size > v.size {
			c.Close()
			return nil, fmt.Errorf("luks: the image ends at byte %d, within its data, which end at %d: %w",
				size, s.offset+s.size, io.ErrUnexpectedEOF)
		}
		v.size = s.size
	}
	if part := v.size % int64(s.sectorSize); part != 0 {
		if h.made == nil && !h.opts.AllowTruncated {
			c.Close()
			return nil, fmt.Errorf("luks: %w: it ends %d bytes into a sector of %d", ErrTruncated, part, s.sectorSize)
		}
		v.size -= part // ignore the partial sector
	}
	return v, nil
}

// Size returns the length of the plaintext in bytes, a multiple of the sector size.
func (v *Volume) Size() int64 { return v.size }

// Close wipes the key. The Volume cannot be used afterwards. Close does not close the underlying
// reader.
func (v *Volume) Close() error {
	v.cipher.Close()
	return nil
}

// EncryptSectors encrypts src, whole sectors of plaintext at offset off of the volume in bytes, into
// dst. dst can be src. The ciphertext belongs at off past [Header.DataOffset]. EncryptSectors panics if
// off or the length is not a multiple of the sector size.
func (v *Volume) EncryptSectors(dst, src []byte, off int64) {
	v.cipher.Encrypt(dst, src, v.sector(off))
}

// DecryptSectors is the inverse of [Volume.EncryptSectors].
func (v *Volume) DecryptSectors(dst, src []byte, off int64) {
	v.cipher.Decrypt(dst, src, v.sector(off))
}

func (v *Volume) sector(off int64) uint64 {
	size := int64(v.cipher.SectorSize())
	if off < 0 || off%size != 0 {
		panic("luks: offset is not a multiple of the sector size")
	}
	return uint64(off / size)
}

// sectors holds buffers for partial sectors at the start and the end of a read.
var sectors = sync.Pool{New: func() any { return new([4096]byte) }}

// ReadAt reads plaintext at any offset and length; see [io.ReaderAt]. Whole sectors are decrypted in
// place, without a copy.
func (v *Volume) ReadAt(p []byte, off int64) (int, error) {
	if v.r == nil {
		return 0, errors.New("luks: the volume has no data to read")
	}
	if off < 0 {
		return 0, errors.New("luks: negative offset")
	}
	if off >= v.size {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	var end error
	if rest := v.size - off; int64(len(p)) > rest {
		p, end = p[:rest], io.EOF
	}
	v.partial.RLock()
	defer v.partial.RUnlock()
	size := int64(v.cipher.SectorSize())
	done := 0
	for done < len(p) {
		at, rest := off+int64(done), p[done:]
		skip := at % size
		if n := int64(len(rest)); skip == 0 && n >= size {
			whole := rest[:n-n%size]
			if err := readFull(v.r, whole, v.offset+at); err != nil {
				return done, err
			}
			v.DecryptSectors(whole, whole, at)
			done += len(whole)
			continue
		}
		n, err := v.readPart(rest, at-skip, skip)
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, end
}

// readPart reads the part of the sector at off that p needs, from skip on.
func (v *Volume) readPart(p []byte, off, skip int64) (int, error) {
	buf := sectors.Get().(*[4096]byte)
	defer sectors.Put(buf)
	sector := buf[:v.cipher.SectorSize()]
	if err := readFull(v.r, sector, v.offset+off); err != nil {
		return 0, err
	}
	v.DecryptSectors(sector, sector, off)
	n := copy(p, sector[skip:])
	clear(sector)
	return n, nil
}
