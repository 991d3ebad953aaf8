package luksimg

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/luks"
)

// EncryptOptions say what [Encrypt] makes. The zero value is a safe default: LUKS2,
// AES-256 in XTS mode, Argon2id.
type EncryptOptions struct {
	// Profile, if not "", is the cloud that the image is for. It sets much of LUKS
	// and checks the key.
	Profile Profile

	// LUKS are the options of the container.
	LUKS luks.Options

	// Header, if not nil, gets the header, which is then detached: dst has the data
	// only, and looks like noise. It must be new.
	Header io.WriterAt

	RunOptions
}

// A Result says what [Encrypt] or [EncryptStream] made.
type Result struct {
	// LUKS is what the header says.
	LUKS luks.Info
	// SourceSize is the length of the disk that was encrypted, in bytes.
	SourceSize int64
	// VolumeSize is the length of the plaintext in the image: the disk's, and
	// zeros past it where a profile or the sector size ask for more.
	VolumeSize int64
	// FileSize is the length of the image in bytes.
	FileSize int64
}

// maxDisk bounds the size of a disk, far above any, so that no sum overflows.
const maxDisk = math.MaxInt64 / 2

// An encryption is a job that was prepared: the header is made, its key derived.
type encryption struct {
	header *luks.Header
	volume *luks.Volume
	opts   EncryptOptions
	luks   luks.Options // with what the profile asks for
}

// newEncryption checks the options and derives the key, which takes its time.
func newEncryption(ctx context.Context, passphrase []byte, o EncryptOptions) (*encryption, error) {
	lo, err := o.apply()
	if err != nil {
		return nil, err
	}
	if err := o.Profile.CheckKey(passphrase); err != nil {
		return nil, err
	}
	e := &encryption{opts: o, luks: lo}
	err = parallel.Await(ctx, func() error {
		h, key, err := luks.New(passphrase, lo)
		if err != nil {
			return err
		}
		defer clear(key)
		e.header = h
		e.volume, err = h.Volume(nil, 0, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// result returns what is made of a disk of size bytes.
func (e *encryption) result(size int64) (*Result, error) {
	if size > maxDisk {
		return nil, fmt.Errorf("a disk of %d bytes is too large", size)
	}
	info := e.header.Info()
	r := &Result{LUKS: info, SourceSize: size}
	r.FileSize = e.opts.Profile.fileSize(size, luks.Options{DataOffset: info.DataOffset, SectorSize: info.SectorSize})
	r.VolumeSize = r.FileSize - info.DataOffset
	return r, nil
}

// Encrypt encrypts the disk src into a LUKS image in dst, which must be new: nothing
// is written where the format leaves gaps. The passphrase may be the content of a
// key file: each byte counts. Parts of src that are known to be zero are not read;
// their ciphertext is written all the same, as LUKS knows no holes.
//
// The header is written last, after a Sync if dst has that method. If Encrypt fails,
// or ctx is done, dst is not a LUKS image, and of no use.
func Encrypt(ctx context.Context, dst io.WriterAt, src image.Source, passphrase []byte, o EncryptOptions) (*Result, error) {
	e, err := newEncryption(ctx, passphrase, o)
	if err != nil {
		return nil, err
	}
	defer e.volume.Close()
	r, err := e.result(src.Size())
	if err != nil {
		return nil, err
	}
	offset := e.header.DataOffset()
	err = parallel.Run(ctx, o.jobs(), pieceSize, pieces(src, r.VolumeSize), func(buf []byte, p piece) error {
		b, err := readPiece(src, buf, p)
		if err != nil {
			return err
		}
		e.volume.EncryptSectors(b, b, p.offset)
		if _, err := dst.WriteAt(b, offset+p.offset); err != nil {
			return err
		}
		o.done(int(max(0, min(int64(p.length), r.SourceSize-p.offset))))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if o.Header != nil {
		return r, e.writeDetached()
	}
	return r, e.header.WriteHeader(dst)
}

// writeDetached writes the header to a file of its own, gaps and all.
func (e *encryption) writeDetached() error {
	_, err := e.header.WriteTo(io.NewOffsetWriter(e.opts.Header, 0))
	return err
}

// EncryptStream encrypts all that src gives, the bytes of a disk, into a LUKS image
// that is written to dst in order. If it fails, what was written is not whole.
// ctx is looked at between reads.
func EncryptStream(ctx context.Context, dst io.Writer, src io.Reader, passphrase []byte, o EncryptOptions) (*Result, error) {
	e, err := newEncryption(ctx, passphrase, o)
	if err != nil {
		return nil, err
	}
	defer e.volume.Close()
	if o.Header != nil {
		err = e.writeDetached()
	} else {
		_, err = e.header.WriteTo(dst)
	}
	if err != nil {
		return nil, err
	}
	buf := make([]byte, pieceSize)
	defer clear(buf)
	var size int64 // of the disk, as far as it was read
	for eof := false; !eof; {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		n, err := io.ReadFull(src, buf)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, err
		}
		eof = err != nil
		if n == 0 {
			break
		}
		// Only the last piece may end within a sector.
		b := buf[:roundUp(int64(n), int64(e.header.SectorSize()))]
		clear(b[n:])
		if err := e.write(dst, b, size); err != nil {
			return nil, err
		}
		size += int64(n)
		o.done(n)
	}
	r, err := e.result(size)
	if err != nil {
		return nil, err
	}
	for off := roundUp(size, int64(e.header.SectorSize())); off < r.VolumeSize; {
		b := buf[:min(pieceSize, r.VolumeSize-off)]
		clear(b)
		if err := e.write(dst, b, off); err != nil {
			return nil, err
		}
		off += int64(len(b))
	}
	return r, nil
}

// write encrypts b, whole sectors at off, where it is, and writes it.
func (e *encryption) write(dst io.Writer, b []byte, off int64) error {
	e.volume.EncryptSectors(b, b, off)
	_, err := dst.Write(b)
	return err
}

// readFull reads all of p at off; an early end is io.ErrUnexpectedEOF.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading at offset %d: %w", off+int64(n), err)
}

// Check reports what in o [Encrypt] would refuse.
func (o EncryptOptions) Check() error {
	lo, err := o.apply()
	if err != nil {
		return err
	}
	return lo.Check()
}

// apply returns the options of LUKS with what the profile and a detached header ask for.
func (o EncryptOptions) apply() (luks.Options, error) {
	lo, err := o.Profile.apply(o.LUKS)
	if err == nil && o.Header != nil {
		if o.Profile != "" {
			return lo, fmt.Errorf("profile %s has its header in front of the data", o.Profile)
		}
		lo.Detached = true
	}
	return lo, err
}

// Calibrate returns the KDF of o.LUKS with a cost such that deriving the key takes
// about d on this machine; see [luks.Calibrate].
func (o EncryptOptions) Calibrate(d time.Duration) (luks.KDF, error) {
	lo, err := o.apply()
	if err != nil {
		return lo.KDF, err
	}
	return luks.Calibrate(lo, d)
}
