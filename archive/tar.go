package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/luksimg/luksimg/image"
)

// blockSize is the unit of a tar archive in bytes; POSIX.1-2017, pax, "ustar Interchange Format".
const blockSize = 512

const (
	// maxMembers suffices for an archive of disks. An archive of the files of a system has more
	// members, but no disk.
	maxMembers = 1 << 16
	maxNames   = 4 << 20 // total bytes of all names
)

// A member is a file in a tar archive.
type member struct {
	name   string // without a leading "./"
	kind   byte   // a Typeflag of archive/tar
	link   string // target of a link
	header int64  // offset of its first header
	off    int64  // offset of its data in the archive
	stored int64  // length of its data in the archive
	size   int64  // length of the file, more than stored if it is sparse
	sparse []run  // offsets of the stored data, nil if the file is not sparse
}

func (m *member) regular() bool { return m.kind == tar.TypeReg || m.kind == tar.TypeGNUSparse }

// end returns the offset of the next header.
func (m *member) end() int64 { return m.off + roundUp(m.stored) }

func roundUp(n int64) int64 { return (n + blockSize - 1) &^ (blockSize - 1) }

// Detect reports whether r, a file of size bytes, starts with the header of a tar member. It reads 512
// bytes.
func Detect(r io.ReaderAt, size int64) bool {
	b := make([]byte, blockSize)
	if size < blockSize {
		return false
	}
	if _, err := image.ReadFull(r, b, 0); err != nil || len(bytes.Trim(b, "\x00")) == 0 {
		return false
	}
	const offSum, sumSize = 148, 8
	want, ok := number(b[offSum : offSum+sumSize])
	sum := int64(sumSize * ' ')
	for i, c := range b {
		if i < offSum || i >= offSum+sumSize {
			sum += int64(c)
		}
	}
	_, size1 := number(b[124:136])
	return ok && sum == want && size1 && b[0] != 0
}

// number parses a number in a header: octal digits, or a binary number if the first bit is set, as GNU
// tar writes large numbers.
func number(b []byte) (n int64, ok bool) {
	if len(b) > 0 && b[0]&0x80 != 0 {
		n = int64(b[0] & 0x7f)
		for _, c := range b[1:] {
			if n > math.MaxInt64>>8 {
				return 0, false
			}
			n = n<<8 | int64(c)
		}
		return n, b[0]&0x40 == 0 // not negative
	}
	b = bytes.Trim(b, " \x00")
	for _, c := range b {
		if c < '0' || c > '7' || n > math.MaxInt64>>3 {
			return 0, false
		}
		n = n<<3 | int64(c-'0')
	}
	return n, true
}

