package luksimg

import (
	"bytes"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vhd"
	"github.com/luksimg/luksimg/vhdx"
	"github.com/luksimg/luksimg/vmdk"
)

// signatures tell formats that can not be read here, so that no such file is taken
// for a raw disk. A disk may start with any bytes, but one that can be booted, or
// has a filesystem, does not start with these.
var signatures = []struct {
	name   string
	offset int
	magic  string
}{
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
	// A file that was cut off short is one of these all the same, and not a raw disk.
	if vhdx.Detect(r, size) || bytes.HasPrefix(head, []byte("vhdxfile")) {
		return VHDX, nil
	}
	if vmdk.Detect(r, size) || bytes.HasPrefix(head, []byte("KDMV")) || bytes.HasPrefix(head, []byte("COWD")) {
		return VMDK, nil
	}
	for _, s := range signatures {
		if len(head) > s.offset && bytes.HasPrefix(head[s.offset:], []byte(s.magic)) {
			return "", fmt.Errorf("%w: this is a %s file", ErrUnsupportedFormat, s.name)
		}
	}
	return Raw, nil
}
