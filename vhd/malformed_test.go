package vhd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// A fault is a file with a value at its limits or past them. It is either refused or reads as
// before.
type fault struct {
	name   string
	file   []byte
	field  string // the field in the error; "" if the file can be read
	offset int64  // offset of the field; -1: not checked
	size   int64  // size of the disk that is read; -1: that of the base
	base   *base
	opts   Options
}

// A base is a valid file that faults are made from.
type base struct {
	name        string
	file, guest []byte
	opts        Options
	end         int64 // start of the footer
}

func newBase(name string, c testDisk) *base {
	b := &base{name: name, opts: Options{Key: c.key}}
	b.file, b.guest = c.build()
	b.end = int64(len(b.file) - footerSize)
	if c.base != nil {
		b.opts.Resolve = resolveRaw(c.base)
	}
	return b
}

// faults collects the faults.
type faults struct{ all []fault }

func (f *faults) add(b *base, name string, file []byte, field string, offset int64) {
	f.all = append(f.all, fault{name: b.name + "/" + name, file: file, field: field, offset: offset, size: -1, base: b, opts: b.opts})
}

// put sets values of width bytes at off of the file, or of the structure there, and updates the
// checksums.
type put struct {
	width  int
	values []uint64
}

func (p put) in(b []byte, v uint64) {
	for i := range p.width {
		b[i] = byte(v >> (8 * (p.width - 1 - i)))
	}
}

// footer sets values in both footers.
func (f *faults) footer(b *base, at int, p put, field string) {
	for _, v := range p.values {
		file := bytes.Clone(b.file)
		editFooters(file, func(foot []byte) { p.in(foot[at:], v) })
		f.add(b, fmt.Sprintf("footer byte %d is %#x", at, v), file, field, b.end+int64(at))
	}
}

// header sets values in the dynamic disk header. The refused field can be a different one, at
// another offset.
func (f *faults) header(b *base, at int, p put, field string, offset int64) {
	for _, v := range p.values {
		file := bytes.Clone(b.file)
		editHeader(file, func(h []byte) { p.in(h[at:], v) })
		f.add(b, fmt.Sprintf("header byte %d is %#x", at, v), file, field, offset)
	}
}

func u8(v ...uint64) put  { return put{1, v} }
func u32(v ...uint64) put { return put{4, v} }
func u64(v ...uint64) put { return put{8, v} }

const max32, max64 = 1<<32 - 1, 1<<64 - 1

func malformed() []fault {
	f := &faults{}
	dynamic := newBase("dynamic", small)
	fixed := newBase("fixed", testDisk{size: 8192, seed: 3})
	child := newBase("child", namedChild)
	mapped := newBase("batmap", testDisk{size: 20 * 4096, blockSize: 4096, full: true, batmap: true})
	locked := newBase("encrypted", testDisk{size: 20 * 4096, blockSize: 4096, full: true, key: random(64)})
	for _, b := range []*base{dynamic, fixed, child, mapped, locked} {
		f.footers(b)
	}
	f.sizes(dynamic, fixed)
	f.headers(dynamic)
	f.entries(dynamic)
	f.entries(child)
	f.truncations(dynamic)
	f.truncations(child)
	f.truncations(mapped)
	f.fixedTruncations(fixed)
	f.locators(child)
	f.batmaps(mapped)
	f.keys(locked)
	return f.all
}

// footers adds the fields that all types use alike.
func (f *faults) footers(b *base) {
	for i := range 8 {
		file := bytes.Clone(b.file)
		for _, at := range []int64{0, b.end} {
			if string(file[at:][:8]) == footerCookie {
				file[at+int64(i)] ^= 0x20
			}
		}
		f.add(b, fmt.Sprintf("cookie byte %d", i), file, "cookie", b.end)
	}
	f.footer(b, 8, u32(0, 1, 3, max32), "")
	f.footer(b, offVersion, u32(0, 1, 0xffff, 0x20000, max32), "file format version")
	f.footer(b, offVersion, u32(0x10001, 0x1ffff), "")
	f.footer(b, offTimestamp, u32(0, max32), "")
	f.footer(b, offCreatorOS, u32(0, max32), "")
	f.footer(b, 40, u64(0, 511, max64), "") // original size
	f.footer(b, offGeometry, u32(0, max32), "")
	f.footer(b, offDiskType, u32(0, 1, 5, 6, 7, 1<<31, max32), "disk type")
	f.footer(b, offUniqueID, u64(0, max64), "")
	f.footer(b, offSavedState, u8(1, 255), "")
	f.footer(b, offHidden, u8(1, 255), "")
	f.footer(b, footerSize-1, u8(1, 255), "")
	f.footer(b, offCurrentSize, u64(1, 511, 513, 4095, 4097), "current size")
	f.footer(b, offCurrentSize, u64(1<<63, 1<<63+512, max64, max64-511), "current size")
	for _, v := range []uint32{0, 1, max32} {
		file := bytes.Clone(b.file)
		for _, at := range []int64{0, b.end} {
			if string(file[at:][:8]) == footerCookie {
				be.PutUint32(file[at+offFooterSum:], v)
			}
		}
		f.add(b, fmt.Sprintf("checksum %#x", v), file, "checksum", b.end+offFooterSum)
	}
}

