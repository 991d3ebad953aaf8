package qcow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// A refusal is an edit of an image and the error that Open, or else reading the whole disk, must
// return.
type refusal struct {
	rule, name string
	img        img
	edit       func(w *layout)
	field      string // "" for image.ErrUnsupported
	offset     int64  // offset of the field; -1: not checked
	text       string // part of the message
}

func put32(at int64, v uint32) func(*layout) {
	return func(w *layout) { be.PutUint32(w.file[at:], v) }
}

func put64(at int64, v uint64) func(*layout) {
	return func(w *layout) { be.PutUint64(w.file[at:], v) }
}

func cut(n int) func(*layout) { return func(w *layout) { w.file = w.file[:n] } }

// small is the base image of most refusals: two L2 tables, data in all clusters.
var small = img{size: 40_000, kinds: "d"}

func refusals() []refusal {
	w := small.build()
	l2 := w.l2[0]
	entry := func(v uint64) func(*layout) { return put64(l2, v) }
	first := uint64(w.data[0])
	end := uint64(len(w.file))
	compressed := img{size: 40_000, kinds: "c"}
	extended := img{size: 300_000, bits: 14, kinds: "d", extended: true}
	x2 := extended.build().l2[0]
	snap := img{size: 40_000, kinds: "d", snapshot: true}
	snapAt := snap.build().snapshots
	backing := img{size: 1000, backing: "base"}
	ext1 := func(kind uint32, data string) img { return img{size: 1000, exts: ext(kind, data)} }
	const ext0 = headerSizeV3
	return []refusal{
		{"Q1", "empty", small, cut(0), "file size", 0, "at least 72"},
		{"Q1", "71 bytes", small, cut(71), "file size", 0, "at least 72"},
		{"Q1", "103 bytes", small, cut(103), "file size", 0, "version 3"},
		{"Q1", "magic", small, put32(0, 0x514649fa), "magic", 0, "QFI"},
		{"Q1", "version 0", small, put32(offVersion, 0), "version", offVersion, "2 or 3"},
		{"Q1", "version 1", small, put32(offVersion, 1), "", -1, "version 1"},
		{"Q1", "version 4", small, put32(offVersion, 4), "version", offVersion, "2 or 3"},
		{"Q1", "header length 0", small, put32(offHeaderLength, 0), "header_length", offHeaderLength, "at least 104"},
		{"Q1", "header length 108", small, put32(offHeaderLength, 108), "header_length", offHeaderLength, "multiple of 8"},
		{"Q1", "header length of more than a cluster", small, put32(offHeaderLength, 520), "header_length", offHeaderLength, "at most 512"},
		{"Q1", "header length 2^32-8", small, put32(offHeaderLength, 1<<32-8), "header_length", offHeaderLength, "at most 512"},
		{"Q2", "cluster bits 8", small, put32(offClusterBits, 8), "cluster_bits", offClusterBits, "from 9 to 21"},
		{"Q2", "cluster bits 22", small, put32(offClusterBits, 22), "cluster_bits", offClusterBits, "from 9 to 21"},
		{"Q2", "cluster bits 63", small, put32(offClusterBits, 63), "cluster_bits", offClusterBits, "from 9 to 21"},
		{"Q2", "size 2^63", small, put64(offSize, 1<<63), "size", offSize, "less than 2^63"},
		{"Q2", "size 2^63-1", small, put64(offSize, 1<<63-1), "l1_size", offL1Size, "at least"},
		{"Q2", "L1 too small", small, put32(offL1Size, 1), "l1_size", offL1Size, "at least 2"},
		{"Q2", "L1 of more than 32 MiB", small, put32(offL1Size, 4<<20+1), "l1_size", offL1Size, "at most 4194304"},
		{"Q2", "L1 of 2^32-1", small, put32(offL1Size, 1<<32-1), "l1_size", offL1Size, "at most 4194304"},
		{"Q2", "L1 past the file", small, put32(offL1Size, 4<<20), "l1_table_offset", offL1Offset, "inside the file"},
		{"Q2", "reftable too large", small, put32(offReftableSize, 1<<15), "refcount_table_clusters", offReftableSize, "at most 16384"},
		{"Q2", "too many snapshots", small, put32(offSnapshots, 65537), "nb_snapshots", offSnapshots, "at most 65536"},
		{"Q2", "snapshots past the file", small, put32(offSnapshots, 65536), "snapshots_offset", offSnapshotTable, "past the header"},
		{"Q2", "crypt method 3", small, put32(offCryptMethod, 3), "crypt_method", offCryptMethod, "LUKS"},
		{"Q2", "refcount order 7", small, put32(offRefcountOrder, 7), "refcount_order", offRefcountOrder, "at most 6"},
		{"Q3", "extension longer than the cluster", ext1(0x1234, "x"), put32(ext0+4, 1000), "header extension length", ext0 + 4, "at most 400"},
		{"Q3", "extension of 2^32-1", ext1(0x1234, "x"), put32(ext0+4, 1<<32-1), "header extension length", ext0 + 4, "at most 400"},
		{"Q3", "data file name twice", img{size: 1000, exts: append(ext(extDataFile, "a"), ext(extDataFile, "b")...)}, nil, "header extension type", ext0 + 16, "occurs only once"},
		{"Q3", "backing name too long", backing, put32(offBackingSize, 1024), "backing_file_size", offBackingSize, "at most 1023"},
		{"Q3", "backing name past the cluster", backing, put32(offBackingSize, 500), "backing_file_offset", offBackingOffset, "by byte 512"},
		{"Q3", "backing name in the header", backing, put64(offBackingOffset, 96), "backing_file_offset", offBackingOffset, "at least 104"},
		{"Q3", "backing name at 2^63-1", backing, put64(offBackingOffset, 1<<63-1), "backing_file_offset", offBackingOffset, "first cluster"},
		{"Q3", "backing name with a NUL", img{size: 1000, backing: "a\x00b"}, nil, "backing file name", -1, "NUL"},
		{"Q3", "backing format with a NUL", ext1(extBackingFormat, "r\x00w"), nil, "backing file format", ext0 + 9, "NUL"},
		{"Q4", "unknown incompatible", img{size: 1000, features: 1<<5 | 1<<63, exts: ext(extFeatureNames, "\x00\x05future"+strings.Repeat("\x00", 40))}, nil, "", -1, `bit 5 ("future"), bit 63`},
		{"Q4", "compression bit without type", img{size: 1000, features: incompatCompression}, nil, "compression_type", offCompression, "other than 0"},
		{"Q4", "compression type without bit", img{size: 1000, headerLen: 112}, func(w *layout) { w.file[offCompression] = 1 }, "compression_type", offCompression, "is clear"},
		{"Q4", "compression type 2", img{size: 1000, zstd: true}, func(w *layout) { w.file[offCompression] = 2 }, "", -1, "compression type 2"},
		{"Q4", "extended with small clusters", img{size: 1000, features: incompatExtendedL2}, nil, "cluster_bits", offClusterBits, "at least 14"},
		{"Q4", "data file and snapshots", snap, put64(offIncompatible, incompatDataFile), "nb_snapshots", offSnapshots, "external data file"},
		{"Q5", "L1 unaligned", small, put64(offL1Offset, uint64(w.l1)+8), "l1_table_offset", offL1Offset, "multiple of the cluster size"},
		{"Q5", "L1 in the header", small, put64(offL1Offset, 0), "l1_table_offset", offL1Offset, "past the header"},
		{"Q5", "L1 at 2^63", small, put64(offL1Offset, 1<<63), "l1_table_offset", offL1Offset, "less than 2^63"},
		{"Q5", "reftable unaligned", small, put64(offReftable, 513), "refcount_table_offset", offReftable, "multiple of the cluster size"},
		{"Q5", "reftable past the file", small, put64(offReftable, end), "refcount_table_offset", offReftable, "inside the file"},
		{"Q5", "L2 past the file", small, put64(w.l1, end), "L1 entry 0", w.l1, "ends inside the file"},
		{"Q5", "L2 far past the file", small, put64(w.l1, offsetMask), "L1 entry 0", w.l1, "ends inside the file"},
		{"Q5", "L2 unaligned", img{size: 40_000, bits: 12, kinds: "d"}, put64(4096, 4096+512), "L1 entry 0", 4096, "multiple of the cluster size"},
		{"Q5", "an L2 table twice", img{size: 1 << 20, seed: 1}, func(w *layout) {
			i := slices.IndexFunc(w.l2, func(t int64) bool { return t != 0 })
			be.PutUint64(w.file[w.l1+8*31:], be.Uint64(w.file[w.l1+8*int64(i):])^flagCopied) // the flag does not matter
		}, "L1 entry 31", -1, "an L2 table other than that of L1 entry"},
		{"Q5", "too many L2 tables", img{size: 1 << 22, kinds: "-"}, func(w *layout) {
			for i := range w.l2 {
				be.PutUint64(w.file[w.l1+8*int64(i):], uint64(w.l1))
			}
			be.PutUint32(w.file[offReftableSize:], 0)
			w.file = w.file[:4096]
		}, "L1 table", w.l1, "the number of clusters in the file"},
		{"Q5", "data unaligned", img{size: 40_000, bits: 12, kinds: "d"}, put64(8192, 4096+512), "L2 entry", 8192, "multiple of the cluster size"},
		{"Q5", "data past the file", small, entry(end), "L2 entry", l2, "inside the file"},
		{"Q5", "data at the largest offset", small, entry(offsetMask), "L2 entry", l2, "inside the file"},
		{"Q5", "zero flag in version 2", img{version: 2, size: 40_000, kinds: "d"}, entry(first | flagZero), "L2 entry", l2, "version 2"},
		{"Q6", "compressed past the file", small, entry(flagCompressed | end), "L2 entry", l2, "inside the file"},
		{"Q6", "compressed at the largest offset", small, entry(flagCompressed | 1<<61 - 1), "L2 entry", l2, "inside the file"},
		{"Q6", "no deflate data", small, entry(flagCompressed), "compressed cluster", 0, "decompresses to 512 bytes"},
		{"Q6", "compressed data cut", compressed, func(w *layout) {
			be.PutUint32(w.file[offReftableSize:], 0)
			w.file = w.file[:l2+512+20]
			be.PutUint64(w.file[w.l1+8:], 0)
		}, "compressed cluster", -1, "decompresses to 512 bytes"},
		{"Q6", "no zstd frame", img{size: 40_000, kinds: "d", zstd: true}, entry(flagCompressed), "compressed cluster", 0, "no complete zstd frame"},
		{"Q6", "compressed in a data file", img{size: 1000, kinds: "c", features: incompatDataFile}, nil, "L2 entry", -1, "external data file"},
		{"Q7", "allocated and zero", extended, put64(x2+8, 1<<32|1), "subcluster allocation bitmap", x2 + 8, "both allocated and zero"},
		{"Q7", "allocated without a cluster", extended, put64(x2, 0), "subcluster allocation bitmap", x2 + 8, "not allocated"},
		{"Q7", "zero flag", extended, func(w *layout) { w.file[x2+7] |= 1 }, "L2 entry", x2, "extended L2"},
		{"Q8", "snapshot extra data", snap, put32(snapAt+36, 1025), "snapshot 0 extra data size", snapAt + 36, "at most 1024"},
		{"Q8", "snapshot past the file", snap, func(w *layout) { be.PutUint64(w.file[offSnapshotTable:], uint64(len(w.file))) }, "snapshots_offset", offSnapshotTable, "inside the file"},
		{"Q8", "snapshot size 2^63", snap, put64(snapAt+48, 1<<63), "snapshot 0 virtual disk size", snapAt + 48, "less than 2^63"},
		{"Q9", "LUKS without its header", small, put32(offCryptMethod, cryptLUKS), "crypt_method", offCryptMethod, "0x0537be77"},
		{"Q9", "LUKS header without LUKS", ext1(extCrypto, strings.Repeat("\x00", 16)), nil, "header extension type", ext0, "crypt_method is 2"},
		{"Q9", "LUKS header of 15 bytes", ext1(extCrypto, strings.Repeat("\x00", 15)), put32(offCryptMethod, cryptLUKS), "length of the encryption header extension", ext0 + 4, "16"},
		{"Q9", "LUKS header of nothing", ext1(extCrypto, "\x00\x00\x00\x00\x00\x00\x02\x00"+strings.Repeat("\x00", 8)), put32(offCryptMethod, cryptLUKS), "encryption header length", ext0 + 16, "more than 0"},
		{"Q9", "LUKS header past the file", ext1(extCrypto, "\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\xff\x00\x00"), put32(offCryptMethod, cryptLUKS), "encryption header offset", ext0 + 8, "inside the file"},
		{"Q9", "LUKS header of 2^62", ext1(extCrypto, "\x00\x00\x00\x00\x00\x00\x02\x00\x40\x00\x00\x00\x00\x00\x00\x00"), put32(offCryptMethod, cryptLUKS), "encryption header length", ext0 + 16, "at most"},
		{"Q9", "no LUKS header there", ext1(extCrypto, "\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x02\x00"), put32(offCryptMethod, cryptLUKS), "encryption header", 512, "no LUKS header"},
	}
}

