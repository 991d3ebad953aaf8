package diskmap

import (
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
)

func TestPicture(t *testing.T) {
	part := func(start, length int64, data bool) Extent {
		return Extent{Start: start, Length: length, Data: data, Zero: !data, Present: data}
	}
	for name, c := range map[string]struct {
		extents []Extent
		size    int64
		want    string
	}{
		"empty":       {nil, 0, ""},
		"all data":    {[]Extent{part(0, 6400, true)}, 6400, strings.Repeat("#", 64)},
		"no data":     {[]Extent{part(0, 6400, false)}, 6400, strings.Repeat(".", 64)},
		"halves":      {[]Extent{part(0, 3200, true), part(3200, 3200, false)}, 6400, strings.Repeat("#", 32) + strings.Repeat(".", 32)},
		"a byte":      {[]Extent{part(0, 6399, false), part(6399, 1, true)}, 6400, strings.Repeat(".", 63) + "+"},
		"three bytes": {[]Extent{part(0, 1, true), part(1, 1, false), part(2, 1, true)}, 3, strings.Repeat("#", 22) + strings.Repeat(".", 21) + strings.Repeat("#", 21)},
		"very large":  {[]Extent{part(0, 1<<61, true), part(1<<61, 1<<61, false)}, 1 << 62, strings.Repeat("#", 32) + strings.Repeat(".", 32)},
	} {
		p := newPicture(c.size, pictureWidth)
		for _, e := range c.extents {
			p.add(e)
		}
		got := p.String()
		if got != c.want {
			t.Errorf("%s:\n%s, want\n%s", name, got, c.want)
		}
	}
}

// striped is a disk of alternating data and hole sectors. It counts the extents that it yields.
type striped struct {
	sectors int64
	told    *int64
}

func (s striped) Size() int64                           { return 512 * s.sectors }
func (s striped) ReadAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (s striped) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for at := off; at < off+n; at += 512 {
			*s.told++
			kind := image.Data
			if at/512%2 == 1 {
				kind = image.Hole
			}
			if !yield(image.Extent{Offset: at, Length: 512, Kind: kind}, nil) {
				return
			}
		}
	}
}

// first records how many sectors had been yielded when the first byte was written.
type first struct {
	bytes.Buffer
	told *int64
	when int64
}

func (f *first) Write(p []byte) (int, error) {
	if f.Len() == 0 {
		f.when = *f.told
	}
	return f.Buffer.Write(p)
}

// TestMapAsItComes checks that a map is printed while its extents are still being yielded.
func TestMapAsItComes(t *testing.T) {
	told := int64(0)
	s := striped{20_000, &told}
	m, err := Of(t.Context(), s)
	if err != nil || m.extents != s.sectors || m.picture.String() != strings.Repeat("+", 64) {
		t.Fatalf("%d extents, %s, %v", m.extents, &m.picture, err)
	}
	for name, write := range map[string]func(io.Writer) error{"text": m.WriteText, "JSON": m.WriteJSON} {
		told = 0
		out := &first{told: &told}
		if err := write(out); err != nil || out.when > 1000 || told != s.sectors {
			t.Errorf("%s: first write after %d extents of %d, %v", name, out.when, told, err)
		}
		switch name {
		case "text":
			if n := strings.Count(out.String(), "\n"); n != 20_001 || !strings.Contains(out.String(), "\n0x200       0x200     hole\n") {
				t.Errorf("text of %d lines: %.200s", n, out)
			}
		case "JSON":
			var all []Extent
			if err := json.Unmarshal(out.Bytes(), &all); err != nil || len(all) != 20_000 || all[3] != (Extent{Start: 1536, Length: 512, Zero: true}) {
				t.Errorf("JSON: %d extents, %v", len(all), err)
			}
		}
	}
}

func TestShares(t *testing.T) {
	s := striped{sectors: 64, told: new(int64)}
	got, err := Shares(t.Context(), s, 32)
	if err != nil || len(got) != 32 {
		t.Fatal(got, err)
	}
	for i, share := range got {
		if share != 0.5 {
			t.Errorf("part %d: %v of it is data, want a half", i, share)
		}
	}
	if got, err = Shares(t.Context(), striped{told: new(int64)}, 4); err != nil || got[0] != 0 {
		t.Errorf("shares of an empty disk: %v, %v", got, err)
	}
}