// sizes adds sizes, whose meaning depends on the type of the disk.
func (f *faults) sizes(dynamic, fixed *base) {
	sized := func(b *base, n int64) {
		f.footer(b, offCurrentSize, u64(uint64(n)), "")
		f.all[len(f.all)-1].size = n
	}
	for _, n := range []int64{0, 512, 4096, 4*4096 + 512} {
		sized(dynamic, n)
	}
	for _, n := range []int64{0, 512, 4096, 8192 - 512} {
		sized(fixed, n)
	}
	f.footer(fixed, offCurrentSize, u64(8192+512, 1<<40, 1<<63-512), "current size")
	for _, n := range []uint64{5*4096 + 512, 1 << 40, 1<<63 - 512} {
		f.footer(dynamic, offCurrentSize, u64(n), "max table entries")
		f.all[len(f.all)-1].offset = footerSize + offMaxEntries
	}
	f.footer(fixed, offDataOffset, u64(0, 512, max32, max64), "")
	end := uint64(dynamic.end)
	f.footer(dynamic, offDataOffset, u64(0, 1, 511, end-headerSize+1, end, end+1, 1<<63, max64-headerSize, max64), "data offset")
	for _, at := range []uint64{513, 1024, 1536, end - headerSize} {
		f.footer(dynamic, offDataOffset, u64(at), "header cookie")
		f.all[len(f.all)-1].offset = int64(at)
	}
	f.footer(dynamic, offDiskType, u32(typeDifferencing), "refused")
}

func (f *faults) headers(b *base) {
	at := func(off int64) int64 { return footerSize + off }
	for i := range 8 {
		f.header(b, i, u8(0, 'x'+uint64(i)), "header cookie", at(0))
	}
	f.header(b, offNext, u64(0, 512, max32), "", 0)
	f.header(b, offTableOffset, u64(0, 1, 511, 512, 1024, 1535, uint64(b.end)+1, 1<<63, max64), "table offset", at(offTableOffset))
	f.header(b, offTableOffset, u64(uint64(b.end)-4, uint64(b.end)), "max table entries", at(offMaxEntries))
	f.header(b, offTableOffset, u64(1537, 1539), "*", -1) // each entry mixes two
	f.header(b, offHeaderVer, u32(0, 0xffff, 0x20000, max32), "header version", at(offHeaderVer))
	f.header(b, offHeaderVer, u32(0x10001, 0x1ffff), "", 0)
	f.header(b, offMaxEntries, u32(0, 1, 4, 1<<20, 1<<30, max32), "max table entries", at(offMaxEntries))
	f.header(b, offMaxEntries, u32(5, 6, 128), "", 0)
	f.header(b, offMaxEntries, u32(129), "*", -1) // the table overlaps the first block
	f.header(b, offBlockSize, u32(0, 1, 256, 511, 513, 4095, 4097, 12288, 512<<20, 1<<31, max32), "block size", at(offBlockSize))
	f.header(b, offBlockSize, u32(512, 1024, 2048), "max table entries", at(offMaxEntries))
	f.header(b, offBlockSize, u32(8192, 1<<20, 256<<20), "*", -1) // blocks overlap or are too long
	f.header(b, offParentID, u64(max64), "", 0)
	f.header(b, offParentTime, u64(max64), "", 0)
	f.header(b, offParentName, u64(max64), "", 0)
	f.header(b, offLocators+offLocatorData, u64(max64), "", 0)
	f.header(b, headerSize-1, u8(255), "", 0)
	for _, v := range []uint32{0, 1, max32} {
		file := bytes.Clone(b.file)
		be.PutUint32(file[footerSize+offHeaderSum:], v)
		f.add(b, fmt.Sprintf("header checksum %#x", v), file, "header checksum", at(offHeaderSum))
	}
}

// entries sets values in the block allocation table.
func (f *faults) entries(b *base) {
	var present []int
	for i := range 5 {
		if be.Uint32(tableEntry(b.file, i)) != absent {
			present = append(present, i)
		}
	}
	other := be.Uint32(tableEntry(b.file, present[1]))
	for _, i := range present {
		for _, v := range []uint32{0, 1, 2, 3, uint32(b.end/sectorSize) - 8, uint32(b.end / sectorSize), uint32(b.end/sectorSize) + 1,
			1 << 24, 1 << 31, absent - 1, other, other + 1, other - 1} {
			file := bytes.Clone(b.file)
			if be.Uint32(tableEntry(file, i)) == v {
				continue
			}
			be.PutUint32(tableEntry(file, i), v)
			field, off := fmt.Sprintf("block allocation table entry %d", i), int64(smallTable+4*i)
			if v >= other-1 && v <= other+1 {
				field, off = "*", -1 // the error names the later of two blocks
			}
			f.add(b, fmt.Sprintf("entry %d is %d", i, v), file, field, off)
		}
	}
}

