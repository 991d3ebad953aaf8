package luks_test

import (
	"fmt"
	"testing"

	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/luks"
)

// TestSource runs what all sources must do over volumes of both versions and of long sectors.
func TestSource(t *testing.T) {
	for _, o := range []luks.Options{{Version: 1}, {SectorSize: 512, DataOffset: 1 << 20}, {SectorSize: 4096, DataOffset: 1 << 20}} {
		t.Run(fmt.Sprint(o.Version, o.SectorSize), func(t *testing.T) {
			v, _ := format(t, 4<<20, o)
			want := random(3, int(v.Size()))
			if _, err := v.WriteAt(want, 0); err != nil {
				t.Fatal(err)
			}
			imagetest.Source(t, v, want)
		})
	}
}
