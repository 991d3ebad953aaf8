package vhd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/pieces"
)

// A memory is a file in memory for Create. It records the order of writes.
type memory struct {
	mu   sync.Mutex
	b    []byte
	offs []int64
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := int(off) + len(p); n > len(m.b) {
		m.b = append(m.b, make([]byte, n-len(m.b))...)
	}
	copy(m.b[off:], p)
	m.offs = append(m.offs, off)
	return len(p), nil
}

// fixedRandom yields the bytes 0, 1, 2 and so on.
type fixedRandom struct{ next byte }

func (f *fixedRandom) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = f.next
		f.next++
	}
	return len(p), nil
}

var createTime = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func create(t testing.TB, src image.Source, opts CreateOptions) ([]byte, *CreateResult) {
	t.Helper()
	if opts.Rand == nil {
		opts.Rand = &fixedRandom{}
	}
	if opts.Timestamp.IsZero() {
		opts.Timestamp = createTime
	}
	m := &memory{}
	r, err := Create(context.Background(), m, src, opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.FileSize != int64(len(m.b)) || m.offs[len(m.offs)-1] != r.FileSize-footerSize {
		t.Errorf("%d bytes, want %d; the last write is at %d", len(m.b), r.FileSize, m.offs[len(m.offs)-1])
	}
	checkVHDUtil(t, m.b)
	if n, err := CreateSize(src.Size(), first(r.Blocks), opts); err != nil || n != r.FileSize {
		t.Errorf("CreateSize = %d, %v, want %d", n, err, r.FileSize)
	}
	return m.b, r
}

// first yields the numbers of the first n blocks.
func first(n int64) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for i := int64(0); i < n && yield(i); i++ {
		}
	}
}

// patchy returns random bytes with stretches of zeros.
func patchy(n int64, seed uint64) []byte {
	b := make([]byte, n)
	rnd := rand.New(rand.NewPCG(seed, 5))
	for at := int64(0); at < n; {
		m := min(1+rnd.Int64N(300<<10), n-at)
		if rnd.IntN(3) > 0 {
			imagetest.Fill(rnd, b[at:at+m])
		} else if rnd.IntN(3) == 0 {
			m = min(6<<20, n-at)
		}
		at += m
	}
	return b
}

func TestCreate(t *testing.T) {
	for _, size := range []int64{0, 1, 511, 512, 513, 4096, 1<<20 - 1, 1 << 20, 2<<20 - 512, 2 << 20, 2<<20 + 1, 5<<20 + 7} {
		for name, opts := range map[string]CreateOptions{
			"dynamic":              {},
			"dynamic, 4 KiB":       {BlockSize: 4096},
			"dynamic, 512 KiB":     {BlockSize: 512 << 10},
			"dynamic, 8 MiB":       {BlockSize: 8 << 20},
			"fixed":                {Type: Fixed},
			"encrypted, 32 bytes":  {Key: random(32)},
			"encrypted, 64 bytes":  {Key: random(64)},
			"dynamic, one worker":  {Jobs: 1},
			"dynamic, ten workers": {Jobs: 10, BlockSize: 64 << 10},
		} {
			t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
				t.Parallel()
				guest := patchy(size, uint64(size))
				var done atomic.Int64
				opts.Progress = func(n int64) { done.Add(n) }
				file, r := create(t, bytes.NewReader(guest), opts)
				if done.Load() != size {
					t.Errorf("progress is %d bytes", done.Load())
				}
				unit := int64(512)
				if opts.Type == Fixed {
					unit = 1 << 20
				}
				want := (size + unit - 1) / unit * unit
				if r.VirtualSize != want {
					t.Errorf("virtual size %d, want %d", r.VirtualSize, want)
				}
				guest = append(guest, make([]byte, want-size)...)
				d := open(t, bytes.NewReader(file), int64(len(file)), Options{Key: opts.Key})
				got, err := io.ReadAll(io.NewSectionReader(d, 0, d.Size()))
				if err != nil || !bytes.Equal(got, guest) {
					t.Errorf("the data differs, or error: %v", err)
				}
				info := d.describe()
				if len(info.Warnings) > 0 || info.UniqueID != r.UniqueID || !info.Timestamp.Equal(createTime) ||
					info.Encrypted != (opts.Key != nil) || int64(info.AllocatedBlocks) != r.Blocks {
					t.Errorf("%+v of %+v", info, r)
				}
				if opts.Key != nil && (info.KeyHash != hex.EncodeToString(r.KeyHash[:]) || info.KeyNonce != hex.EncodeToString(r.KeyNonce[:])) {
					t.Errorf("%+v of %+v", info, r)
				}
				if c := check(t, file); c.Corruptions != 0 || c.Leaks != 0 || c.FragmentedBlocks != 0 {
					t.Errorf("%+v", c)
				}
				if opts.Type != Fixed {
					checkBlocks(t, d, guest, opts.Key != nil)
				}
			})
		}
	}
}

