package contents

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/luksimg/luksimg/contents/internal/fstest"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/golden"
)

// A tracer records the accesses to a source.
type tracer struct {
	counting
	at [][2]int64 // offset and length
}

func (t *tracer) ReadAt(p []byte, off int64) (int, error) {
	t.at = append(t.at, [2]int64{off, int64(len(p))})
	return t.counting.ReadAt(p, off)
}

// FuzzInspect inspects disks. If which is 0 or 1, b is the disk; 1 corrects the checksums of a GPT. Otherwise
// b changes a golden image at places that Inspect reads. A change has the index of the access (two bytes),
// the offset in it (two bytes), and the new value.
func FuzzInspect(f *testing.F) {
	// Large inputs slow the fuzzer down.
	logical := mbrDisk(5)
	logical.mbrEntry(0, 1, 0, 5, 2, 3)
	logical.mbrEntry(2, 0, 0, 0x83, 1, 1)
	logical.mbrEntry(2, 1, 0, 5, 1, 1)
	logical.mbrEntry(3, 0, 0, 0x83, 1, 1)
	f.Add(byte(0), logical.b)
	g := gptDisk(512, 6, [2]uint64{3, 3}, [2]uint64{3, 4})
	f.Add(byte(1), bytes.Clone(g.b))
	clear(g.header(1))
	f.Add(byte(0), g.b)
	f.Add(byte(0), put(0, "LUKS\xba\xbe\x00\x02", 24, "a\x1b")[:1024])
	f.Add(byte(0), put(512, "LABELONE", 512+20, "\x20\x00\x00\x00LVM2 001")[:2048])
	f.Add(byte(0), put(0, fatBPB, 38, "\x29\xcd\xab\x34\x12A LABEL    ", 510, "\x55\xaa")[:1024])
	f.Add(byte(0), put(4086, "SWAPSPACE2")[:4096])
	type source struct {
		b     []byte
		trace [][2]int64
	}
	var all []source
	for i, name := range []string{"gpt", "mbr", "ext4", "xfs5"} {
		tr := &tracer{counting: counting{b: golden.Read("../testdata/contents/" + name + ".img.gz")}}
		inspect(f, tr)
		all = append(all, source{tr.b, tr.at})
		f.Add(byte(2+i), []byte{0, 0, 1, 0xc2, 5, 0, 9, 0, 40, 1})
		f.Add(byte(2+i), []byte{0, 1, 4, 56, 0, 0, 20, 0, 0, 1})
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		switch {
		case which == 1:
			b = bytes.Clone(b)
			reseal(b)
		case which > 1:
			s := all[int(which-2)%len(all)]
			defer fstest.Change(s.b, s.trace, b)()
			b = s.b
		}
		fuzzInspect(t, &counting{b: b})
	})
}

// reseal sets the checksums of the first GPT, if there is one with sectors of 512 bytes.
func reseal(b []byte) {
	if !has(b, 512, gptMark) || len(b) < 1024 {
		return
	}
	h := b[512:1024]
	size := uint64(le.Uint32(h[80:])) * uint64(le.Uint32(h[84:]))
	if at := le.Uint64(h[72:]); at < uint64(len(b)/512) && size <= uint64(len(b))-at*512 {
		le.PutUint32(h[88:], crc32.ChecksumIEEE(b[at*512:][:size]))
	}
	clear(h[16:20])
	le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:min(le.Uint32(h[12:]), 512)]))
}

func fuzzInspect(t *testing.T, src *counting) {
	info := bound(t, src)
	text, err := json.Marshal(info)
	if err != nil || !utf8.Valid(text) {
		t.Fatalf("Info in JSON: %s, %v", text, err)
	}
	if len(info.Partitions) > maxPartitions {
		t.Fatalf("%d partitions", len(info.Partitions))
	}
	for _, p := range info.Partitions {
		if p.Start < 0 || p.Size < 0 || p.Start+p.Size < 0 || p.Number < 1 {
			t.Fatalf("invalid partition %+v", p)
		}
	}
	for _, p := range info.Partitions[:min(len(info.Partitions), 3)] {
		got, _, err := FindPartition(context.Background(), src, p.Number)
		if err != nil && !errors.Is(err, ErrNoPartition) && !errors.Is(err, image.ErrFormat) {
			t.Fatal(err)
		}
		if err == nil && (got.Number != p.Number || got.Size < 1 || got.Start > src.Size() || got.Size > src.Size()-got.Start) {
			t.Fatalf("%+v of a disk of %d bytes", got, src.Size())
		}
	}
	switch info.CloudInit {
	case Found, NotFound, Unknown:
	default:
		t.Fatalf("cloud-init %q", info.CloudInit)
	}
	for _, s := range append(info.Warnings, info.CloudInitReason, info.DiskID) {
		if strings.ContainsAny(s, "\x00\x07\x1b\n\x7f") {
			t.Fatalf("control characters in %q", s)
		}
	}
}
