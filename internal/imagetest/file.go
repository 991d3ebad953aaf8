package imagetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// ErrDevice is the error of the failing files.
var ErrDevice = errors.New("device error")

// Failing is a file whose reads fail with [ErrDevice].
type Failing struct{}

// ReadAt returns [ErrDevice].
func (Failing) ReadAt([]byte, int64) (int, error) { return 0, ErrDevice }

// Flaky is a file whose reads fail with [ErrDevice] after Left successful ones.
type Flaky struct {
	io.ReaderAt
	Left atomic.Int64
}

// NewFlaky returns a file whose first left reads succeed.
func NewFlaky(r io.ReaderAt, left int64) *Flaky {
	f := &Flaky{ReaderAt: r}
	f.Left.Store(left)
	return f
}

// ReadAt implements [io.ReaderAt].
func (f *Flaky) ReadAt(p []byte, off int64) (int, error) {
	if f.Left.Add(-1) < 0 {
		return 0, ErrDevice
	}
	return f.ReaderAt.ReadAt(p, off)
}

// Counter counts the reads of a file.
type Counter struct {
	io.ReaderAt
	Reads, Bytes atomic.Int64
}

// ReadAt counts and forwards a read.
func (c *Counter) ReadAt(p []byte, off int64) (int, error) {
	c.Reads.Add(1)
	c.Bytes.Add(int64(len(p)))
	return c.ReaderAt.ReadAt(p, off)
}

// Fill fills b with random bytes other than zero.
func Fill(rnd *rand.Rand, b []byte) {
	var word [8]byte
	for len(b) > 0 {
		binary.BigEndian.PutUint64(word[:], rnd.Uint64()|0x0101010101010101)
		b = b[copy(b, word[:]):]
	}
}

// Noise returns n bytes made by [Fill].
func Noise(n int64, seed uint64) []byte {
	b := make([]byte, n)
	Fill(rand.New(rand.NewPCG(seed, 1)), b)
	return b
}

// A Write is an offset in a disk, a length, and the value of all bytes written there.
type Write = [3]int64

// Written returns a disk of zeros after the given writes.
func Written(size int64, writes ...Write) []byte {
	b := make([]byte, size)
	for _, w := range writes {
		copy(b[w[0]:], bytes.Repeat([]byte{byte(w[2])}, int(w[1])))
	}
	return b
}

// Mixed creates a raw disk of noise, text and zeros in a folder, and returns its bytes.
func Mixed(t testing.TB, dir, name string, size int64, seed uint64) []byte {
	t.Helper()
	b := make([]byte, size)
	rnd := rand.New(rand.NewPCG(seed, 11))
	for at := int64(0); at < size; {
		n := min(rnd.Int64N(200_000)+1, size-at)
		switch rnd.IntN(4) {
		case 0:
			for i := range n {
				b[at+i] = byte(rnd.Uint32())
			}
		case 1, 2:
			for i := range n {
				b[at+i] = "the quick brown fox\n"[min(rnd.IntN(20), rnd.IntN(20))]
			}
		}
		at += n
	}
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// File opens a file in a folder and detects its holes. The end of the test closes it. A name that leads
// out of the folder is an error.
func File(t testing.TB, dir, name string) (*image.File, error) {
	t.Helper()
	f, err := os.OpenInRoot(dir, name)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { f.Close() })
	return image.NewFile(f)
}
