package compressed

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
)

// A File is a compressed file that was opened. It is safe for concurrent use, but for Close.
type File struct {
	kind  Kind
	r     io.ReaderAt
	file  int64 // length of the file
	size  int64 // of what is in it; -1 if it is not known
	o     Options
	index *index
	rand  *random
	tail  []byte // the last bytes of what is in it, after Count
}

// tailSize is how much of the end is looked at.
const tailSize = 512

// Open opens the compressed file in r, of size bytes, and reads its index, or walks from part to part of
// the file, where it has parts that tell their length. No data are decoded, but for a file that says it is empty.
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
	if f.size == 0 { // nobody will read it, and find out that this is wrong
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

// Size returns the length in bytes of what is in the file, or -1 if only unpacking tells.
func (f *File) Size() int64 { return f.size }

// maxUnit is how long a part may be for a file to be read at random: what is wanted of it costs all that
// is in front of it there.
const maxUnit = 256 << 20

// Random tells whether the file is read at random at a bearable cost: it has more than one part that is
// decoded on its own, or is small.
func (f *File) Random() bool {
	return f.index != nil && f.index.most <= maxUnit && (len(f.index.units) > 1 || f.size <= leastUnit)
}

// NewReader returns a reader of all that is in the file; see [NewReader].
func (f *File) NewReader(ctx context.Context) (io.ReadCloser, error) {
	return NewReader(ctx, io.NewSectionReader(f.r, 0, f.file), f.kind, f.file, f.o)
}

// Count unpacks the file to find out how long is what is in it.
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

// Tail returns the last bytes, up to 512, of what is in the file, after Count; else nil.
func (f *File) Tail() []byte { return f.tail }

// Source returns what is in the file. If it is not [File.Random], it is for jobs that read all of it in
// order; see [InOrder]. A file whose length is not known is an error. There is nothing to close after
// f.Close, but for an [InOrder].
func (f *File) Source() (image.Source, error) {
	switch {
	case f.rand != nil:
		return f.rand, nil
	case f.size < 0:
		return nil, errors.New("the length of what is in the file is not known")
	}
	return NewInOrder(f.size, f.NewReader), nil
}

// Close frees what reading at random keeps.
func (f *File) Close() error {
	if f.rand != nil {
		return f.rand.close()
	}
	return nil
}
