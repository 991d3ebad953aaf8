package main

import (
	"encoding/binary"
	"hash/crc32"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdPartition makes a disk with a file in a partition: "partition KIND FILE DISK", see [partitioned].
func cmdPartition(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), partitioned(args[0], []byte(ts.ReadFile(args[1]))), 0o644))
}

// partitioned returns a disk with part in a partition at 2 MiB: number 2 for "gpt", logical partition 5 for "mbr".
// Random data precede it.
func partitioned(kind string, part []byte) []byte {
	const mib, sector = 1 << 20, 512
	sectors := (len(part) + sector - 1) / sector
	b := make([]byte, 3*mib+sectors*sector)
	for i := range b[mib : 2*mib-sector] {
		b[mib+i] = byte(i*i>>8 | 1)
	}
	copy(b[2*mib:], part)
	le := binary.LittleEndian
	entry := func(at, n int, kind byte, first, count int) {
		b[at+510], b[at+511] = 0x55, 0xaa
		e := b[at+446+16*n:]
		e[4] = kind
		le.PutUint32(e[8:], uint32(first))
		le.PutUint32(e[12:], uint32(count))
	}
	if kind == "mbr" {
		const record = 2*mib/sector - 1
		entry(0, 0, 0x83, mib/sector, mib/sector-1)
		entry(0, 1, 0x05, record, sectors+1)
		entry(record*sector, 0, 0x83, 1, sectors)
	} else {
		last := len(b)/sector - 1
		entry(0, 0, 0xee, 1, last)
		entries := make([]byte, 128*128)
		for i, p := range [][2]int{{mib, mib}, {2 * mib, sectors * sector}} {
			e := entries[128*i:]
			copy(e, "\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4") // type GUID of Linux data
			e[16] = byte(i + 1)
			le.PutUint64(e[32:], uint64(p[0]/sector))
			le.PutUint64(e[40:], uint64((p[0]+p[1])/sector-1))
		}
		for _, at := range [][3]int{{1, last, 2}, {last, 1, last - 32}} { // own sector, other header, entries
			h := b[at[0]*sector:][:92]
			copy(h, "EFI PART\x00\x00\x01\x00\x5c")
			le.PutUint64(h[24:], uint64(at[0]))
			le.PutUint64(h[32:], uint64(at[1]))
			le.PutUint64(h[72:], uint64(at[2]))
			le.PutUint32(h[80:], 128)
			le.PutUint32(h[84:], 128)
			le.PutUint32(h[88:], crc32.ChecksumIEEE(entries))
			le.PutUint32(h[16:], crc32.ChecksumIEEE(h))
			copy(b[at[2]*sector:], entries)
		}
	}
	return b
}