// checkBlocks checks that exactly the nonzero blocks are allocated, in order, aligned, and with all
// bits set.
func checkBlocks(t *testing.T, d *Disk, guest []byte, encrypted bool) {
	last := int64(0)
	for i, entry := range d.bat {
		b := guest[int64(i)*d.blockSize:][:d.blockLen(i)]
		if pieces.IsZero(b) != (entry == absent) {
			t.Errorf("block %d: entry %d, all zeros: %v", i, entry, pieces.IsZero(b))
		}
		if entry == absent {
			continue
		}
		if d.dataOffset(i)%4096 != 0 || d.dataOffset(i) <= last {
			t.Errorf("block %d has its data at %d, after %d", i, d.dataOffset(i), last)
		}
		last = d.dataOffset(i)
		if s, err := d.state(i); s != stateFull || err != nil {
			t.Errorf("block %d is not full", i)
		}
		if !encrypted {
			continue
		}
		raw := make([]byte, d.blockSize)
		if _, err := readFull(d.file.R, raw, d.dataOffset(i)); err != nil {
			t.Fatal(err)
		}
		for s := range d.blockSize / sectorSize {
			if pieces.IsZero(raw[s*sectorSize:][:sectorSize]) {
				t.Errorf("sector %d of block %d is not encrypted", s, i)
			}
		}
	}
}

// TestCreateIsDeterministic checks that the file does not depend on the number or the timing of
// workers.
func TestCreateIsDeterministic(t *testing.T) {
	guest := patchy(9<<20, 1)
	for _, key := range [][]byte{nil, random(64)} {
		opts := CreateOptions{Key: key, Jobs: 1}
		if key == nil {
			opts.BlockSize = 64 << 10
		}
		want, _ := create(t, bytes.NewReader(guest), opts)
		for jobs := range 5 {
			opts.Jobs = jobs + 1
			if got, _ := create(t, unsteady{bytes.NewReader(guest)}, opts); !bytes.Equal(got, want) {
				t.Errorf("%d workers write different bytes", opts.Jobs)
			}
		}
	}
}

// unsteady takes longer for some reads than for others.
type unsteady struct{ *bytes.Reader }

func (u unsteady) ReadAt(p []byte, off int64) (int, error) {
	for range rand.IntN(4) {
		io.Copy(io.Discard, io.NewSectionReader(u.Reader, 0, 1<<18))
	}
	return u.Reader.ReadAt(p, off)
}

// TestCreateEncryptedSectors compares the encrypted sectors with an independent implementation of
// AES-XTS.
func TestCreateEncryptedSectors(t *testing.T) {
	for _, n := range []int64{32, 64} {
		key := random(n)
		guest := random(5<<20 + 512)
		clear(guest[2<<20 : 4<<20])
		file, r := create(t, bytes.NewReader(guest), CreateOptions{Key: key})
		want := sha256.Sum256(append(bytes.Clone(r.KeyNonce[:]), key...))
		if r.KeyHash != want || r.Blocks != 2 {
			t.Errorf("%+v", r)
		}
		guest = append(guest, make([]byte, 1<<20-512)...)
		for _, block := range []int64{0, 2} {
			at := int64(be.Uint32(tableEntry(file, int(block)))) * sectorSize
			if !bytes.Equal(file[at:at+512], bytes.Repeat([]byte{0xff}, 512)) {
				t.Errorf("bitmap of block %d is not full", block)
			}
			for s := range int64(4096) {
				sector := bytes.Clone(guest[block<<21+s*512:][:512])
				encryptSector(key, sector, block*4096+s)
				if !bytes.Equal(sector, file[at+512+s*512:][:512]) {
					t.Fatalf("sector %d of block %d differs", s, block)
				}
			}
		}
		if tableEntry(file, 1)[0] != 0xff {
			t.Error("a block of zeros is allocated")
		}
		// vhd-util checks these fields.
		if string(file[offCreatorApp:][:4]) != "tap\x00" || be.Uint32(file[offCreatorVer:]) != 0x00010003 {
			t.Error("wrong creator")
		}
		b := file[2048:]
		if string(b[:8]) != "tdbatmap" || be.Uint64(b[8:]) != 2560 || be.Uint32(b[16:]) != 1 || be.Uint32(b[20:]) != 0x00010002 ||
			be.Uint32(b[24:]) != ^uint32(0xa0) || b[28] != 0 || b[29] != 1 || b[512] != 0xa0 {
			t.Errorf("wrong batmap header % x", b[:100])
		}
	}
}

