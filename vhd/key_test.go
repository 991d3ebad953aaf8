package vhd

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// The example in IBM Cloud's documentation of vhd-util.
const (
	ibmKey  = "Nrfen98EpMxF2B+wdgLfagzrqvgUZfMK4vL2T0NsT20ihrsNC9pUUHtizF6218pze8RLCgQ6kwxuE58IWLzgDA=="
	ibmHash = "21681bba94f04b33b112f5f90a0faa885a6d1dbf1bd68ed16c5b995143088eda"
)

func TestKeyHashKnownAnswer(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString(ibmKey)
	if err != nil {
		t.Fatal(err)
	}
	if sum := hashKey(make([]byte, 32), key); hex.EncodeToString(sum[:]) != ibmHash {
		t.Errorf("got %x", sum)
	}
	// The same example in a disk: a nonce of zeros and that hash.
	file, guest := testDisk{size: 8 * 4096, blockSize: 4096, key: key}.build()
	at := smallTable + sectorSize
	clear(file[at+offKeyNonce:][:32])
	hash, _ := hex.DecodeString(ibmHash)
	copy(file[at+offKeyHash:], hash)
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{Key: key})
	if i := d.describe(); !i.Encrypted || i.KeyHash != ibmHash || i.KeyNonce != strings.Repeat("00", 32) {
		t.Errorf("%+v", i)
	}
	imagetest.Exact(t, d, guest)
	text, err := json.Marshal(d.describe())
	if err != nil || !strings.Contains(string(text), `"key_nonce":"0000`) || !strings.Contains(string(text), `"key_hash":"21681bba`) {
		t.Errorf("JSON: %s, %v", text, err)
	}
}

