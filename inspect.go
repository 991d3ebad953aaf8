package luksimg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vdi"
	"github.com/luksimg/luksimg/vhd"
	"github.com/luksimg/luksimg/vhdx"
	"github.com/luksimg/luksimg/vmdk"
)

// Info describes an image; see [Inspect]. Its JSON form is stable, but new members can be added.
type Info struct {
	Format   Format `json:"format"`
	FileSize int64  `json:"file_size"` // bytes

	// Layers name what the image is packed in, such as "xz", outermost first. UnpackedSize is the
	// length in bytes of the file inside them.
	Layers       []string `json:"packed,omitempty"`
	UnpackedSize int64    `json:"unpacked_size,omitempty"`

	// Archive describes the archive that contains the image. If it has several disks and none was
	// named, Format is the kind of the archive, such as "ova", and no disk is described.
	Archive *ArchiveInfo `json:"archive,omitempty"`

	// VirtualSize is the length of the disk in bytes, for LUKS the length of the plaintext.
	VirtualSize int64 `json:"virtual_size"`

	// DataSize is the number of bytes not known to be zeros: bytes of the disk, or of the file if it is
	// encrypted.
	DataSize int64 `json:"data_size"`

	// Encrypted reports whether the disk cannot be read without a key.
	Encrypted bool `json:"encrypted"`

	// PartitionTable is the kind of partition table, "" if the disk is encrypted or cannot be read.
	PartitionTable DiskLabel `json:"partition_table,omitempty"`

	VHD  *vhd.Info  `json:"vhd,omitempty"`
	QCOW *qcow.Info `json:"qcow2,omitempty"`
	VHDX *vhdx.Info `json:"vhdx,omitempty"`
	VMDK *vmdk.Info `json:"vmdk,omitempty"`
	VDI  *vdi.Info  `json:"vdi,omitempty"`
	LUKS *luks.Info `json:"luks,omitempty"`

	// Regions are the headers and tables in the file, as the format describes them. LUKS has none.
	Regions []image.Region `json:"-"`

	// Disk is the open disk, if it can be read without a key and without other files. Close it if the
	// image was packed, or if it is a partition of a disk that was opened with a key. Else Close does
	// nothing.
	Disk *Image `json:"-"`

	// Warnings describe oddities of the image. They include those of the format's package.
	Warnings []string `json:"warnings,omitempty"`

	// Notes describe settings that can be intended but deserve a look.
	Notes []string `json:"notes,omitempty"`
}

// Inspect describes the image in r, a file of size bytes, whether or not it is encrypted or needs other
// files. It needs no key and reads almost no data.
//
// With [ImageOptions.Partition] it describes that partition, which it finds as [OpenImage] does. If the
// whole image is encrypted, that needs the key: without it the error is [ErrEncrypted]. A packed image
// is unpacked for random access; see [Unpack].
func Inspect(ctx context.Context, r io.ReaderAt, size int64, o ImageOptions) (*Info, error) {
	o.Unpack.Random = true
	u, err := o.unpack(ctx, r, size)
	if err != nil {
		return archiveInfo(err, size)
	}
	var i *Info
	if o.Partition != 0 {
		i, err = inspectPartition(ctx, u, u.Size(), o)
	} else {
		i, err = inspect(ctx, u, o)
	}
	if err != nil {
		u.Close()
		return nil, err
	}
	i.Archive = u.Archive
	if i.Layers = u.Layers; len(u.Layers) > 0 {
		i.UnpackedSize, i.FileSize = i.FileSize, u.packed
	}
	i.Warnings = append(u.Warnings, i.Warnings...)
	switch {
	case !u.owned:
	case i.Disk == nil:
		err = u.Close()
	default:
		i.Disk.close = append(i.Disk.close, u.Close)
	}
	return i, err
}

// inspect describes an unpacked image.
func inspect(ctx context.Context, u *Unpacked, o ImageOptions) (*Info, error) {
	f, err := u.formatOf(o.Format)
	if err != nil {
		return nil, err
	}
	img, err := look(ctx, f, u.Source, u.Size(), o.LUKS)
	if err != nil {
		return nil, u.inMember(err)
	}
	i, err := img.info(ctx)
	if err != nil {
		return nil, u.inMember(err)
	}
	if !img.blind {
		i.Warnings = append(i.Warnings, u.oddCapacity(i.VirtualSize)...)
	}
	if img.blind || i.Encrypted {
		return i, nil
	}
	// If the disk needs no other file, its partition table can be read too.
	i.Disk, i.PartitionTable = img, LabelOf(img)
	if LabelSectorSize(img) == 4096 {
		i.Notes = append(i.Notes, "the partition table counts in sectors of 4096 bytes, and will not be found where the disk has sectors of 512")
	}
	return i, nil
}

