package luksimg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/archive"
	"github.com/luksimg/luksimg/compressed"
	"github.com/luksimg/luksimg/image"
)

// maxLayers bounds the layers that an image is packed in, such as xz and tar.
const maxLayers = 4

// Unpacking configures [Unpack]. The zero value suits a file of unknown origin that is read in order.
type Unpacking struct {
	// Never disables unpacking.
	Never bool

	// Random is for callers that read at random offsets. A disk that can only be unpacked in order is
	// then unpacked into the scratch file.
	Random bool

	// Scratch creates the file that [Unpack] unpacks into if an image can be read neither in order nor
	// at random. size is the final length, or -1 if unknown: the file then grows as it is written.
	// [Unpacked.Close] closes the file. If Scratch is nil, at most 32 MiB of memory are used; a larger
	// image is [ErrScratch].
	Scratch func(size int64) (ScratchFile, error)

	// Member is the name of the disk in an archive; "" means the only disk in it. If Member is set and
	// the image is in no archive, the error is [ErrNoArchive].
	Member string

	// Image is the container image that has the disk; see [archive.Options]. It can be "" if there is
	// only one. If Image is set and the file is not a container image, the error is [ErrNoContainer].
	Image string

	// Limits for compressed files; see [compressed.Options].
	MaxSize   int64
	MaxWindow int64

	// KnownSize refuses a disk whose size is unknown until all of it is unpacked. The error is
	// [ErrUnknownSize]. [UnpackStream] reads such a disk in one pass.
	KnownSize bool
}

// A ScratchFile is a new, empty file that nobody else writes to. Unpack writes it in order and skips
// zeros. An [os.File] is a ScratchFile.
type ScratchFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// Errors of [Unpack].
var (
	// ErrScratch means that an image must be unpacked, and there is no scratch space for it.
	ErrScratch = errors.New("the image must be unpacked before it can be read, and there is no scratch space for that")

	// ErrNoArchive means that a member was requested but the image is in no archive. ErrNoContainer
	// means the same for an image in a container image.
	ErrNoArchive   = errors.New("the file is not an archive")
	ErrNoContainer = errors.New("the file is not a container image")

	// ErrUnknownSize means that the size of a disk is unknown until all of it is unpacked.
	ErrUnknownSize = errors.New("the size of the disk is unknown until it is unpacked")

	// ErrLayers means that an image is packed in too many layers.
	ErrLayers = fmt.Errorf("packed in more than %d layers", maxLayers)
)

// An Unpacked is an image without the layers that it was packed in. Except for Close, its methods are
// safe for concurrent use.
type Unpacked struct {
	image.Source

	// Layers name what the file was packed in, outermost first. It is empty if the file was not packed.
	Layers []string

	// InOrder has the meaning of [Image.InOrder].
	InOrder bool

	// Archive describes the outermost archive that contains the image. It is nil if there is none.
	Archive *ArchiveInfo

	// Warnings describe oddities of the layers, one sentence each.
	Warnings []string

	intact []func(ctx context.Context) error

	unseen bool  // InOrder is set and the end was not checked yet: it can be a fixed VHD
	packed int64 // the length of the packed file
	owned  bool  // whether the Image closes it
	closes []func() error
}

// Extents implements [image.Extenter] as far as the layers support it.
func (u *Unpacked) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return image.Extents(u.Source, off, n)
}

// Group implements [image.Grouper] as far as the layers support it.
func (u *Unpacked) Group(off int64) (start, end int64) {
	start, end, _ = image.Group(u.Source, off)
	return start, end
}

// CanPush implements [image.Pusher].
func (u *Unpacked) CanPush() bool {
	_, ok := image.AsPusher(u.Source)
	return ok
}

// Push implements [image.Pusher], as [Image.Push] does.
func (u *Unpacked) Push(ctx context.Context, workers int, do func(p []byte, off int64) error) error {
	p, ok := image.AsPusher(u.Source)
	if !ok {
		return errors.ErrUnsupported
	}
	return p.Push(ctx, workers, do)
}

// Close stops all reads and removes the scratch file. It does not close the file.
func (u *Unpacked) Close() error {
	var errs []error
	for _, c := range slices.Backward(u.closes) {
		errs = append(errs, c())
	}
	u.closes = nil
	return errors.Join(errs...)
}

