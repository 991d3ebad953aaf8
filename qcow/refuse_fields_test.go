package qcow

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// row returns a refusal.
func row(rule, name string, m img, edit func(*layout), field string, offset int64, text string) refusal {
	return refusal{rule, name, m, edit, field, offset, text}
}

func all(edits ...func(*layout)) func(*layout) {
	return func(w *layout) {
		for _, e := range edits {
			e(w)
		}
	}
}

func put8(at int64, v byte) func(*layout) { return func(w *layout) { w.file[at] = v } }

// fieldRefusals sets each field of the header, and of the tables that it refers to, to its limits
// and past them.
func fieldRefusals() (rows []refusal) {
	add := func(rule, name string, m img, edit func(*layout), field string, offset int64, text string) {
		rows = append(rows, row(rule, name, m, edit, field, offset, text))
	}
	w := small.build()
	end := uint64(len(w.file))
	for i := range int64(4) {
		add("Q1", fmt.Sprint("magic, byte ", i), small, put8(i, 0), "magic", 0, "QFI")
	}
	for _, n := range []int{72, 80, 96, 100} {
		add("Q1", fmt.Sprint("version 3 of ", n, " bytes"), small, cut(n), "file size", 0, "version 3")
	}
	add("Q1", "version 2 of 71 bytes", img{version: 2, size: 40_000, kinds: "d"}, cut(71), "file size", 0, "at least 72")
	add("Q1", "nothing but a header", small, cut(104), "l1_table_offset", offL1Offset, "inside the file")
	for _, v := range []uint32{5, 1 << 24, 1<<32 - 1} {
		add("Q1", fmt.Sprint("version ", v), small, put32(offVersion, v), "version", offVersion, "2 or 3")
	}
	for _, v := range []uint32{1, 72, 96, 103, 105, 111, 513, 1 << 31, 1<<32 - 1} {
		add("Q1", fmt.Sprint("header length ", v), small, put32(offHeaderLength, v), "header_length", offHeaderLength, "")
	}
	for _, v := range []uint32{0, 1, 23, 31, 32, 64, 1 << 31, 1<<32 - 1} {
		add("Q2", fmt.Sprint("cluster bits ", v), small, put32(offClusterBits, v), "cluster_bits", offClusterBits, "from 9 to 21")
	}
	add("Q2", "size of 2^64-1", small, put64(offSize, 1<<64-1), "size", offSize, "less than 2^63")
	add("Q2", "size one byte past L1", small, put64(offSize, 65537), "l1_size", offL1Size, "at least 3")
	add("Q2", "size 2^62", small, put64(offSize, 1<<62), "l1_size", offL1Size, "at least")
	add("Q2", "L1 of nothing", small, put32(offL1Size, 0), "l1_size", offL1Size, "at least 2")
	add("Q2", "L1 of 2^31", small, put32(offL1Size, 1<<31), "l1_size", offL1Size, "at most 4194304")
	add("Q2", "L1 one entry past the file", small, put32(offL1Size, uint32(end-512)/8+1), "l1_table_offset", offL1Offset, "inside the file")
	for _, v := range []uint32{16385, 1 << 31, 1<<32 - 1} {
		add("Q2", fmt.Sprint("reftable of ", v, " clusters"), small, put32(offReftableSize, v), "refcount_table_clusters", offReftableSize, "at most 16384")
	}
	add("Q2", "reftable of 5 clusters of 2 MiB", img{size: 1, bits: 21, kinds: "-"}, put32(offReftableSize, 5), "refcount_table_clusters", offReftableSize, "at most 4")
	for _, v := range []uint32{1 << 31, 1<<32 - 1} {
		add("Q2", fmt.Sprint(v, " snapshots"), small, put32(offSnapshots, v), "nb_snapshots", offSnapshots, "at most 65536")
	}
	for _, v := range []uint32{4, 1 << 31, 1<<32 - 1} {
		add("Q2", fmt.Sprint("crypt method ", v), small, put32(offCryptMethod, v), "crypt_method", offCryptMethod, "2 (LUKS)")
	}
	for _, v := range []uint32{8, 63, 64, 1<<32 - 1} {
		add("Q2", fmt.Sprint("refcount order ", v), small, put32(offRefcountOrder, v), "refcount_order", offRefcountOrder, "at most 6")
	}
	one := put32(offSnapshots, 1)
	for _, f := range []struct {
		name  string
		at    int64
		setup func(*layout)
	}{
		{"l1_table_offset", offL1Offset, func(*layout) {}},
		{"refcount_table_offset", offReftable, func(*layout) {}},
		{"snapshots_offset", offSnapshotTable, one},
	} {
		for _, v := range []struct {
			off  uint64
			text string
		}{
			{1, "multiple of the cluster size"}, {256, "multiple of the cluster size"}, {512 + 8, "multiple of the cluster size"},
			{end, "inside the file"}, {1<<56 - 512, "inside the file"}, {1<<63 - 512, "inside the file"},
			{1<<63 - 1, "multiple of the cluster size"}, {1 << 63, "less than 2^63"}, {1<<64 - 1, "less than 2^63"},
		} {
			add("Q5", fmt.Sprintf("%s %#x", f.name, v.off), small, all(f.setup, put64(f.at, v.off)), f.name, f.at, v.text)
		}
	}
	add("Q5", "reftable in the header", small, put64(offReftable, 0), "refcount_table_offset", offReftable, "past the header")
	for _, bit := range []int{6, 7, 8, 16, 31, 32, 48, 62, 63} {
		add("Q4", fmt.Sprint("incompatible bit ", bit), img{size: 1000, features: 1 << bit}, nil, "", -1, fmt.Sprint("bit ", bit))
	}
	add("Q4", "dirty, and an unknown one", img{size: 1000, features: 1<<5 | incompatDirty}, nil, "", -1, "bit 5")
	for bits := uint(10); bits < 14; bits++ {
		add("Q4", fmt.Sprint("extended with clusters of ", 1<<bits), img{size: 1000, bits: bits, features: incompatExtendedL2}, nil, "cluster_bits", offClusterBits, "at least 14")
	}
	add("Q4", "compression type 255 without bit", img{size: 1000, headerLen: 112}, put8(offCompression, 255), "compression_type", offCompression, "is clear")
	add("Q4", "compression type 255", img{size: 1000, zstd: true}, put8(offCompression, 255), "", -1, "compression type 255")
	return rows
}

