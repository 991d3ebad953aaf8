package vhdx

import (
	"cmp"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
)

// A segment is a part of the file that the log replaces: one sector of data, or any number of
// sectors of zeros.
type segment struct {
	start, end int64
	data       int64   // offset of the data sector in the file, 0 for zeros
	leading    [8]byte // the bytes of the data sector that are in the descriptor
	trailing   [4]byte
}

// paint resolves overlaps of writes, each of which hides earlier ones. It returns the visible
// segments in the order of their offsets.
func paint(writes []segment) []segment {
	bounds := make([]int64, 0, 2*len(writes))
	for _, w := range writes {
		bounds = append(bounds, w.start, w.end)
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	// For each piece between bounds, seen is 1 plus the index of the visible segment, and next
	// leads to the next piece without one.
	seen := make([]int32, len(bounds))
	next := make([]int32, len(bounds))
	for i := range next {
		next[i] = int32(i)
	}
	find := func(i int32) int32 {
		for next[i] != i {
			next[i] = next[next[i]]
			i = next[i]
		}
		return i
	}
	pieces := 0
	for k := len(writes) - 1; k >= 0; k-- {
		first, _ := slices.BinarySearch(bounds, writes[k].start)
		for i := find(int32(first)); bounds[i] < writes[k].end; i = find(i) {
			seen[i], next[i] = int32(k+1), i+1
			pieces++
		}
	}
	out := make([]segment, 0, pieces)
	for i, k := range seen {
		if k == 0 {
			continue
		}
		s := writes[k-1]
		s.start, s.end = bounds[i], bounds[i+1]
		if n := len(out); n > 0 && s.data == 0 && out[n-1].data == 0 && out[n-1].end == s.start {
			out[n-1].end = s.end
			continue
		}
		out = append(out, s)
	}
	return slices.Clip(out)
}

// A view is a file with the changes of its log. Bytes past the end of the file are zeros.
type view struct {
	r        io.ReaderAt
	fileSize int64
	size     int64 // size with the changes
	segments []segment
}

// after returns the index of the first segment that ends after off.
func (v *view) after(off int64) int {
	i, _ := slices.BinarySearchFunc(v.segments, off, func(s segment, off int64) int { return cmp.Compare(s.end, off+1) })
	return i
}

// part returns the length, up to n, of the range at off that the log either leaves unchanged or
// replaces, and which of the two it is.
func (v *view) part(off, n int64) (length int64, changed bool) {
	i := v.after(off)
	switch {
	case i < len(v.segments) && v.segments[i].start <= off:
		return min(n, v.segments[i].end-off), true
	case off >= v.fileSize:
		return n, true
	case i < len(v.segments):
		n = min(n, v.segments[i].start-off)
	}
	return min(n, v.fileSize-off), false
}

// ReadAt reads the file with the changes; see [io.ReaderAt].
func (v *view) ReadAt(p []byte, off int64) (int, error) {
	var end error
	if rest := max(v.size-off, 0); int64(len(p)) > rest {
		p, end = p[:rest], io.EOF
	}
	i := v.after(off)
	done := 0
	for done < len(p) {
		pos, b := off+int64(done), p[done:]
		if i < len(v.segments) && v.segments[i].start <= pos {
			s := &v.segments[i]
			b = b[:min(int64(len(b)), s.end-pos)]
			if err := v.readSegment(b, s, pos); err != nil {
				return done, err
			}
			done += len(b)
			i++
			continue
		}
		if i < len(v.segments) {
			b = b[:min(int64(len(b)), v.segments[i].start-pos)]
		}
		if pos >= v.fileSize {
			clear(b)
			done += len(b)
			continue
		}
		b = b[:min(int64(len(b)), v.fileSize-pos)]
		n, err := readFull(v.r, b, pos)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, end
}

// Extents implements image.Extenter. Parts that the log replaces or adds are data.
func (v *view) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for end := off + n; off < end; {
			n, changed := v.part(off, end-off)
			f := disk.File{R: v.r, Opaque: changed}
			if !f.Extents(off, n, off, yield) {
				return
			}
			off += n
		}
	}
}

var sectors = sync.Pool{New: func() any { return new([logSector]byte) }}

// readSegment reads at pos, which lies within segment s.
func (v *view) readSegment(p []byte, s *segment, pos int64) error {
	if s.data == 0 {
		clear(p)
		return nil
	}
	b := sectors.Get().(*[logSector]byte)
	defer sectors.Put(b)
	if _, err := readFull(v.r, b[:], s.data); err != nil {
		return err
	}
	copy(b[:], s.leading[:])
	copy(b[logSector-len(s.trailing):], s.trailing[:])
	copy(p, b[pos-s.start:])
	return nil
}
