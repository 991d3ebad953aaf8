package spans

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestList adds runs and compares the list with its units one by one.
func TestList(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var l List
		var want []int64
		at := int64(0)
		for range rnd.IntN(20) {
			first, count := at+rnd.Int64N(3), rnd.Int64N(5)+1
			if err := l.Add(first, count); err != nil {
				t.Fatal(err)
			}
			for u := first; u < first+count; u++ {
				want = append(want, u)
			}
			at = first + count
		}
		units := at + rnd.Int64N(3)
		back, err := Decode(l.Encode(), units)
		if err != nil || !slices.Equal(back, l) {
			t.Fatalf("%v, %v, want %v", back, err, l)
		}
		if got := slices.Collect(back.All()); !slices.Equal(got, want) || back.Len() != int64(len(want)) {
			t.Fatalf("%v, %d, want %v", got, back.Len(), want)
		}
		for i := range int64(len(want)) {
			if got := slices.Collect(back.From(i)); !slices.Equal(got, want[i:]) {
				t.Fatalf("from %d: %v, want %v", i, got, want[i:])
			}
		}
	}
	var l List
	l.Add(3, 4)
	l.Add(5, 4)
	if !slices.Equal(l, List{{3, 6, 0}}) {
		t.Errorf("overlapping runs: %v", l)
	}
}

func varints(n ...uint64) (b []byte) {
	for _, v := range n {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func TestDecodeRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"no length":     varints(3),
		"empty span":    varints(3, 0),
		"past the end":  varints(3, 8),
		"gap":           varints(11, 1),
		"no gap":        varints(1, 2, 0, 2),
		"overflow":      varints(1<<64-1, 2),
		"long overflow": varints(1, 1<<64-1),
		"cut":           {0x80},
		"too long":      bytes.Repeat([]byte{0xff}, 11),
	} {
		if l, err := Decode(b, 10); err == nil {
			t.Errorf("%s: Decode accepted %v", name, l)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(varints(3, 2, 1, 5), int64(20))
	f.Add(varints(0, 10), int64(10))
	f.Add([]byte{0x80, 0x80}, int64(5))
	f.Fuzz(func(t *testing.T, b []byte, units int64) {
		if units < 0 || units > 1<<62 {
			return
		}
		l, err := Decode(b, units)
		if err != nil {
			return
		}
		last := int64(-1)
		for _, s := range l {
			if s.First <= last || s.Count < 1 || s.First+s.Count > units {
				t.Fatalf("%v of %d units", l, units)
			}
			last = s.First + s.Count
		}
		if again, err := Decode(l.Encode(), units); err != nil || !slices.Equal(again, l) {
			t.Fatalf("%v, %v, want %v", again, err, l)
		}
	})
}
