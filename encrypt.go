package luksimg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/luksimg/luksimg/image"
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
	p, err := o.plan()
	if err != nil {
		return nil, err
	}
	if err := p.checkSize(src.Size()); err != nil {
		return nil, err
	}
	if err := p.profile.CheckKey(passphrase); err != nil {
		return nil, err
	}
	return p.make.encrypt(ctx, p, dst, src, passphrase)
}

// EncryptStream encrypts all that src gives, the bytes of a disk, into a LUKS image
// that is written to dst in order. If it fails, what was written is not whole.
// ctx is looked at between reads. Of an image, [EncryptInOrder] does not read the zeros.
func EncryptStream(ctx context.Context, dst io.Writer, src io.Reader, passphrase []byte, o EncryptOptions) (*Result, error) {
	p, err := o.stream(passphrase)
	if err != nil {
		return nil, err
	}
	j, err := newLUKSJob(ctx, p, passphrase)
	if err != nil {
		return nil, err
	}
	defer j.volume.Close()
	return j.copy(ctx, dst, src)
}

// EncryptInOrder encrypts the disk src into a LUKS image that is written to dst in order,
// as [EncryptStream] does. As with [Encrypt], workers read the disk, parts of it that are
// known to be zero are not read, and nothing is written if the disk is of a size that the
// profile refuses. It does not stop while dst does not take what is written.
func EncryptInOrder(ctx context.Context, dst io.Writer, src image.Source, passphrase []byte, o EncryptOptions) (*Result, error) {
	j, err := newDiskJob(ctx, src, passphrase, o)
	if err != nil {
		return nil, err
	}
	defer j.volume.Close()
	return j.writeStream(ctx, dst, src)
}

// newDiskJob begins the LUKS image of a disk whose size is known.
func newDiskJob(ctx context.Context, src image.Source, passphrase []byte, o EncryptOptions) (*luksJob, error) {
	p, err := o.stream(passphrase)
	if err != nil {
		return nil, err
	}
	if err := p.checkSize(src.Size()); err != nil {
		return nil, err
	}
	return newLUKSJob(ctx, p, passphrase)
}

// stream is the plan of an image that is written in order, with a key that fits.
func (o EncryptOptions) stream(key []byte) (*plan, error) {
	p, err := o.plan()
	switch {
	case err != nil:
		return nil, err
	case p.sparse:
		return nil, errors.New("zeros can not be left out of a stream")
	case p.make.unit > 0:
		return nil, fmt.Errorf("a %s image can not be written as a stream", p.format)
	}
	return p, p.profile.CheckKey(key)
}

// Check reports what in o [Encrypt] would refuse.
func (o EncryptOptions) Check() error {
	p, err := o.plan()
	if err != nil {
		return err
	}
	_, err = p.luks.Layout()
	return err
}

// CheckSize reports whether [Encrypt] would refuse a disk of size bytes, whatever is in it,
// because the profile or the format has no room for it.
func (o EncryptOptions) CheckSize(size int64) error {
	p, err := o.plan()
	if err != nil {
		return err
	}
	return p.checkSize(size)
}

// Calibrate returns the KDF of o.LUKS with a cost such that deriving the key takes
// about d on this machine; see [luks.Calibrate].
func (o EncryptOptions) Calibrate(ctx context.Context, d time.Duration) (luks.KDF, error) {
	p, err := o.plan()
	if err != nil {
		return o.LUKS.KDF, err
	}
	return luks.Calibrate(ctx, p.luks, d)
}
