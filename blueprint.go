package luksimg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/luks"
)

// A Blueprint is an image before its data are: its header, and how long it is. With
// its key, if it is encrypted, and the disk, any part of the image can be made, in any order, by anybody: see
// [Blueprint.Build]. There is no secret in it that the image itself does not have.
//
// Its JSON form is stable. What is read from a file is checked by Build and [Blueprint.Result].
type Blueprint struct {
	Format  Format  `json:"format"` // of the container
	Profile Profile `json:"profile,omitempty"`

	SourceSize int64 `json:"source_size"` // of the disk, bytes
	VolumeSize int64 `json:"volume_size"` // of the plaintext in the image, bytes
	FileSize   int64 `json:"file_size"`   // of the image, bytes

	// Header is that of LUKS. All of it that is not here is zero.
	Header []HeaderPart `json:"header,omitempty"`
	// VHD is what a VHD has in place of a header of LUKS.
	VHD *VHDIdentity `json:"vhd,omitempty"`
	// Units are those of the disk that are in an encrypted VHD, blocks of 2 MiB, or a qcow2 image, clusters of 64 KiB. The
	// others are zeros. They are runs in ascending order: of each, the number of units between it and
	// the one before, and its length, as unsigned varints of LEB128.
	Units []byte `json:"units,omitempty"`
}

// Encrypted tells whether the image is. A fixed VHD, the only one that is not, has no key.
func (b *Blueprint) Encrypted() bool { return b.VHD == nil || !b.VHD.Fixed }

// Draw returns the blueprint of the image that [Encrypt] would make of src, with a new header. It
// reads nothing of the disk but its extents: into a VHD or qcow2 image goes all that these do not tell
// to be zero, while Encrypt leaves out what turns out to be zero. A detached header, DiscardZeros and Digest
// are refused. Deriving the key takes its time; ctx ends that.
func Draw(ctx context.Context, src image.Source, passphrase []byte, o EncryptOptions) (*Blueprint, error) {
	if o.Header != nil || o.Digest || o.DiscardZeros {
		return nil, errors.New("an image that is made in parts has no detached header, no digests, and its zeros are not left out")
	}
	p, err := o.plan()
	if err != nil {
		return nil, err
	}
	if p.make.draw == nil {
		return nil, fmt.Errorf("%w: a %s image can not be made in parts", ErrUnsupportedFormat, p.format)
	}
	if err := p.checkSize(src.Size()); err != nil {
		return nil, err
	}
	if err := p.profile.CheckKey(passphrase); err != nil {
		return nil, err
	}
	b := &Blueprint{Format: p.format, Profile: o.Profile, SourceSize: src.Size()}
	return b, p.make.draw(ctx, p, b, src, passphrase)
}

// DrawPlain returns the blueprint of the image that [Decrypt] would make of src: a fixed VHD. Another format is
// [ErrUnsupportedFormat]. It reads nothing of the disk.
func DrawPlain(src image.Source, o DecryptOptions) (*Blueprint, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if !o.Fixed {
		return nil, fmt.Errorf("%w: without encryption only a fixed VHD is made in parts", ErrUnsupportedFormat)
	}
	return drawFixedVHD(src)
}

// BuildOptions say how [Blueprint.Build] opens an image.
type BuildOptions struct {
	LUKS luks.OpenOptions // bounds what opening the key slot may cost
	RunOptions
}

// A Builder makes parts of an image. It is safe for concurrent use, but for Close.
type Builder struct {
	size int64
	w    rangeWriter
}

// A rangeWriter writes all of an image from one offset to another, and perhaps more around it, but
// for what is zero.
type rangeWriter interface {
	writeRange(ctx context.Context, dst io.WriterAt, from, to int64) error
	Close() error
}