// TestRefuse checks that each malformed image is refused in bounded memory, with an error that
// names the field, and without opening another file.
func TestRefuse(t *testing.T) {
	rows := slices.Concat(refusals(), fieldRefusals(), extensionRefusals(), tableRefusals())
	if len(rows) < 200 {
		t.Errorf("%d images", len(rows))
	}
	seen := map[string]bool{}
	for _, c := range rows {
		if seen[c.rule+c.name] {
			t.Errorf("duplicate name %s/%s", c.rule, c.name)
		}
		seen[c.rule+c.name] = true
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			w := c.img.build()
			if c.edit != nil {
				c.edit(w)
			}
			checkRefused(t, c, w.file, "")
		})
	}
}

// checkRefused opens and reads a file that must be refused as c describes.
func checkRefused(t *testing.T, c refusal, file []byte, snapshot string) {
	t.Helper()
	var asked []image.Ref
	var err error
	imagetest.Bounded(t, 4<<20, func() { err = openAndRead(file, snapshot, &asked) })
	for _, r := range asked {
		if r.What != "external data file" || c.img.features&incompatDataFile == 0 {
			t.Errorf("Resolve was called with %+v", r)
		}
	}
	imagetest.Refused(t, err, "qcow2", c.field, c.offset, c.text)
}

