// Package zstd decompresses zstd frames (RFC 8878), without dictionaries.
//
// A block is decoded in two independent steps: parsing decodes its entropy codes to literals and
// sequences, and executing turns these into bytes. With [Options.Ahead], a [Reader] runs both steps
// concurrently for different blocks.
//
// Section numbers refer to RFC 8878.
package zstd

import (
	"errors"
	"fmt"
)

const (
	// Magic is the magic number of a frame (3.1.1).
	Magic = 0xfd2fb528

	// MaxBlock is the maximum length of a block in bytes, compressed and decompressed (3.1.1.2.4).
	MaxBlock = 128 << 10

	// BlockHeader is the length of a block header in bytes (3.1.1.2).
	BlockHeader = 3

	skippable = 0x184d2a50
	sumLen    = 4 // length of a checksum in bytes
)

// IsSkippable reports whether a frame with this magic number is a skippable frame (3.1.2).
func IsSkippable(magic uint32) bool { return magic&^15 == skippable }

// A caller can test for these errors with [errors.Is].
var (
	// ErrCorrupt means that the input violates the format or its checksum is wrong.
	ErrCorrupt = errors.New("corrupt zstd data")

	// ErrWindow means that a frame requires a larger window than allowed.
	ErrWindow = errors.New("the window is too large")

	// ErrDictionary means that a frame needs a dictionary.
	ErrDictionary = errors.New("a dictionary is needed")
)

// A CorruptError describes an error in the input. It matches [ErrCorrupt].
type CorruptError struct {
	Offset  int64 // offset of the frame or block in the input, in bytes
	Problem string
}

func (e *CorruptError) Error() string { return fmt.Sprintf("at offset %d: %s", e.Offset, e.Problem) }

// Is reports whether target is [ErrCorrupt].
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// A problem is a violation of the format in a block.
type problem string

func (p problem) Error() string { return string(p) }

// located turns a problem into a [CorruptError], and returns other errors unchanged.
func located(err error, off int64) error {
	var why problem
	if errors.As(err, &why) {
		return &CorruptError{off, string(why)}
	}
	return err
}
