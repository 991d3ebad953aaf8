package luksimg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/engine"
	"github.com/luksimg/luksimg/luks"
)

// EncryptOptions say what [Encrypt] makes. The zero value is a safe default: LUKS2,
// AES-256 in XTS mode, Argon2id.
type EncryptOptions struct {
	// Profile, if not "", is the cloud that the image is for. It sets much of LUKS
	// and checks the key.
	Profile Profile

	// Format is that of the container: LUKS1, LUKS2, an encrypted VHD or QCOW2 with LUKS1
	// inside. "" is what the profile, or else LUKS.Version, says. Into a VHD or qcow2 image
	// what is zero is not written.
	Format Format

	// LUKS are the options of LUKS, also in qcow2. A VHD has none: its key encrypts the data
	// itself.
	LUKS luks.Options

	// Header, if not nil, gets the header, which is then detached: dst has the data
	// only, and looks like noise. It must be new.
	Header io.WriterAt

	// DiscardZeros leaves out what is known to be zero in the source: dst gets no data
	// there, so that a file has holes and takes less room. Those sectors then decrypt to
	// noise, not to zeros, and the image shows how much of the disk is in use. See
	// [VerifyOptions.SkipZeros]. It is not for streams.
	DiscardZeros bool

	// Digest asks for the digests in [Result]. The data are then hashed in order, which
	// takes longer.
	Digest bool

	RunOptions
}

// A Result says what [Encrypt] or [EncryptStream] made.
type Result struct {
	// Format is that of the container.
	Format Format
	// LUKS is what the header says; that inside of qcow2 too. A VHD has none.
	LUKS luks.Info
	// Cipher is that of the data, as dm-crypt names it, and KeyBits the length of its key.
	Cipher  string
	KeyBits int
	// UUID is that of the LUKS header, or of the VHD.
	UUID string
	// SourceSize is the length of the disk that was encrypted, in bytes.
	SourceSize int64
	// VolumeSize is the length of the plaintext in the image: the disk's, and
	// zeros past it where a profile or the sector size ask for more.
	VolumeSize int64
	// FileSize is the length of the image in bytes.
	FileSize int64

	// SourceSHA256 and FileSHA256 are the SHA-256 of the disk that was encrypted and of
	// the image, in hexadecimal, if [EncryptOptions.Digest] asked for them.
	SourceSHA256, FileSHA256 string
}

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
	h, key, err := luks.New(ctx, passphrase, lo)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	v, err := h.Volume(ctx, nil, 0, key)
	if err != nil {
		return nil, err
	}
	return &encryption{header: h, volume: v, opts: o, luks: lo}, nil
}

// result returns what is made of a disk of size bytes.
func (e *encryption) result(size int64) (*Result, error) {
	info := e.header.Info()
	s, err := e.opts.Profile.sizes(size, luks.Layout{DataOffset: info.DataOffset, SectorSize: info.SectorSize})
	if err != nil {
		return nil, err
	}
	return &Result{Format: map[int]Format{1: LUKS1, 2: LUKS2}[info.Version], LUKS: info,
		Cipher: info.Cipher, KeyBits: info.KeyBits, UUID: info.UUID,
		SourceSize: s.Source, VolumeSize: s.Volume, FileSize: s.File}, nil
}

// Encrypt encrypts the disk src into an image in dst, which must be new: nothing
// is written where the format leaves gaps. The passphrase may be the content of a
// key file: each byte counts; for a VHD it is the key itself, 32 or 64 bytes. Parts of
// src that are known to be zero are not read; into LUKS their ciphertext is written all
// the same, as it knows no holes.
//
// The header is written last, after a Sync if dst has that method. If Encrypt fails,
// or ctx is done, dst is not an image, and of no use. If dst has a method
// Expect(size int64, dense bool) error, a LUKS image tells it first how long it will be,
// and whether all of that will be written; if it has a method Truncate(size int64) error, it
// then gets that length. An error of either ends the job.
func Encrypt(ctx context.Context, dst io.WriterAt, src image.Source, passphrase []byte, o EncryptOptions) (*Result, error) {
	if err := o.CheckSize(src.Size()); err != nil {
		return nil, err
	}
	lo, err := o.apply()
	if err != nil {
		return nil, err
	}
	if format, _ := o.container(); format == VHD || format == QCOW2 {
		if err := o.Profile.CheckKey(passphrase); err != nil {
			return nil, err
		}
		o.LUKS = lo
		if format == VHD {
			return encryptVHD(ctx, dst, src, passphrase, o)
		}
		return encryptQCOW2(ctx, dst, src, passphrase, o)
	}
	e, err := newEncryption(ctx, passphrase, o)
	if err != nil {
		return nil, err
	}
	defer e.volume.Close()
	r, err := e.result(src.Size())
	if err != nil {
		return nil, err
	}
	d, err := e.digests()
	if err != nil {
		return nil, err
	}
	if err := e.job(src, r, d).WriteFile(ctx, dst); err != nil {
		return nil, err
	}
	r.SourceSHA256, r.FileSHA256 = d.Sums()
	if o.Header != nil {
		return r, e.writeDetached()
	}
	return r, e.header.WriteHeader(dst)
}