// openAndRead opens an image and reads the whole disk. It records calls of Resolve.
func openAndRead(file []byte, snapshot string, asked *[]image.Ref) error {
	d, err := Open(context.Background(), bytes.NewReader(file), int64(len(file)), Options{
		Key:      []byte("key"),
		Snapshot: snapshot,
		Resolve: func(r image.Ref) (image.Source, error) {
			*asked = append(*asked, r)
			return bytes.NewReader(nil), nil
		},
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.NewSectionReader(d, 0, d.Size()))
	return err
}

// TestTruncated truncates images at each sector. Reads must return correct data or an error.
func TestTruncated(t *testing.T) {
	for name, m := range imgs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := m.build()
			// Reading does not need the reference counts at the end of the file.
			be.PutUint32(w.file[offReftableSize:], 0)
			step := max(len(w.file)/300&^255, 256)
			for n := 0; n < len(w.file); n += step {
				d, err := Open(t.Context(), bytes.NewReader(w.file[:n]), int64(n), Options{})
				if err != nil {
					if !errors.Is(err, image.ErrFormat) {
						t.Fatalf("cut at %d: %v", n, err)
					}
					continue
				}
				got := make([]byte, d.Size())
				k, err := d.ReadAt(got, 0)
				if !bytes.Equal(got[:k], w.guest[:k]) || err != nil && !errors.Is(err, image.ErrFormat) || err == nil && k != len(got) {
					t.Fatalf("cut at %d: %d bytes read, %v, or the data is wrong", n, k, err)
				}
				if r, err := d.Check(context.Background()); err != nil {
					t.Fatalf("cut at %d: Check: %+v, %v", n, r, err)
				}
			}
		})
	}
}

