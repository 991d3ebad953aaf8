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

// maxLayers is how many layers an image may be packed in, such as xz and tar.
const maxLayers = 4

// Unpacking says how [Unpack] takes an image out of what it is packed in. The zero value is right for a
// file of unknown origin that is read in order.
type Unpacking struct {
	// Never takes the file as it is.
	Never bool

	// Random is for callers that read here and there: a disk that can only be unpacked in order goes to
	// the scratch file then.
	Random bool

	// Scratch makes what is needed to unpack what can neither be read in order, as a container of a disk,
	// nor at random. size is how long that becomes, or -1 if that is not known: the file grows as it is
	// written. It is closed by [Unpacked.Close]. If Scratch is nil it is memory, 32 MiB at most, and
	// [ErrScratch] beyond.
	Scratch func(size int64) (ScratchFile, error)

	// Member is the name of the file in an archive that is the disk, "" for the only disk in it. An image
	// that is in no archive is refused with it.
	Member string

	// Image is the container image to take the disk from; see [archive.Options]. It may be "" if there is
	// only one. An image that is in no container image is refused with it.
	Image string

	// Bounds of what is compressed; see [compressed.Options].
	MaxSize   int64
	MaxWindow int64

	// KnownSize refuses, as [ErrUnknownSize], a disk that has to be unpacked as a whole to find out how
	// long it is: see [UnpackStream] for what can be done with it in one pass.
	KnownSize bool
}

// A ScratchFile is a new, empty file that nobody else writes to. It is written in order; what is left out
// reads as zeros. An [os.File] is one.
type ScratchFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// Errors of [Unpack].
var (
	// ErrScratch means that there is nowhere to unpack an image to.
	ErrScratch = errors.New("the image has to be unpacked to be read, and there is nowhere to unpack it to")

	// ErrNoArchive means that a member was asked for of what is in no archive, ErrNoContainer the same of a
	// container image.
	ErrNoArchive   = errors.New("no archive")
	ErrNoContainer = errors.New("no container image")

	// ErrUnknownSize means that only unpacking all of it tells how long a disk is.
	ErrUnknownSize = errors.New("how long the disk is, is known when it is unpacked")

	// ErrLayers means that an image is packed in too many layers.
	ErrLayers = fmt.Errorf("packed in more than %d layers", maxLayers)
)

// An Unpacked is what was taken out of the layers that an image is packed in.
type Unpacked struct {
	image.Source

	// Layers are the names of what the file was packed in, from the outermost on; none if it was not.
	Layers []string

	// InOrder is as in [Image].
	InOrder bool

	// Archive tells of the archive that the image is in, the outermost one; nil if it is in none.
	Archive *ArchiveInfo

	// Warnings say what is odd about the layers, a sentence each.
	Warnings []string

	intact []func(ctx context.Context) error

	unseen bool  // it is in order, and its end may tell that it is no raw disk
	packed int64 // the length of the file
	owned  bool  // the image closes it
	closes []func() error
}

// Extents implements [image.Extenter], as far as the layers tell.
func (u *Unpacked) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return image.Extents(u.Source, off, n)
}

// Group implements [image.Grouper], as far as the layers tell.
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

// Close ends all reading, and removes the scratch file. It does not close the file.
func (u *Unpacked) Close() error {
	var errs []error
	for _, c := range slices.Backward(u.closes) {
		errs = append(errs, c())
	}
	u.closes = nil
	return errors.Join(errs...)
}

// Unpack takes an image out of what it is packed in: a file of gzip, bzip2, xz or zstd, an OVA, a tar archive,
// a container image. A file that is not packed is left as it is. [OpenImage] and others do it by themselves, and take an Unpacked as it is:
// Unpack is for callers that open the same image several times.
//
// format is what is inside, "" if the content tells. A file that has the signature of this format itself
// is not packed. An image in an archive, and a disk with a container of its own, is read at random: by the
// index of the compressed file if it has one, else it is unpacked into a scratch file. A raw disk is
// unpacked as it is read.
func Unpack(ctx context.Context, r io.ReaderAt, size int64, format Format, o Unpacking) (*Unpacked, error) {
	if u, ok := r.(*Unpacked); ok {
		return &Unpacked{Source: u.Source, Layers: u.Layers, InOrder: u.InOrder, Archive: u.Archive, Warnings: u.Warnings, intact: u.intact, unseen: u.unseen, packed: u.packed}, nil
	}
	src, err := source(r, size)
	if err != nil {
		return nil, err
	}
	u := &Unpacked{Source: src, packed: size, owned: true}
	for !o.Never && !u.InOrder { // what is in order is a raw disk
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

// found tells whether what was asked for by name was found in the layers of an image.
func (o Unpacking) found(u *Unpacked) error {
	isContainer := func(layer string) bool { return layer == string(archive.OCI) || layer == string(archive.Docker) }
	switch {
	case o.Member != "" && u.Archive == nil:
		return fmt.Errorf("there is no member %q, as this is %w", o.Member, ErrNoArchive)
	case o.Image != "" && !slices.ContainsFunc(u.Layers, isContainer):
		return fmt.Errorf("there is no image %q, as this is %w", o.Image, ErrNoContainer)
	}
	return nil
}

// unpack is [Unpack] with the options of an image.
func (o ImageOptions) unpack(ctx context.Context, r io.ReaderAt, size int64) (*Unpacked, error) {
	if o.chain.Depth() > 0 {
		o.Unpack = Unpacking{Never: true}
	}
	if o.Partition != 0 { // where it is, the disk tells in several places
		o.Unpack.Random = true
	}
	return Unpack(ctx, r, size, o.Format, o.Unpack)
}

// A layer is what this package knows of one thing that images are packed in.
type layer struct {
	name string // as people call it: "xz"

	// find tells whether a file is of this kind.
	find func(r io.ReaderAt, size int64) (bool, error)

	// open makes what is inside the source of u, whose source is the file.
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

// next returns the layer that u is of, nil if it is of none. What has the signature of a format is that,
// or both, which [Detect] tells of.
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

// formatOf returns the format of what was unpacked. Of a disk that is read in order it is known that it is
// raw.
func (u *Unpacked) formatOf(name Format) (*format, error) {
	if u.InOrder {
		name = Raw
	}
	f, err := formatOf(name, u, u.Size())
	return f, u.inMember(err)
}

// inMember says of an error which member of the archive it is about.
func (u *Unpacked) inMember(err error) error {
	if err == nil || u.Archive == nil {
		return err
	}
	return fmt.Errorf("the member %q: %w", u.Archive.Member, err)
}

// oddCapacity warns of an archive that says another length of the disk than the disk has.
func (u *Unpacked) oddCapacity(size int64) []string {
	if u.Archive == nil {
		return nil
	}
	for _, d := range u.Archive.Disks {
		if d.Name == u.Archive.Member && d.Capacity > 0 && d.Capacity != size {
			return []string{fmt.Sprintf("the disk %q has %d bytes, and %d by the descriptor of the archive", d.Name, size, d.Capacity)}
		}
	}
	return nil
}
