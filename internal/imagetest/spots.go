package imagetest

import (
	"iter"
	"maps"
	"slices"

	"github.com/luksimg/luksimg/image"
)

// Spots is a disk of any size that is a hole except for a few strings. Its size costs no memory.
type Spots struct {
	Bytes int64
	Data  map[int64]string // by offset
}

// Size implements [image.Source].
func (s Spots) Size() int64 { return s.Bytes }

// ReadAt implements [image.Source].
func (s Spots) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	for at, text := range s.Data {
		from, to := max(at, off), min(at+int64(len(text)), off+int64(len(p)))
		if from < to {
			copy(p[from-off:to-off], text[from-at:])
		}
	}
	return len(p), nil
}

// Extents implements [image.Extenter].
func (s Spots) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		at, end := off, off+n
		emit := func(to int64, kind image.Kind) bool {
			to = min(to, end)
			e := image.Extent{Offset: at, Length: to - at, Kind: kind}
			if e.Length <= 0 {
				return true
			}
			at = to
			return yield(e, nil)
		}
		for _, spot := range slices.Sorted(maps.Keys(s.Data)) {
			if !emit(spot, image.Hole) || !emit(spot+int64(len(s.Data[spot])), image.Data) {
				return
			}
		}
		emit(end, image.Hole)
	}
}
