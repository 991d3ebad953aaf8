package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"sort"
	"strconv"
	"strings"

	"github.com/luksimg/luksimg/image"
)

// GNU tar stores only the data of a sparse file, with a map. The map is in the headers (the old format,
// which Google Compute Engine requires, and pax 0.0 and 0.1), or before the data (pax 1.0). GNU tar
// manual, "Storing Sparse Files".

// maxRuns bounds the map of a file, to 24 MiB in memory.
const maxRuns = 1 << 20

// A run is a run of data in a sparse file.
type run struct {
	off, n int64 // in the file
	packed int64 // offset in the stored data
}

// sparseMap reads the map of a sparse member and sets its runs. For other members it does nothing.
// archive/tar has validated the map but does not export it.
func (m *member) sparseMap(r io.ReaderAt, h *tar.Header) (err error) {
	var numbers []int64
	version := h.PAXRecords["GNU.sparse.major"] + "." + h.PAXRecords["GNU.sparse.minor"]
	switch {
	case h.Typeflag == tar.TypeGNUSparse:
		numbers, err = oldMap(r, m.header)
	case version == "1.0":
		numbers, err = dataMap(r, m.header, m.off)
	case h.PAXRecords["GNU.sparse.map"] != "":
		numbers, err = decimals(h.PAXRecords["GNU.sparse.map"], ",")
	case version != ".":
		return fmt.Errorf("tar: %w: the member %q is a sparse file of version %s", image.ErrUnsupported, m.name, version)
	default:
		return nil
	}
	if err == nil {
		err = m.setRuns(numbers)
	}
	if err == nil {
		err = m.allMapped(r, h, version == "1.0")
	}
	if err != nil {
		return fieldError(m.header, "map of a sparse file", err, "pairs of offset and length, in order, inside the file")
	}
	return nil
}

var errRuns = errors.New("invalid")

// setRuns sets the runs from pairs of offset and length.
func (m *member) setRuns(numbers []int64) error {
	if len(numbers)%2 != 0 {
		return errRuns
	}
	m.sparse, m.stored = []run{}, 0
	end := int64(0)
	for i := 0; i < len(numbers); i += 2 {
		off, n := numbers[i], numbers[i+1]
		if off < end || n < 0 || off > m.size || n > m.size-off {
			return errRuns
		}
		if end = off + n; n > 0 {
			m.sparse = append(m.sparse, run{off, n, m.stored})
			m.stored += n
		}
	}
	return nil
}

// allMapped checks that the map covers all stored data. Otherwise other programs would read another
// file.
func (m *member) allMapped(r io.ReaderAt, h *tar.Header, mapInData bool) error {
	at, err := realHeader(r, m.header)
	if err != nil {
		return err
	}
	b := make([]byte, blockSize)
	if _, err := image.ReadFull(r, b, at); err != nil {
		return err
	}
	stored, ok := number(b[124:136])
	if s := h.PAXRecords["size"]; s != "" {
		stored, err = strconv.ParseInt(s, 10, 64)
	}
	if mapInData {
		stored -= m.off - at - blockSize
	}
	if !ok || err != nil || stored != m.stored {
		return fmt.Errorf("of %d bytes, but %d are stored", m.stored, stored)
	}
	return nil
}

// oldMap reads the map of the old format: four pairs in the header and 21 in each block after it.
func oldMap(r io.ReaderAt, at int64) ([]int64, error) {
	at, err := realHeader(r, at)
	if err != nil {
		return nil, err
	}
	b := make([]byte, blockSize)
	var all []int64
	for first, pairs, more := 386, 4, 482; ; first, pairs, more = 0, 21, 504 {
		if _, err := image.ReadFull(r, b, at); err != nil {
			return nil, err
		}
		for i := range pairs {
			p := b[first+24*i:][:24]
			if p[0] == 0 {
				break
			}
			off, ok1 := number(p[:12])
			n, ok2 := number(p[12:])
			if !ok1 || !ok2 {
				return nil, errRuns
			}
			all = append(all, off, n)
		}
		if b[more] == 0 {
			return all, nil
		}
		if len(all) > 2*maxRuns {
			return nil, fmt.Errorf("of more than %d runs", maxRuns)
		}
		at += blockSize
	}
}