// extensionRefusals returns invalid header extensions and backing file names.
func extensionRefusals() (rows []refusal) {
	add := func(rule, name string, m img, edit func(*layout), field string, offset int64, text string) {
		rows = append(rows, row(rule, name, m, edit, field, offset, text))
	}
	const ext0 = headerSizeV3
	ext1 := func(kind uint32, data string) img { return img{size: 1000, exts: ext(kind, data)} }
	for kind, name := range map[uint32]string{extBackingFormat: "backing format", extFeatureNames: "feature names", extBitmaps: "bitmaps"} {
		add("Q3", name+" twice", img{size: 1000, exts: append(ext(kind, "12345678"), ext(kind, "12345678")...)}, nil, "header extension type", ext0+16, "occurs only once")
	}
	for kind := range map[uint32]string{extBackingFormat: "", extFeatureNames: "", extBitmaps: "", extCrypto: "", extDataFile: "", 77: ""} {
		add("Q3", fmt.Sprintf("extension %#x of a byte too many", kind), ext1(kind, "x"), put32(ext0+4, 401), "header extension length", ext0+4, "at most 400")
	}
	backing := img{size: 1000, backing: "base", exts: ext(0x1234, "12345678")} // the name is at 128
	add("Q3", "extension into the backing name", backing, put32(ext0+4, 17), "header extension length", ext0+4, "at most 16")
	add("Q3", "backing name of 2^32-1", backing, put32(offBackingSize, 1<<32-1), "backing_file_size", offBackingSize, "at most 1023")
	add("Q3", "backing name past its cluster", backing, put64(offBackingOffset, 513), "backing_file_offset", offBackingOffset, "by byte 512")
	add("Q3", "backing name across its cluster", backing, put64(offBackingOffset, 509), "backing_file_offset", offBackingOffset, "by byte 512")
	add("Q3", "backing name at byte 1", backing, put64(offBackingOffset, 1), "backing_file_offset", offBackingOffset, "at least 104")
	for _, v := range []uint64{1 << 63, 1<<64 - 1} {
		add("Q3", fmt.Sprintf("backing name at %#x", v), backing, put64(offBackingOffset, v), "backing_file_offset", offBackingOffset, "less than 2^63")
	}
	add("Q3", "backing name in the header of version 2", img{version: 2, size: 1000, backing: "base"}, put64(offBackingOffset, 71), "backing_file_offset", offBackingOffset, "at least 72")
	add("Q3", "backing format of 1024 bytes", img{size: 1000, bits: 12, exts: ext(extBackingFormat, strings.Repeat("q", 1024))}, nil, "length of the backing file format", ext0+4, "at most 1023")
	add("Q3", "data file name of 1024 bytes", img{size: 1000, bits: 12, exts: ext(extDataFile, strings.Repeat("q", 1024))}, nil, "length of the external data file name", ext0+4, "at most 1023")
	add("Q3", "data file name with a NUL", ext1(extDataFile, "\x00"), nil, "external data file name", ext0+8, "NUL")
	encrypted := put32(offCryptMethod, cryptLUKS)
	for _, n := range []int{0, 8, 17, 24} {
		add("Q9", fmt.Sprint("LUKS extension of ", n, " bytes"), ext1(extCrypto, strings.Repeat("\x00", n)), encrypted, "length of the encryption header extension", ext0+4, "16")
	}
	crypt := func(off, n uint64) (img, func(*layout)) {
		return ext1(extCrypto, string(make([]byte, 16))), all(encrypted, put64(ext0+8, off), put64(ext0+16, n))
	}
	for _, c := range []struct {
		off, n uint64
		field  string
		at     int64
		text   string
	}{
		{0, 512, "offset", 8, "past the header"}, {256, 512, "offset", 8, "multiple of the cluster"}, {513, 1, "offset", 8, "multiple of the cluster"},
		{1 << 20, 1, "offset", 8, "inside the file"}, {512, 64 << 20, "offset", 8, "inside the file"}, {1<<63 - 512, 512, "offset", 8, "inside the file"},
		{1 << 63, 512, "offset", 8, "multiple"}, {1<<64 - 512, 512, "offset", 8, "multiple"},
		{512, 64<<20 + 1, "length", 16, "at most"}, {512, 1 << 63, "length", 16, "at most"}, {512, 1<<64 - 1, "length", 16, "at most"},
	} {
		m, edit := crypt(c.off, c.n)
		add("Q9", fmt.Sprintf("LUKS header of %#x bytes at %#x", c.n, c.off), m, edit, "encryption header "+c.field, ext0+c.at, c.text)
	}
	add("Q9", "LUKS header of an image with AES", ext1(extCrypto, string(make([]byte, 16))), put32(offCryptMethod, cryptAES), "header extension type", ext0, "crypt_method is 2")
	return append(rows, luksRefusals()...)
}