// TestBomb reads a compressed cluster that would decompress to far more than a cluster. Only the
// first cluster of its output is used.
func TestBomb(t *testing.T) {
	for _, z := range []bool{false, true} {
		w := img{size: 65536, bits: 16, kinds: "c", zstd: z}.build()
		bomb := compress(make([]byte, 64<<20), z)
		at := len(w.file)
		w.file = append(w.file, bomb...)
		sectors := min((at+len(bomb)-1)/512-at/512, 255)
		be.PutUint64(w.file[w.l2[0]:], flagCompressed|uint64(sectors)<<54|uint64(at))
		var err error
		imagetest.Bounded(t, 8<<20, func() { _, err = open(t, w.file, Options{}).ReadAt(make([]byte, 65536), 0) })
		if z && !errors.Is(err, image.ErrFormat) || !z && err != nil {
			t.Errorf("zstd %v: %v", z, err)
		}
	}
}

func TestDetect(t *testing.T) {
	w := small.build()
	for n, want := range map[int]bool{0: false, 7: false, 8: true, len(w.file): true} {
		if got := Detect(bytes.NewReader(w.file[:n]), int64(n)); got != want {
			t.Errorf("%d bytes: %v", n, got)
		}
	}
	if Detect(bytes.NewReader(make([]byte, 1000)), 1000) {
		t.Error("Detect accepts zeros")
	}
}

