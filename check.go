package luksimg

import (
	"context"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vdi"
	"github.com/luksimg/luksimg/vhd"
	"github.com/luksimg/luksimg/vhdx"
	"github.com/luksimg/luksimg/vmdk"
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
	r = holes(r, size)
	f, err := formatOf(o.Format, r, size)
	if err != nil {
		return nil, err
	}
	if f.check == nil {
		return nil, fmt.Errorf("%w: %s has no structure to check", ErrUnsupportedFormat, f.name)
	}
	return f.check(ctx, r, size)
}

func checkVHD(ctx context.Context, r io.ReaderAt, size int64) (*CheckResult, error) {
	c, err := vhd.CheckFile(ctx, r, size)
	return &CheckResult{c.Corruptions, c.Leaks, c.Problems}, err
}

func checkQCOW(ctx context.Context, r io.ReaderAt, size int64) (*CheckResult, error) {
	d, err := qcow.Open(ctx, r, size, qcow.Options{MetadataOnly: true})
	if err != nil {
		return nil, err
	}
	c, err := d.Check(ctx)
	return &CheckResult{c.Corruptions, c.Leaks, c.Problems}, err
}

func checkVHDX(ctx context.Context, r io.ReaderAt, size int64) (*CheckResult, error) {
	d, err := vhdx.Open(ctx, r, size, vhdx.Options{MetadataOnly: true})
	if err != nil {
		return nil, err
	}
	c, err := d.Check(ctx)
	return &CheckResult{c.Corruptions, 0, c.Problems}, err
}

func checkVMDK(ctx context.Context, r io.ReaderAt, size int64) (*CheckResult, error) {
	d, err := vmdk.Open(ctx, r, size, vmdk.Options{MetadataOnly: true})
	if err != nil {
		return nil, err
	}
	c, err := d.Check(ctx)
	return &CheckResult{c.Corruptions, 0, c.Problems}, err
}

func checkVDI(ctx context.Context, r io.ReaderAt, size int64) (*CheckResult, error) {
	d, err := vdi.Open(ctx, r, size, vdi.Options{MetadataOnly: true})
	if err != nil {
		return nil, err
	}
	c, err := d.Check(ctx)
	return &CheckResult{c.Corruptions, 0, c.Problems}, err
}
