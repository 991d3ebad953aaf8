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

// A format is what this package knows of one format that it reads. To add one, write its
// package and add an entry to [formats]: all verbs walk that.
type format struct {
	name Format
	text string // with its article: "a VHD image"

	// find returns where the signature of the format is in a file of size bytes. A file
	// that was cut off short has the format all the same.
	find func(r io.ReaderAt, size int64) (off int64, ok bool)

	// open makes the disk in the container the source of i, whose source is the file, and sets
	// what describes it and what checks it, if the format has a structure.
	open func(ctx context.Context, i *Image, size int64, o ImageOptions) error

	// check checks an image that can not be opened too. It is nil if no such is checked.
	check func(ctx context.Context, r io.ReaderAt, size int64) (*CheckResult, error)

	// make makes encrypted images. It is nil for a format that is only read.
	make *maker

	// plain writes disks that are not encrypted. It is nil for a format that is not written.
	plain *plain

	// backing are the names that qcow2 headers have for the format of a backing file, besides
	// that of the format itself.
	backing []string
}

// formats returns the table of all formats, in the order in which people know them.
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

// Formats returns the formats that can be read, each by the name that [ImageOptions.Format] takes.
func Formats() []Format {
	var all []Format
	for _, f := range formats() {
		all = append(all, f.name)
	}
	return all
}

// formatOf returns the entry of a format, or of the one that a file of size bytes has if name
// is "".
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

// backingFormat translates what an image calls the format of another file; "" is not known.
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

// at is for formats that have their signature at off.
func at(off int64, signature string) func(io.ReaderAt, int64) (int64, bool) {
	return func(r io.ReaderAt, size int64) (int64, bool) {
		b := make([]byte, len(signature))
		return off, size >= off+int64(len(b)) && pieces.ReadFull(r, b, off) == nil && string(b) == signature
	}
}

func findVMDK(r io.ReaderAt, size int64) (int64, bool) { return 0, vmdk.Detect(r, size) }

// findLUKS2 leaves the later versions of LUKS, if there will be any, to the package luks.
func findLUKS2(r io.ReaderAt, size int64) (int64, bool) {
	_, is := at(0, "LUKS\xba\xbe")(r, size)
	_, one := at(0, "LUKS\xba\xbe\x00\x01")(r, size)
	return 0, is && !one
}

// findQCOW2 leaves out version 1, which is another format.
func findQCOW2(r io.ReaderAt, size int64) (int64, bool) {
	_, old := at(0, "QFI\xfb\x00\x00\x00\x01")(r, size)
	return 0, !old && qcow.Detect(r, size)
}
