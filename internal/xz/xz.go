// Package xz reads .xz files. [Open] gives random access through the index, and decodes blocks in any
// order and concurrently. [NewReader] reads a file as a stream. The package accepts and rejects the
// same files as `xz -t`, with two exceptions, which are [ErrUnsupported]: checks that it cannot verify,
// and filters other than LZMA2, delta and x86.
//
// Section numbers refer to "The .xz File Format", version 1.2.1.
package xz

import (
	"errors"
	"fmt"
)

var (
	// ErrCorrupt means that the file is not a valid .xz file or ends too early.
	ErrCorrupt = errors.New("corrupt xz data")

	// ErrUnsupported means that the file needs a feature that this package lacks.
	ErrUnsupported = errors.New("unsupported xz data")

	// ErrLimit means that the file needs more memory than the options allow.
	ErrLimit = errors.New("xz data over the limit")
)

// DefaultMaxDict is the default limit of a dictionary in bytes: that of `xz -9`.
const DefaultMaxDict = 64 << 20

// DefaultMaxBlocks is the default limit of blocks and streams. A list of that many takes 32 MB.
const DefaultMaxBlocks = 1 << 20

// Options limit the memory that a file can require. Zero fields mean the defaults.
type Options struct {
	MaxDict   uint32 // maximum bytes of a dictionary, or of a block shorter than its dictionary
	MaxBlocks int    // maximum blocks and streams of a file read by its index
}

func (o Options) maxDict() int64 {
	if o.MaxDict == 0 {
		return DefaultMaxDict
	}
	return int64(o.MaxDict)
}

func (o Options) maxBlocks() int {
	if o.MaxBlocks == 0 {
		return DefaultMaxBlocks
	}
	return o.MaxBlocks
}

// corrupt returns an ErrCorrupt with a description.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnsupported}, args...)...)
}

// atBlock adds the offset of a block to an error.
func atBlock(err error, at int64) error { return fmt.Errorf("%w, in the block at byte %d", err, at) }

func dictLimit(at, need int64, o Options) error {
	return fmt.Errorf("%w: the block at byte %d needs a dictionary of %d bytes, more than the limit of %d", ErrLimit, at, need, o.maxDict())
}

func blocksLimit() error {
	return fmt.Errorf("%w: too many blocks and streams", ErrLimit)
}
