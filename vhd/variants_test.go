package vhd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/luksimg/luksimg/internal/imagetest"
)

// A variant is a valid file with the disk that its guest sees.
type variant struct {
	r     io.ReaderAt
	size  int64
	guest []byte
	opts  Options
	bad   int64 // number of corruptions that Check finds, although the disk can be read
}

func fromDisk(c testDisk, opts Options) variant {
	file, guest := c.build()
	opts.Key = c.key
	v := variant{r: bytes.NewReader(file), size: int64(len(file)), guest: guest, opts: opts}
	if c.noEnd {
		v.bad = 1
	}
	return v
}

// variants returns disks of all supported types, block sizes, bitmaps, bit orders, places of the
// footer, sizes, creators, parents and encryption.
func variants() map[string]variant {
	m := map[string]variant{}
	add := func(v variant, name string, args ...any) {
		name = fmt.Sprintf(name, args...)
		if _, ok := m[name]; ok {
			panic(name)
		}
		m[name] = v
	}
	for _, size := range []int64{0, 512, 1024, 1 << 20, 1<<20 + 512} {
		add(fromDisk(testDisk{size: size}, Options{}), "fixed/%d", size)
		if size > 0 { // a file shorter than a footer is not a VHD
			add(fromDisk(testDisk{size: size, short: true}, Options{}), "fixed/%d/511-byte footer", size)
		}
	}
	for shift := 9; shift <= 23; shift++ {
		bs := int64(1) << shift
		add(fromDisk(testDisk{size: (bs*5/2 + 100<<10) &^ 511, blockSize: bs, seed: uint64(shift)}, Options{}), "dynamic/blocks of %d", bs)
	}
	for shift := 24; shift <= 28; shift++ {
		add(largeBlock(1<<shift), "dynamic/blocks of %d", 1<<shift)
	}
	for name, kind := range map[string]int{"absent": kindAbsent, "clear": kindClear, "full": kindFull, "mixed": kindMixed} {
		for order, c := range map[string]testDisk{
			"highest bit first": {creator: "tap\x00", version: 0x00010001},
			"lowest bit first":  {creator: "tap\x00", version: 1},
		} {
			c.size, c.blockSize, c.kinds, c.seed = 30*8192+512, 8192, []int{kind}, uint64(kind)
			add(fromDisk(c, Options{}), "dynamic/%s/%s", name, order)
		}
	}
	for _, creator := range []string{"win ", "vpc ", "qemu", "qem2", "d2v ", "CTXS", "vbox", "vs  ", "wa  ", "tap\x00", "\x00\x00\x00\x00"} {
		c := testDisk{size: 20*4096 - 512, blockSize: 4096, creator: creator, version: 0x00050003}
		add(fromDisk(c, Options{}), "dynamic/creator %q", creator)
		c.chs = &[3]uint16{65535, 16, 255}
		add(fromDisk(c, Options{SizeByCHS: true}), "dynamic/creator %q, by a geometry at its maximum", creator)
	}
	for name, c := range map[string]testDisk{
		"511-byte footer": {short: true},
		"footer copy":     {noEnd: true},
		"spare entries":   {spare: 777},
		"aligned data":    {align: 4096},
		"reserved room":   {reserved: 3584},
		"batmap":          {batmap: true},
		"full batmap":     {batmap: true, full: true},
	} {
		c.size, c.blockSize = 25*4096+1536, 4096
		add(fromDisk(c, Options{}), "dynamic/%s", name)
	}
	for _, n := range []int64{32, 64} {
		for name, c := range map[string]testDisk{
			"full":         {full: true},
			"random":       {},
			"mixed":        {kinds: []int{kindMixed}},
			"clear":        {kinds: []int{kindClear}},
			"511":          {short: true},
			"tap":          {creator: "tap\x00", version: 0x00010003, align: 4096},
			"differencing": {base: random(33 * 4096)},
		} {
			c.size, c.blockSize, c.key = 33*4096+512, 4096, random(n)
			opts := Options{}
			if c.base != nil {
				opts.Resolve = resolveRaw(c.base)
			}
			add(fromDisk(c, opts), "encrypted/%d bytes/%s", n, name)
		}
	}
	for _, bs := range []int64{512, 4096, 64 << 10, 2 << 20} {
		for name, kinds := range map[string][]int{"random": nil, "absent": {kindAbsent}, "clear": {kindClear}, "full": {kindFull}, "mixed": {kindMixed}} {
			c := testDisk{size: bs*3 + 512, blockSize: bs, kinds: kinds, base: random(bs*2 + 100)}
			add(fromDisk(c, Options{Resolve: resolveRaw(c.base)}), "differencing/blocks of %d/%s", bs, name)
		}
	}
	for name, parent := range map[string]testDisk{
		"fixed": {}, "fixed, shorter": {size: 4096}, "dynamic": {blockSize: 4096}, "larger blocks": {blockSize: 64 << 10},
		"longer": {size: 40 * 4096, blockSize: 8192}, "lowest bit first": {blockSize: 4096, creator: "tap\x00", version: 1},
	} {
		if parent.size == 0 {
			parent.size = 21 * 4096
		}
		parent.id, parent.seed = 77, 5
		file, guest := parent.build()
		c := testDisk{size: 21 * 4096, blockSize: 4096, base: guest, baseID: 77, locators: namedChild.locators}
		add(fromDisk(c, Options{Resolve: resolveFrom(file)}), "differencing/parent %s", name)
	}
	for name, opts := range map[string]CreateOptions{"fixed": {Type: Fixed}, "dynamic": {}, "encrypted": {Key: random(64)}} {
		guest := patchy(3<<20, 9)
		opts.Rand, opts.Timestamp = &fixedRandom{}, createTime
		w := &memory{}
		if _, err := Create(context.Background(), w, bytes.NewReader(guest), opts); err != nil {
			panic(err)
		}
		add(variant{r: bytes.NewReader(w.b), size: int64(len(w.b)), guest: guest, opts: Options{Key: opts.Key}}, "created/%s", name)
	}
	return m
}

// largeBlock returns a disk of 2 MiB in a single larger block.
func largeBlock(block int64) variant {
	c := testDisk{size: 2 << 20, blockSize: block, chs: &[3]uint16{65535, 16, 255}}
	bitmap := make([]byte, block/sectorSize/8)
	for i := range bitmap {
		bitmap[i] = 0xf3
	}
	const start = 2048
	guest := random(c.size)
	s := newSparse(start+int64(len(bitmap))+block+footerSize, map[int64][]byte{
		0:                       c.footer(typeDynamic, footerSize),
		footerSize:              c.header(footerSize+headerSize, 1),
		footerSize + headerSize: {0, 0, 0, start / sectorSize},
		start:                   bitmap,
	})
	s.put(start+int64(len(bitmap)), bytes.Clone(guest))
	s.put(s.size-footerSize, c.footer(typeDynamic, footerSize))
	for i := range guest {
		if bit := i / sectorSize % 8; bit == 4 || bit == 5 {
			guest[i] = 0
		}
	}
	return variant{r: s, size: s.size, guest: guest}
}

func TestVariants(t *testing.T) {
	all := variants()
	if len(all) < 100 {
		t.Errorf("%d variants", len(all))
	}
	for name, v := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !Detect(v.r, v.size) {
				t.Error("Detect rejects the disk")
			}
			d := open(t, v.r, v.size, v.opts)
			imagetest.Source(t, d, v.guest)
			c, err := d.Check(context.Background())
			if err != nil || c.Corruptions != v.bad || c.Leaks != 0 {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
}
