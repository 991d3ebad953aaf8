package luksimg

import (
	"context"
	"fmt"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/engine"
)

// A MismatchError reports the first difference between two images. It matches [ErrMismatch].
type MismatchError struct {
	Offset int64 // in the plaintext, in bytes
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%v: first at byte %d", ErrMismatch, e.Offset)
}

// Is reports whether target is [ErrMismatch].
func (e *MismatchError) Is(target error) bool { return target == ErrMismatch }

// VerifyOptions configure [Verify]. The zero value compares everything.
type VerifyOptions struct {
	// SkipZeros skips the parts of the source that are known to be zero, and everything past its end.
	// Use it for images made with [EncryptOptions.DiscardZeros].
	SkipZeros bool

	RunOptions
}

// Verify compares the plaintext of an encrypted image, usually a [luks.Volume], with its source disk,
// byte for byte. Past the end of the disk the image must have zeros. If they differ, Verify returns a
// [MismatchError].
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

// mismatch returns differs, unless the end of the source shows that it is not a raw disk.
func mismatch(ctx context.Context, src image.Source, differs error) error {
	if img, ok := src.(*Image); ok {
		if err := img.CheckEnd(ctx); err != nil {
			return err
		}
	}
	return differs
}
