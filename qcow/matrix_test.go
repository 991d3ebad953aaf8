package qcow

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// A built is a valid image and the files that it needs, the nearest first. A layer without bits is
// raw.
type built struct {
	name   string
	img    img
	aes    bool
	layers []img
}

// matrix returns valid images of all kinds that build can make.
func matrix() (all []built) {
	seed := uint64(0)
	add := func(name string, m img, layers ...img) *built {
		seed++
		m.seed = seed
		all = append(all, built{name: name, img: m, layers: layers})
		return &all[len(all)-1]
	}
	for _, bits := range []uint{9, 10, 12, 14, 16} {
		size := int64(200_000) << (bits - 9) >> ((bits - 9) / 2)
		for _, kinds := range []string{"-d", "-c", "-dc"} {
			add(fmt.Sprint("v2/", 1<<bits, "/", kinds), img{version: 2, bits: bits, size: size, kinds: kinds})
		}
		for _, kinds := range []string{"-hzd", "c", "-hzdc"} {
			add(fmt.Sprint("v3/", 1<<bits, "/", kinds), img{bits: bits, size: size + 13, kinds: kinds})
		}
	}
	for order := uint32(1); order <= 6; order++ { // QEMU makes the images with 1 bit
		kinds := "-hzdc"
		if order < 3 {
			kinds = "-hzd" // the counts of compressed clusters do not fit
		}
		for _, bits := range []uint{9, 13} {
			add(fmt.Sprint("refcounts of ", 1<<order, " bits/", 1<<bits), img{bits: bits, size: 300_001, order: order, kinds: kinds})
		}
	}
	for _, bits := range []uint{9, 11, 13, 16, 21} {
		add(fmt.Sprint("zstd/", 1<<bits), img{bits: bits, size: 300_000 + 1<<bits, zstd: true, kinds: "cc-d"})
	}
	for _, bits := range []uint{14, 15, 16, 17, 18, 20} {
		for _, zstd := range []bool{false, true} {
			add(fmt.Sprint("extended/", 1<<bits, "/zstd ", zstd), img{bits: bits, size: 3<<bits + 77, extended: true, zstd: zstd})
		}
	}
	for _, bits := range []uint{9, 12, 16} {
		for version := uint32(2); version <= 3; version++ {
			add(fmt.Sprint("snapshot/", 1<<bits, "/v", version), img{version: version, bits: bits, size: 11 << bits, snapshot: true})
		}
	}
	add("snapshot/extended", img{bits: 14, size: 300_000, extended: true, snapshot: true})
	add("snapshot/extended/zstd", img{bits: 16, size: 900_001, extended: true, zstd: true, snapshot: true})
	for _, size := range []int64{0, 1, 511, 512, 513, 4095, 65537, 1<<20 + 3} {
		for _, bits := range []uint{9, 16} {
			add(fmt.Sprint("size ", size, "/", 1<<bits), img{bits: bits, size: size, kinds: "dzc"})
		}
	}
	for _, n := range []int{112, 128, 256, 504} {
		add(fmt.Sprint("header of ", n, " bytes"), img{size: 100_000, headerLen: n})
	}
	for _, child := range []img{
		{bits: 9, size: 100_001, kinds: "--dhzc"},
		{bits: 12, size: 150_000, kinds: "--dhzc", version: 3, zstd: true},
		{bits: 16, size: 700_007, kinds: "--dhz"},
		{bits: 14, size: 300_000, kinds: "--dhz", extended: true},
		{bits: 12, size: 120_000, kinds: "--d", version: 2},
	} {
		child.backing = "0"
		for _, base := range []img{
			{size: 1},                // raw: bits is 0
			{size: child.size/2 + 7}, // shorter
			{size: child.size + 100_000},
			{bits: 9, size: child.size - 999},
			{bits: 13, size: child.size, zstd: true},
			{bits: 16, size: child.size + 70_000, version: 2},
			{bits: 15, size: child.size/3 + 1, extended: true},
		} {
			add(fmt.Sprintf("chain/%d extended %v over %d extended %v of %d", 1<<child.bits, child.extended, base.bits, base.extended, base.size), child, base)
		}
	}
	for i, middle := range []img{
		{bits: 9, size: 50_000, kinds: "--dz"}, {bits: 12, size: 300_000, kinds: "--h"}, {bits: 14, extended: true, size: 200_000, kinds: "--dh"}, {bits: 16, size: 1, kinds: "-"},
	} {
		middle.backing = "1"
		add(fmt.Sprint("chain of three/", i), img{bits: 10, size: 250_000, kinds: "--dhc", backing: "0"}, middle, img{size: 220_000 - 60_000*int64(i)})
	}
	for _, bits := range []uint{9, 12, 16} {
		for _, kinds := range []string{"-hzd", "-dc"} {
			add(fmt.Sprint("aes/", 1<<bits, "/", kinds), img{bits: bits, size: 200_000, kinds: kinds}).aes = true
		}
	}
	return all
}

