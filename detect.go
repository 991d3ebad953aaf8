package luksimg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vhd"
)

// signatures tell formats that can not be read here, so that no such file is taken
// for a raw disk. A disk may start with any bytes, but one that can be booted, or
// has a filesystem, does not start with these.
var signatures = []struct {
	name   string
	offset int
	magic  string
}{
	{"VHDX", 0, "vhdxfile"},
	{"VMDK", 0, "KDMV"},
	{"VMDK", 0, "COWD"},
	{"VMDK descriptor", 0, "# Disk DescriptorFile"},
	{"VDI", 64, "\x7f\x10\xda\xbe"},
	{"QED", 0, "QED\x00"},
	{"Parallels", 0, "WithoutFreeSpace"},
	{"Parallels", 0, "WithouFreSpacExt"},
	{"gzip-compressed", 0, "\x1f\x8b\x08"},
	{"xz-compressed", 0, "\xfd7zXZ\x00"},
	{"zstd-compressed", 0, "\x28\xb5\x2f\xfd"},
	{"bzip2-compressed", 0, "BZh91AY&SY"},
	{"zip", 0, "PK\x03\x04"},
	{"tar or OVA", 257, "ustar"},
}

// Detect tells the format of the image in r, a file of size bytes, from its
// content. What has no signature is [Raw]. A format that is known by name only is
// [ErrUnsupportedFormat].
func Detect(r io.ReaderAt, size int64) (Format, error) {
	head := make([]byte, min(512, max(size, 0)))
	if n, err := r.ReadAt(head, 0); n < len(head) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return "", fmt.Errorf("reading the start of the image: %w", err)
	}
	if luks.Detect(r, size) {
		if bytes.HasPrefix(head, []byte("LUKS\xba\xbe\x00\x01")) {
			return LUKS1, nil
		}
		return LUKS2, nil
	}
	if vhd.Detect(r, size) {
		return VHD, nil
	}
	if qcow.Detect(r, size) {
		return QCOW2, nil
	}
	for _, s := range signatures {
		if len(head) > s.offset && bytes.HasPrefix(head[s.offset:], []byte(s.magic)) {
			return "", fmt.Errorf("%w: this is a %s file", ErrUnsupportedFormat, s.name)
		}
	}
	return Raw, nil
}

// An Image is the plaintext of a disk image, as its guest sees it, whatever the
// container. It is safe for concurrent use.
type Image struct {
	image.Source

	// Format is that of the container.
	Format Format

	// Warnings say what is odd about the image, a sentence each.
	Warnings []string
}

// ImageOptions say how to open an image. The zero value is right.
type ImageOptions struct {
	// Format, if not "", is taken for granted: nothing is detected.
	Format Format
}

// OpenImage opens the unencrypted image in r, a file of size bytes; see [Detect]
// for its format. If r is an [os.File] or an [image.Source], its holes are not
// read. It never opens another file. LUKS is [ErrEncrypted]: for that see package
// luks.
func OpenImage(r io.ReaderAt, size int64, o ImageOptions) (*Image, error) {
	format := o.Format
	if format == "" {
		var err error
		if format, err = Detect(r, size); err != nil {
			return nil, err
		}
	}
	src, err := source(r, size)
	if err != nil {
		return nil, err
	}
	switch format {
	case Raw:
		return &Image{Source: src, Format: Raw}, nil
	case VHD:
		d, err := vhd.Open(src, size, vhd.Options{})
		if err != nil {
			return nil, err
		}
		info := d.Info()
		if info.Encrypted {
			return nil, fmt.Errorf("%w: a VHD whose blocks are encrypted", ErrEncrypted)
		}
		return &Image{Source: d, Format: VHD, Warnings: info.Warnings}, nil
	case QCOW2:
		return openQCOW(src, size)
	case LUKS1, LUKS2:
		return nil, fmt.Errorf("%w with %s", ErrEncrypted, map[Format]string{LUKS1: "LUKS1", LUKS2: "LUKS2"}[format])
	}
	return nil, fmt.Errorf("%w: %q", ErrUnsupportedFormat, format)
}

// openQCOW opens a qcow2 image that is complete in itself.
func openQCOW(src image.Source, size int64) (*Image, error) {
	d, err := qcow.Open(src, size, qcow.Options{MetadataOnly: true})
	if err != nil {
		return nil, err
	}
	if e := d.Encryption(); e != "" {
		return nil, fmt.Errorf("%w: a qcow2 image with %s", ErrEncrypted, e)
	}
	if d, err = qcow.Open(src, size, qcow.Options{}); err != nil {
		return nil, err
	}
	return &Image{Source: d, Format: QCOW2, Warnings: d.Warnings()}, nil
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