func TestReadEncrypted(t *testing.T) {
	for _, c := range []testDisk{
		{size: 40*4096 + 512, blockSize: 4096, key: random(32)},
		{size: 40*4096 - 512, blockSize: 4096, key: random(64), creator: "tap\x00", version: 0x00010003, seed: 1},
		{size: 5 << 20, blockSize: 2 << 20, key: random(64), align: 4096, seed: 2},
		{size: 40 * 512, blockSize: 512, key: random(64), seed: 3},
	} {
		file, guest := c.build()
		d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
		p := make([]byte, 1000)
		if n, err := d.ReadAt(p, 0); n != 0 || !errors.Is(err, image.ErrLocked) {
			t.Fatalf("locked: %d, %v", n, err)
		}
		locked := extents(t, d)
		if err := d.Unlock(context.Background(), c.key); err != nil {
			t.Fatal(err)
		}
		imagetest.Exact(t, d, guest)
		if !slices.Equal(locked, extents(t, d)) {
			t.Error("the extents of the locked disk differ")
		}
		if err := d.Unlock(context.Background(), c.key); err != nil {
			t.Errorf("second Unlock: %v", err)
		}
		for off := range int64(1030) { // all offsets within a sector
			n := (off*37)%1500 + 1
			p := make([]byte, n)
			if _, err := d.ReadAt(p, off); err != nil || !bytes.Equal(p, guest[off:off+n]) {
				t.Fatalf("ReadAt(%d bytes, %d): the data differs, or error: %v", n, off, err)
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if _, err := d.ReadAt(p, 0); !errors.Is(err, image.ErrLocked) {
			t.Errorf("closed: %v", err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	}
}

func TestWrongKey(t *testing.T) {
	key := random(64)
	file, _ := testDisk{size: 8 * 4096, blockSize: 4096, key: key}.build()
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
	other := slices.Clone(key)
	other[63] ^= 1
	for name, k := range map[string][]byte{"a bit": other, "half": key[:32], "empty": {}, "short": key[:63], "long": append(slices.Clone(key), 0)} {
		err := d.Unlock(context.Background(), k)
		if !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
		_, err2 := Open(context.Background(), bytes.NewReader(file), int64(len(file)), Options{Key: k})
		if !errors.Is(err2, ErrKey) {
			t.Errorf("%s: Open: %v", name, err2)
		}
		if len(k) > 0 && strings.Contains(err.Error(), hex.EncodeToString(k[:4])) {
			t.Errorf("%s: the error contains the key: %v", name, err)
		}
	}
	if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, image.ErrLocked) {
		t.Errorf("after wrong keys: %v", err)
	}
	plain, guest := small.build()
	p := open(t, bytes.NewReader(plain), int64(len(plain)), Options{Key: key})
	imagetest.Exact(t, p, guest)
	if err := p.Unlock(context.Background(), key); err == nil || errors.Is(err, ErrKey) {
		t.Errorf("an unencrypted disk: %v", err)
	}
}

// TestEncryptedPast2TiB checks that sector numbers wrap at 2^32.
func TestEncryptedPast2TiB(t *testing.T) {
	const block = 2 << 20
	key := random(64)
	c := testDisk{size: 2<<40 + 4*block, blockSize: block, chs: &[3]uint16{65535, 16, 255}, key: key}
	blocks := c.size / block
	h := header{table: footerSize + headerSize, entries: blocks}
	at := int(h.batmapOffset())
	mapSize := roundUp(int(blocks+7)/8, sectorSize)
	bm := make([]byte, sectorSize+mapSize)
	c.putBatmap(bm, at, mapSize)
	table := bytes.Repeat([]byte{0xff}, int(4*blocks))
	start := roundUp(at+len(bm), 4096)
	first := int64(2<<40) / block // the block at 2 TiB; the test also uses the one before
	be.PutUint32(table[4*first:], uint32(start/sectorSize))
	want := random(sectorSize)
	sector := bytes.Clone(want)
	encryptSector(key, sector, 1) // wrapped, not 2^32+1
	s := newSparse(int64(start)+sectorSize+block+footerSize, map[int64][]byte{
		0:                           c.footer(typeDynamic, footerSize),
		footerSize:                  c.header(footerSize+headerSize, blocks),
		footerSize + headerSize:     table,
		int64(at):                   bm,
		int64(start):                bytes.Repeat([]byte{0xff}, sectorSize),
		int64(start) + sectorSize*2: sector,
	})
	s.put(s.size-footerSize, c.footer(typeDynamic, footerSize))
	d := open(t, s, s.size, Options{Key: key})
	got := make([]byte, sectorSize)
	if _, err := d.ReadAt(got, 2<<40+sectorSize); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the data differs, or error: %v", err)
	}
}

// TestReadErrorsEncrypted checks that the bytes before a read error in an encrypted file are
// correct.
func TestReadErrorsEncrypted(t *testing.T) {
	c := testDisk{size: 20 * 4096, blockSize: 4096, seed: 2, key: random(32)}
	file, guest := c.build()
	imagetest.ReadErrors(t, bytes.NewReader(file), guest, 2, func(r io.ReaderAt) (image.Source, error) {
		return Open(context.Background(), r, int64(len(file)), Options{Key: c.key})
	})
}

// TestBatmapInBlock checks that guest data in the place of a batmap does not count as one.
func TestBatmapInBlock(t *testing.T) {
	c := testDisk{size: 128 * 4096, blockSize: 4096, full: true}
	file, _ := c.build()
	// The first block follows the table, so its bitmap is in the place of a batmap header.
	at := smallTable + sectorSize
	fake := make([]byte, 512)
	testDisk{key: random(32)}.putBatmap(append(fake, make([]byte, 512)...)[:512:1024], at, 512)
	copy(file[at:], fake)
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
	if i := d.describe(); i.Batmap || i.Encrypted {
		t.Errorf("%+v", i)
	}
	if _, err := d.ReadAt(make([]byte, 100), 0); err != nil {
		t.Error(err)
	}
}

func TestBatmapWarnings(t *testing.T) {
	c := testDisk{size: 20 * 4096, blockSize: 4096, full: true, batmap: true}
	at := smallTable + sectorSize
	for name, edit := range map[string]func(b, file []byte){
		"batmap version":                     func(b, _ []byte) { be.PutUint32(b[offBatmapVersion:], 0x00010003) },
		"batmap version ":                    func(b, _ []byte) { be.PutUint32(b[offBatmapVersion:], 0x00000001) },
		"batmap size":                        func(b, _ []byte) { be.PutUint32(b[offBatmapSize:], 0) },
		"batmap size ":                       func(b, _ []byte) { be.PutUint32(b[offBatmapSize:], 0xffffffff) },
		"batmap offset":                      func(b, _ []byte) { be.PutUint64(b[offBatmapOffset:], uint64(at)) },
		"batmap offset ":                     func(b, _ []byte) { be.PutUint64(b[offBatmapOffset:], 1<<64-1) },
		"batmap checksum":                    func(b, _ []byte) { b[offBatmapSum]++ },
		"batmap checksum ":                   func(b, _ []byte) { b[sectorSize]++ },
		"a map that does not overlap block ": func(b, f []byte) { be.PutUint64(b[offBatmapOffset:], uint64(at+2*sectorSize)) },
	} {
		file, guest := c.build()
		edit(file[at:], file)
		d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
		if i := d.describe(); !i.Batmap || i.Encrypted || len(i.Warnings) != 1 || !strings.Contains(i.Warnings[0], strings.TrimSpace(name)) {
			t.Errorf("%s: %+v", name, i)
		}
		imagetest.Exact(t, d, guest)
	}
	// Version 1.1 adds signed bytes.
	file, _ := c.build()
	be.PutUint32(file[at+offBatmapVersion:], batmapVersionSigned)
	be.PutUint32(file[at+offBatmapSum:], 17) // ^(-1 - 1 - 16)
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
	if w := d.describe().Warnings; len(w) != 0 {
		t.Errorf("version 1.1: %q", w)
	}
	// A value other than these two can belong to an unknown encryption.
	file[at+offKeyCookie] = 2
	_, err := Open(context.Background(), bytes.NewReader(file), int64(len(file)), Options{})
	var fe *image.FormatError
	if !errors.As(err, &fe) || fe.Field != "batmap key hash cookie" || fe.Offset != int64(at+offKeyCookie) {
		t.Errorf("key hash cookie: %v", err)
	}
}

func TestEncryptedParent(t *testing.T) {
	key := random(32)
	parent, guest := testDisk{size: 20 * 4096, blockSize: 4096, key: key}.build()
	child, want := testDisk{size: 20 * 4096, blockSize: 8192, base: guest, id: 2}.build()
	d := open(t, bytes.NewReader(child), int64(len(child)), Options{Resolve: func(r image.Ref) (image.Source, error) {
		o := r.Options.(Options)
		o.Key = key
		return Open(context.Background(), bytes.NewReader(parent), int64(len(parent)), o)
	}})
	imagetest.Exact(t, d, want)
	d = open(t, bytes.NewReader(child), int64(len(child)), Options{Resolve: resolveFrom(parent)})
	if _, err := io.Copy(io.Discard, io.NewSectionReader(d, 0, d.Size())); !errors.Is(err, image.ErrLocked) {
		t.Errorf("locked parent: %v", err)
	}
}
