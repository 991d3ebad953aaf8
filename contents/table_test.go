package contents

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/golden"
)

// starts lists the numbers, starts and sizes of partitions. Starts and sizes are in sectors.
func starts(info *Info) string {
	var b strings.Builder
	for _, p := range info.Partitions {
		s := int64(max(info.SectorSize, 1))
		fmt.Fprintf(&b, " %d:%d+%d", p.Number, p.Start/s, p.Size/s)
	}
	return strings.TrimPrefix(b.String(), " ")
}

// tables lists disks with the expected table, partitions and warnings. An empty text means no warnings.
var tables = []struct {
	name   string
	build  func() *disk
	table  string
	starts string
	text   string
}{
	{"GPT", func() *disk { return gptDisk(512, 64, [2]uint64{10, 19}, [2]uint64{20, 20}) }, GPT, "1:10+10 2:20+1", ""},
	{"GPT of 4 KiB", func() *disk { return gptDisk(4096, 64, [2]uint64{10, 19}) }, GPT, "1:10+10", ""},
	{"empty GPT", func() *disk { return gptDisk(512, 64) }, GPT, "", ""},
	{"header CRC", changed(func(d *disk) { d.header(1)[16]++ }), GPT, "1:10+10", "the first GPT is damaged, the one at the end of the disk is used: gpt: HeaderCRC32"},
	{"header CRC of 4 KiB", func() *disk {
		d := gptDisk(4096, 64, [2]uint64{10, 19})
		d.header(1)[16]++
		return d
	}, GPT, "1:10+10", "HeaderCRC32"},
	{"entries CRC", changed(func(d *disk) { d.entry(1, 0)[40]++ }), GPT, "1:10+10", "PartitionEntryArrayCRC32"},
	{"header size 0", changed(func(d *disk) { le.PutUint32(d.header(1)[12:], 0) }), GPT, "1:10+10", "HeaderSize"},
	{"header size 2^32-1", changed(func(d *disk) { le.PutUint32(d.header(1)[12:], 1<<32-1) }), GPT, "1:10+10", "HeaderSize"},
	{"own sector", changed(func(d *disk) { le.PutUint64(d.header(1)[24:], 2); d.sealHeader(1) }), GPT, "1:10+10", "MyLBA"},
	{"entries of 0 bytes", changed(func(d *disk) { le.PutUint32(d.header(1)[84:], 0); d.sealHeader(1) }), GPT, "1:10+10", "SizeOfPartitionEntry"},
	{"entries of 129 bytes", changed(func(d *disk) { le.PutUint32(d.header(1)[84:], 129); d.sealHeader(1) }), GPT, "1:10+10", "SizeOfPartitionEntry"},
	{"entries of 2 GiB", changed(func(d *disk) { le.PutUint32(d.header(1)[84:], 1<<31); d.sealHeader(1) }), GPT, "1:10+10", "SizeOfPartitionEntry"},
	{"2^32-1 entries", changed(func(d *disk) { le.PutUint32(d.header(1)[80:], 1<<32-1); d.sealHeader(1) }), GPT, "1:10+10", "NumberOfPartitionEntries"},
	{"2^25 entries", changed(func(d *disk) { le.PutUint32(d.header(1)[80:], 1<<25); d.sealHeader(1) }), GPT, "1:10+10", "NumberOfPartitionEntries"},
	{"entries past the disk", changed(func(d *disk) { le.PutUint32(d.header(1)[80:], 8192); d.sealHeader(1) }), GPT, "1:10+10", "the first GPT is damaged"},
	{"entries at sector 0", changed(func(d *disk) { le.PutUint64(d.header(1)[72:], 0); d.sealHeader(1) }), GPT, "1:10+10", "PartitionEntryLBA"},
	{"entries at sector 2^64-1", changed(func(d *disk) { le.PutUint64(d.header(1)[72:], 1<<64-1); d.sealHeader(1) }), GPT, "1:10+10", "PartitionEntryLBA"},
	{"entries at sector 2^55", changed(func(d *disk) { le.PutUint64(d.header(1)[72:], 1<<55); d.sealHeader(1) }), GPT, "1:10+10", "PartitionEntryLBA"},
	{"no header", changed(func(d *disk) { clear(d.header(1)) }), GPT, "1:10+10", "no GPT header"},
	{"start overwritten", changed(func(d *disk) { clear(d.b[:2048]) }), GPT, "1:10+10", "no protective MBR"},
	{"both headers damaged", changed(func(d *disk) { d.header(1)[16]++; d.header(63)[16]++ }), GPT, "", "cannot be used"},
	{"both headers gone", changed(func(d *disk) { clear(d.header(1)); clear(d.header(63)) }), MBR, "1:1+63", "a protective MBR, but no GPT"},
	{"second header damaged", changed(func(d *disk) { d.header(63)[16]++ }), GPT, "1:10+10", "the second GPT, in sector 63, is damaged"},
	{"second header differs", changed(func(d *disk) { d.entry(63, 0)[40]++; d.seal(63) }), GPT, "1:10+10", "differ"},
	{"second header at 2^64-1", changed(func(d *disk) { le.PutUint64(d.header(1)[32:], 1<<64-1); d.seal(1) }), GPT, "1:10+10", "the second GPT"},
	{"second header is the first", changed(func(d *disk) { le.PutUint64(d.header(1)[32:], 1); d.seal(1) }), GPT, "1:10+10", "made larger"},
	{"disk made larger", changed(func(d *disk) { d.b = append(d.b, make([]byte, 100*512)...) }), GPT, "1:10+10", "made larger"},
	{"disk cut", changed(func(d *disk) { d.b = d.b[:15*512] }), GPT, "1:10+10", "partition 1 ends past the end of the disk"},
	{"hybrid MBR", changed(func(d *disk) { d.mbrEntry(0, 1, 0, 0x83, 10, 10) }), GPT, "1:10+10", "hybrid"},
	{"no protective MBR", changed(func(d *disk) { clear(d.header(0)) }), GPT, "1:10+10", "no protective MBR"},
	{"GPT left over", changed(func(d *disk) { d.mbrEntry(0, 0, 0, 0x83, 10, 10) }), MBR, "1:10+10", "as a remnant"},
	{"GPT left over and damaged", changed(func(d *disk) { d.mbrEntry(0, 0, 0, 0x83, 10, 10); d.header(1)[16]++ }), MBR, "1:10+10", ""},
	{"partition backwards", func() *disk { return gptDisk(512, 64, [2]uint64{20, 10}, [2]uint64{30, 31}) }, GPT, "1:0+0 2:30+2", "from sector 20 to 10"},
	{"partition of 2^64 sectors", func() *disk { return gptDisk(512, 64, [2]uint64{0, 1<<64 - 1}) }, GPT, "1:0+0", "to 18446744073709551615"},
	{"partition of 2^52 sectors", func() *disk { return gptDisk(512, 64, [2]uint64{20, 1<<52 - 1}) }, GPT, "1:20+4503599627370476", "past the end"},
	{"partition past the disk", func() *disk { return gptDisk(512, 64, [2]uint64{64, 70}) }, GPT, "1:64+7", "past the end"},
	{"partitions overlap", func() *disk { return gptDisk(512, 64, [2]uint64{10, 20}, [2]uint64{20, 30}) }, GPT, "1:10+11 2:20+11", "partitions 1 and 2 overlap"},

	{"MBR", func() *disk { return mbrDisk(64) }, MBR, "1:1+8", ""},
	{"nothing", func() *disk { return &disk{make([]byte, 64*512), 512} }, NoTable, "", ""},
	{"no bytes", func() *disk { return &disk{nil, 512} }, NoTable, "", ""},
	{"511 bytes", func() *disk { d := mbrDisk(1); d.b = d.b[:511]; return d }, NoTable, "", ""},
	{"one sector", func() *disk { return mbrDisk(1) }, MBR, "1:1+8", "past the end"},
	{"MBR without partitions", func() *disk { d := mbrDisk(64); d.mbrEntry(0, 0, 0, 0, 0, 0); return d }, NoTable, "", ""},
	{"MBR with a flag of 1", func() *disk { d := mbrDisk(64); d.mbrEntry(0, 1, 1, 0x83, 10, 1); return d }, NoTable, "", ""},
	{"MBR without its mark", func() *disk { d := mbrDisk(64); d.b[511] = 0; return d }, NoTable, "", ""},
	{"partition of 2^32-1 sectors", func() *disk { d := mbrDisk(64); d.mbrEntry(0, 1, 0, 0x83, 1<<32-1, 1<<32-1); return d }, MBR, "1:1+8 2:4294967295+4294967295", "past the end"},
	{"overlap", func() *disk { d := mbrDisk(64); d.mbrEntry(0, 2, 0, 0x83, 8, 1); return d }, MBR, "1:1+8 3:8+1", "partitions 1 and 3 overlap"},
	{"logical", extended(func(d *disk) {}), MBR, "1:1+8 2:20+40 5:21+3 6:32+3", ""},
	{"logical, empty", extended(func(d *disk) { d.mbrEntry(20, 0, 0, 0, 0, 0); d.mbrEntry(20, 1, 0, 0, 0, 0) }), MBR, "1:1+8 2:20+40", ""},
	{"logical, first one deleted", extended(func(d *disk) { d.mbrEntry(20, 0, 0, 0, 0, 0) }), MBR, "1:1+8 2:20+40 5:32+3", ""},
	{"logical, without a record", extended(func(d *disk) { clear(d.header(20)) }), MBR, "1:1+8 2:20+40", "no extended boot record in sector 20"},
	{"logical, loop of one", extended(func(d *disk) { d.mbrEntry(20, 1, 0, 5, 0, 5) }), MBR, "1:1+8 2:20+40 5:21+3", "a loop, at sector 20"},
	{"logical, loop of two", extended(func(d *disk) { d.mbrEntry(30, 1, 0, 5, 0, 5) }), MBR, "1:1+8 2:20+40 5:21+3 6:32+3", "a loop, at sector 20"},
	{"logical, link out of it", extended(func(d *disk) { d.mbrEntry(30, 1, 0, 5, 41, 5) }), MBR, "1:1+8 2:20+40 5:21+3 6:32+3", "leaves the extended partition"},
	{"logical, link far out", extended(func(d *disk) { d.mbrEntry(30, 1, 0, 5, 1<<32-1, 5) }), MBR, "1:1+8 2:20+40 5:21+3 6:32+3", "leaves the extended partition"},
	{"logical, past the disk", extended(func(d *disk) {
		d.mbrEntry(0, 1, 0, 5, 20, 1<<31)
		d.mbrEntry(30, 1, 0, 5, 1<<20, 5)
	}), MBR, "1:1+8 2:20+2147483648 5:21+3 6:32+3", "could not read the extended boot record"},
	{"logical, of 2^32-1 sectors", extended(func(d *disk) { d.mbrEntry(30, 0, 0, 0x83, 1<<32-1, 1<<32-1) }), MBR, "1:1+8 2:20+40 5:21+3 6:4294967325+4294967295", "past the end"},
	{"extended, past the disk", func() *disk { d := mbrDisk(64); d.mbrEntry(0, 1, 0, 0xf, 1<<31, 5); return d }, MBR, "1:1+8 2:2147483648+5", "could not read the extended"},
	{"extended, in itself", func() *disk { d := mbrDisk(64); d.mbrEntry(0, 1, 0, 5, 0, 64); return d }, MBR, "1:1+8 2:0+64 5:1+8", "a loop"},
	{"two extended", func() *disk {
		d := mbrDisk(64)
		d.mbrEntry(0, 1, 0, 5, 20, 10)
		d.mbrEntry(0, 2, 0, 0x85, 40, 10)
		d.mbrEntry(20, 0, 0, 0x83, 1, 2)
		d.mbrEntry(40, 0, 0, 0x83, 1, 2)
		return d
	}, MBR, "1:1+8 2:20+10 3:40+10 5:21+2 6:41+2", ""},
}

