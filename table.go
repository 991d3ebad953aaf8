package luksimg

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/luksimg/luksimg/internal/pieces"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vhd"
	"github.com/luksimg/luksimg/vmdk"
)

// A format describes one format that this package reads. To add one, write its package and add an entry
// to [formats]: all verbs use that table.
type format struct {
	name Format
	text string // with its article: "a VHD image"

	// find returns the offset of the format's signature in a file of size bytes. It also finds the
	// signature in a truncated file.
	find func(r io.ReaderAt, size int64) (off int64, ok bool)

	// open replaces i.Source, the file, by the disk inside it, and sets the functions that describe and
	// check it.
	open func(ctx context.Context, i *Image, size int64, o ImageOptions) error

	// check also checks images that cannot be opened. It is nil if such images are not checked.
	check func(ctx context.Context, r io.ReaderAt, size int64) (*CheckResult, error)

	// make makes encrypted images. It is nil for a format that is only read.
	make *maker

	// plain writes disks that are not encrypted. It is nil for a format that is not written.
	plain *plain

	// backing are the names that qcow2 headers use for the format of a backing file, besides its own
	// name.
	backing []string
}

// formats returns the table of all formats, the best known first.
func formats() []format {
	return []format{
		{Raw, "a raw disk", never, openRaw, nil, nil, &rawPlain, []string{"host_device", "file"}},
		{VHD, "a VHD image", vhd.Find, openVHD, checkVHD, &vhdMaker, &vhdPlain, []string{"vpc"}},
		{VHDX, "a VHDX image", at(0, "vhdxfile"), openVHDX, nil, nil, &vhdxPlain, nil},
		{VMDK, "a VMDK image", findVMDK, openVMDK, nil, nil, &vmdkPlain, nil},
		{VDI, "a VDI image", at(64, "\x7f\x10\xda\xbe"), openVDI, nil, nil, nil, nil},
		{QCOW2, "a qcow2 image", findQCOW2, openQCOW, nil, &qcow2Maker, &qcow2Plain, nil},
		{LUKS1, "a LUKS1 image", at(0, "LUKS\xba\xbe\x00\x01"), openLUKS, nil, &luks1Maker, nil, []string{"luks"}},
		{LUKS2, "a LUKS2 image", findLUKS2, openLUKS, nil, &luks2Maker, nil, nil},
	}
}

// Formats returns the formats that can be read, by the names that [ImageOptions.Format] accepts.
func Formats() []Format {
	var all []Format
	for _, f := range formats() {
		all = append(all, f.name)
	}
	return all
}

// formatOf returns the entry of a format. If name is "", it detects the format of the file of size
// bytes.
func formatOf(name Format, r io.ReaderAt, size int64) (*format, error) {
	if name == "" {
		var err error
		if name, err = Detect(r, size); err != nil {
			return nil, err
		}
	}
	for _, f := range formats() {
		if f.name == name {
			return &f, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrUnsupportedFormat, name)
}

// backingFormat translates the name of a backing file's format; it returns "" for an empty name.
func backingFormat(name string) (Format, error) {
	if name == "" {
		return "", nil
	}
	for _, f := range formats() {
		if string(f.name) == name || slices.Contains(f.backing, name) {
			return f.name, nil
		}
	}
	return "", fmt.Errorf("%w: a backing file of format %q", ErrUnsupportedFormat, name)
}

func never(io.ReaderAt, int64) (int64, bool) { return 0, false }

// at returns a find function for formats with a signature at off.
func at(off int64, signature string) func(io.ReaderAt, int64) (int64, bool) {
	return func(r io.ReaderAt, size int64) (int64, bool) {
		b := make([]byte, len(signature))
		return off, size >= off+int64(len(b)) && pieces.ReadFull(r, b, off) == nil && string(b) == signature
	}
}

func findVMDK(r io.ReaderAt, size int64) (int64, bool) { return 0, vmdk.Detect(r, size) }

// findLUKS2 also matches later LUKS versions, which package luks refuses.
func findLUKS2(r io.ReaderAt, size int64) (int64, bool) {
	_, is := at(0, "LUKS\xba\xbe")(r, size)
	_, one := at(0, "LUKS\xba\xbe\x00\x01")(r, size)
	return 0, is && !one
}

// findQCOW2 excludes version 1, which is another format.
func findQCOW2(r io.ReaderAt, size int64) (int64, bool) {
	_, old := at(0, "QFI\xfb\x00\x00\x00\x01")(r, size)
	return 0, !old && qcow.Detect(r, size)
}
