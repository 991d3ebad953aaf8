// Package zstd decompresses zstd frames (RFC 8878), without dictionaries.
//
// A block is decoded in two steps that share nothing: parsing turns its entropy codes into literals and
// sequences, executing turns these into bytes. A [Reader] does both at the same time, for different blocks, where
// there are CPUs for that.
//
// Section numbers in this package are those of RFC 8878.
package zstd

import (
	"errors"
	"fmt"
)

const (
	// Magic is the first number of a frame (3.1.1).
	Magic = 0xfd2fb528

	// MaxBlock is the greatest length of a block, packed and unpacked, in bytes (3.1.1.2.4).
	MaxBlock = 128 << 10

	// BlockHeader is the length of the header of a block in bytes (3.1.1.2).
	BlockHeader = 3

	skippable = 0x184d2a50
	sumLen    = 4 // bytes of a checksum
)

// IsSkippable tells whether a frame that starts with magic is one to be skipped (3.1.2).
func IsSkippable(magic uint32) bool { return magic&^15 == skippable }

// Errors that a caller can act on. Match with [errors.Is].
var (
	// ErrCorrupt means that the input breaks a rule of the format, or fails its checksum.
	ErrCorrupt = errors.New("corrupt zstd data")

	// ErrWindow means that a frame asks for a larger window than is allowed.
	ErrWindow = errors.New("the window is too large")

	// ErrDictionary means that a frame was compressed with a dictionary.
	ErrDictionary = errors.New("it was compressed with a dictionary")
)

// A CorruptError says what is wrong with the input. It matches [ErrCorrupt].
type CorruptError struct {
	Offset  int64 // of the frame or block in the input, in bytes
	Problem string
}

func (e *CorruptError) Error() string { return fmt.Sprintf("at offset %d: %s", e.Offset, e.Problem) }

// Is reports whether target is [ErrCorrupt].
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// A problem is a rule that a block breaks.
type problem string

func (p problem) Error() string { return string(p) }

// located makes a [CorruptError] of a problem, and leaves other errors alone.
func located(err error, off int64) error {
	var why problem
	if errors.As(err, &why) {
		return &CorruptError{off, string(why)}
	}
	return err
}
