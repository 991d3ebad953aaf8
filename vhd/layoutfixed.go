package vhd

import (
	"context"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/pieces"
	"github.com/luksimg/luksimg/internal/target"
)

// A FixedLayout is the layout of a fixed disk as [Create] would make it. Any part of the file can
// be written independently. A FixedLayout is safe for concurrent use.
type FixedLayout struct {
	w      *writer
	footer []byte
}

// NewFixedLayout returns the layout of a fixed disk for size bytes. It uses only the unique ID and
// the timestamp of id.
func NewFixedLayout(size int64, id Identity) (*FixedLayout, error) {
	opts := CreateOptions{Type: Fixed, UniqueID: id.UniqueID, Timestamp: id.Timestamp}
	w, err := newWriter(size, opts)
	if err != nil {
		return nil, err
	}
	if err := id.check(); err != nil {
		return nil, err
	}
	if err := w.identify(opts); err != nil {
		return nil, err
	}
	return &FixedLayout{w, w.footer()}, nil
}

// Size returns the length of the file in bytes.
func (l *FixedLayout) Size() int64 { return l.w.result.VirtualSize + footerSize }

// VirtualSize returns the size of the disk in bytes, a multiple of 1 MiB.
func (l *FixedLayout) VirtualSize() int64 { return l.w.result.VirtualSize }

// Footer returns the footer, which is unique to the disk. It follows the disk, at VirtualSize.
func (l *FixedLayout) Footer() []byte { return l.footer }

// WriteRange writes the bytes [from, to) of the file, and possibly some around them, to dst. It
// skips zeros that the extents of the disk src report. It calls done with the number of bytes of
// the disk that are done.
func (l *FixedLayout) WriteRange(ctx context.Context, dst io.WriterAt, src image.Source, from, to int64, jobs int, done func(int64)) error {
	f := &target.File{Format: "vhd", W: dst}
	end := l.VirtualSize()
	if to > end {
		if _, err := f.WriteAt(l.footer, end); err != nil {
			return err
		}
	}
	if to = min(to, end); from >= to {
		return nil
	}
	w := *l.w
	w.opts.Jobs = jobs
	cut := pieces.Cut{Unit: fixedStretch, Most: fixedStretch}
	return pieces.Each(ctx, w.jobs(fixedStretch), fixedStretch, cut.Pieces(ctx, src, from, to), func(buf []byte, p pieces.Piece) error {
		if !p.Zero {
			b, err := p.Read(src, buf)
			if err != nil {
				return err
			}
			if _, err := f.WriteAt(b, p.Offset); err != nil {
				return err
			}
		}
		done(p.Disk)
		return nil
	})
}