// TestCreateKnownAnswer checks the example in IBM's documentation of vhd-util, whose nonce is
// zeros.
func TestCreateKnownAnswer(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString(ibmKey)
	if err != nil {
		t.Fatal(err)
	}
	file, r := create(t, bytes.NewReader(random(1<<20)), CreateOptions{Key: key, Rand: bytes.NewReader(make([]byte, 48))})
	if hex.EncodeToString(r.KeyHash[:]) != ibmHash || !bytes.Contains(file[:4096], r.KeyHash[:]) {
		t.Errorf("%x", r.KeyHash)
	}
}

// TestGeometry checks sizes around each step of the algorithm. TestReadQEMUDisks compares
// geometries with QEMU.
func TestGeometry(t *testing.T) {
	for size, want := range map[int64][3]uint32{
		0:                        {0, 4, 17},
		512:                      {0, 4, 17},
		1 << 20:                  {30, 4, 17},
		5 << 20:                  {150, 4, 17},
		64 << 20:                 {963, 8, 17},
		127 << 30:                {65278, 16, 255}, // default size of Hyper-V
		1 << 30:                  {2080, 16, 63},
		40 << 30:                 {20560, 16, 255},
		2040 << 30:               {65535, 16, 255},
		65535*16*63*512 - 512:    {65534, 16, 63},
		65535 * 16 * 63 * 512:    {16191, 16, 255},
		65535 * 16 * 255 * 512:   {65535, 16, 255},
		65535*16*255*512 - 10240: {65534, 16, 255},
	} {
		g := geometry(size)
		got := [3]uint32{g >> 16, g >> 8 & 0xff, g & 0xff}
		if got != want {
			t.Errorf("%d bytes: %d, want %d", size, got, want)
		}
	}
}

// TestCreateGolden compares the bytes of images with known hashes.
func TestCreateGolden(t *testing.T) {
	guest := patchy(3<<20, 2)
	for name, c := range map[string]struct {
		opts CreateOptions
		want string
	}{
		"dynamic":   {CreateOptions{}, goldenDynamic},
		"fixed":     {CreateOptions{Type: Fixed}, goldenFixed},
		"encrypted": {CreateOptions{Key: random(64)}, goldenEncrypted},
	} {
		file, r := create(t, bytes.NewReader(guest), c.opts)
		if got := sha256.Sum256(file); hex.EncodeToString(got[:]) != c.want {
			t.Errorf("%s: %x", name, got)
		}
		if want := map[bool]string{true: "20212223-2425-4627-a829-2a2b2c2d2e2f", false: "00010203-0405-4607-8809-0a0b0c0d0e0f"}[c.opts.Key != nil]; r.UniqueID != want {
			t.Errorf("%s: unique ID %s", name, r.UniqueID)
		}
	}
}

const (
	goldenDynamic   = "150d0c8c17f3e3494f09a004f278986d4dd13749e84a9ddad393d1f971f58d58"
	goldenFixed     = "293ba7024a02ce5cc3a46d123a7477b863a718b7cc6b6a0282777c0957dc636a"
	goldenEncrypted = "cddf0aa16a7e65380f61a033d904f38fbdba3723ce0f8f460fe2c207a9c1dc87"
)

// TestCreateFile creates a disk in a real file and reads it back. Zeros must be holes.
func TestCreateFile(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/disk.vhd")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	guest := patchy(8<<20, 3)
	r, err := Create(context.Background(), f, bytes.NewReader(guest), CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := image.NewFile(f)
	if err != nil || raw.Size() != r.FileSize {
		t.Fatal(err)
	}
	d := open(t, raw, raw.Size(), Options{})
	imagetest.Source(t, d, guest)
	if since := time.Since(d.describe().Timestamp); since < -time.Minute || since > time.Hour {
		t.Errorf("timestamp is %s ago", since)
	}
}
