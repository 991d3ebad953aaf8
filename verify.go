package luksimg

import (
	"context"
	"fmt"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/engine"
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
		return mismatch(ctx, src, fmt.Errorf("%w: the encrypted image holds %d bytes, the source has %d", ErrMismatch, size, src.Size()))
	}
	first, err := engine.Comparison{Source: src, Other: encrypted, SkipZeros: o.SkipZeros, Workers: o.workers()}.Run(ctx)
	if err == nil && first >= 0 {
		err = mismatch(ctx, src, &MismatchError{first})
	}
	return err
}

// mismatch is that the source differs, unless its end tells that it is not the disk it was taken for.
func mismatch(ctx context.Context, src image.Source, differs error) error {
	if img, ok := src.(*Image); ok {
		if err := img.CheckEnd(ctx); err != nil {
			return err
		}
	}
	return differs
}