// changed returns a GPT disk with a change.
func changed(edit func(*disk)) func() *disk {
	return func() *disk {
		d := gptDisk(512, 64, [2]uint64{10, 19})
		edit(d)
		return d
	}
}

// extended returns an MBR disk with two logical partitions and a change.
func extended(edit func(*disk)) func() *disk {
	return func() *disk {
		d := mbrDisk(64)
		d.mbrEntry(0, 1, 0, 5, 20, 40)
		d.mbrEntry(20, 0, 0, 0x83, 1, 3)
		d.mbrEntry(20, 1, 0, 5, 10, 5)
		d.mbrEntry(30, 0, 0, 0x83, 2, 3)
		edit(d)
		return d
	}
}

func TestTables(t *testing.T) {
	for _, c := range tables {
		t.Run(c.name, func(t *testing.T) {
			src := &counting{b: c.build().b}
			info := bound(t, src)
			if info.PartitionTable != c.table || starts(info) != c.starts {
				t.Errorf("%s with %s, want %s with %s", info.PartitionTable, starts(info), c.table, c.starts)
			}
			if all := strings.Join(info.Warnings, "; "); !strings.Contains(all, c.text) || c.text == "" && all != "" {
				t.Errorf("warnings %q, want %q", all, c.text)
			}
			if src.bytes > 4<<20 || src.reads > 1000 {
				t.Errorf("read %d bytes in %d calls", src.bytes, src.reads)
			}
		})
	}
}