// luksRefusals damages the LUKS header in an image.
func luksRefusals() (rows []refusal) {
	f := &memFile{}
	if _, err := createFile(f, 1000, CreateOptions{ClusterSize: 512, Passphrase: []byte("key"), LUKS: cheapLUKS()}); err != nil {
		panic(err)
	}
	file := f.b
	at := int64(be.Uint64(file[headerSizeV3+8+8:]))
	add := func(name string, edit func(*layout), field string, offset int64, text string) {
		if offset >= 0 {
			offset += at
		}
		rows = append(rows, row("Q9", name, img{}, all(func(w *layout) { w.file = bytes.Clone(file) }, edit), field, offset, text))
	}
	add("LUKS magic", put8(at, 'l'), "encryption header", 0, "no LUKS header")
	add("LUKS key of 0 bytes", put32(at+108, 0), "encryption header key-bytes", 108, "from 1 to 512")
	add("LUKS key of 513 bytes", put32(at+108, 513), "encryption header key-bytes", 108, "from 1 to 512")
	add("LUKS key of 2^32-1 bytes", put32(at+108, 1<<32-1), "encryption header key-bytes", 108, "from 1 to 512")
	add("LUKS digest of 0 iterations", put32(at+164, 0), "encryption header mk-digest-iter", 164, "at least 1")
	add("LUKS key slot neither on nor off", put32(at+208, 1), "encryption header key-slot-0.active", 208, "0xac71f3")
	add("LUKS key slot of 0 iterations", put32(at+212, 0), "encryption header key-slot-0.iterations", 212, "at least 1")
	add("LUKS key slot of 1 stripe", put32(at+208+44, 1), "encryption header key-slot-0.stripes", 252, "4000")
	add("LUKS key slot of 2^32-1 stripes", put32(at+208+44, 1<<32-1), "encryption header key-slot-0.stripes", 252, "4000")
	add("LUKS key material in the header", put32(at+208+40, 0), "encryption header key-slot-0.key-material-offset", 248, "at least 2 sectors")
	add("LUKS key material past the file", put32(at+208+40, 1<<32-1), "encryption header key-slot-0.key-material-offset", 248, "before the data")
	add("LUKS key material that overlaps", put32(at+208+48+40, 9), "encryption header key-slot-1.key-material-offset", 208+48+40, "")
	// A text can fill its field: cryptsetup accepts that. The key slot is then skipped because of
	// its cipher.
	add("LUKS cipher without an end", func(w *layout) { copy(w.file[at+8:], strings.Repeat("a", 32)) }, "", -1, `key slot 0 was left out: unsupported LUKS feature: cipher "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-xts-plain64"`)
	add("LUKS hash that is unknown", func(w *layout) { copy(w.file[at+72:], "md4\x00\x00\x00\x00") }, "", -1, "md4")
	add("LUKS version 7", func(w *layout) { w.file[at+7] = 7 }, "", -1, "version 7")
	return rows
}

