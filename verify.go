package luksimg

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math"
	"sync"

	"github.com/luksimg/luksimg/image"
)

// A MismatchError is where two images differ first. It matches [ErrMismatch].
type MismatchError struct {
	Offset int64 // in the plaintext, in bytes
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%v: first at byte %d", ErrMismatch, e.Offset)
}

// Is reports whether target is [ErrMismatch].
func (e *MismatchError) Is(target error) bool { return target == ErrMismatch }

// VerifyOptions say how [Verify] compares. The zero value is right.
type VerifyOptions struct {
	// SkipZeros does not look at what is known to be zero in the source, nor past its
	// end: for images made with [EncryptOptions.DiscardZeros].
	SkipZeros bool

	RunOptions
}

// Verify compares the plaintext of an encrypted image, most often a [luks.Volume],
// with the disk that it was made of, byte for byte. Past the end of the disk there
// must be zeros only. If they differ it returns a [MismatchError].
func Verify(ctx context.Context, src, encrypted image.Source, o VerifyOptions) error {
	size := encrypted.Size()
	if size < src.Size() {
		return fmt.Errorf("%w: the encrypted image holds %d bytes, the source has %d", ErrMismatch, size, src.Size())
	}
	// The workers are ahead of each other: each piece before the first difference
	// is to be looked at before that one is known to be the first.
	var mu sync.Mutex
	first := int64(math.MaxInt64)
	differ := func(off int64) {
		mu.Lock()
		first = min(first, off)
		mu.Unlock()
	}
	past := func(off int64) bool {
		mu.Lock()
		defer mu.Unlock()
		return off > first
	}
	todo := func(yield func(piece, error) bool) {
		for p, err := range unsure(ctx, src, encrypted, size, o) {
			if past(p.offset) || !yield(p, err) {
				return
			}
		}
	}
	err := eachPiece(ctx, o.jobs(), 2*pieceSize, todo, func(buf []byte, p piece) error {
		a, err := readPiece(src, buf[:pieceSize], p)
		if err != nil {
			return err
		}
		b := buf[pieceSize:][:p.length]
		if err := readFull(encrypted, b, p.offset); err != nil {
			return err
		}
		if !bytes.Equal(a, b) {
			i := int64(0)
			for a[i] == b[i] {
				i++
			}
			differ(p.offset + i)
		}
		o.done(p.length)
		return nil
	})
	if err != nil {
		return err
	}
	if first != math.MaxInt64 {
		return &MismatchError{first}
	}
	return nil
}

// unsure yields the pieces that are to be read: not those that both images know to be zeros,
// nor those of the source if they are to be skipped.
func unsure(ctx context.Context, src, encrypted image.Source, size int64, o VerifyOptions) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		for p, err := range pieces(ctx, src, 0, size) {
			switch {
			case err == nil && p.zero && o.SkipZeros:
				o.done(p.length)
			case err == nil && p.zero:
				for q, err := range pieces(ctx, encrypted, p.offset, p.end()) {
					if err == nil && q.zero {
						o.done(q.length)
						continue
					}
					q.zero = true // in the source
					if !yield(q, err) || err != nil {
						return
					}
				}
			default:
				if !yield(p, err) {
					return
				}
			}
		}
	}
}