// bound calls Inspect and checks how much it reads and allocates.
func bound(t testing.TB, src *counting) *Info {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	info := inspect(t, src)
	runtime.ReadMemStats(&after)
	if src.bytes > maxBytes || src.reads > maxReads {
		t.Errorf("read %d bytes in %d calls", src.bytes, src.reads)
	}
	// The total of all allocations. The peak is a fraction of it.
	if n := after.TotalAlloc - before.TotalAlloc; n > 2*uint64(src.bytes)+8<<20 {
		t.Errorf("allocated %d bytes", n)
	}
	if n := len(info.Warnings); n > maxWarnings+1 {
		t.Errorf("%d warnings", n)
	}
	return info
}

// TestManyPartitions inspects tables with more partitions than the limit.
func TestManyPartitions(t *testing.T) {
	d := &disk{make([]byte, 4<<20), 512}
	d.mbrEntry(0, 0, 0, 5, 1, 8000)
	for i := 1; i < 2000; i++ {
		d.mbrEntry(i, 0, 0, 0x83, 1, 1)
		d.mbrEntry(i, 1, 0, 5, uint32(i), 2)
	}
	info := bound(t, &counting{b: d.b})
	if len(info.Partitions) != maxPartitions || info.Partitions[255].Number != 259 || !strings.Contains(fmt.Sprint(info.Warnings), "more than 256") {
		t.Errorf("%d partitions, warnings %q", len(info.Partitions), info.Warnings)
	}
	// A chain of links without partitions.
	for i := 1; i < 2000; i++ {
		d.mbrEntry(i, 0, 0, 0, 0, 0)
	}
	info = bound(t, &counting{b: d.b})
	if len(info.Partitions) != 1 || !strings.Contains(fmt.Sprint(info.Warnings), "more than 256 records") {
		t.Errorf("%d partitions, warnings %q", len(info.Partitions), info.Warnings)
	}

	// 1000 entries for the same ext2 partition: each is inspected.
	g := gptDisk(512, 8192)
	// Without these files it is not a root filesystem.
	ext2 := bytes.ReplaceAll(golden.Read("../testdata/contents/ext2.img.gz"), []byte("os-release"), []byte("xx-release"))
	copy(g.b[1<<20:], bytes.ReplaceAll(ext2, []byte("fstab"), []byte("xxtab")))
	h := g.header(1)
	le.PutUint32(h[80:], 1000)
	le.PutUint64(h[72:], 4)
	for i := range 1000 {
		e := g.entry(1, i)
		e[0], e[16] = 1, byte(i)
		le.PutUint64(e[32:], 2048)
		le.PutUint64(e[40:], 8000)
	}
	g.seal(1)
	src := &counting{b: g.b}
	info = bound(t, src)
	if len(info.Partitions) != maxPartitions || len(info.Warnings) != maxWarnings+1 {
		t.Errorf("%d partitions, %d warnings", len(info.Partitions), len(info.Warnings))
	}
	if info.RootPartition != 0 || info.CloudInit != Unknown || src.bytes < 10<<20 {
		t.Errorf("root %d, cloud-init %s, %d bytes read", info.RootPartition, info.CloudInit, src.bytes)
	}
}
