package main

import (
	"strings"
	"testing"
)

func TestPicture(t *testing.T) {
	part := func(start, length int64, data bool) mapExtent {
		return mapExtent{Start: start, Length: length, Data: data, Zero: !data, Present: data}
	}
	for name, c := range map[string]struct {
		extents []mapExtent
		size    int64
		want    string
	}{
		"empty":      {nil, 0, ""},
		"all data":   {[]mapExtent{part(0, 6400, true)}, 6400, strings.Repeat("#", 64)},
		"no data":    {[]mapExtent{part(0, 6400, false)}, 6400, strings.Repeat(".", 64)},
		"halves":     {[]mapExtent{part(0, 3200, true), part(3200, 3200, false)}, 6400, strings.Repeat("#", 32) + strings.Repeat(".", 32)},
		"a byte":     {[]mapExtent{part(0, 6399, false), part(6399, 1, true)}, 6400, strings.Repeat(".", 63) + "+"},
		"very large": {[]mapExtent{part(0, 1<<61, true), part(1<<61, 1<<61, false)}, 1 << 62, strings.Repeat("#", 32) + strings.Repeat(".", 32)},
	} {
		got := picture(c.extents, c.size)
		if got != c.want {
			t.Errorf("%s:\n%s, want\n%s", name, got, c.want)
		}
	}
}