// truncations ends the file around each boundary of a structure.
func (f *faults) truncations(b *base) {
	edges := []int64{0, 1, footerSize, footerSize + offMaxEntries, smallTable, smallTable + 4, smallTable + sectorSize, smallTable + 2*sectorSize}
	for i := range len(b.guest) / 4096 {
		if e := be.Uint32(tableEntry(b.file, i)); e != absent {
			edges = append(edges, int64(e)*sectorSize, int64(e)*sectorSize+sectorSize, int64(e)*sectorSize+smallSpan)
		}
	}
	for _, at := range edges {
		for _, n := range []int64{at - 1, at, at + 1} {
			if n < 0 {
				continue
			}
			field := "*"
			if n < footerSize {
				field = "file size"
			}
			if n >= b.end {
				field = "" // only the footer is missing
			}
			f.add(b, fmt.Sprintf("cut at %d", n), bytes.Clone(b.file[:n]), field, -1)
		}
	}
	for _, n := range []int64{b.end, b.end + 1, b.end + 100, b.end + 510, b.end + 511} {
		f.add(b, fmt.Sprintf("footer cut at %d", n), bytes.Clone(b.file[:n]), "", 0)
	}
	f.add(b, "zeros behind", append(bytes.Clone(b.file), make([]byte, 700)...), "", 0)
}

func (f *faults) fixedTruncations(b *base) {
	for _, n := range []int64{0, 1, 511} {
		f.add(b, fmt.Sprintf("cut at %d", n), bytes.Clone(b.file[:n]), "file size", 0)
	}
	for _, n := range []int64{512, 513, 4096, b.end - 1, b.end, b.end + 1, b.end + 510} {
		f.add(b, fmt.Sprintf("cut at %d", n), bytes.Clone(b.file[:n]), "cookie", -1)
	}
	f.add(b, "cut at 511 bytes of footer", bytes.Clone(b.file[:b.end+511]), "", 0)
	for _, n := range []int64{512, 4096} {
		f.add(b, fmt.Sprintf("%d bytes cut from the start", n), bytes.Clone(b.file[n:]), "current size", b.end-n+offCurrentSize)
	}
}

func TestMalformed(t *testing.T) {
	all := malformed()
	refused, read := 0, 0
	for _, f := range all {
		t.Run(f.name, func(t *testing.T) {
			asked := false
			opts := f.opts
			opts.Resolve = func(r image.Ref) (image.Source, error) {
				asked = true
				if f.opts.Resolve == nil {
					return nil, imagetest.ErrDevice
				}
				return f.opts.Resolve(r)
			}
			if f.field == "refused" {
				opts.Resolve = nil
			}
			d, err := Open(context.Background(), bytes.NewReader(f.file), int64(len(f.file)), opts)
			c, checkErr := CheckFile(context.Background(), bytes.NewReader(f.file), int64(len(f.file)))
			if checkErr != nil {
				t.Errorf("Check: %v", checkErr)
			}
			if f.field == "" {
				read++
				want := f.base.guest
				if f.size >= 0 {
					want = want[:f.size]
				}
				f.reads(t, d, err, want)
				if asked != (f.opts.Resolve != nil) {
					t.Errorf("Resolve was called: %v", asked)
				}
				return
			}
			refused++
			if asked || err == nil {
				t.Fatalf("got %v; Resolve was called: %v", err, asked)
			}
			switch f.field {
			case "key":
				if !errors.Is(err, ErrKey) {
					t.Errorf("got %v", err)
				}
				return
			case "refused":
				if !errors.As(err, new(*image.RefusedError)) {
					t.Errorf("got %v", err)
				}
				return
			}
			var fe *image.FormatError
			if !errors.As(err, &fe) || !errors.Is(err, image.ErrFormat) {
				t.Fatalf("got %v", err)
			}
			if f.field != "*" && fe.Field != f.field || f.offset >= 0 && fe.Offset != f.offset || fe.Value == nil || fe.Want == "" || fe.Format != "vhd" {
				t.Errorf("got %v, want one of %s at %d", err, f.field, f.offset)
			}
			if c.Corruptions == 0 || len(c.Problems) == 0 {
				t.Errorf("Check found nothing: %+v", c)
			}
		})
	}
	t.Logf("%d refused, %d read", refused, read)
	if refused < 150 || refused+read != len(all) {
		t.Errorf("%d faults: %d refused, %d read; want more of both", len(all), refused, read)
	}
}

// reads checks that the file was opened and reads as want.
func (f fault) reads(t *testing.T, d *Disk, err error, want []byte) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	n, err := io.Copy(h, io.NewSectionReader(d, 0, d.Size()+1))
	if sum := sha256.Sum256(want); err != nil || n != int64(len(want)) || !bytes.Equal(h.Sum(nil), sum[:]) {
		t.Errorf("%d bytes, want %d, or the data differs; %v", n, len(want), err)
	}
}