// tableRefusals returns invalid L1 and L2 entries, snapshots and compressed clusters, and files
// that end within each structure.
func tableRefusals() (rows []refusal) {
	add := func(rule, name string, m img, edit func(*layout), field string, offset int64, text string) {
		rows = append(rows, row(rule, name, m, edit, field, offset, text))
	}
	w := small.build()
	l2, first, end := w.l2[0], uint64(w.data[0]), uint64(len(w.file))
	noRefs := put32(offReftableSize, 0)
	// With clusters of 4 KiB, the L1 table is at 4096 and an L2 table at 8192.
	large := img{size: 40_000, bits: 12, kinds: "d"}
	for _, by := range []uint64{1024, 2048, 3584} {
		add("Q5", fmt.Sprint("L2 table moved by ", by), large, put64(4096, 8192+by), "L1 entry 0", 4096, "multiple of the cluster size")
		add("Q5", fmt.Sprint("data moved by ", by), large, put64(8192+8, 12288+by), "L2 entry", 8200, "multiple of the cluster size")
	}
	add("Q5", "second L2 table past the file", small, put64(w.l1+8, end), "L1 entry 1", w.l1+8, "ends inside the file")
	add("Q5", "second L2 table far past the file", small, put64(w.l1+8, 1<<55), "L1 entry 1", w.l1+8, "ends inside the file")
	add("Q5", "data past the file in the second table", small, put64(w.l2[1], end), "L2 entry", w.l2[1], "inside the file")
	for _, v := range []uint64{1 << 55, 1<<55 | flagCopied, 1 << 40} {
		add("Q5", fmt.Sprintf("L2 entry %#x", v), small, put64(l2+16, v), "L2 entry", l2+16, "inside the file")
	}
	add("Q5", "zero flag alone in version 2", img{version: 2, size: 40_000, kinds: "d"}, put64(l2, flagZero), "L2 entry", l2, "version 2")
	for name, v := range map[string]uint64{"at the end": end, "a byte past the end": end + 1, "far past the end": 1<<54 - 1} {
		add("Q6", "compressed "+name, small, put64(l2, flagCompressed|v), "L2 entry", l2, "inside the file")
	}
	add("Q6", "compressed past the end, clusters of 64 KiB", img{size: 40_000, bits: 16, kinds: "d"}, put64(2<<16, flagCompressed|1<<53), "L2 entry", 2<<16, "inside the file")
	compressed := func(name, text string, z bool, data string) {
		m := small
		m.zstd = z
		kind := "deflate: "
		if z {
			kind = "zstd: "
		}
		add("Q6", kind+name, m, all(put64(l2, flagCompressed|first), func(w *layout) {
			clear(w.file[first:][:512])
			copy(w.file[first:], data)
		}), "compressed cluster", int64(first), text)
	}
	short := string(compress(bytes.Repeat([]byte("abc"), 100), false))
	compressed("block of type 3", "512 bytes", false, "\x07")
	compressed("stored block with a wrong length", "512 bytes", false, "\x01\x10\x00\x10\x00")
	compressed("reference to before the start", "512 bytes", false, "\x03\x02")
	compressed("an end at once", "the data ends before", false, "\x03\x00")
	compressed("300 bytes", "the data ends before", false, short)
	compressed("Huffman codes that are too many", "512 bytes", false, "\x05\xff\xff\xff\xff\xff\xff\xff")
	compressed("a zlib header", "512 bytes", false, "\x78\x9c"+short)
	frame := string(compress(bytes.Repeat([]byte("abc"), 1000)[:512], true))
	compressed("a frame cut", "512 bytes", true, frame[:len(frame)-9])
	compressed("300 bytes, and nothing", "512 bytes", true, string(compress(bytes.Repeat([]byte("abc"), 100), true)))
	compressed("an empty frame", "512 bytes", true, "\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00")
	compressed("a block of type 3", "512 bytes", true, "\x28\xb5\x2f\xfd\x20\x00\x07\x00\x00")
	compressed("a dictionary", "512 bytes", true, "\x28\xb5\x2f\xfd\x21\x01\x00\x01\x00\x00")
	compressed("a window of 2^41 bytes", "512 bytes", true, "\x28\xb5\x2f\xfd\x00\xff\x03\x10\x00x")
	compressed("a content of 2^63 bytes", "512 bytes", true, "\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x00\x00\x00\x00\x80\x03\x10\x00x")
	compressed("a bomb of a block repeated", "512 bytes", true, "\x28\xb5\x2f\xfd\x80\x58\x00\x00\x10\x00\x03\x00\x10x")
	compressed("a wrong checksum", "512 bytes", true, frame[:len(frame)-1]+string(frame[len(frame)-1]^1))
	compressed("a skippable frame", "512 bytes", true, "\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"+frame)

	extended := img{size: 600_000, bits: 14, kinds: "d", extended: true}
	x2 := extended.build().l2[0]
	add("Q7", "last subcluster allocated and zero", extended, put64(x2+8, 1<<63|1<<31), "subcluster allocation bitmap", x2+8, "both allocated and zero")
	add("Q7", "all allocated and zero", extended, put64(x2+8, 1<<64-1), "subcluster allocation bitmap", x2+8, "both allocated and zero")
	add("Q7", "last subcluster without a cluster", extended, all(put64(x2+16, 0), put64(x2+24, 1<<31)), "subcluster allocation bitmap", x2+24, "not allocated")
	add("Q7", "zero flag without a cluster", extended, put64(x2, flagZero), "L2 entry", x2, "extended L2")
	add("Q7", "data past the file", extended, put64(x2, 1<<50), "L2 entry", x2, "inside the file")
	add("Q7", "data not at a cluster", extended, put64(x2, 1<<15+512), "L2 entry", x2, "multiple of the cluster")

	snap := img{size: 40_000, kinds: "d", snapshot: true}
	at := snap.build().snapshots
	add("Q8", "extra data of 2^32-1 bytes", snap, put32(at+36, 1<<32-1), "snapshot 0 extra data size", at+36, "at most 1024")
	add("Q8", "size of 2^64-1", snap, put64(at+48, 1<<64-1), "snapshot 0 virtual disk size", at+48, "less than 2^63")
	tail := func(n int64) func(*layout) { // moves the table to the end of the file and cuts it there
		return func(w *layout) {
			b := bytes.Clone(w.file[at:][:512])
			be.PutUint64(w.file[offSnapshotTable:], uint64(len(w.file)))
			w.file = append(w.file, b[:n]...)
		}
	}
	for _, n := range []int64{0, 39} {
		add("Q8", fmt.Sprint("table of ", n, " bytes"), snap, tail(n), "snapshots_offset", offSnapshotTable, "inside the file")
	}
	moved := int64(len(snap.build().file))
	for _, n := range []int64{40, 48, 56, 60} {
		add("Q8", fmt.Sprint("entry of ", n, " bytes"), snap, tail(n), "snapshot 0 ID and name length", moved+12, "the end of the file")
	}
	add("Q8", "ID of 65535 bytes", snap, all(tail(64), func(w *layout) { be.PutUint16(w.file[moved+12:], 1<<16-1) }), "snapshot 0 ID and name length", moved+12, "the end of the file")
	add("Q8", "second entry past the file", snap, all(tail(64), put32(offSnapshots, 2)), "snapshots_offset", offSnapshotTable, "inside the file")
	add("Q8", "second entry within the file's last bytes", snap, all(tail(80), put32(offSnapshots, 2)), "snapshot 1 entry", moved+64, "the end of the file")

	data := img{size: 1000, kinds: "d", features: incompatDataFile}
	add("Q4", "data elsewhere in a data file", data, nil, "L2 entry", -1, "same offsets as the disk")
	add("Q4", "data past a data file", data, put64(data.build().l2[0], flagCopied), "L2 entry", data.build().l2[0], "inside the file of 0 bytes")

	add("cut", "in the L1 table", small, cut(int(w.l1)+12), "l1_table_offset", offL1Offset, "inside the file")
	add("cut", "in an extension", img{size: 1000, exts: ext(77, "12345678")}, all(put64(offSize, 0), put32(offL1Size, 0), cut(118)), "header extension length", 108, "at most 6")
	add("cut", "in a backing name", img{size: 1000, backing: "base"}, all(put64(offSize, 0), put32(offL1Size, 0), cut(114)), "backing_file_offset", offBackingOffset, "by byte 114")
	add("cut", "in an L2 table", small, all(noRefs, cut(int(l2)+100)), "L1 entry 0", w.l1, "ends inside the file")
	add("cut", "in the second L2 table", small, all(noRefs, cut(int(w.l2[1])+511)), "L1 entry 1", w.l1+8, "ends inside the file")
	add("cut", "in the first data", small, all(noRefs, put64(w.l1+8, 0), cut(int(first)+511)), "L2 entry", l2, "inside the file")
	add("cut", "in the refcount table", small, cut(int(w.reftable)+4), "refcount_table_offset", offReftable, "inside the file")
	return rows
}