// job returns what the engine is to do.
func (e *encryption) job(src image.Source, r *Result, d *engine.Digests) engine.Encryption {
	j := engine.Encryption{Source: src, Volume: e.volume, Offset: e.header.DataOffset(), Sparse: e.opts.DiscardZeros, Digests: d, Workers: e.opts.workers()}
	if r != nil {
		j.Length, j.Size = r.VolumeSize, r.FileSize
	}
	return j
}

// digests returns those that are wanted, with the header if it is a part of the file.
func (e *encryption) digests() (*engine.Digests, error) {
	if !e.opts.Digest {
		return nil, nil
	}
	d := engine.NewDigests()
	if e.opts.Header != nil {
		return d, nil
	}
	_, err := e.header.WriteTo(d.File())
	return d, err
}

// writeDetached writes the header to a file of its own, gaps and all.
func (e *encryption) writeDetached() error {
	_, err := e.header.WriteTo(io.NewOffsetWriter(e.opts.Header, 0))
	return err
}

// EncryptStream encrypts all that src gives, the bytes of a disk, into a LUKS image
// that is written to dst in order. If it fails, what was written is not whole.
// ctx is looked at between reads. Of an image, [EncryptInOrder] does not read the zeros.
func EncryptStream(ctx context.Context, dst io.Writer, src io.Reader, passphrase []byte, o EncryptOptions) (*Result, error) {
	e, err := newStream(ctx, passphrase, o)
	if err != nil {
		return nil, err
	}
	defer e.volume.Close()
	if err := e.writeHeader(dst); err != nil {
		return nil, err
	}
	d, err := e.digests()
	if err != nil {
		return nil, err
	}
	var r *Result
	err = e.job(nil, nil, d).Copy(ctx, dst, src, e.header.SectorSize(), func(size int64) (_ int64, err error) {
		if r, err = e.result(size); err != nil {
			return 0, err
		}
		return r.VolumeSize, nil
	})
	if err != nil {
		return nil, err
	}
	r.SourceSHA256, r.FileSHA256 = d.Sums()
	return r, nil
}

// EncryptInOrder encrypts the disk src into a LUKS image that is written to dst in order,
// as [EncryptStream] does. As with [Encrypt], workers read the disk, parts of it that are
// known to be zero are not read, and nothing is written if the disk is of a size that the
// profile refuses. It does not stop while dst does not take what is written.
func EncryptInOrder(ctx context.Context, dst io.Writer, src image.Source, passphrase []byte, o EncryptOptions) (*Result, error) {
	if err := o.CheckSize(src.Size()); err != nil {
		return nil, err
	}
	e, err := newStream(ctx, passphrase, o)
	if err != nil {
		return nil, err
	}
	defer e.volume.Close()
	r, err := e.result(src.Size())
	if err != nil {
		return nil, err
	}
	if err := e.writeHeader(dst); err != nil {
		return nil, err
	}
	d, err := e.digests()
	if err != nil {
		return nil, err
	}
	if err := e.job(src, r, d).WriteStream(ctx, dst); err != nil {
		return nil, err
	}
	r.SourceSHA256, r.FileSHA256 = d.Sums()
	return r, nil
}

// newStream is newEncryption of an image that is written in order.
func newStream(ctx context.Context, passphrase []byte, o EncryptOptions) (*encryption, error) {
	if o.DiscardZeros {
		return nil, errors.New("zeros can not be left out of a stream")
	}
	if format, err := o.container(); err != nil || format == VHD || format == QCOW2 {
		return nil, cmp.Or(err, fmt.Errorf("a %s image can not be written as a stream", format))
	}
	return newEncryption(ctx, passphrase, o)
}

// writeHeader writes the header in front of the data, or to its own file.
func (e *encryption) writeHeader(dst io.Writer) error {
	if e.opts.Header != nil {
		return e.writeDetached()
	}
	_, err := e.header.WriteTo(dst)
	return err
}

// Check reports what in o [Encrypt] would refuse.
func (o EncryptOptions) Check() error {
	lo, err := o.apply()
	if err != nil {
		return err
	}
	if format, _ := o.container(); format == QCOW2 {
		lo.Version = 1
	}
	return lo.Check()
}

// apply returns the options of LUKS with what the profile and a detached header ask for.
func (o EncryptOptions) apply() (luks.Options, error) {
	format, err := o.container()
	if err != nil {
		return o.LUKS, err
	}
	lo := o.LUKS
	switch format {
	case LUKS1:
		lo.Version = 1
	case LUKS2:
		lo.Version = 2
	}
	lo, err = o.Profile.apply(lo)
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
func (o EncryptOptions) Calibrate(ctx context.Context, d time.Duration) (luks.KDF, error) {
	lo, err := o.apply()
	if err != nil {
		return lo.KDF, err
	}
	return luks.Calibrate(ctx, lo, d)
}