// look opens an image as far as possible without its key and without other files.
func look(ctx context.Context, f *format, r io.ReaderAt, size int64, o luks.OpenOptions) (*Image, error) {
	src, err := source(r, size)
	if err != nil {
		return nil, err
	}
	i := &Image{Source: src, Format: f.name}
	return i, f.open(ctx, i, size, ImageOptions{look: true, top: i, LUKS: o})
}

// rawInfo describes a raw disk.
func rawInfo(ctx context.Context, src image.Source) (*Info, error) {
	n, err := dataSize(ctx, src)
	return &Info{Format: Raw, FileSize: src.Size(), VirtualSize: src.Size(), DataSize: n}, err
}

// luksInfo describes a LUKS image in src.
func luksInfo(ctx context.Context, h *luks.Header, src image.Source) (*Info, error) {
	size := src.Size()
	l := h.Info()
	i := &Info{Format: LUKS2, FileSize: size, Encrypted: true, LUKS: &l, Warnings: slices.Concat(l.Warnings, tokenWarnings(&l))}
	if l.Version == 1 {
		i.Format = LUKS1
	}
	i.VirtualSize = l.DataSize
	if l.DataSize == 0 {
		i.VirtualSize = max(0, size-l.DataOffset)
		i.VirtualSize -= i.VirtualSize % int64(l.SectorSize)
	}
	switch end := l.DataOffset + l.DataSize; {
	case l.DataOffset == 0:
		i.Warnings = append(i.Warnings, "this is a detached header: the data are in another file")
	case size < end, l.DataSize == 0 && size <= l.DataOffset:
		i.Warnings = append(i.Warnings, fmt.Sprintf("the file is truncated: it ends at byte %d, before the end of its data", size))
	}
	if len(l.Keyslots) == 0 {
		i.Warnings = append(i.Warnings, "there is no key slot: only the volume key opens this image")
	}
	i.Notes = notes(l)
	n, err := dataSize(ctx, src)
	i.DataSize = n
	return i, err
}

// Lower values are weak for a passphrase: these are the minimum of OWASP's Password Storage Cheat
// Sheet.
const (
	weakIterations = 210_000
	weakMemory     = 7 << 10 // KiB
)

// notes describes the settings of a LUKS header that deserve a look.
func notes(l luks.Info) []string {
	var all []string
	note := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, s := range l.Keyslots {
		switch {
		case s.Problem != "":
		case s.KDF == luks.PBKDF2 && s.Iterations < weakIterations:
			note("key slot %d: %d iterations are enough for a generated key, but few for a passphrase", s.Slot, s.Iterations)
		case s.KDF != luks.PBKDF2 && s.Memory < weakMemory:
			note("key slot %d: %d KiB of memory are enough for a generated key, but little for a passphrase", s.Slot, s.Memory)
		}
	}
	if len(l.Keyslots) == 1 {
		note("there is one key slot: without its key the data are lost")
	}
	if l.SectorSize != 512 {
		note("a partition table inside must count in sectors of %d bytes", l.SectorSize)
	}
	return all
}

// dataSize returns how many bytes of src are not known to be zeros.
func dataSize(ctx context.Context, src image.Source) (int64, error) {
	var n int64
	for e, err := range image.ExtentsContext(ctx, src, 0, src.Size()) {
		if err != nil {
			return 0, err
		}
		if e.Kind == image.Data {
			n += e.Length
		}
	}
	return n, nil
}

// ErrOtherHeader means that a detached header does not match the file with the data.
var ErrOtherHeader = errors.New("not the header of these data")

// InspectDetached describes a LUKS image with a detached header, whose data are in a file of size
// bytes. If the file is too short for the header, the error is [ErrOtherHeader].
func InspectDetached(ctx context.Context, header image.Source, size int64, o ImageOptions) (*Info, error) {
	h, err := luks.Open(header, header.Size(), o.LUKS)
	if err != nil {
		return nil, err
	}
	i, err := Inspect(ctx, header, header.Size(), o)
	if err != nil {
		return nil, err
	}
	i.FileSize, i.DataSize = size, size-h.DataOffset()
	if least := max(h.DataSize(), int64(h.SectorSize())); i.DataSize < least {
		return nil, fmt.Errorf("%w: it puts the data at byte %d with at least %d bytes, the file has %d", ErrOtherHeader, h.DataOffset(), least, size)
	}
	if h.DataSize() > 0 {
		i.DataSize = h.DataSize()
	}
	i.VirtualSize = i.DataSize - i.DataSize%int64(h.SectorSize())
	return i, nil
}