// TestRefuseSnapshot opens a snapshot with an invalid L1 table. The disk itself is valid.
func TestRefuseSnapshot(t *testing.T) {
	snap := img{size: 40_000, kinds: "d", snapshot: true}
	w := snap.build()
	at, end := w.snapshots, uint64(len(w.file))
	for _, c := range []refusal{
		row("Q8", "no L1 table", snap, put32(at+8, 0), "snapshot l1_size", at+8, "at least 2"),
		row("Q8", "L1 table too small", snap, put32(at+8, 1), "snapshot l1_size", at+8, "at least 2"),
		row("Q8", "L1 table too large", snap, put32(at+8, 1<<32-1), "snapshot l1_size", at+8, "at most 4194304"),
		row("Q8", "L1 table longer than the file", snap, put32(at+8, 1<<20), "snapshot l1_table_offset", at, "inside the file"),
		row("Q8", "L1 table past the file", snap, put64(at, end), "snapshot l1_table_offset", at, "inside the file"),
		row("Q8", "L1 table at 2^64-1", snap, put64(at, 1<<64-1), "snapshot l1_table_offset", at, "multiple of the cluster"),
		row("Q8", "L1 table in the header", snap, put64(at, 0), "snapshot l1_table_offset", at, "past the header"),
		row("Q8", "L1 table moved", snap, put64(at, uint64(w.snapL1)+8), "snapshot l1_table_offset", at, "multiple of the cluster"),
		row("Q8", "size past the L1 table", snap, put64(at+48, 65537), "snapshot l1_size", at+8, "at least 3"),
		row("Q8", "L2 table past the file", snap, put64(w.snapL1, end), "L1 entry 0", w.snapL1, "ends inside"),
	} {
		t.Run(c.name, func(t *testing.T) {
			w := snap.build()
			c.edit(w)
			checkRefused(t, c, w.file, "1")
			if err := openAndRead(w.file, "", nil); err != nil {
				t.Errorf("the disk itself: %v", err)
			}
		})
	}
}

