package shard

import "testing"

// TestPartSize checks that each shard has a part if parts can be small enough.
func TestPartSize(t *testing.T) {
	const mib = 1 << 20
	for _, size := range []int64{1, 40 * mib, 41*mib + 512, 56 * mib, 1 << 30, 1<<30 + 16*mib, 100 << 30, 1 << 40, 10 << 40} {
		for _, shards := range []int{1, 2, 8, 9, 11, 100, 640, 1000, 5000} {
			p, err := partSize(size, 0, shards)
			if err != nil {
				t.Fatal(err)
			}
			j := Job{Shards: shards, PartSize: p}
			j.Image.FileSize = size
			possible := (size + MinPart - 1) / MinPart
			if p < MinPart || p > MaxPart || p%mib != 0 || j.Parts() > MaxParts || int64(j.Parts()) < min(int64(shards), possible) && size < MaxParts*MinPart {
				t.Errorf("%d bytes, %d shards: %d parts of %d", size, shards, j.Parts(), p)
			}
		}
	}
}
