package luksimg

import (
	"context"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
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
	LUKS *luks.Info `json:"luks,omitempty"`

	// Warnings are all there are, also those of VHD and LUKS.
	Warnings []string `json:"warnings,omitempty"`

	// Notes are what may be meant so, and is worth a thought.
	Notes []string `json:"notes,omitempty"`
}

// Inspect tells what the image in r is, a file of size bytes: plain or encrypted, whole or
// in need of other files. No key is needed, and next to none of the data are read.
func Inspect(ctx context.Context, r io.ReaderAt, size int64, o ImageOptions) (*Info, error) {
	format := o.Format
	if format == "" {
		var err error
		if format, err = Detect(r, size); err != nil {
			return nil, err
		}
	}
	if format == LUKS1 || format == LUKS2 {
		return inspectLUKS(r, size)
	}
	i := &Info{Format: format, FileSize: size}
	if err := i.describe(ctx, r); err != nil {
		return nil, err
	}
	// Where the disk needs no key and no other file, its partition table is seen too.
	img, err := OpenImage(ctx, r, size, ImageOptions{Format: format})
	switch {
	case err == nil:
		defer img.Close()
		i.PartitionTable = LabelOf(img)
		if LabelSectorSize(img) == 4096 {
			i.Notes = append(i.Notes, "the partition table counts in sectors of 4096 bytes, and will not be found where the disk has sectors of 512")
		}
	case format == Raw:
		return nil, err
	}
	if format == Raw {
		i.VirtualSize = img.Size()
		i.DataSize, err = dataSize(img)
		return i, err
	}
	return i, nil
}

// describe asks the package of the format.
func (i *Info) describe(ctx context.Context, r io.ReaderAt) error {
	switch i.Format {
	case VHD:
		d, err := vhd.Open(r, i.FileSize, vhd.Options{MetadataOnly: true})
		if err != nil {
			return err
		}
		v := d.Info()
		i.VHD, i.Encrypted = &v, v.Encrypted
		i.VirtualSize, i.DataSize, i.Warnings = v.VirtualSize, v.AllocatedBytes, v.Warnings
	case QCOW2:
		d, err := qcow.Open(ctx, r, i.FileSize, qcow.Options{MetadataOnly: true})
		if err != nil {
			return err
		}
		q, err := d.Info(ctx)
		if err != nil {
			return err
		}
		i.QCOW, i.Encrypted = &q, q.Encryption != ""
		i.VirtualSize, i.DataSize, i.Warnings = q.VirtualSize, q.AllocatedBytes, q.Warnings
	case VHDX:
		d, err := vhdx.Open(r, i.FileSize, vhdx.Options{MetadataOnly: true})
		if err != nil {
			return err
		}
		v, err := d.Info(ctx)
		if err != nil {
			return err
		}
		i.VHDX = &v
		i.VirtualSize, i.DataSize, i.Warnings = v.VirtualSize, v.AllocatedBytes, v.Warnings
	case VMDK:
		d, err := vmdk.Open(r, i.FileSize, vmdk.Options{MetadataOnly: true})
		if err != nil {
			return err
		}
		v, err := d.Info(ctx)
		if err != nil {
			return err
		}
		i.VMDK = &v
		i.VirtualSize, i.DataSize, i.Warnings = v.VirtualSize, v.AllocatedBytes, v.Warnings
	}
	return nil
}

func inspectLUKS(r io.ReaderAt, size int64) (*Info, error) {
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
	i.DataSize, err = dataSize(src)
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
func dataSize(src image.Source) (int64, error) {
	var n int64
	for e, err := range image.Extents(src, 0, src.Size()) {
		if err != nil {
			return 0, err
		}
		if e.Kind == image.Data {
			n += e.Length
		}
	}
	return n, nil
}
