// Package lzma decodes LZMA2 data, the compression inside .xz files. It decodes one chunk at
// a time into a window that is its dictionary as well: all of the output, or a buffer in which
// the last bytes move to the front when it is full. Two streams may be decoded in turns, which
// is faster than one after the other.
//
// There is no specification of LZMA2 but the decoders: this one takes and refuses what
// liblzma of XZ Utils does. LZMA itself is described in the LZMA SDK's lzma-specification.txt,
// to which the comments refer.
package lzma

import (
	"errors"
	"fmt"
)

// ErrCorrupt means that the data are not valid LZMA2, or that they end too early.
var ErrCorrupt = errors.New("corrupt LZMA2 data")

// corrupt makes an ErrCorrupt that says what is wrong.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

const (
	// MaxChunk is how much a chunk gives at most.
	MaxChunk = 2 << 20

	// MinChunk is how many bytes a chunk has at least.
	MinChunk = 4

	maxPacked = 1 << 16 // bytes of a compressed chunk
	packedEnd = 64      // bytes behind it that a symbol may read

	// MaxMatch is how long a match is at most.
	maxMatch = 273

	// Slack is how many bytes behind its end a chunk may write to: a match begins in front of
	// the end at the latest, and is copied in steps.
	slack = maxMatch + 64
)

// DictSize returns how many bytes the dictionary has that the properties of the LZMA2 filter
// ask for (.xz file format, section 5.3.1).
func DictSize(properties byte) (uint32, error) {
	switch {
	case properties > 40:
		return 0, corrupt("size of the dictionary is code %d, more than 40", properties)
	case properties == 40:
		return 1<<32 - 1, nil
	}
	return (2 | uint32(properties&1)) << (properties/2 + 11), nil
}
