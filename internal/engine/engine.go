// Package engine runs the long jobs. It reads a disk piece by piece with several workers, and encrypts,
// decrypts, hashes, compares and writes the pieces, in order if the job requires it. A job is a value.
// The caller provides the key and the header.
package engine

import (
	"io"

	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
)

// Workers configure the workers of a job.
type Workers struct {
	Count int               // at least one
	Done  func(bytes int64) // called for each finished part of the disk, from several goroutines
}

// ahead returns the number of buffers of an ordered job. One more than there are workers lets them
// continue while one of them waits for a pipe.
func (w Workers) ahead() int { return w.Count + 1 }

// unit is the number of bytes that a worker reads at a time. It is a multiple of every sector size. It
// fits in the cache of a core, and is long enough that system calls cost little. Zeros are detected in
// units of this size.
const unit = 256 << 10

// Workers that write to one file wait for each other, because most systems admit one writer at a time.
// Longer pieces cause fewer waits, each of which costs one or two context switches. All workers
// together use writeBuffers bytes for them.
const (
	longPiece    = 1 << 20
	writeBuffers = 16 << 20
)

// longPieces returns the size of the pieces for workers that write to a file.
func longPieces(workers int) int64 {
	size := int64(longPiece)
	for size > unit && size*int64(workers) > writeBuffers {
		size /= 2
	}
	return size
}

type step = parallel.Step[pieces.Piece]

// write returns the step that appends a piece to dst.
func write(dst io.Writer, done func(int64)) step {
	return step{InOrder: true, Do: func(buf []byte, p pieces.Piece) error {
		_, err := dst.Write(buf[:p.Length])
		done(p.Length)
		return err
	}}
}

// A truncater is a destination whose length can be set.
type truncater interface{ Truncate(size int64) error }

// expect calls dst's method Expect and sets its length, if dst has these methods. So a file that is too
// long for the filesystem fails before the work, not after it.
func expect(dst io.WriterAt, size int64, dense bool) error {
	if d, ok := dst.(interface{ Expect(int64, bool) error }); ok {
		if err := d.Expect(size, dense); err != nil {
			return err
		}
	}
	if t, ok := dst.(truncater); ok {
		return t.Truncate(size)
	}
	return nil
}
