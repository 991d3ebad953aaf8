package luksimg

import (
	"context"
	"fmt"
	"io"

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

	// Warnings are all there are, also those of VHD and LUKS.
	Warnings []string `json:"warnings,omitempty"`

	// Notes are what may be meant so, and is worth a thought.
	Notes []string `json:"notes,omitempty"`
}

// Inspect tells what the image in r is, a file of size bytes: plain or encrypted, whole or
// in need of other files. No key is needed, and next to none of the data are read.
func Inspect(ctx context.Context, r io.ReaderAt, size int64, o ImageOptions) (*Info, error) {
	r = holes(r, size)
	f, err := formatOf(o.Format, r, size)
	if err != nil {
		return nil, err
	}
	i, err := f.inspect(ctx, r, size)
	if err != nil {
		return nil, err
	}
	if i.Encrypted {
		return i, nil
	}
	// Where the disk needs no other file, its partition table is seen too.
	img, err := OpenImage(ctx, r, size, ImageOptions{Format: f.name})
	if err != nil {
		return i, nil
	}
	defer img.Close()
	i.PartitionTable = LabelOf(img)
	if LabelSectorSize(img) == 4096 {
		i.Notes = append(i.Notes, "the partition table counts in sectors of 4096 bytes, and will not be found where the disk has sectors of 512")
	}
	return i, nil
}

func inspectRaw(ctx context.Context, r io.ReaderAt, size int64) (*Info, error) {
	src, err := source(r, size)
	if err != nil {
		return nil, err
	}
	i := &Info{Format: Raw, FileSize: size, VirtualSize: src.Size()}
	i.DataSize, err = dataSize(ctx, src)
	return i, err
}

func inspectVHD(ctx context.Context, r io.ReaderAt, size int64) (*Info, error) {
	d, err := vhd.Open(ctx, r, size, vhd.Options{MetadataOnly: true})
	if err != nil {
		return nil, err
	}
	v, err := d.Info(ctx)
	return &Info{Format: VHD, FileSize: size, VirtualSize: v.VirtualSize, DataSize: v.AllocatedBytes,
		Encrypted: v.Encrypted, VHD: &v, Warnings: v.Warnings}, err
}

func inspectQCOW(ctx context.Context, r io.ReaderAt, size int64) (*Info, error) {
	d, err := qcow.Open(ctx, r, size, qcow.Options{MetadataOnly: true})
	if err != nil {
		return nil, err
	}
	q, err := d.Info(ctx)
	return &Info{Format: QCOW2, FileSize: size, VirtualSize: q.VirtualSize, DataSize: q.AllocatedBytes,
		Encrypted: q.Encryption != "", QCOW: &q, Warnings: q.Warnings}, err
}

func inspectVHDX(ctx context.Context, r io.ReaderAt, size int64) (*Info, error) {
	d, err := vhdx.Open(ctx, r, size, vhdx.Options{MetadataOnly: true})
	if err != nil {
		return nil, err
	}
	v, err := d.Info(ctx)
	return &Info{Format: VHDX, FileSize: size, VirtualSize: v.VirtualSize, DataSize: v.AllocatedBytes,
		VHDX: &v, Warnings: v.Warnings}, err
}

func inspectVMDK(ctx context.Context, r io.ReaderAt, size int64) (*Info, error) {
	d, err := vmdk.Open(ctx, r, size, vmdk.Options{MetadataOnly: true})
	if err != nil {
		return nil, err
	}
	v, err := d.Info(ctx)
	return &Info{Format: VMDK, FileSize: size, VirtualSize: v.VirtualSize, DataSize: v.AllocatedBytes,
		VMDK: &v, Warnings: v.Warnings}, err
}

func inspectVDI(ctx context.Context, r io.ReaderAt, size int64) (*Info, error) {
	d, err := vdi.Open(ctx, r, size, vdi.Options{MetadataOnly: true})
	if err != nil {
		return nil, err
	}
	v, err := d.Info(ctx)
	return &Info{Format: VDI, FileSize: size, VirtualSize: v.VirtualSize, DataSize: v.AllocatedBytes,
		VDI: &v, Warnings: v.Warnings}, err
}

func inspectLUKS(ctx context.Context, r io.ReaderAt, size int64) (*Info, error) {
	h, err := luks.Open(r, size, luks.OpenOptions{})
	if err != nil {
		return nil, err
	}
	l := h.Info()
	i := &Info{Format: LUKS2, FileSize: size, Encrypted: true, LUKS: &l, Warnings: l.Warnings}
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
	src, err := source(r, size)
	if err != nil {
		return nil, err
	}
	i.DataSize, err = dataSize(ctx, src)
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
