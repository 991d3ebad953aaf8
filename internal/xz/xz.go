// Package xz reads .xz files: [Open] one that can be read at any place by its index, to decode
// blocks in any order and at the same time, or as a stream by [NewReader]. It takes what
// `xz -t` takes and refuses what that refuses, with two exceptions that it refuses by name:
// checks that it can not verify, and filters other than LZMA2, delta and x86.
//
// Numbers of sections are those of "The .xz File Format", version 1.2.1.
package xz

import (
	"errors"
	"fmt"
)

var (
	// ErrCorrupt means that the file is not a valid .xz file, or that it ends too early.
	ErrCorrupt = errors.New("corrupt xz data")

	// ErrUnsupported means that the file asks for what this package does not do.
	ErrUnsupported = errors.New("unsupported xz data")

	// ErrLimit means that the file asks for more memory than the options grant.
	ErrLimit = errors.New("xz data over the limit")
)

// DefaultMaxDict is the limit of a dictionary where the options have none: that of `xz -9`.
const DefaultMaxDict = 64 << 20

// DefaultMaxBlocks is the limit of blocks and streams where the options have none. It takes
// 32 MB to list so many.
const DefaultMaxBlocks = 1 << 20

// Options are the limits of what a file may ask for. The zero value has the defaults.
type Options struct {
	MaxDict   uint32 // bytes of a dictionary, or of a block that is shorter than its dictionary
	MaxBlocks int    // of a file that is read by its index
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

// corrupt makes an ErrCorrupt that says what is wrong.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnsupported}, args...)...)
}

// atBlock says in which block there is an error.
func atBlock(err error, at int64) error { return fmt.Errorf("%w, in the block at byte %d", err, at) }

func dictLimit(at, need int64, o Options) error {
	return fmt.Errorf("%w: the block at byte %d takes a dictionary of %d bytes, and %d are granted", ErrLimit, at, need, o.maxDict())
}

func blocksLimit() error {
	return fmt.Errorf("%w: more blocks and streams than are granted", ErrLimit)
}
