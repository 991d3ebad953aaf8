package luksimg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/internal/disk"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/luks"
)

// An Image is the plaintext of a disk image as its guest sees it, whatever the container. Except for
// Close, its methods are safe for concurrent use.
type Image struct {
	image.Source

	// Format is the format of the container.
	Format Format

	// Encrypted reports whether the container is encrypted and was opened with a key.
	Encrypted bool

	// SectorSize is the size of the disk's logical sectors in bytes, 0 if the container does not
	// specify it. Only VHDX does: 512 or 4096.
	SectorSize int

	// UUID is the UUID of the LUKS header, "" if there is none.
	UUID string

	// Layers name what the image was packed in, such as "xz", outermost first; see [Unpack].
	Layers []string

	// InOrder reports that the disk is one compressed stream. Such an image suits jobs that read it in
	// order: any other read decompresses everything before its offset. [Unpacking.Random] avoids such
	// images.
	InOrder bool

	// Archive describes the outermost archive that contains the image. It is nil if there is none.
	Archive *ArchiveInfo

	// Warnings describe oddities of the image, one sentence each.
	Warnings []string

	intact []func(ctx context.Context) error
	close  []func() error
	unseen bool // see [Unpacked]

	// info describes the container. check, if not nil, checks its structure. blind means that the disk
	// cannot be read because other files are missing.
	info  func(ctx context.Context) (*Info, error)
	check func(ctx context.Context) (*CheckResult, error)
	blind bool
}

// Extents implements [image.Extenter] as far as the container supports it.
func (i *Image) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return image.Extents(i.Source, off, n)
}

// Group implements [image.Grouper] as far as the container supports it.
func (i *Image) Group(off int64) (start, end int64) {
	start, end, _ = image.Group(i.Source, off)
	return start, end
}

// CanPush implements [image.Pusher].
func (i *Image) CanPush() bool {
	_, ok := image.AsPusher(i.Source)
	return ok
}

// Push implements [image.Pusher]. If CanPush is false, it returns [errors.ErrUnsupported].
func (i *Image) Push(ctx context.Context, workers int, do func(p []byte, off int64) error) error {
	p, ok := image.AsPusher(i.Source)
	if !ok {
		return errors.ErrUnsupported
	}
	return p.Push(ctx, workers, do)
}

// CheckEnd reads the end of a raw disk that is decompressed in order, which can turn out to be a fixed
// VHD: [ErrFixedVHD]. Call it in jobs that need the exact size but do not read the whole disk. It
// decompresses everything that was not read yet. For any other image it reads nothing.
func (i *Image) CheckEnd(ctx context.Context) error {
	if !i.unseen {
		return nil
	}
	return parallel.Await(ctx, func() error {
		var last [1]byte
		_, err := image.ReadFull(i.Source, last[:], i.Size()-1)
		return err
	})
}

// Close wipes the keys of an encrypted image and stops the decompression of a compressed one. It does
// not close the caller's files.
func (i *Image) Close() error {
	var errs []error
	for _, c := range i.close {
		errs = append(errs, c())
	}
	i.close = nil
	return errors.Join(errs...)
}

// ImageOptions configure [OpenImage]. The zero value suits an unencrypted image of unknown origin that
// needs no other files.
type ImageOptions struct {
	// Format, if not "", skips detection: the image must have this format.
	Format Format

	// Key opens an encrypted image. It is the passphrase of LUKS, also inside qcow2, or the key of an
	// encrypted VHD; each byte counts. Encrypted backing images must have the same key. OpenImage does
	// not keep it.
	Key []byte

	// LUKS bounds the cost of opening LUKS and sets what is accepted.
	LUKS luks.OpenOptions

	// Snapshot, if not "", is the ID or name of an internal snapshot of a qcow2 image. It is opened in
	// place of the current state.
	Snapshot string

	// Partition, if not 0, is the number of a partition, as Linux numbers them. The partition is opened
	// in place of the disk. If it contains LUKS, it is opened with Key; no other format is detected
	// inside a partition. If the whole image is encrypted too, it must have the same key.
	Partition int

	// Resolve returns the other files that an image needs: backing files, external data files, parents
	// of differencing disks, extents. If Resolve is nil, such an image is refused. Keep it nil unless
	// you trust the origin of the image.
	Resolve func(image.Ref) (*OtherFile, error)

	// Unpack configures how a compressed or archived image is unpacked. Backing files and other
	// referenced files are never unpacked.
	Unpack Unpacking

	// ID identifies this file, for Resolve and to detect loops. It can be "".
	ID string

	chain disk.Chain // the images that led to this one
	top   *Image     // the first image of the chain, nil if it is this one

	asked any // options that the child image's package sets for this image

	// look opens the image only to describe or check it. Then a missing key or a missing file is not
	// an error.
	look bool
}