// Unpack takes an image out of its layers: gzip, bzip2, xz, zstd, an OVA, a tar archive, a container
// image. A file that is not packed is returned as it is. [OpenImage] and others call Unpack themselves,
// and use an Unpacked directly. Call Unpack to open the same image several times.
//
// format is the format of the image inside; "" means to detect it. A file that itself has the signature
// of this format is not packed.
//
// An image in an archive, or in a format other than raw, is read at any offset: with the index of the
// compressed file, or else from a scratch file. A raw disk is decompressed while it is read.
func Unpack(ctx context.Context, r io.ReaderAt, size int64, format Format, o Unpacking) (*Unpacked, error) {
	if u, ok := r.(*Unpacked); ok {
		return &Unpacked{Source: u.Source, Layers: u.Layers, InOrder: u.InOrder, Archive: u.Archive, Warnings: u.Warnings, intact: u.intact, unseen: u.unseen, packed: u.packed}, nil
	}
	src, err := source(r, size)
	if err != nil {
		return nil, err
	}
	u := &Unpacked{Source: src, packed: size, owned: true}
	for !o.Never && !u.InOrder { // an image in order is a raw disk
		l, err := u.next(format)
		if err == nil && l == nil {
			break
		}
		switch {
		case err != nil:
		case len(u.Layers) == maxLayers:
			err = fmt.Errorf("%w: %s", ErrLayers, strings.Join(append(u.Layers, l.name), " > "))
		default:
			u.Layers = append(u.Layers, l.name)
			err = l.open(ctx, u, format, o)
			if err != nil && len(u.Layers) > 1 {
				err = fmt.Errorf("in %s: %w", strings.Join(u.Layers[:len(u.Layers)-1], " > "), err)
			}
		}
		if err != nil {
			u.Close()
			return nil, err
		}
	}
	if err := o.found(u); err != nil {
		u.Close()
		return nil, err
	}
	return u, nil
}

// found returns an error if the options name a member or image that u does not have.
func (o Unpacking) found(u *Unpacked) error {
	isContainer := func(layer string) bool { return layer == string(archive.OCI) || layer == string(archive.Docker) }
	switch {
	case o.Member != "" && u.Archive == nil:
		return fmt.Errorf("there is no member %q: %w", o.Member, ErrNoArchive)
	case o.Image != "" && !slices.ContainsFunc(u.Layers, isContainer):
		return fmt.Errorf("there is no image %q: %w", o.Image, ErrNoContainer)
	}
	return nil
}

// unpack calls [Unpack] with the options of an image.
func (o ImageOptions) unpack(ctx context.Context, r io.ReaderAt, size int64) (*Unpacked, error) {
	if o.chain.Depth() > 0 {
		o.Unpack = Unpacking{Never: true}
	}
	if o.Partition != 0 { // partition tables are in several places of the disk
		o.Unpack.Random = true
	}
	return Unpack(ctx, r, size, o.Format, o.Unpack)
}

// A layer describes one way in which images are packed.
type layer struct {
	name string // its common name: "xz"

	// find reports whether a file is of this kind.
	find func(r io.ReaderAt, size int64) (bool, error)

	// open replaces u.Source, the file, by what is inside it.
	open func(ctx context.Context, u *Unpacked, format Format, o Unpacking) error
}

// layers returns the table of all layers.
func layers() []layer {
	var all []layer
	for _, k := range []compressed.Kind{compressed.Gzip, compressed.Bzip2, compressed.XZ, compressed.Zstd} {
		all = append(all, layer{string(k), func(r io.ReaderAt, size int64) (bool, error) {
			found, err := compressed.Detect(r, size)
			return found == k, err
		}, openCompressed})
	}
	return append(all, layer{string(archive.Tar), func(r io.ReaderAt, size int64) (bool, error) {
		return archive.Detect(r, size), nil
	}, openArchive})
}

// next returns the layer that u is packed in, nil if there is none. A file with the signature of a disk
// format is not packed; if it has both signatures, [Detect] reports it.
func (u *Unpacked) next(format Format) (*layer, error) {
	for _, f := range known(u, u.Size()) {
		if format == "" || f.Format == format {
			return nil, nil
		}
	}
	for _, l := range layers() {
		if is, err := l.find(u, u.Size()); is || err != nil {
			return &l, err
		}
	}
	return nil, nil
}

// formatOf returns the format of the unpacked image. A disk that is read in order is always raw.
func (u *Unpacked) formatOf(name Format) (*format, error) {
	if u.InOrder {
		name = Raw
	}
	f, err := formatOf(name, u, u.Size())
	return f, u.inMember(err)
}

// inMember adds the name of the archive member to an error.
func (u *Unpacked) inMember(err error) error {
	if err == nil || u.Archive == nil {
		return err
	}
	return fmt.Errorf("the member %q: %w", u.Archive.Member, err)
}

// oddCapacity warns if the archive gives another length for the disk than the disk has.
func (u *Unpacked) oddCapacity(size int64) []string {
	if u.Archive == nil {
		return nil
	}
	for _, d := range u.Archive.Disks {
		if d.Name == u.Archive.Member && d.Capacity > 0 && d.Capacity != size {
			return []string{fmt.Sprintf("the disk %q has %d bytes, but %d according to the descriptor of the archive", d.Name, size, d.Capacity)}
		}
	}
	return nil
}
