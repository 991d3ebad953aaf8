package vmdk

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// holey is a file whose zero sectors are holes, or whose Extents fails.
type holey struct {
	*bytes.Reader
	b    []byte
	fail bool
}

func (h holey) Size() int64 { return int64(len(h.b)) }

func (h holey) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for pos := off; pos < off+n; {
			// Extents end at sector boundaries of the file, wherever the range starts.
			end := min(pos&^(sectorSize-1)+sectorSize, off+n)
			e := image.Extent{Offset: pos, Length: end - pos}
			if bytes.Count(h.b[pos:end], []byte{0}) == int(end-pos) {
				e.Kind = image.Hole
			}
			var err error
			if h.fail && pos > off {
				e, err = image.Extent{}, imagetest.ErrDevice
			}
			if !yield(e, err) || err != nil {
				return
			}
			pos = end
		}
	}
}

// punched returns random bytes with holes.
func punched(sectors int64) []byte {
	b := imagetest.Noise(sectors*sectorSize, 3)
	for i := int64(0); i < sectors; i += 7 {
		clear(b[i*sectorSize:][:sectorSize])
	}
	return b
}

// TestExtentsPassed checks that holes of files are holes of the disk: in flat and sparse extents, and in a
// parent.
func TestExtentsPassed(t *testing.T) {
	flat, parent := punched(100), punched(2500)
	sparse := img{sectors: 1000, bare: true, kinds: "-d", grain: 8, entries: 16, seed: 2}.build()
	want := append(bytes.Clone(flat[10*sectorSize:]), sparse.guest...)
	for k, none := range sparse.none {
		if none {
			at := 90*sectorSize + k*8*sectorSize
			copy(want[at:at+8*sectorSize], parent[at:])
		}
	}
	for _, at := range sparse.grains[:40] {
		if at != 0 {
			clear(sparse.file[at:][:sectorSize])
		}
	}
	for k, at := range sparse.grains[:40] {
		if at != 0 {
			clear(want[90*sectorSize+k*8*sectorSize:][:sectorSize])
		}
	}
	text := []byte("version=1\nCID=1\nparentCID=2\nparentFileNameHint=\"parent\"\nRW 90 FLAT \"flat\" 10\nRW 1000 SPARSE \"sparse\"\n")
	files := map[string][]byte{"flat": flat, "sparse": sparse.file, "parent": parent}
	for _, fail := range []string{"", "flat", "sparse", "parent"} {
		d := open(t, text, Options{Resolve: func(r image.Ref) (image.Source, error) {
			b := files[r.Name()]
			return holey{bytes.NewReader(b), b, r.Name() == fail}, nil
		}})
		if fail == "" {
			imagetest.Exact(t, d, want)
			continue
		}
		var last error
		for _, err := range image.Extents(d, 0, d.Size()) {
			last = err
		}
		if !errors.Is(last, imagetest.ErrDevice) {
			t.Errorf("%s fails: %v", fail, last)
		}
	}
}

// TestShortFiles checks that a truncated file, or a reader that returns no data, is an error.
func TestShortFiles(t *testing.T) {
	text := []byte("version=1\nCID=1\nparentCID=2\nparentFileNameHint=\"parent\"\nRW 90 FLAT \"flat\" 10\nRW 128 SPARSE \"sparse\"\n")
	sparse := img{sectors: 128, bare: true, kinds: "-", late: true}.build()
	for _, short := range []string{"flat", "parent"} {
		for _, quiet := range []bool{false, true} {
			d := open(t, text, Options{Resolve: func(r image.Ref) (image.Source, error) {
				if r.Name() == short {
					return stub{1 << 20, quiet}, nil
				}
				return bytes.NewReader(map[string][]byte{"flat": punched(100), "sparse": sparse.file, "parent": punched(2500)}[r.Name()]), nil
			}})
			_, err := d.ReadAt(make([]byte, d.Size()), 0)
			if !errors.Is(err, io.ErrUnexpectedEOF) && !(quiet && errors.Is(err, io.ErrNoProgress)) {
				t.Errorf("%s, %v: %v", short, quiet, err)
			}
		}
	}
}

// stub has a size but no bytes.
type stub struct {
	size  int64
	quiet bool
}

func (s stub) Size() int64 { return s.size }

func (s stub) ReadAt([]byte, int64) (int, error) {
	if s.quiet {
		return 0, nil
	}
	return 0, io.EOF
}
