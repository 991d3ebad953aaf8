package luksimg

import (
	"context"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/vhd"
)

// A CheckResult is what [Check] found. Its JSON form is stable; members may be added.
type CheckResult struct {
	Corruptions int64    `json:"corruptions"`        // what is wrong and may make, or have made, data wrong
	Leaks       int64    `json:"leaks"`              // qcow2: clusters, VHD: bytes, that belong to nothing
	Problems    []string `json:"problems,omitempty"` // a sentence for each of the first 100
}

// Check looks for what is wrong with the structure of the image in r, a file of size
// bytes: references out of the file, things that overlap, counts and copies that do not
// agree. It reads metadata only, and no other files. A format without such a structure is
// [ErrUnsupportedFormat]. An error is about reading the image; what is wrong with it is in
// the result, if there is one.
func Check(ctx context.Context, r io.ReaderAt, size int64, o ImageOptions) (*CheckResult, error) {
	o.Unpack.Random = true
	u, err := o.unpack(ctx, r, size)
	if err != nil {
		return nil, err
	}
	if u.owned {
		defer u.Close()
	}
	f, err := u.formatOf(o.Format)
	if err != nil {
		return nil, err
	}
	if f.check != nil {
		return f.check(ctx, u.Source, u.Size())
	}
	i, err := look(ctx, f, u.Source, u.Size(), luks.OpenOptions{})
	if err != nil {
		return nil, err
	}
	return i.Check(ctx)
}

// Check is [Check] of an image that was opened.
func (i *Image) Check(ctx context.Context) (*CheckResult, error) {
	if i.check == nil {
		return nil, advice.With(fmt.Errorf("%w: %s has no structure to check", ErrUnsupportedFormat, i.Format), "only formats with tables of their own can be checked: leave the check out")
	}
	return i.check(ctx)
}

func checkVHD(ctx context.Context, r io.ReaderAt, size int64) (*CheckResult, error) {
	c, err := vhd.CheckFile(ctx, r, size)
	return &CheckResult{c.Corruptions, c.Leaks, c.Problems}, err
}
