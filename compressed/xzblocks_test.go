package compressed

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// TestAligner passes two blocks alternately, in parts of any length.
func TestAligner(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 10*image.PushUnit+100)
	for i := range want {
		want[i] = byte(rnd.Uint32())
	}
	const second = 4 * image.PushUnit
	for range 200 {
		got := make([]byte, len(want))
		given := 0
		a := aligner{ends: map[int64][]byte{}, size: int64(len(want)), do: func(p []byte, off int64) error {
			if off%image.PushUnit != 0 || len(p)%image.PushUnit != 0 && off+int64(len(p)) != int64(len(want)) {
				t.Fatalf("%d bytes at %d", len(p), off)
			}
			given += copy(got[off:], p)
			return nil
		}}
		at, ends := [2]int{0, second}, [2]int{second, len(want)}
		for at != ends {
			i := rnd.IntN(2)
			n := min(rnd.IntN(1+rnd.IntN(9000)), ends[i]-at[i])
			if err := a.add(want[at[i]:at[i]+n], int64(at[i])); err != nil {
				t.Fatal(err)
			}
			at[i] += n
		}
		if !bytes.Equal(got, want) || given != len(want) || len(a.ends) != 0 {
			t.Fatalf("%d bytes of %d", given, len(want))
		}
	}
}
