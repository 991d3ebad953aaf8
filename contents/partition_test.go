package contents

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
)

func TestFindPartition(t *testing.T) {
	two := func(a, b [2]uint64) func() *disk { return func() *disk { return gptDisk(512, 64, a, b) } }
	for _, c := range []struct {
		name  string
		build func() *disk
		n     int
		start int64 // sector
		size  int64 // sectors
		err   error
		text  string // of the error, or else the warnings
	}{
		{"GPT", two([2]uint64{10, 19}, [2]uint64{20, 20}), 2, 20, 1, nil, ""},
		{"GPT of 4 KiB", func() *disk { return gptDisk(4096, 64, [2]uint64{10, 19}) }, 1, 80, 80, nil, ""},
		{"GPT from its backup", changed(func(d *disk) { d.header(1)[16]++ }), 1, 10, 10, nil, "the first GPT is damaged"},
		{"MBR", func() *disk { return mbrDisk(64) }, 1, 1, 8, nil, ""},
		{"logical", extended(func(*disk) {}), 6, 32, 3, nil, ""},

		{"missing", two([2]uint64{10, 19}, [2]uint64{20, 20}), 3, 0, 0, ErrNoPartition, "number 3; the disk has 1, 2"},
		{"zero", two([2]uint64{10, 19}, [2]uint64{20, 20}), 0, 0, 0, ErrNoPartition, "number 0"},
		{"negative", two([2]uint64{10, 19}, [2]uint64{20, 20}), -1, 0, 0, ErrNoPartition, "number -1"},
		{"no table", func() *disk { return &disk{make([]byte, 512), 512} }, 1, 0, 0, ErrNoPartition, "no partition table"},
		{"no partitions", func() *disk { return gptDisk(512, 64) }, 1, 0, 0, ErrNoPartition, "none in the GPT"},
		{"table damaged", changed(func(d *disk) { d.header(1)[16]++; d.header(63)[16]++ }), 1, 0, 0, ErrNoPartition, "HeaderCRC32"},
		{"extended", extended(func(*disk) {}), 2, 0, 0, ErrNoPartition, "an extended one"},
		{"protective", changed(func(d *disk) { clear(d.header(1)); clear(d.header(63)) }), 1, 0, 0, ErrNoPartition, "stands for a GPT"},
		{"backwards", two([2]uint64{20, 10}, [2]uint64{30, 31}), 1, 0, 0, image.ErrFormat, "from sector 20 to 10"},
		{"past the disk", func() *disk { return gptDisk(512, 64, [2]uint64{60, 70}) }, 1, 0, 0, image.ErrFormat, "has 5632 bytes at 30720, past the end of the disk at 32768"},
		{"far past the disk", func() *disk { return gptDisk(512, 64, [2]uint64{20, 1<<52 - 1}) }, 1, 0, 0, image.ErrFormat, "past the end"},
		{"overlap", two([2]uint64{10, 20}, [2]uint64{20, 30}), 2, 0, 0, image.ErrFormat, "has 5632 bytes at 10240, and overlaps partition 1, which has 5632 at 5120"},
		{"overlap of others", func() *disk {
			return gptDisk(512, 64, [2]uint64{10, 20}, [2]uint64{20, 30}, [2]uint64{40, 41})
		}, 3, 40, 2, nil, "partitions 1 and 2 overlap"},
		{"around another", two([2]uint64{10, 30}, [2]uint64{20, 22}), 1, 0, 0, image.ErrFormat, "overlaps partition 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, warnings, err := FindPartition(context.Background(), &counting{b: c.build().b}, c.n)
			text := strings.Join(warnings, "; ")
			if err != nil {
				text = err.Error()
			}
			if !errors.Is(err, c.err) || !strings.Contains(text, c.text) || c.text == "" && text != "" {
				t.Errorf("%v, warnings %q; want %v, %q", err, warnings, c.err, c.text)
			}
			if err == nil && (p.Number != c.n || p.Start != c.start*512 || p.Size != c.size*512) {
				t.Errorf("partition %+v, want %d sectors at %d", p, c.size, c.start)
			}
		})
	}
}