// TestHarmless reads images with oddities that do not affect the disk.
func TestHarmless(t *testing.T) {
	w := small.build()
	l2 := w.l2[0]
	clearWord := func(at int64) func(*layout) { return put64(at, 0) }
	for name, c := range map[string]struct {
		img  img
		edit func(*layout)
	}{
		"all compatible features":           {small, put64(offCompatible, 1<<64-1)},
		"all autoclear features":            {small, put64(offAutoclear, 1<<64-1)},
		"dirty":                             {img{size: 40_000, kinds: "d", features: incompatDirty}, nil},
		"corrupt":                           {img{size: 40_000, kinds: "d", features: incompatCorrupt}, nil},
		"unknown header fields":             {img{size: 40_000, kinds: "d", headerLen: 256}, put64(248, 1<<64-1)},
		"padding of the compression type":   {img{size: 40_000, kinds: "d", headerLen: 112}, put32(offCompression+4, 1<<32-1)},
		"no reference counts":               {small, put32(offReftableSize, 0)},
		"reference counts of 0":             {small, func(w *layout) { clear(w.file[w.refblock:][:512]) }},
		"refcount table of noise":           {small, put64(w.reftable, 1<<64-1)},
		"L1 table larger than needed":       {small, put32(offL1Size, 60)},
		"reserved bits of L1":               {small, func(w *layout) { w.file[w.l1] |= 0x7f; w.file[w.l1+7] |= 0xff }},
		"reserved bits of L2":               {small, func(w *layout) { w.file[l2] |= 0x3f; w.file[l2+7] |= 0xfe }},
		"no flag of L1":                     {small, func(w *layout) { w.file[w.l1] &^= 0x80 }},
		"no flag of L2":                     {small, func(w *layout) { w.file[l2] &^= 0x80 }},
		"a flag without a table":            {small, all(put64(w.l1+8, flagCopied), func(w *layout) { clear(w.guest[32768:]) })},
		"a flag without a cluster":          {small, all(put64(l2, flagCopied), func(w *layout) { clear(w.guest[:512]) })},
		"a backing name of no bytes":        {small, put64(offBackingOffset, 200)},
		"a place for no snapshots":          {small, put64(offSnapshotTable, 12345)},
		"a name for no features":            {img{size: 40_000, kinds: "d", exts: ext(extFeatureNames, strings.Repeat("\xff", 47))}, nil},
		"bitmaps of noise":                  {img{size: 40_000, kinds: "d", exts: ext(extBitmaps, strings.Repeat("\xff", 24))}, nil},
		"bitmaps of 3 bytes":                {img{size: 40_000, kinds: "d", exts: ext(extBitmaps, "abc")}, nil},
		"unknown extension to the end":      {img{size: 40_000, kinds: "d", exts: ext(77, strings.Repeat("x", 400))}, nil},
		"unknown extension of nothing":      {img{size: 40_000, kinds: "d", exts: ext(77, "")}, nil},
		"an unknown extension twice":        {img{size: 40_000, kinds: "d", exts: append(ext(77, "a"), ext(77, "b")...)}, nil},
		"noise behind the extensions":       {small, all(clearWord(headerSizeV3), put64(headerSizeV3+8, 1<<64-1))},
		"noise behind a header of 72 bytes": {img{version: 2, size: 40_000, kinds: "d"}, all(clearWord(72), put64(80, 1<<64-1))},
		"noise behind the file":             {small, func(w *layout) { w.file = append(w.file, "noise"...) }},
		"a hole that has a place":           {small, all(put64(l2, flagZero|1<<40), func(w *layout) { clear(w.guest[:512]) })},
		"deflate of more than a cluster": {small, func(w *layout) {
			long := bytes.Repeat([]byte("ab"), 1000)
			copy(w.file[w.data[0]:], compress(long, false))
			be.PutUint64(w.file[l2:], flagCompressed|uint64(w.data[0]))
			copy(w.guest[:512], long)
		}},
		"two zstd frames, and noise": {img{size: 40_000, kinds: "d", zstd: true}, func(w *layout) {
			text := bytes.Repeat([]byte("ab"), 256)
			z := append(compress(text[:300], true), compress(text[300:], true)...)
			copy(w.file[w.data[0]:], append(z, "noise"...))
			be.PutUint64(w.file[l2:], flagCompressed|uint64(w.data[0]))
			copy(w.guest[:512], text)
		}},
		"bitmap of a compressed cluster": {img{size: 300_000, bits: 14, kinds: "c", extended: true}, func(w *layout) {
			be.PutUint64(w.file[w.l2[0]+8:], 1<<64-1)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.img.build()
			if c.edit != nil {
				c.edit(w)
			}
			d := open(t, w.file, Options{})
			got := make([]byte, d.Size())
			if n, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got[:n], w.guest) {
				t.Errorf("the disk differs, or error: %v", err)
			}
		})
	}
}
