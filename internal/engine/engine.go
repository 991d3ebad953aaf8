// Package engine does the long jobs: it reads a disk piece by piece with several workers, and
// encrypts, decrypts, hashes, compares and writes the pieces, in order where the job has one. A
// job is a value; what it is for, which key it has and what header goes with it, its caller knows.
package engine

import (
	"io"

	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
)

// Workers are who does a job.
type Workers struct {
	Count int               // one at least
	Done  func(bytes int64) // is told of each part of the disk that is done; several goroutines call it
}

// ahead is how many buffers a job has that has an order. One more than there are workers lets them
// go on while one of them waits for a pipe.
func (w Workers) ahead() int { return w.Count + 1 }

// unit is how much a worker reads at a time: a multiple of every sector size, in the cache of a
// core, and long enough that the system calls cost little. What is zero is told apart in steps
// of it.
const unit = 256 << 10

// Workers that write to one file wait for each other: most systems let in one at a time. Longer
// pieces make for fewer such waits, each of which costs a switch or two in the scheduler. All
// workers together have writeBuffers of memory for them.
const (
	longPiece    = 1 << 20
	writeBuffers = 16 << 20
)

// longPieces returns the size of the pieces of so many workers that write to a file.
func longPieces(workers int) int64 {
	size := int64(longPiece)
	for size > unit && size*int64(workers) > writeBuffers {
		size /= 2
	}
	return size
}

type step = parallel.Step[pieces.Piece]

// write returns the step that writes a piece behind those before it.
func write(dst io.Writer, done func(int64)) step {
	return step{InOrder: true, Do: func(buf []byte, p pieces.Piece) error {
		_, err := dst.Write(buf[:p.Length])
		done(p.Length)
		return err
	}}
}

// A truncater is a destination that can be given its length.
type truncater interface{ Truncate(size int64) error }

// expect tells dst what is to come, if it wants to know, and gives it its length: what is too
// long for a filesystem is found before the work and not after it.
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
