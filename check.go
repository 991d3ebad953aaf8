package luksimg

import (
	"context"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/vhd"
)

// A CheckResult is the result of [Check]. Its JSON form is stable, but new members can be added.
type CheckResult struct {
	Corruptions int64    `json:"corruptions"`        // faults that can corrupt data, or have corrupted it
	Leaks       int64    `json:"leaks"`              // allocated but unused: clusters in qcow2, bytes in a VHD
	Problems    []string `json:"problems,omitempty"` // one sentence for each of the first 100
}

// Check checks the structure of the image in r, a file of size bytes. It finds references past the end
// of the file, overlaps, and counts or copies that disagree. It reads only metadata and no other files.
// For a format without such a structure, the error is [ErrUnsupportedFormat]. Faults of the image are
// in the result. An error means that the image could not be read; the result, if not nil, then has the
// faults found before.
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

// Check checks the structure of an open image; see the function [Check].
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