// TestCheckFinds checks that Check reports problems that reading does not notice.
func TestCheckFinds(t *testing.T) {
	base := img{size: 40_000, kinds: "d"}
	for _, c := range []struct {
		name        string
		edit        func(w *layout)
		corruptions int64
		leaks       int64
		text        string
	}{
		{"leak", func(w *layout) {
			be.PutUint16(w.file[w.refblock+2*(w.data[3]>>9):], 0)
			be.PutUint64(w.file[w.l2[0]+24:], 0)
		}, 0, 0, ""},
		{"unreferenced", func(w *layout) { be.PutUint64(w.file[w.l2[0]+24:], 0) }, 0, 1, "Leaked cluster"},
		{"refcount 2", func(w *layout) { be.PutUint16(w.file[w.refblock+2*(w.data[3]>>9):], 2) }, 1, 1, "bit 63"},
		{"refcount 0", func(w *layout) { be.PutUint16(w.file[w.refblock+2*(w.data[3]>>9):], 0) }, 2, 0, "reference count 0"},
		{"twice", func(w *layout) { be.PutUint64(w.file[w.l2[0]:], uint64(w.data[1])|flagCopied) }, 1, 1, "2 references"},
		{"data in the L1 table", func(w *layout) { be.PutUint64(w.file[w.l2[0]:], uint64(w.l1)|flagCopied) }, 2, 1, "has another use"},
		{"data in an L2 table", func(w *layout) { be.PutUint64(w.file[w.l2[0]:], uint64(w.l2[1])|flagCopied) }, 2, 1, "has another use"},
		{"data past the end", func(w *layout) { be.PutUint64(w.file[w.l2[0]:], 1<<30|flagCopied) }, 1, 1, "past the end"},
		{"L2 past the end", func(w *layout) { be.PutUint64(w.file[w.l1+8:], 1<<30|flagCopied) }, 1, 16, "ends inside"},
		{"reserved bits of L2", func(w *layout) { w.file[w.l2[0]+7] |= 8 }, 1, 0, "reserved"},
		{"reserved bits of L1", func(w *layout) { w.file[w.l1+7] |= 1 }, 1, 0, "reserved"},
		{"refcount block past the end", func(w *layout) { be.PutUint64(w.file[w.reftable+8:], 1<<40) }, 1, 1, "refcount block"},
		{"no flag", func(w *layout) { w.file[w.l2[0]] &^= 0x80 }, 1, 0, "bit 63"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := base.build()
			c.edit(w)
			r, err := open(t, w.file, Options{MetadataOnly: true}).Check(context.Background())
			if err != nil || r.Corruptions != c.corruptions || r.Leaks != c.leaks || !strings.Contains(fmt.Sprint(r.Problems), c.text) {
				t.Errorf("%+v, %v, want %d corruptions and %d leaks", r, err, c.corruptions, c.leaks)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := open(t, base.build().file, Options{}).Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