// walk calls visit for all members of the archive in r, in order, until visit returns an error or
// errStop. It does not read data. If size is unknown, it is math.MaxInt64, and the end of r is the end
// of the archive.
func walk(ctx context.Context, r io.ReaderAt, size int64, visit func(*member) error) (warnings []string, err error) {
	section := &headerReader{SectionReader: io.NewSectionReader(r, 0, size)}
	t := tar.NewReader(section)
	start := int64(0) // offset of the header
	runs := 0
	for n := 0; ; n++ {
		section.left = maxHeaders
		if n%256 == 0 && ctx.Err() != nil {
			return warnings, context.Cause(ctx)
		}
		h, err := t.Next()
		switch {
		case err == io.EOF:
			return endMark(r, start), nil
		case errors.Is(err, tar.ErrHeader):
			return warnings, fieldError(start, "header", "invalid", "the header of a tar member")
		case errors.Is(err, errHeaders):
			return warnings, fieldError(start, "length of the headers", fmt.Sprintf("more than %d bytes", maxHeaders), "the headers of one member")
		case errors.Is(err, io.ErrUnexpectedEOF):
			return warnings, fieldError(start, "header", "cut off", "the whole header of a member")
		case err != nil && section.err == nil && !errors.Is(err, tar.ErrInsecurePath):
			return warnings, fieldError(start, "header", err, "the header of a tar member")
		case err != nil && !errors.Is(err, tar.ErrInsecurePath):
			return warnings, fmt.Errorf("tar: the member at offset %d: %w", start, err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			// Programs differ in their treatment of these global records.
			for _, key := range []string{"path", "linkpath", "size"} {
				if h.PAXRecords[key] != "" {
					return warnings, fieldError(start, "global header record "+key, h.PAXRecords[key], "none, because it would apply to all members")
				}
			}
			if start, err = section.Seek(0, io.SeekCurrent); err != nil {
				return warnings, err
			}
			start = roundUp(start)
			continue
		}
		m := &member{name: cleanName(h.Name), kind: h.Typeflag, link: h.Linkname, header: start, size: h.Size, stored: h.Size}
		if m.off, err = section.Seek(0, io.SeekCurrent); err != nil {
			return warnings, err
		}
		if !m.regular() {
			m.stored = dataOf(h)
		}
		if err := m.sparseMap(r, h); err != nil {
			return warnings, err
		}
		if runs += len(m.sparse); runs > maxRuns {
			return warnings, fieldError(start, "map of sparse files", fmt.Sprintf("more than %d runs", maxRuns), "fewer")
		}
		if m.stored < 0 || m.stored > size-m.off {
			return warnings, fieldError(start, "size", m.stored, fmt.Sprintf("at most %d, the rest of the archive: it is truncated", size-m.off))
		}
		start = m.end()
		switch err := visit(m); {
		case err == errStop:
			return warnings, nil
		case err != nil:
			return warnings, err
		}
	}
}

// maxHeaders bounds the headers of one member, in bytes. It is enough for the longest sparse map that
// is supported.
const maxHeaders = 32 << 20

// A headerReader reads the headers of one member, up to a limit.
type headerReader struct {
	*io.SectionReader
	left int
	err  error // error of the underlying file
}

var errHeaders = errors.New("headers are too long")

func (r *headerReader) Read(p []byte) (int, error) {
	if r.left -= len(p); r.left < 0 {
		return 0, errHeaders
	}
	n, err := r.SectionReader.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// errStop ends a walk.
var errStop = errors.New("stop")

// dataOf returns the length of the data of a member. Links, devices, folders and pipes have none,
// whatever their size field contains.
func dataOf(h *tar.Header) int64 {
	switch h.Typeflag {
	case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo:
		return 0
	}
	return h.Size
}

// endMark warns if the archive does not end with two blocks of zeros: members can be missing.
func endMark(r io.ReaderAt, end int64) []string {
	mark := make([]byte, 2*blockSize)
	n, _ := r.ReadAt(mark, end)
	if n == len(mark) && len(bytes.Trim(mark, "\x00")) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("the archive has no end mark after its last member, at byte %d: it may be truncated", end)}
}

// cleanName normalizes the name of a member. The name is only compared with others and never opened.
func cleanName(name string) string {
	for strings.HasPrefix(name, "./") {
		name = strings.TrimLeft(name[2:], "/")
	}
	return name
}

// members reads the headers of all members.
func members(ctx context.Context, r io.ReaderAt, size int64) (all []*member, warnings []string, err error) {
	names := 0
	warnings, err = walk(ctx, r, size, func(m *member) error {
		names += len(m.name) + len(m.link)
		switch {
		case len(all) == maxMembers:
			return fieldError(m.header, "number of members", fmt.Sprintf("more than %d", maxMembers), "that of an archive of disk images")
		case names > maxNames:
			return fieldError(m.header, "length of all names", fmt.Sprintf("more than %d bytes", maxNames), "that of an archive of disk images")
		}
		all = append(all, m)
		return nil
	})
	return all, warnings, err
}

// source returns the content of the member, with the holes of a sparse file.
func (m *member) source(src image.Source) (image.Source, error) {
	s, err := image.NewSection(src, m.off, m.stored)
	if err != nil || m.sparse == nil {
		return s, err
	}
	return &sparseFile{packed: s, size: m.size, runs: m.sparse}, nil
}

// fieldError returns an error about a field of a tar archive.
func fieldError(off int64, field string, value any, want string) error {
	return &image.FormatError{Format: "tar", Offset: off, Field: field, Value: value, Want: want}
}
