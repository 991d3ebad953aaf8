package contents

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzInspect looks into disks of any content. With tail set the disk is longer than
// the input, which ends it: where the second GPT is.
func FuzzInspect(f *testing.F) {
	for _, d := range []*disk{gptDisk(512, 32, [2]uint64{3, 9}, [2]uint64{10, 20}), gptDisk(4096, 16, [2]uint64{3, 5}), mbrDisk(16), extended(func(*disk) {})()} {
		f.Add(d.b, false)
	}
	backup := gptDisk(512, 32, [2]uint64{3, 9})
	clear(backup.b[:1024])
	f.Add(backup.b, true)
	// The starts of filesystems: small inputs, as large ones slow the fuzzer down.
	f.Add(golden(f, "ext2")[:160<<10], false)
	f.Add(golden(f, "ext4")[:160<<10], false)
	f.Add(golden(f, "xfs5")[:64<<10], false)
	f.Add(put(0, "LUKS\xba\xbe\x00\x02", 24, "a\x1b")[:1024], false)
	f.Add(put(512, "LABELONE", 512+20, "\x20\x00\x00\x00LVM2 001")[:2048], false)
	f.Add(put(0, fatBPB, 38, "\x29\xcd\xab\x34\x12A LABEL    ", 510, "\x55\xaa")[:1024], false)
	f.Add(put(4086, "SWAPSPACE2")[:4096], false)
	f.Fuzz(func(t *testing.T, b []byte, tail bool) {
		if tail {
			b = append(make([]byte, 512*(7-len(b)/512%7)), b...)
		}
		src := &counting{b: b}
		info := bound(t, src)
		text, err := json.Marshal(info)
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(text) {
			t.Fatalf("invalid text in %s", text)
		}
		if len(info.Partitions) > maxPartitions {
			t.Fatalf("%d partitions", len(info.Partitions))
		}
		for _, p := range info.Partitions {
			if p.Start < 0 || p.Size < 0 || p.Start+p.Size < 0 || p.Number < 1 {
				t.Fatalf("%+v", p)
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
	})
}
