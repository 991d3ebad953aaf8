// Package compressed reads disks that were compressed as a whole with gzip, bzip2, xz or zstd.
//
// [Open] opens a file and reads its index or the lengths of its parts. With an index the file can be
// read at random offsets. [NewReader] reads a stream in order. Both verify everything that the
// container allows: checksums, lengths, and a complete end.
//
// The cost of reading a file is bounded; see [Options]. The package never opens a file by name.
package compressed

import (
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/internal/signature"
)

// A Kind is a container of compressed data.
type Kind string

// The supported kinds.
const (
	Gzip  Kind = "gzip"
	Bzip2 Kind = "bzip2"
	XZ    Kind = "xz"
	Zstd  Kind = "zstd"
)

// kinds maps the names of signatures in package signature to kinds.
var kinds = map[string]Kind{
	"a gzip-compressed file":         Gzip,
	"a bzip2-compressed file":        Bzip2,
	"an xz-compressed file":          XZ,
	"a zstd-compressed file":         Zstd,
	"a zstd- or LZ4-compressed file": Zstd,
}

// Detect returns the kind of the file in r, of size bytes, from its first bytes, or "" for another
// kind. It reads at most a few KiB. It returns only errors of r.
func Detect(r io.ReaderAt, size int64) (Kind, error) {
	s, _, err := signature.Find(r, size)
	if s == nil || err != nil {
		return "", err
	}
	k := kinds[s.Name]
	if k == Zstd && !startsZstd(r, size) {
		return "", nil
	}
	return k, nil
}

// Errors that a caller can act on. Match them with [errors.Is].
var (
	// ErrCorrupt means that the file violates its format, fails a checksum, or is truncated.
	ErrCorrupt = errors.New("the compressed data are corrupt")

	// ErrTooLarge matches every [SizeError]: the decompressed file would exceed the limit.
	ErrTooLarge = errors.New("too large when decompressed")

	// ErrWindow means that decompressing a file needs more memory than is allowed.
	ErrWindow = errors.New("decompression needs too much memory")

	// ErrUnsupported means that the file uses an unsupported feature of its format.
	ErrUnsupported = errors.New("unsupported feature of a compressed file")
)

// Options bound the cost of a file. The zero value suits a file of unknown origin.
type Options struct {
	// MaxSize bounds the decompressed size in bytes. Zero means a limit that depends on the length of
	// the file; see [Options.Limit].
	MaxSize int64

	// MaxWindow bounds the memory in bytes that the format can require; zero means 128 MiB.
	MaxWindow int64

	// Packed is the length in bytes of the outermost file, if this one was packed in it, for
	// [Options.Limit]. Zero means that this is the outermost file.
	Packed int64

	// Jobs is the number of parts decoded at a time; zero means one for each CPU.
	Jobs int
}

const (
	// freeSize is the decompressed size that every file can have, and maxRatio the additional size per
	// byte of the file. Deflate has a ratio of at most 1032, so a gzip file of zeros is never refused.
	// A file with a higher ratio is an almost empty disk or an attack.
	freeSize = 256 << 20
	maxRatio = 1100

	defaultWindow = 128 << 20
)

// Limit returns the maximum decompressed size of a file of size bytes: MaxSize if set, else 256 MiB
// plus 1100 times the length of the file.
func (o Options) Limit(size int64) int64 {
	if o.MaxSize > 0 {
		return o.MaxSize
	}
	if o.Packed > 0 {
		size = o.Packed
	}
	if size < 0 || size > (1<<62)/maxRatio {
		return 1 << 62
	}
	return freeSize + maxRatio*size
}

func (o Options) window() int64 {
	if o.MaxWindow > 0 {
		return o.MaxWindow
	}
	return defaultWindow
}

// check refuses a length that the container gives.
func (o Options) check(k Kind, packed, size int64) error {
	if most := o.Limit(packed); size > most {
		return &SizeError{k, size, most}
	}
	return nil
}

// A SizeError means that a decompressed file would exceed the limit. It matches [ErrTooLarge].
type SizeError struct {
	Kind Kind
	Size int64 // the size in the header, or what was decompressed so far, in bytes
	Most int64 // the limit in bytes
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%s: %v: at least %d bytes, but the limit is %d", e.Kind, ErrTooLarge, e.Size, e.Most)
}

// Is reports whether target is [ErrTooLarge].
func (e *SizeError) Is(target error) bool { return target == ErrTooLarge }

// corrupt returns an [ErrCorrupt] at an offset of the file.
func corrupt(k Kind, off int64, format string, args ...any) error {
	return fmt.Errorf("%s: %w: at offset %d: %s", k, ErrCorrupt, off, fmt.Sprintf(format, args...))
}

// early converts io.EOF to io.ErrUnexpectedEOF.
func early(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
