package compressed

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
)

// A File is an open compressed file. Except for Close, its methods are safe for concurrent use.
type File struct {
	kind  Kind
	r     io.ReaderAt
	file  int64 // length of the file
	size  int64 // decompressed length; -1 if unknown
	o     Options
	index *index
	rand  *random
	tail  []byte // the last decompressed bytes, set by Count
}

// tailSize is the length of the end that Count keeps.
const tailSize = 512

// Open opens the compressed file in r, of size bytes. It reads the index, or else the lengths of the
// parts if the format has them. It decodes no data, except to verify a file that claims to be empty.
func Open(ctx context.Context, r io.ReaderAt, size int64, o Options) (*File, error) {
	k, err := Detect(r, size)
	if err != nil {
		return nil, err
	}
	f := &File{kind: k, r: r, file: size, size: -1, o: o}
	switch k {
	case "":
		return nil, fmt.Errorf("%w: neither gzip, bzip2, xz nor zstd", ErrUnsupported)
	case Zstd:
		f.index, err = zstdIndex(ctx, r, size, o)
	case XZ:
		f.index, err = xzIndex(r, size, o)
	}
	if err != nil {
		return nil, err
	}
	if f.index != nil {
		f.size = f.index.end.off
	}
	if f.size == 0 { // nobody will read it, so verify it here
		if _, err := f.Count(ctx); err != nil {
			return nil, err
		}
	}
	if f.Random() {
		f.rand = newRandom(f)
		if k == Zstd && f.index.aligned() {
			f.index.push = f.zstdPush
		}
	}
	return f, nil
}

// Kind returns the kind of the file.
func (f *File) Kind() Kind { return f.kind }

// Size returns the decompressed length in bytes, or -1 if it is unknown before decompression.
func (f *File) Size() int64 { return f.size }

// maxUnit bounds the length of a part in a file that is read at random, because a read decodes
// everything before it in the part.
const maxUnit = 256 << 20

// Random reports whether random reads have a reasonable cost: the file has several independent parts,
// or is small.
func (f *File) Random() bool {
	return f.index != nil && f.index.most <= maxUnit && (len(f.index.units) > 1 || f.size <= leastUnit)
}

// NewReader returns a reader of the decompressed file; see the function [NewReader].
func (f *File) NewReader(ctx context.Context) (io.ReadCloser, error) {
	return NewReader(ctx, io.NewSectionReader(f.r, 0, f.file), f.kind, f.file, f.o)
}

// Count decompresses the file to find its length. It returns the length in bytes.
func (f *File) Count(ctx context.Context) (int64, error) {
	r, err := f.NewReader(ctx)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	var n int64
	var tail []byte
	buf := make([]byte, 256<<10)
	for {
		k, err := r.Read(buf)
		n += int64(k)
		tail = append(tail, buf[max(0, k-tailSize):k]...)
		tail = append(tail[:0], tail[max(0, len(tail)-tailSize):]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	f.size, f.tail = n, tail
	return n, nil
}

// Tail returns the last bytes of the decompressed file, at most 512. Before Count it returns nil.
func (f *File) Tail() []byte { return f.tail }

// Source returns the decompressed content. If the file is not [File.Random], read the source in order;
// see [InOrder]. If the length is unknown, Source returns an error. If the source is an InOrder, the
// caller closes it; for others f.Close is enough.
func (f *File) Source() (image.Source, error) {
	switch {
	case f.rand != nil:
		return f.rand, nil
	case f.size < 0:
		return nil, errors.New("the decompressed length is unknown")
	}
	return NewInOrder(f.size, f.NewReader), nil
}

// Close frees the resources of random reads.
func (f *File) Close() error {
	if f.rand != nil {
		return f.rand.close()
	}
	return nil
}
