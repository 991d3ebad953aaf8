package luksimg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/luksimg/luksimg/compressed"
)

// An UnpackedStream is a stream without the layers that it was packed in.
type UnpackedStream struct {
	io.Reader
	Layers []string // see [Unpacked]

	closes []func() error
}

// Close stops the decoders. It does not close the stream.
func (s *UnpackedStream) Close() error {
	var errs []error
	for _, c := range s.closes {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// UnpackStream removes the compression layers (gzip, bzip2, xz, zstd) of a stream of size bytes, -1 if
// unknown. A stream that is not packed is returned as it is. Nothing is stored: the content is read in
// order, and is complete only if it ends with [io.EOF]. Archives need seeking: with [Unpacking.Member]
// or [Unpacking.Image], UnpackStream returns an error.
func UnpackStream(ctx context.Context, r io.Reader, size int64, o Unpacking) (*UnpackedStream, error) {
	s := &UnpackedStream{}
	if err := o.found(&Unpacked{}); err != nil {
		return nil, err
	}
	packed := size
	for {
		b := bufio.NewReaderSize(r, peekSize)
		s.Reader = b
		if o.Never {
			return s, nil
		}
		head, err := b.Peek(peekSize)
		if err != nil && err != io.EOF {
			return s.fail(err)
		}
		end := int64(len(head))
		if err == nil {
			end = maxDisk // the size is unknown
		}
		k, err := compressed.Detect(&ends{head: head, size: end}, end)
		switch {
		case err != nil:
			return s.fail(err)
		case k == "":
			return s, nil
		case len(s.Layers) == maxLayers:
			return s.fail(fmt.Errorf("%w: %s", ErrLayers, strings.Join(append(s.Layers, string(k)), " > ")))
		}
		opts := compressed.Options{MaxSize: o.MaxSize, MaxWindow: o.MaxWindow}
		if len(s.Layers) > 0 {
			opts.Packed = packed
		}
		d, err := compressed.NewReader(ctx, b, k, size, opts)
		if err != nil {
			return s.fail(err)
		}
		s.Layers = append(s.Layers, string(k))
		s.closes = append([]func() error{d.Close}, s.closes...) // innermost first
		r, size = d, -1
	}
}

func (s *UnpackedStream) fail(err error) (*UnpackedStream, error) {
	s.Close()
	return nil, err
}
