package luksimg

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/luks"
)

// An Encrypted is the LUKS image of a disk. It is an [image.Source] that encrypts what is read from it.
// Its header and key are made once. Except for Close, its methods are safe for concurrent use.
type Encrypted struct {
	Result

	src    image.Source
	volume *luks.Volume
	header headerParts
	data   int64 // the offset of the data
}

// NewEncrypted returns the LUKS image that [Encrypt] would make of src with the same options. It
// refuses a detached header, DiscardZeros and Digest. Key derivation takes a while; ctx cancels it.
func NewEncrypted(ctx context.Context, src image.Source, passphrase []byte, o EncryptOptions) (*Encrypted, error) {
	if o.Header != nil || o.Digest {
		return nil, errors.New("an image that is encrypted as it is read cannot have a detached header or digests")
	}
	j, err := newDiskJob(ctx, src, passphrase, o)
	if err != nil {
		return nil, err
	}
	e := &Encrypted{src: src, volume: j.volume, data: j.header.DataOffset()}
	r, err := j.result(src.Size())
	if err == nil {
		e.Result = *r
		err = j.header.WriteHeader(&e.header)
	}
	if err != nil {
		j.volume.Close()
		return nil, err
	}
	return e, nil
}

// Size returns the length of the image in bytes.
func (e *Encrypted) Size() int64 { return e.FileSize }

// Close wipes the key of the data.
func (e *Encrypted) Close() error { return e.volume.Close() }

// ReadAt reads the image; see [io.ReaderAt].
func (e *Encrypted) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, errors.New("luksimg: negative offset")
	case off >= e.FileSize:
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	var end error
	if rest := e.FileSize - off; int64(len(p)) > rest {
		p, end = p[:rest], io.EOF
	}
	done := 0
	if off < e.data {
		done = int(min(int64(len(p)), e.data-off))
		e.header.read(p[:done], off)
	}
	for done < len(p) {
		n, err := e.readData(p[done:], off+int64(done)-e.data)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, end
}

// readData reads ciphertext at offset off of the data. It reads the whole sectors at the start of p, or
// a part of one sector.
func (e *Encrypted) readData(p []byte, off int64) (int, error) {
	size := int64(e.LUKS.SectorSize)
	skip := off % size
	if whole := int64(len(p)) / size * size; skip == 0 && whole > 0 {
		return int(whole), e.encrypt(p[:whole], off)
	}
	sector := make([]byte, size)
	err := e.encrypt(sector, off-skip)
	return copy(p, sector[skip:]), err
}

// encrypt fills p with the ciphertext of whole sectors. Sectors past the end of the disk are encrypted
// zeros.
func (e *Encrypted) encrypt(p []byte, off int64) error {
	plain := p[:max(0, min(int64(len(p)), e.src.Size()-off))]
	if _, err := image.ReadFull(e.src, plain, off); err != nil {
		clear(p) // p holds plaintext
		return fmt.Errorf("reading the disk at %d: %w", off, err)
	}
	clear(p[len(plain):])
	e.volume.EncryptSectors(p, p, off)
	return nil
}
