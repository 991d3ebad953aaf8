package qcow

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// TestOverlaps reads images whose structures overlap. The content of such a disk is undefined.
// Reading must still end in bounded memory, and Check must report corruption.
func TestOverlaps(t *testing.T) {
	w := small.build()
	word := func(at int64, to int64) func(*layout) { return put64(at, uint64(to)|flagCopied) }
	many := img{size: 1 << 20, kinds: "d"}
	for name, c := range map[string]struct {
		img  img
		edit func(*layout)
	}{
		"an L2 table in the L1 table":         {small, word(w.l1, w.l1)},
		"an L2 table in data":                 {small, word(w.l1, w.data[5])},
		"an L2 table in the refcount table":   {small, word(w.l1, w.reftable)},
		"an L2 table in a refcount block":     {small, word(w.l1, w.refblock)},
		"two L2 tables in one place":          {small, word(w.l1, w.l2[1])},
		"all L2 tables in one place":          {many, oneTable},
		"data in the header's cluster":        {small, put64(w.l2[0], flagCompressed|8)},
		"data in their own L2 table":          {small, word(w.l2[0], w.l2[0])},
		"data in the refcount table":          {small, word(w.l2[0], w.reftable)},
		"data in a refcount block":            {small, word(w.l2[0], w.refblock)},
		"data in one place":                   {small, oneCluster},
		"compressed data in data":             {small, put64(w.l2[0], flagCompressed|uint64(w.data[3])+7)},
		"compressed data in the L1 table":     {small, put64(w.l2[0], flagCompressed|uint64(w.l1)+1)},
		"the refcount table in the L1 table":  {small, put64(offReftable, uint64(w.l1))},
		"the refcount table in data":          {small, put64(offReftable, uint64(w.data[0]))},
		"a refcount block in the header":      {small, put64(w.reftable+8, 0x200)},
		"a refcount block in its table":       {small, put64(w.reftable, uint64(w.reftable))},
		"a refcount block in data":            {small, put64(w.reftable, uint64(w.data[0]))},
		"the L1 table in an L2 table":         {small, put64(offL1Offset, uint64(w.l2[0]))},
		"the L1 table in data":                {small, put64(offL1Offset, uint64(w.data[0]))},
		"the snapshot table in the L1 table":  {small, all(put32(offSnapshots, 1), put64(offSnapshotTable, uint64(w.l1)))},
		"a snapshot's L1 table in the disk's": {img{size: 40_000, kinds: "d", snapshot: true}, func(w *layout) { be.PutUint64(w.file[w.snapshots:], uint64(w.l1)) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.img.build()
			c.edit(w)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := openAndRead(w.file, "", nil)
			d, opened := openMetadata(w.file)
			var r CheckResult
			if opened == nil {
				if r, opened = d.Check(context.Background()); opened != nil {
					t.Errorf("Check: %v", opened)
				}
			}
			runtime.ReadMemStats(&after)
			if err != nil && !errors.Is(err, image.ErrFormat) {
				t.Errorf("reading: %v", err)
			}
			if r.Corruptions == 0 && !errors.Is(opened, image.ErrFormat) {
				t.Errorf("Check found nothing: %+v", r)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
				t.Errorf("%d bytes allocated", n)
			}
		})
	}
}

func oneTable(w *layout) {
	for i := range w.l2 {
		be.PutUint64(w.file[w.l1+8*int64(i):], uint64(slices.Max(w.l2))|flagCopied)
	}
}

func oneCluster(w *layout) {
	for i := range int64(64) {
		be.PutUint64(w.file[w.l2[0]+8*i:], uint64(w.data[0])|flagCopied)
	}
}

func openMetadata(file []byte) (*Disk, error) {
	return Open(context.Background(), bytes.NewReader(file), int64(len(file)), Options{MetadataOnly: true})
}