// An OtherFile is the result of [ImageOptions.Resolve]. The caller closes it after the image.
type OtherFile struct {
	io.ReaderAt
	Size int64
	ID   string // see [ImageOptions]
}

// OpenImage opens the image in r, a file of size bytes. [Detect] describes how it finds the format,
// [Unpack] how it opens compressed images. If r is an [os.File] or an [image.Source], its holes are not
// read. If the image is encrypted and Key is nil, the error is [ErrEncrypted]. If the key is wrong, it
// is [luks.ErrPassphrase], or vhd.ErrKey for a VHD. If ctx is done during key derivation, OpenImage
// returns its cause.
func OpenImage(ctx context.Context, r io.ReaderAt, size int64, o ImageOptions) (*Image, error) {
	if o.chain.TooLong() {
		return nil, fmt.Errorf("%w: a chain of more than %d images", image.ErrUnsupported, disk.MaxChain)
	}
	if o.chain.Loops(o.ID) {
		return nil, fmt.Errorf("%w: the chain of images contains a loop at %q", image.ErrFormat, o.ID)
	}
	u, err := o.unpack(ctx, r, size)
	if err != nil {
		return nil, err
	}
	img, err := u.image(ctx, o)
	if err != nil {
		u.Close()
	}
	return img, err
}

// image opens the unpacked image. Closing the image also closes u.
func (u *Unpacked) image(ctx context.Context, o ImageOptions) (*Image, error) {
	size := u.Size()
	f, err := u.formatOf(o.Format)
	if err != nil {
		return nil, err
	}
	img := &Image{Source: u.Source, Format: f.name, Layers: u.Layers, InOrder: u.InOrder, Archive: u.Archive, Warnings: u.Warnings, intact: u.intact, unseen: u.unseen}
	if o.top == nil {
		o.top = img
	}
	err = u.inMember(f.open(ctx, img, size, o))
	if err == nil {
		img.Warnings = slices.Concat(img.Warnings, u.oddCapacity(img.Size()))
	}
	if err == nil && o.Snapshot != "" && f.name != QCOW2 {
		err = advice.With(fmt.Errorf("%w: %s has no internal snapshots", image.ErrUnsupported, f.name), "only qcow2 has them: leave the snapshot out")
	}
	if err == nil && o.Partition != 0 {
		err = img.openPartition(ctx, o)
	}
	if err != nil {
		img.Close()
		return nil, err
	}
	if u.owned {
		img.close = append(img.close, u.Close)
	}
	return img, nil
}

// OpenDetached opens a LUKS image whose header is in a separate file. Errors are those of [OpenImage].
func OpenDetached(ctx context.Context, header, data image.Source, passphrase []byte, o luks.OpenOptions) (*Image, error) {
	h, err := luks.Open(header, header.Size(), o)
	if err != nil {
		return nil, err
	}
	key, _, err := h.VolumeKey(ctx, passphrase, luks.AnySlot)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	v, err := h.Volume(ctx, data, data.Size(), key)
	if err != nil {
		return nil, err
	}
	return &Image{Source: v, Format: map[int]Format{1: LUKS1, 2: LUKS2}[h.Version()], Encrypted: true, UUID: h.UUID()}, nil
}

// source returns r as an image.Source that knows its holes if r allows it.
func source(r io.ReaderAt, size int64) (image.Source, error) {
	switch r := r.(type) {
	case *os.File:
		f, err := image.NewFile(r)
		if err == nil && f.Size() != size {
			return nil, fmt.Errorf("%s has %d bytes, not %d", r.Name(), f.Size(), size)
		}
		return f, err
	case image.Source:
		if r.Size() != size {
			return nil, fmt.Errorf("the source has %d bytes, not %d", r.Size(), size)
		}
		return r, nil
	}
	return io.NewSectionReader(r, 0, size), nil
}