// TestMatrix reads each image and compares the hash of the disk with that of the bytes that the
// image was built from.
func TestMatrix(t *testing.T) {
	all := matrix()
	if len(all) < 125 {
		t.Errorf("%d images", len(all))
	}
	for _, b := range all {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			w := b.img.build()
			want := bytes.Clone(w.guest)
			opts := Options{Resolve: resolveLayers(t, b.layers)}
			if len(b.layers) > 0 {
				under := stack(b.layers)
				for i, bare := range w.bare {
					if bare == 1 && i < len(under) {
						want[i] = under[i]
					}
				}
			}
			if b.aes {
				opts.Key = []byte("secret")
				encryptAES(t, w, opts.Key)
			}
			d := open(t, w.file, opts)
			imagetest.Source(t, d, want)
			if b.img.snapshot {
				opts.Snapshot = "snap"
				imagetest.Source(t, open(t, w.file, opts), want)
			}
			if r, err := d.Check(context.Background()); err != nil || r.Corruptions+r.Leaks != 0 {
				t.Errorf("Check: %+v, %v", r, err)
			}
		})
	}
}

// layerBytes returns the file of the first layer, and the disk of that layer alone.
func layerBytes(layers []img) (file, guest, bare []byte) {
	m := layers[0]
	m.seed = uint64(len(layers)) + 1000
	if m.bits == 0 {
		raw := make([]byte, m.size)
		imagetest.Fill(rand.New(rand.NewPCG(m.seed, 5)), raw)
		return raw, raw, make([]byte, m.size)
	}
	w := m.build()
	return w.file, w.guest, w.bare
}

// stack returns the disk that a guest sees through all layers.
func stack(layers []img) []byte {
	_, guest, bare := layerBytes(layers)
	guest = bytes.Clone(guest)
	if len(layers) > 1 {
		for i, v := range stack(layers[1:]) {
			if i < len(guest) && bare[i] == 1 {
				guest[i] = v
			}
		}
	}
	return guest
}

// resolveLayers resolves the numbers of layers.
func resolveLayers(t *testing.T, layers []img) func(image.Ref) (image.Source, error) {
	return func(r image.Ref) (image.Source, error) {
		if want := fmt.Sprint(r.Depth - 1); r.Name() != want || r.What == "external data file" || r.Depth > len(layers) {
			t.Errorf("Resolve was called with %+v", r)
			return nil, errDisk
		}
		file, _, _ := layerBytes(layers[r.Depth-1:])
		if layers[r.Depth-1].bits == 0 {
			return bytes.NewReader(file), nil
		}
		o := r.Options.(Options)
		o.ID = r.Name()
		return Open(t.Context(), bytes.NewReader(file), int64(len(file)), o)
	}
}

// encryptAES encrypts the data clusters of an image with the old AES encryption.
func encryptAES(t *testing.T, w *layout, pass []byte) {
	t.Helper()
	be.PutUint32(w.file[offCryptMethod:], cryptAES)
	var key [16]byte
	copy(key[:], pass)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	encrypt(t, w, func(b []byte, host, guest int64) {
		var iv [16]byte
		binary.LittleEndian.PutUint64(iv[:], uint64(guest/512))
		cipher.NewCBCEncrypter(block, iv[:]).CryptBlocks(b, b)
	})
}

// TestExtentsOfEmpty lists the extents of an empty disk of 64 TiB. Open reads the L1 table once,
// and the listing reads nothing.
func TestExtentsOfEmpty(t *testing.T) {
	file := emptyDisk(64 << 40)
	r := &counting{r: file}
	d, err := Open(t.Context(), r, file.size, Options{})
	if err != nil {
		t.Fatal(err)
	}
	l1, l1Bytes := d.l1Offset, int64(8*len(d.l1))
	if len(d.l1) != 131072 {
		t.Errorf("%d L1 entries", len(d.l1))
	}
	if n := r.within(l1, l1+l1Bytes); n != l1Bytes {
		t.Errorf("opening read %d bytes of the L1 table, which has %d", n, l1Bytes)
	}
	opening := len(r.reads)
	if opening > 32 {
		t.Errorf("opening made %d reads", opening)
	}
	for range 2 {
		var got []image.Extent
		for e, err := range d.Extents(0, d.Size()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e)
		}
		if len(got) != 1 || got[0] != (image.Extent{Length: 64 << 40, Kind: image.Hole}) {
			t.Errorf("%+v", got)
		}
	}
	if len(r.reads) != opening {
		t.Errorf("listing extents made %d reads", len(r.reads)-opening)
	}
	// One L2 table in the middle costs one read.
	d.l1[70_000] = uint64(l1) // the L1 table is all zeros, like an empty L2 table
	kinds := 0
	for _, err := range d.Extents(0, d.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		kinds++
	}
	if n := len(r.reads) - opening; n > int(65536/maxPage) {
		t.Errorf("an L2 table took %d reads", n)
	}
	if kinds > 3 {
		t.Errorf("%d extents", kinds)
	}
}

// counting records all reads.
type counting struct {
	r     io.ReaderAt
	reads [][2]int64
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	c.reads = append(c.reads, [2]int64{off, off + int64(len(p))})
	return c.r.ReadAt(p, off)
}

// within returns the number of bytes read between from and to. Bytes that were read twice count
// twice.
func (c *counting) within(from, to int64) (n int64) {
	for _, r := range c.reads {
		n += max(min(r[1], to)-max(r[0], from), 0)
	}
	return n
}
