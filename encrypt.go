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

// EncryptOptions configure [Encrypt]. The zero value is a safe default: LUKS2 with AES-256 in XTS mode
// and Argon2id.
type EncryptOptions struct {
	// Profile, if not "", is the cloud that the image is for. It sets many LUKS options and checks the
	// key.
	Profile Profile

	// Format is the container: LUKS1, LUKS2, or an encrypted VHD or QCOW2 (with LUKS1 inside). "" means
	// the format of the profile, or else that of LUKS.Version. Zeros are not written to a VHD or qcow2
	// image.
	Format Format

	// LUKS are the options of the LUKS header, also inside qcow2. A VHD has no LUKS header: its key
	// encrypts the data directly.
	LUKS luks.Options

	// Header, if not nil, receives the header, which is then detached: dst receives only the
	// ciphertext. Header must be a new file.
	Header io.WriterAt

	// DiscardZeros leaves out the parts of the source that are known to be zero. They become holes in
	// dst, which then uses less space. When decrypted, those sectors read as noise, not as zeros, and
	// the image reveals how much of the disk is in use. See [VerifyOptions.SkipZeros]. Streams do not
	// support it.
	DiscardZeros bool

	// Digest requests the digests in [Result]. The data are then hashed in order, which takes longer.
	Digest bool

	RunOptions
}

// A Result describes what [Encrypt] or [EncryptStream] made.
type Result struct {
	// Format is the format of the container.
	Format Format
	// LUKS describes the LUKS header, also inside qcow2. It is zero for a VHD.
	LUKS luks.Info
	// Cipher is the cipher of the data as dm-crypt names it. KeyBits is the length of its key in bits.
	Cipher  string
	KeyBits int
	// UUID is the UUID of the LUKS header or of the VHD.
	UUID string
	// SourceSize is the length of the disk that was encrypted, in bytes.
	SourceSize int64
	// VolumeSize is the length of the plaintext in the image in bytes. It exceeds SourceSize by zeros
	// if a profile or the sector size requires more.
	VolumeSize int64
	// FileSize is the length of the image in bytes.
	FileSize int64

	// SourceSHA256 and FileSHA256 are the SHA-256 digests of the source disk and of the image, in
	// hexadecimal. They are "" unless [EncryptOptions.Digest] is set.
	SourceSHA256, FileSHA256 string
}

// Encrypt encrypts the disk src into an image in dst, which must be new because Encrypt does not write
// the gaps of the format. The passphrase can be the content of a key file: each byte counts. For a VHD
// it is the key itself, 32 or 64 bytes. Parts of src that are known to be zero are not read. LUKS has
// no holes, so their ciphertext is written anyway.
//
// Encrypt writes the header last, after a Sync if dst has that method. If Encrypt fails or ctx is done,
// dst is incomplete and useless.
//
// For a LUKS image, Encrypt first calls two methods of dst, if dst has them. Expect(size int64, dense
// bool) error gets the final length, and whether all of it will be written. Truncate(size int64) error
// gets the final length. An error of either ends the job.
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

// EncryptStream encrypts all bytes of src, a disk, into a LUKS image that it writes to dst in order. If
// it fails, the output is incomplete. ctx is checked between reads. To skip the zeros of an image, use
// [EncryptInOrder].
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

// EncryptInOrder encrypts the disk src into a LUKS image that it writes to dst in order, as
// [EncryptStream] does. As with [Encrypt], workers read the disk and parts known to be zero are not
// read. If the profile refuses the size of the disk, nothing is written. It cannot be cancelled while a
// Write to dst blocks.
func EncryptInOrder(ctx context.Context, dst io.Writer, src image.Source, passphrase []byte, o EncryptOptions) (*Result, error) {
	j, err := newDiskJob(ctx, src, passphrase, o)
	if err != nil {
		return nil, err
	}
	defer j.volume.Close()
	return j.writeStream(ctx, dst, src)
}

// newDiskJob prepares the LUKS image of a disk of known size.
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

// stream returns the plan of an image that is written in order, after checking the key.
func (o EncryptOptions) stream(key []byte) (*plan, error) {
	p, err := o.plan()
	switch {
	case err != nil:
		return nil, err
	case p.sparse:
		return nil, errors.New("zeros cannot be left out of a stream")
	case p.make.unit > 0:
		return nil, fmt.Errorf("a %s image cannot be written as a stream", p.format)
	}
	return p, p.profile.CheckKey(key)
}

// Check returns the error that [Encrypt] would return for o, whatever the disk.
func (o EncryptOptions) Check() error {
	p, err := o.plan()
	if err != nil {
		return err
	}
	_, err = p.luks.Layout()
	return err
}

// CheckSize returns an error if the profile or the format does not allow a disk of size bytes. It is the
// error that [Encrypt] would return.
func (o EncryptOptions) CheckSize(size int64) error {
	p, err := o.plan()
	if err != nil {
		return err
	}
	return p.checkSize(size)
}

// Calibrate returns the KDF of o.LUKS with a cost at which deriving the key takes about d on this
// machine; see [luks.Calibrate].
func (o EncryptOptions) Calibrate(ctx context.Context, d time.Duration) (luks.KDF, error) {
	p, err := o.plan()
	if err != nil {
		return o.LUKS.KDF, err
	}
	return luks.Calibrate(ctx, p.luks, d)
}
