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

// Info is what [Inspect] finds out about an image. Its JSON form is stable; members
// may be added.
type Info struct {
	Format   Format `json:"format"`
	FileSize int64  `json:"file_size"` // bytes

	// Layers are what the image is packed in, from the outermost on, such as "xz"; UnpackedSize is
	// its length in bytes when it was taken out of them.
	Layers       []string `json:"packed,omitempty"`
	UnpackedSize int64    `json:"unpacked_size,omitempty"`

	// Archive tells of the archive that the image is in. If that has several disks, and none was named,
	// the format is the kind of the archive, such as "ova", and no disk is described.
	Archive *ArchiveInfo `json:"archive,omitempty"`

	// VirtualSize is the length of the disk in bytes, in LUKS that of the plaintext.
	VirtualSize int64 `json:"virtual_size"`

	// DataSize is how much of the disk, or of the file if it is encrypted, is not
	// known to be zeros, in bytes.
	DataSize int64 `json:"data_size"`

	// Encrypted tells that the disk can not be seen without a key.
	Encrypted bool `json:"encrypted"`

	// PartitionTable is that of a disk that is not encrypted.
	PartitionTable DiskLabel `json:"partition_table,omitempty"`

	VHD  *vhd.Info  `json:"vhd,omitempty"`
	QCOW *qcow.Info `json:"qcow2,omitempty"`
	VHDX *vhdx.Info `json:"vhdx,omitempty"`
	VMDK *vmdk.Info `json:"vmdk,omitempty"`
	VDI  *vdi.Info  `json:"vdi,omitempty"`
	LUKS *luks.Info `json:"luks,omitempty"`

	// Regions are the headers and tables in the file, by what the format says, not of LUKS.
	Regions []image.Region `json:"-"`

	// Disk is the disk, open, if it can be seen without a key and without other files. There is
	// nothing to close, unless the image was packed, or it is a partition of one that was opened with a key.
	Disk *Image `json:"-"`

	// Warnings are all there are, also those of VHD and LUKS.
	Warnings []string `json:"warnings,omitempty"`

	// Notes are what may be meant so, and is worth a thought.
	Notes []string `json:"notes,omitempty"`
}

// Inspect tells what the image in r is, a file of size bytes: plain or encrypted, whole or
// in need of other files. No key is needed, and next to none of the data are read. With
// [ImageOptions.Partition] the partition is the image, and is found as [OpenImage] does: only if the
// whole image is encrypted that takes a key, and is [ErrEncrypted] without one. A packed image is
// unpacked to be read at random; see [Unpack].
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

// inspect tells what an image is that is not packed.
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
	// Where the disk needs no other file, its partition table is seen too.
	i.Disk, i.PartitionTable = img, LabelOf(img)
	if LabelSectorSize(img) == 4096 {
		i.Notes = append(i.Notes, "the partition table counts in sectors of 4096 bytes, and will not be found where the disk has sectors of 512")
	}
	return i, nil
}

// look opens an image as far as that goes without its key and without other files.
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
		i.Warnings = append(i.Warnings, "this is a detached header: the data are elsewhere")
	case size < end, l.DataSize == 0 && size <= l.DataOffset:
		i.Warnings = append(i.Warnings, fmt.Sprintf("the file ends at byte %d, before the data do: it was cut off", size))
	}
	if len(l.Keyslots) == 0 {
		i.Warnings = append(i.Warnings, "there is no key slot: only the volume key opens this image")
	}
	i.Notes = notes(l)
	n, err := dataSize(ctx, src)
	i.DataSize = n
	return i, err
}

// What is less than these is weak for a passphrase, by the minimum of OWASP's Password
// Storage Cheat Sheet.
const (
	weakIterations = 210_000
	weakMemory     = 7 << 10 // KiB
)

// notes tells what of a LUKS header is worth a thought.
func notes(l luks.Info) []string {
	var all []string
	note := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, s := range l.Keyslots {
		switch {
		case s.Problem != "":
		case s.KDF == luks.PBKDF2 && s.Iterations < weakIterations:
			note("key slot %d: %d iterations are right for a generated key, and few for a passphrase", s.Slot, s.Iterations)
		case s.KDF != luks.PBKDF2 && s.Memory < weakMemory:
			note("key slot %d: %d KiB of memory are right for a generated key, and little for a passphrase", s.Slot, s.Memory)
		}
	}
	if len(l.Keyslots) == 1 {
		note("there is one key slot: without its key the data are lost")
	}
	if l.SectorSize != 512 {
		note("with sectors of %d bytes a partition table inside must count in those", l.SectorSize)
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

// ErrOtherHeader is a detached header whose data do not fit into the file with the data.
var ErrOtherHeader = errors.New("not its header")

// InspectDetached tells what a LUKS image is whose header is detached, and whose data are in a file
// of size bytes.
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
		return nil, fmt.Errorf("%w: by that the data start at %d and have %d bytes at least, and the file has %d", ErrOtherHeader, h.DataOffset(), least, size)
	}
	if h.DataSize() > 0 {
		i.DataSize = h.DataSize()
	}
	i.VirtualSize = i.DataSize - i.DataSize%int64(h.SectorSize())
	return i, nil
}
