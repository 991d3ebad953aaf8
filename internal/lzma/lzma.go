// Package lzma decodes LZMA2 data, the compression of .xz files. It decodes one chunk at a time into a
// window that also serves as the dictionary. The window is the whole output, or a buffer that slides
// when it is full. Decoding two streams in turns is faster than one after the other.
//
// LZMA2 has no specification except its decoders. This one accepts and rejects the same data as liblzma
// of XZ Utils. LZMA itself is described in the LZMA SDK's lzma-specification.txt, which the comments
// cite.
package lzma

import (
	"errors"
	"fmt"
)

// ErrCorrupt means that the data is not valid LZMA2, or ends too early.
var ErrCorrupt = errors.New("corrupt LZMA2 data")

// corrupt returns an ErrCorrupt with a description.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

const (
	// MaxChunk is the maximum output of a chunk, in bytes.
	MaxChunk = 2 << 20

	// MinChunk is the minimum size of a chunk in compressed data, in bytes.
	MinChunk = 4

	maxPacked = 1 << 16 // maximum bytes of a compressed chunk
	packedEnd = 64      // bytes behind it that a symbol can read

	// MaxMatch is the maximum length of a match, in bytes.
	maxMatch = 273

	// Slack is how many bytes behind its end a chunk can write. A match begins before the end, and is
	// copied in steps.
	slack = maxMatch + 64
)

// DictSize returns the size of the dictionary, in bytes, for the properties byte of the LZMA2 filter
// (.xz file format, section 5.3.1).
func DictSize(properties byte) (uint32, error) {
	switch {
	case properties > 40:
		return 0, corrupt("dictionary size code %d, more than 40", properties)
	case properties == 40:
		return 1<<32 - 1, nil
	}
	return (2 | uint32(properties&1)) << (properties/2 + 11), nil
}