// Build opens the image that was drawn of the disk src with its passphrase, or for a VHD its key; nil
// for one that is not [Blueprint.Encrypted]. A wrong one is [luks.ErrPassphrase], or for a VHD vhd.ErrKey. A blueprint that is not right, or
// is of a disk of another size, is [ErrBlueprint].
func (b *Blueprint) Build(ctx context.Context, src image.Source, passphrase []byte, o BuildOptions) (*Builder, error) {
	m, err := b.maker()
	if err != nil {
		return nil, err
	}
	if src.Size() != b.SourceSize {
		return nil, fmt.Errorf("%w: it is of a disk of %d bytes, and this one has %d", ErrBlueprint, b.SourceSize, src.Size())
	}
	w, err := m.build(ctx, b, src, passphrase, o)
	if err != nil {
		return nil, err
	}
	return &Builder{b.FileSize, w}, nil
}

// Result says what the image is.
func (b *Blueprint) Result() (*Result, error) {
	m, err := b.maker()
	if err != nil {
		return nil, err
	}
	return m.describe(b)
}

// maker returns what makes images of the format, if the numbers are possible.
func (b *Blueprint) maker() (*maker, error) {
	f, err := formatOf(b.Format, nil, 0)
	switch {
	case err != nil || f.make == nil || f.make.build == nil:
		return nil, fmt.Errorf("%w: images of format %q are not made in parts", ErrBlueprint, b.Format)
	case !b.Encrypted() && (b.Format != VHD || b.Profile != "" || len(b.Header) > 0 || len(b.Units) > 0):
		return nil, fmt.Errorf("%w: a fixed VHD has neither a profile, nor a header, nor units", ErrBlueprint)
	case b.Profile != "" && b.Profile.Rules().Format != b.Format:
		return nil, fmt.Errorf("%w: profile %q is not %s", ErrBlueprint, b.Profile, b.Format)
	case b.SourceSize < 0 || b.SourceSize > b.VolumeSize || b.VolumeSize > maxDisk || b.FileSize < 0 || b.FileSize > maxDisk:
		return nil, fmt.Errorf("%w: a disk of %d bytes in a volume of %d, in a file of %d", ErrBlueprint, b.SourceSize, b.VolumeSize, b.FileSize)
	}
	if !b.Encrypted() {
		return &fixedVHDMaker, nil
	}
	return f.make, nil
}

// Size returns the length of the image in bytes.
func (b *Builder) Size() int64 { return b.size }

// Fill fills p with the bytes of the image from off on, by several workers. When ctx is done, its
// cause is the error; after an error there is anything in p.
func (b *Builder) Fill(ctx context.Context, p []byte, off int64) error {
	if off < 0 || off > b.size || int64(len(p)) > b.size-off {
		return fmt.Errorf("luksimg: %d bytes at %d of an image of %d", len(p), off, b.size)
	}
	clear(p)
	if len(p) == 0 {
		return nil
	}
	return b.w.writeRange(ctx, window{p, off}, off, off+int64(len(p)))
}

// Close wipes the key.
func (b *Builder) Close() error { return b.w.Close() }

// A window is a part of a file, in memory. What is written beside it is dropped.
type window struct {
	b   []byte
	off int64
}

// WriteAt implements [io.WriterAt].
func (w window) WriteAt(p []byte, off int64) (int, error) {
	from, to := max(off, w.off), min(off+int64(len(p)), w.off+int64(len(w.b)))
	if from < to {
		copy(w.b[from-w.off:to-w.off], p[from-off:])
	}
	return len(p), nil
}

// Is tells whether a file begins as the image that was drawn: by its length, and its header, which no other
// image has. It is not for one whose header was changed.
func (b *Blueprint) Is(file image.Source) (bool, error) {
	if file.Size() != b.FileSize {
		return false, nil
	}
	m, err := b.maker()
	if err != nil {
		return false, err
	}
	parts, err := m.identity(b)
	if err != nil {
		return false, err
	}
	for _, p := range parts {
		got := make([]byte, len(p.Data))
		if _, err := image.ReadFull(file, got, p.Offset); err != nil {
			return false, err
		}
		if !bytes.Equal(got, p.Data) {
			return false, nil
		}
	}
	return true, nil
}
