package luksimg

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/compressed"
	"github.com/luksimg/luksimg/internal/pieces"
)

// maxMemory bounds what is unpacked into memory if there is no scratch file.
const maxMemory = 32 << 20

// openCompressed opens a compressed file: at random, in order, or by unpacking it into the scratch
// file.
func openCompressed(ctx context.Context, u *Unpacked, format Format, o Unpacking) error {
	opts := compressed.Options{MaxSize: o.MaxSize, MaxWindow: o.MaxWindow}
	if len(u.Layers) > 1 {
		opts.Packed = u.packed
	}
	f, err := compressed.Open(ctx, u.Source, u.Size(), opts)
	if err != nil {
		return err
	}
	if f.Random() {
		src, err := f.Source()
		if err != nil {
			return err
		}
		u.Source, u.closes = src, append(u.closes, f.Close)
		return nil
	}
	raw, err := inOrder(ctx, f, format, o)
	switch {
	case err != nil:
		return err
	case !raw:
		return u.toScratch(ctx, f, o)
	case f.Size() < 0 && o.KnownSize:
		return ErrUnknownSize
	case f.Size() < 0:
		if _, err := f.Count(ctx); err != nil {
			return err
		}
		if format != Raw {
			if err := fixedVHD(f.Tail()); err != nil {
				return err
			}
		}
	}
	src := compressed.NewInOrder(f.Size(), f.NewReader)
	if format != Raw {
		src.Check = fixedVHD
		u.unseen = f.Tail() == nil
	}
	u.Source, u.InOrder, u.closes = src, true, append(u.closes, src.Close)
	return nil
}

// inOrder reports, from the start of a compressed file, whether it holds a raw disk that can be read in
// order.
func inOrder(ctx context.Context, f *compressed.File, format Format, o Unpacking) (bool, error) {
	if o.Random || format != "" && format != Raw {
		return false, nil
	}
	r, err := f.NewReader(ctx)
	if err != nil {
		return false, err
	}
	defer r.Close()
	head := make([]byte, peekSize)
	n, err := io.ReadFull(r, head)
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF: // the file is short: read it whole
		return false, nil
	case err != nil:
		return false, err
	}
	size := f.Size()
	if size < 0 {
		size = maxDisk
	}
	return startsRaw(head[:n], size, format)
}

// startsRaw reports whether a disk that starts with head is raw and not packed again. The bytes after
// head are unknown and taken as zeros.
func startsRaw(head []byte, size int64, format Format) (bool, error) {
	file := &ends{head: head, size: size}
	for _, l := range layers() {
		if is, err := l.find(file, size); is || err != nil {
			return false, err
		}
	}
	if format == Raw {
		return true, nil
	}
	found, err := Detect(file, size)
	return found == Raw, err
}

// ErrFixedVHD means that a disk was read in order as raw, but its end shows that it is a fixed VHD.
var ErrFixedVHD = errors.New("the image was read as a raw disk, but it ends as a fixed VHD")

// fixedVHD checks the end of a raw disk for the footer of a fixed VHD.
func fixedVHD(tail []byte) error {
	size := int64(maxDisk)
	if found, err := Detect(&ends{tail: tail, size: size}, size); err == nil && found == VHD {
		return ErrFixedVHD
	}
	return nil
}

// toScratch unpacks a whole file into the scratch file.
func (u *Unpacked) toScratch(ctx context.Context, f *compressed.File, o Unpacking) error {
	scratch, err := newScratch(f.Size(), o)
	if err != nil {
		return err
	}
	u.closes = append(u.closes, scratch.Close)
	r, err := f.NewReader(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	buf := make([]byte, 1<<20)
	var off, written int64
	for {
		n, err := io.ReadFull(r, buf)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		}
		ended := err != nil
		if b := buf[:n]; !pieces.IsZero(b) { // zeros stay holes
			if _, err := scratch.WriteAt(b, off); err != nil {
				return fmt.Errorf("%w: %w", ErrScratch, err)
			}
			written = off + int64(n)
		}
		off += int64(n)
		if ended {
			break
		}
	}
	if written < off { // the last byte sets the length
		if _, err := scratch.WriteAt([]byte{0}, off-1); err != nil {
			return fmt.Errorf("%w: %w", ErrScratch, err)
		}
	}
	if size := f.Size(); size >= 0 && size != off {
		return fmt.Errorf("%s: %w: the data end after %d of %d bytes", f.Kind(), compressed.ErrCorrupt, off, size)
	}
	u.Source, err = scratchSource(scratch, off)
	return err
}