// realHeader returns the offset of the file's own header, after the extension headers.
func realHeader(r io.ReaderAt, at int64) (int64, error) {
	b := make([]byte, blockSize)
	for {
		if _, err := image.ReadFull(r, b, at); err != nil {
			return 0, err
		}
		switch b[156] {
		case tar.TypeXHeader, tar.TypeGNULongName, tar.TypeGNULongLink:
		default:
			return at, nil
		}
		n, ok := number(b[124:136])
		if !ok || n > 1<<40 {
			return 0, errRuns
		}
		at += blockSize + roundUp(n)
	}
}

// dataMap reads the map before the data, from the end of the header to data: the number of pairs and
// then the pairs, one number per line.
func dataMap(r io.ReaderAt, at, data int64) ([]int64, error) {
	at, err := realHeader(r, at)
	if err != nil {
		return nil, err
	}
	at += blockSize
	if data < at || data-at > 42*maxRuns {
		return nil, fmt.Errorf("of more than %d runs", maxRuns)
	}
	b := make([]byte, data-at)
	if _, err := image.ReadFull(r, b, at); err != nil {
		return nil, err
	}
	count, rest, _ := bytes.Cut(b, []byte("\n"))
	n, err := strconv.ParseInt(string(count), 10, 64)
	if err != nil || n < 0 || n > maxRuns {
		return nil, errRuns
	}
	end := bytes.LastIndexByte(rest, '\n')
	all, err := decimals(string(rest[:max(end, 0)]), "\n")
	if err == nil && int64(len(all)) != 2*n {
		err = errRuns
	}
	return all, err
}

// decimals parses numbers between separators.
func decimals(text, separator string) ([]int64, error) {
	if text == "" {
		return nil, nil
	}
	if strings.Count(text, separator) > 2*maxRuns {
		return nil, fmt.Errorf("of more than %d runs", maxRuns)
	}
	var all []int64
	for s := range strings.SplitSeq(text, separator) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, errRuns
		}
		all = append(all, n)
	}
	return all, nil
}

// A sparseFile is a file that is stored without its holes.
type sparseFile struct {
	packed image.Source
	size   int64
	runs   []run // in order, none empty
}

// Size returns the length of the file including its holes.
func (f *sparseFile) Size() int64 { return f.size }

// at returns the index of the first run that ends after off.
func (f *sparseFile) at(off int64) int {
	return sort.Search(len(f.runs), func(i int) bool { return f.runs[i].off+f.runs[i].n > off })
}

// ReadAt reads from the file; see [io.ReaderAt].
func (f *sparseFile) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, errors.New("read at a negative offset")
	case len(p) == 0:
		return 0, nil
	case off >= f.size:
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), f.size-off)]
	done := 0
	for i := f.at(off); done < len(want); i++ {
		pos := off + int64(done)
		next := f.size
		if i < len(f.runs) {
			next = f.runs[i].off
		}
		if hole := min(next-pos, int64(len(want)-done)); hole > 0 {
			clear(want[done:][:hole])
			done += int(hole)
			pos += hole
		}
		if done == len(want) || i == len(f.runs) {
			break
		}
		x := f.runs[i]
		part := want[done:][:min(x.off+x.n-pos, int64(len(want)-done))]
		n, err := image.ReadFull(f.packed, part, x.packed+pos-x.off)
		if done += n; err != nil {
			return done, err
		}
	}
	if len(want) < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// Extents implements [image.Extenter].
func (f *sparseFile) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	off = min(max(off, 0), f.size)
	end := off + min(max(n, 0), f.size-off)
	return func(yield func(image.Extent, error) bool) {
		for i, pos := f.at(off), off; pos < end; i++ {
			next := f.size
			if i < len(f.runs) {
				next = f.runs[i].off
			}
			if next > pos {
				if !yield(image.Extent{Offset: pos, Length: min(next, end) - pos, Kind: image.Hole}, nil) {
					return
				}
				pos = next
			}
			if pos >= end || i == len(f.runs) {
				return
			}
			x := f.runs[i]
			stop := min(x.off+x.n, end)
			for e, err := range image.Extents(f.packed, x.packed+pos-x.off, stop-pos) {
				if err == nil {
					e.Offset += x.off - x.packed
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
			pos = stop
		}
	}
}
