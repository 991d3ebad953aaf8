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

// A Blueprint describes an image before its data exist: its header and its length. With the blueprint,
// the disk and the key, anybody can make any part of the image, in any order; see [Blueprint.Build]. A
// blueprint holds no secret that the image itself does not hold.
//
// Its JSON form is stable. Build and [Blueprint.Result] check a blueprint that was read from a file.
type Blueprint struct {
	Format  Format  `json:"format"` // of the container
	Profile Profile `json:"profile,omitempty"`

	SourceSize int64 `json:"source_size"` // of the disk, bytes
	VolumeSize int64 `json:"volume_size"` // of the plaintext in the image, bytes
	FileSize   int64 `json:"file_size"`   // of the image, bytes

	// Header is the LUKS header. Bytes that no part has are zero.
	Header []HeaderPart `json:"header,omitempty"`
	// VHD replaces the LUKS header for a VHD.
	VHD *VHDIdentity `json:"vhd,omitempty"`
	// Units are the allocated units of the disk: blocks of 2 MiB in an encrypted VHD, clusters of 64
	// KiB in a qcow2 image. All other units are zeros. Units is a list of runs in ascending order. Each
	// run has two unsigned LEB128 varints: the number of units since the previous run, and the length
	// of the run.
	Units []byte `json:"units,omitempty"`
}

// Encrypted reports whether the image is encrypted. All are, except a fixed VHD.
func (b *Blueprint) Encrypted() bool { return b.VHD == nil || !b.VHD.Fixed }

// Draw returns the blueprint of the image that [Encrypt] would make of src, with a new header. Draw
// reads only the extents of the disk, not its data. So a VHD or qcow2 image allocates everything not
// known to be zero, while Encrypt also leaves out zeros that it finds in the data. Draw refuses a
// detached header, DiscardZeros and Digest. Key derivation takes a while; ctx cancels it.
func Draw(ctx context.Context, src image.Source, passphrase []byte, o EncryptOptions) (*Blueprint, error) {
	if o.Header != nil || o.Digest || o.DiscardZeros {
		return nil, errors.New("an image that is made in parts cannot have a detached header or digests, or leave out zeros")
	}
	p, err := o.plan()
	if err != nil {
		return nil, err
	}
	if p.make.draw == nil {
		return nil, fmt.Errorf("%w: a %s image cannot be made in parts", ErrUnsupportedFormat, p.format)
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

// DrawPlain returns the blueprint of the image that [Decrypt] would make of src. The format must be a
// fixed VHD; for any other, the error is [ErrUnsupportedFormat]. DrawPlain does not read the disk.
func DrawPlain(src image.Source, o DecryptOptions) (*Blueprint, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if !o.Fixed {
		return nil, fmt.Errorf("%w: without encryption only a fixed VHD can be made in parts", ErrUnsupportedFormat)
	}
	return drawFixedVHD(src)
}

// BuildOptions configure [Blueprint.Build].
type BuildOptions struct {
	LUKS luks.OpenOptions // bounds the cost of opening the key slot
	RunOptions
}

// A Builder makes parts of an image. Except for Close, its methods are safe for concurrent use.
type Builder struct {
	size int64
	w    rangeWriter
}

// A rangeWriter writes all nonzero bytes of an image between two offsets, and possibly bytes around
// them.
type rangeWriter interface {
	writeRange(ctx context.Context, dst io.WriterAt, from, to int64) error
	Close() error
}

// Build opens the blueprint of the disk src. passphrase is the passphrase, or for a VHD the key; it is
// nil if the image is not [Blueprint.Encrypted]. If it is wrong, the error is [luks.ErrPassphrase], or
// vhd.ErrKey for a VHD. If the blueprint is malformed or the disk has another size, the error is
// [ErrBlueprint].
func (b *Blueprint) Build(ctx context.Context, src image.Source, passphrase []byte, o BuildOptions) (*Builder, error) {
	m, err := b.maker()
	if err != nil {
		return nil, err
	}
	if src.Size() != b.SourceSize {
		return nil, fmt.Errorf("%w: it describes a disk of %d bytes, this one has %d", ErrBlueprint, b.SourceSize, src.Size())
	}
	w, err := m.build(ctx, b, src, passphrase, o)
	if err != nil {
		return nil, err
	}
	return &Builder{b.FileSize, w}, nil
}

// Result describes the image.
func (b *Blueprint) Result() (*Result, error) {
	m, err := b.maker()
	if err != nil {
		return nil, err
	}
	return m.describe(b)
}

// maker returns the maker of the format, after checking that the sizes are possible.
func (b *Blueprint) maker() (*maker, error) {
	f, err := formatOf(b.Format, nil, 0)
	switch {
	case err != nil || f.make == nil || f.make.build == nil:
		return nil, fmt.Errorf("%w: images of format %q cannot be made in parts", ErrBlueprint, b.Format)
	case !b.Encrypted() && (b.Format != VHD || b.Profile != "" || len(b.Header) > 0 || len(b.Units) > 0):
		return nil, fmt.Errorf("%w: a fixed VHD has neither a profile, nor a header, nor units", ErrBlueprint)
	case b.Profile != "" && b.Profile.Rules().Format != b.Format:
		return nil, fmt.Errorf("%w: profile %q is not %s", ErrBlueprint, b.Profile, b.Format)
	case b.SourceSize < 0 || b.SourceSize > b.VolumeSize || b.VolumeSize > maxDisk || b.FileSize < 0 || b.FileSize > maxDisk:
		return nil, fmt.Errorf("%w: impossible sizes: a disk of %d bytes, a volume of %d, a file of %d", ErrBlueprint, b.SourceSize, b.VolumeSize, b.FileSize)
	}
	if !b.Encrypted() {
		return &fixedVHDMaker, nil
	}
	return f.make, nil
}

// Size returns the length of the image in bytes.
func (b *Builder) Size() int64 { return b.size }

// Fill fills p with the bytes of the image at off, with several workers. If ctx is done, it returns its
// cause. After an error the content of p is undefined.
func (b *Builder) Fill(ctx context.Context, p []byte, off int64) error {
	if off < 0 || off > b.size || int64(len(p)) > b.size-off {
		return fmt.Errorf("luksimg: %d bytes at offset %d are out of range: the image has %d", len(p), off, b.size)
	}
	clear(p)
	if len(p) == 0 {
		return nil
	}
	return b.w.writeRange(ctx, window{p, off}, off, off+int64(len(p)))
}

// Close wipes the key.
func (b *Builder) Close() error { return b.w.Close() }

// A window is a part of a file, in memory. It drops writes outside the part.
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

// Is reports whether file has the length and the unique header bytes of the image that was drawn. If
// the header was changed later, Is can return false.
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
