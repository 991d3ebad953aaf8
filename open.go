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

// An Image is the plaintext of a disk image, as its guest sees it, whatever the
// container. It is safe for concurrent use, but for Close.
type Image struct {
	image.Source

	// Format is that of the container.
	Format Format

	// Encrypted tells that the container is encrypted, and was opened with a key.
	Encrypted bool

	// SectorSize is that of the disk's logical sectors in bytes, 0 if the container does not
	// tell. Only VHDX does: 512 or 4096.
	SectorSize int

	// UUID is that of the LUKS header, "" without one.
	UUID string

	// Layers are what the image was packed in, from the outermost on, such as "xz"; see [Unpack].
	Layers []string

	// InOrder tells that the disk was compressed as one, and is for jobs that read all of it in order,
	// once or a few times: any other read unpacks all that is in front of it. With [Unpacking.Random]
	// there is no such image.
	InOrder bool

	// Archive tells of the archive that the image is in, the outermost one; nil if it is in none.
	Archive *ArchiveInfo

	// Warnings say what is odd about the image, a sentence each.
	Warnings []string

	intact []func(ctx context.Context) error
	close  []func() error
	unseen bool // as in [Unpacked]

	// info describes the container. check, if not nil, checks its structure. blind tells that
	// the disk can not be read, as other files are missing.
	info  func(ctx context.Context) (*Info, error)
	check func(ctx context.Context) (*CheckResult, error)
	blind bool
}

// Extents implements [image.Extenter], as far as the container tells.
func (i *Image) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return image.Extents(i.Source, off, n)
}

// Group implements [image.Grouper], as far as the container tells.
func (i *Image) Group(off int64) (start, end int64) {
	start, end, _ = image.Group(i.Source, off)
	return start, end
}

// CanPush implements [image.Pusher].
func (i *Image) CanPush() bool {
	_, ok := image.AsPusher(i.Source)
	return ok
}

// Push implements [image.Pusher]. It is for an image of which CanPush is true.
func (i *Image) Push(ctx context.Context, workers int, do func(p []byte, off int64) error) error {
	p, ok := image.AsPusher(i.Source)
	if !ok {
		return errors.ErrUnsupported
	}
	return p.Push(ctx, workers, do)
}

// CheckEnd looks at the end of a raw disk that is read in order, where it may turn out to be something
// else: [ErrFixedVHD]. It is for jobs that need the size to be right and do not read all of the disk, and
// unpacks all that was not read yet. Of any other image it reads nothing.
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

// Close wipes the keys of an encrypted image, and ends what unpacks a compressed one. There is
// nothing else to close: files are the caller's.
func (i *Image) Close() error {
	var errs []error
	for _, c := range i.close {
		errs = append(errs, c())
	}
	i.close = nil
	return errors.Join(errs...)
}

// ImageOptions say how to open an image. The zero value is right for one of unknown
// origin that stands alone and is not encrypted.
type ImageOptions struct {
	// Format, if not "", is taken for granted: nothing is detected.
	Format Format

	// Key opens an encrypted image: the passphrase of LUKS, also in qcow2, or the key of
	// an encrypted VHD, each byte of it. Images behind it that are encrypted must have the
	// same one. It is used while OpenImage runs and not kept.
	Key []byte

	// LUKS bounds what opening LUKS may cost, and what it accepts.
	LUKS luks.OpenOptions

	// Snapshot, if not "", is the ID or the name of the internal snapshot of a qcow2
	// image to open, in place of the current state.
	Snapshot string

	// Partition, if not 0, is the number of a partition of the disk in the image, as Linux numbers
	// them, which is opened in place of the disk. If it holds LUKS, it is opened with Key, and is
	// the Image then; of a partition no other format is detected. An image that is encrypted as
	// a whole must have the same key.
	Partition int

	// Resolve gives the other files that an image needs: backing files, external data
	// files, parents of differencing disks, extents. If it is nil such an image is refused,
	// which is right unless its origin is known.
	Resolve func(image.Ref) (*OtherFile, error)

	// Unpack says how an image is unpacked that is compressed, or in an archive. Files that are
	// behind another one are never unpacked.
	Unpack Unpacking

	// ID tells this file from all others, for Resolve and to find loops. It may be "".
	ID string

	chain disk.Chain // what this image is behind
	top   *Image     // the first of the chain, nil if it is this one

	asked any // the Options of the reference to this image

	// look opens the image to be described and checked: that it is encrypted, or needs other
	// files, is no error.
	look bool
}

// An OtherFile is what [ImageOptions.Resolve] gives. The caller closes it, after the image.
type OtherFile struct {
	io.ReaderAt
	Size int64
	ID   string // as in [ImageOptions]
}

// OpenImage opens the image in r, a file of size bytes; see [Detect] for its format, and [Unpack] for
// what is compressed. If r is an [os.File] or an [image.Source], its holes are not read. An encrypted image is
// [ErrEncrypted] without a key; a wrong one is [luks.ErrPassphrase]. If ctx is done while
// a key is derived, its cause is returned.
func OpenImage(ctx context.Context, r io.ReaderAt, size int64, o ImageOptions) (*Image, error) {
	if o.chain.TooLong() {
		return nil, fmt.Errorf("%w: a chain of more than %d images", image.ErrUnsupported, disk.MaxChain)
	}
	if o.chain.Loops(o.ID) {
		return nil, fmt.Errorf("%w: the images that are behind each other come back to %q: it is a loop", image.ErrFormat, o.ID)
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

// image opens the image that was unpacked, and closes with it what was needed for that.
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

// OpenDetached opens a LUKS image whose header is in a file of its own, with a passphrase.
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

// source returns r as an image.Source that knows its holes, where it can be had.
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
			return nil, errors.New("the source has another size than the one given")
		}
		return r, nil
	}
	return io.NewSectionReader(r, 0, size), nil
}
