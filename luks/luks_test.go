package luks_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/xts"

	"crypto/aes"

	"github.com/luksimg/luksimg/luks"
)

// cheap is a KDF that takes almost no time.
var cheap = luks.KDF{Type: luks.PBKDF2, Iterations: 1000}

var passphrase = []byte("correct horse battery staple")

// random returns n pseudorandom bytes, the same in every run.
func random(seed uint64, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(p)
	return p
}

// write returns a LUKS image of plain.
func write(t testing.TB, plain []byte, o luks.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := luks.NewWriter(t.Context(), &b, passphrase, o)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write(plain); err != nil || n != len(plain) {
		t.Fatalf("Write: %d, %v", n, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t testing.TB, img []byte) *luks.Header {
	t.Helper()
	h, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func unlock(t testing.TB, img []byte) *luks.Volume {
	t.Helper()
	v, err := open(t, img).Unlock(t.Context(), passphrase)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// options are the options for every kind of container that is written.
func options() map[string]luks.Options {
	all := make(map[string]luks.Options)
	for _, keySize := range []int{32, 64} {
		for _, hash := range []string{"sha1", "sha256", "sha512"} {
			all[fmt.Sprintf("luks1/%d/%s", keySize*8, hash)] = luks.Options{Version: 1, KeySize: keySize, Hash: hash, KDF: cheap}
			for _, sector := range []int{512, 1024, 2048, 4096} {
				all[fmt.Sprintf("luks2/%d/%s/%d", keySize*8, hash, sector)] =
					luks.Options{KeySize: keySize, Hash: hash, SectorSize: sector, KDF: cheap, DataOffset: 1 << 20}
			}
		}
	}
	for _, kdf := range []string{luks.Argon2i, luks.Argon2id} {
		all["luks2/"+kdf] = luks.Options{KDF: luks.KDF{Type: kdf, Memory: 32, Iterations: 4, Parallel: 2}, DataOffset: 1 << 20}
	}
	return all
}

func TestRoundTrip(t *testing.T) {
	for name, o := range options() {
		t.Run(name, func(t *testing.T) {
			sector := max(o.SectorSize, 512)
			for _, n := range []int{0, 1, sector - 1, sector, sector + 1, 3*sector + 7, 256<<10 - 1, 256 << 10, 256<<10 + 1, 700_001} {
				plain := random(uint64(n), n)
				img := write(t, plain, o)
				v := unlock(t, img)
				want := append(bytes.Clone(plain), make([]byte, (sector-n%sector)%sector)...)
				if v.Size() != int64(len(want)) {
					t.Fatalf("%d bytes: volume has %d", n, v.Size())
				}
				got := make([]byte, len(want))
				if n, err := v.ReadAt(got, 0); err != nil && err != io.EOF || n != len(got) {
					t.Fatalf("ReadAt: %d, %v", n, err)
				}
				if !bytes.Equal(got, want) {
					t.Fatalf("%d bytes: plaintext differs", n)
				}
				if o.KDF.Type != luks.PBKDF2 {
					break // one size suffices if the KDF is slow
				}
			}
		})
	}
}

// TestCiphertext compares the data with an independent XTS implementation. Tweaks count in units of 512
// bytes for every sector size.
func TestCiphertext(t *testing.T) {
	for name, o := range options() {
		t.Run(name, func(t *testing.T) {
			o.VolumeKey = random(1, 64)
			if o.KeySize == 32 {
				o.VolumeKey = random(1, 32)
			}
			sector := max(o.SectorSize, 512)
			plain := random(2, 9*sector)
			img := write(t, plain, o)
			c, err := xts.NewCipher(aes.NewCipher, o.VolumeKey)
			if err != nil {
				t.Fatal(err)
			}
			want := make([]byte, len(plain))
			for i := 0; i < len(plain); i += sector {
				c.Encrypt(want[i:i+sector], plain[i:i+sector], uint64(i/512))
			}
			if got := img[open(t, img).DataOffset():]; !bytes.Equal(got, want) {
				t.Error("ciphertext differs")
			}
		})
	}
}

// TestWritePieces writes in many small parts. The image must be the same.
func TestWritePieces(t *testing.T) {
	plain := random(3, 600_000)
	o := luks.Options{Version: 1, KDF: cheap}
	o.Rand = rand.NewChaCha8([32]byte{})
	want := write(t, plain, o)
	o.Rand = rand.NewChaCha8([32]byte{})
	var b bytes.Buffer
	w, err := luks.NewWriter(t.Context(), &b, passphrase, o)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for p := plain; len(p) > 0; {
		n := min(len(p), r.IntN(5000))
		if _, err := w.Write(p[:n]); err != nil {
			t.Fatal(err)
		}
		p = p[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Error("image differs from the one written at once")
	}
	if err := w.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := w.Write([]byte{1}); err == nil {
		t.Error("Write after Close did not fail")
	}
}

// A limited writer fails after n bytes.
type limited struct{ n int }

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.n {
		return l.n, errors.New("full")
	}
	l.n -= len(p)
	return len(p), nil
}

func TestWriterErrors(t *testing.T) {
	for _, n := range []int{0, 1000, 2 << 20, 2<<20 + 300<<10} {
		w, err := luks.NewWriter(t.Context(), &limited{n}, passphrase, luks.Options{Version: 1, KDF: cheap})
		if err == nil {
			if _, err = w.Write(make([]byte, 600<<10)); err == nil {
				t.Errorf("%d bytes: Write did not fail", n)
			}
			if w.Close() == nil {
				t.Errorf("%d bytes: Close did not fail after Write did", n)
			}
		}
	}
}

// TestHeader checks that WriteHeader and WriteTo write the same header, and that WriteHeader writes the
// magic last.
func TestHeader(t *testing.T) {
	for _, version := range []int{1, 2} {
		h, key, err := luks.New(t.Context(), passphrase, luks.Options{Version: version, KDF: cheap})
		if err != nil {
			t.Fatal(err)
		}
		var stream bytes.Buffer
		if n, err := h.WriteTo(&stream); err != nil || n != h.DataOffset() || int64(stream.Len()) != n {
			t.Fatalf("WriteTo: %d, %v; %d bytes", n, err, stream.Len())
		}
		f := &recorder{b: make([]byte, h.DataOffset())}
		if err := h.WriteHeader(f); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(f.b, stream.Bytes()) {
			t.Errorf("LUKS%d: WriteHeader and WriteTo differ", version)
		}
		if last := f.offsets[len(f.offsets)-1]; last != 0 {
			t.Errorf("LUKS%d: the last write is at %d", version, last)
		}
		if n := len(f.offsets); f.syncedAfter != n-1 {
			t.Errorf("LUKS%d: synced after %d of %d writes", version, f.syncedAfter, n)
		}
		if _, err := open(t, f.b).Volume(t.Context(), bytes.NewReader(f.b), int64(len(f.b)), key); err != nil {
			t.Errorf("LUKS%d: %v", version, err)
		}
		key[0] ^= 1
		if _, err := open(t, f.b).Volume(t.Context(), bytes.NewReader(f.b), int64(len(f.b)), key); !errors.Is(err, luks.ErrVolumeKey) {
			t.Errorf("LUKS%d: wrong volume key: %v", version, err)
		}
		if _, err := open(t, f.b).Volume(t.Context(), bytes.NewReader(f.b), int64(len(f.b)), nil); !errors.Is(err, luks.ErrVolumeKey) {
			t.Errorf("LUKS%d: no volume key: %v", version, err)
		}
	}
}

type recorder struct {
	b           []byte
	offsets     []int64
	syncedAfter int
}

func (r *recorder) WriteAt(p []byte, off int64) (int, error) {
	r.offsets = append(r.offsets, off)
	return copy(r.b[off:], p), nil
}

func (r *recorder) Sync() error { r.syncedAfter = len(r.offsets); return nil }

func TestWrongPassphrase(t *testing.T) {
	for _, version := range []int{1, 2} {
		h := open(t, write(t, nil, luks.Options{Version: version, KDF: cheap}))
		for _, p := range []string{"", "x", string(passphrase) + "\n", string(passphrase[1:])} {
			if _, err := h.Unlock(t.Context(), []byte(p)); !errors.Is(err, luks.ErrPassphrase) {
				t.Errorf("LUKS%d, %q: %v", version, p, err)
			}
		}
	}
}

func TestReadAt(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		plain := random(4, 300_000)
		v := unlock(t, write(t, plain, luks.Options{SectorSize: sector, KDF: cheap}))
		plain = append(plain, make([]byte, int(v.Size())-len(plain))...)
		want := bytes.NewReader(plain)
		var wg sync.WaitGroup
		for seed := range uint64(8) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(seed, 0))
				for range 300 {
					off, n := r.Int64N(v.Size()+1000), r.IntN(20_000)
					a, b := make([]byte, n), make([]byte, n)
					na, errA := v.ReadAt(a, off)
					nb, errB := want.ReadAt(b, off)
					if na != nb || errA != errB || !bytes.Equal(a[:na], b[:nb]) {
						t.Errorf("ReadAt(%d bytes, %d): %d, %v, want %d, %v", n, off, na, errA, nb, errB)
					}
				}
			})
		}
		wg.Wait()
		if _, err := v.ReadAt(make([]byte, 1), -1); err == nil {
			t.Error("negative offset was read")
		}
	}
}

// TestTruncated truncates an image at all relevant offsets.
func TestTruncated(t *testing.T) {
	for _, version := range []int{1, 2} {
		img := write(t, random(5, 4096), luks.Options{Version: version, KDF: cheap})
		data := open(t, img).DataOffset()
		for _, n := range []int64{0, 1, 7, 8, 591, 592, 4095, 4096, 16384, 32768, 100_000, data - 1} {
			part := img[:n]
			h, err := luks.Open(bytes.NewReader(part), n, luks.OpenOptions{})
			if err != nil {
				continue // refused by Open
			}
			if v, err := h.Unlock(t.Context(), passphrase); err == nil {
				t.Errorf("LUKS%d, %d bytes of %d: opens with %d bytes of data", version, n, len(img), v.Size())
			}
		}
		// With AllowTruncated, the whole sectors that are left can be read.
		part := img[:data+1000]
		h := open(t, part)
		if _, err := h.Unlock(t.Context(), passphrase); !errors.Is(err, luks.ErrTruncated) || len(h.Info().Warnings) != 1 {
			t.Errorf("LUKS%d: cut within a sector: %v, warnings %q", version, err, h.Info().Warnings)
		}
		h, err := luks.Open(bytes.NewReader(part), int64(len(part)), luks.OpenOptions{AllowTruncated: true})
		if err != nil {
			t.Fatal(err)
		}
		if v, err := h.Unlock(t.Context(), passphrase); err != nil || v.Size() != 512 {
			t.Errorf("LUKS%d: %v, want 512 bytes of data", version, err)
		}
	}
}

// TestSecondary damages each relevant byte of the primary header of a LUKS2 image, then of the
// secondary one.
func TestSecondary(t *testing.T) {
	plain := random(6, 4096)
	img := write(t, plain, luks.Options{KDF: cheap, DataOffset: 1 << 20})
	check := func(name string, b []byte) {
		h := open(t, b)
		if w := h.Info().Warnings; len(w) != 1 {
			t.Errorf("%s: warnings %q, want one", name, w)
		}
		got := make([]byte, len(plain))
		if _, err := unlock(t, b).ReadAt(got, 0); err != nil && err != io.EOF {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(got, plain) {
			t.Errorf("%s: wrong plaintext", name)
		}
	}
	for _, copyAt := range []int{0, 16384} {
		for _, off := range []int{0, 7, 8, 15, 23, 24, 72, 104, 168, 263, 448, 4095, 4096, 4200, 16383} {
			b := bytes.Clone(img)
			b[copyAt+off] ^= 0x41
			check(fmt.Sprintf("byte %d of the copy at %d", off, copyAt), b)
		}
		b := bytes.Clone(img)
		clear(b[copyAt : copyAt+16384])
		check(fmt.Sprintf("copy at %d erased", copyAt), b)
	}
	clear(img[:32768])
	if _, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{}); !errors.Is(err, luks.ErrNotLUKS) {
		t.Errorf("both copies erased: %v", err)
	}
}

func TestOptionErrors(t *testing.T) {
	for _, o := range []luks.Options{
		{Version: 3},
		{KeySize: 40},
		{Cipher: "aes-xts-plain65"},
		{Cipher: "cipher_null-ecb"},
		{Cipher: "serpent-xts-plain64"}, // its package is not imported
		{Cipher: "aes-cbc-essiv:sha256", KeySize: 64},
		{Version: 1, Cipher: "capi:xts(aes)-plain64"},
		{Version: 1, MetadataSize: 16384},
		{Version: 1, Flags: []string{"allow-discards"}},
		{MetadataSize: 20000},
		{MetadataSize: 8 << 20},
		{KeyslotsSize: 4096},
		{KeyslotsSize: 1<<20 + 1},
		{KeyslotsSize: 129 << 20},
		{KeyslotsSize: 1 << 20, DataOffset: 1 << 20},
		{Detached: true, DataOffset: 1 << 20},
		{VolumeKey: make([]byte, 16)},
		{VolumeKey: make([]byte, 32), KeySize: 64},
		{SectorSize: 768},
		{SectorSize: 8192},
		{Version: 1, SectorSize: 4096},
		{Hash: "md5"},
		{Hash: "SHA256"},
		{UUID: "not a UUID"},
		{Label: strings.Repeat("x", 48)},
		{Subsystem: "a\x00b"},
		{Version: 1, Label: "x"},
		{DataOffset: 4096},
		{DataOffset: 1<<20 + 512},
		{DataOffset: 256 << 20},
		{Version: 1, DataOffset: 1 << 20},
		{Version: 1, DataOffset: 1<<41 + 512},
		{Version: 1, KDF: luks.KDF{Type: luks.Argon2id}},
		{Version: 1, Hash: "sha1", KDF: luks.KDF{Type: luks.PBKDF2, Hash: "sha256"}},
		{KDF: luks.KDF{Type: "scrypt"}},
		{KDF: luks.KDF{Type: luks.PBKDF2, Iterations: 999}},
		{KDF: luks.KDF{Type: luks.PBKDF2, Memory: 1}},
		{KDF: luks.KDF{Type: luks.Argon2id, Hash: "sha256"}},
		{KDF: luks.KDF{Type: luks.Argon2id, Iterations: 3}},
		{KDF: luks.KDF{Type: luks.Argon2id, Memory: 31}},
		{KDF: luks.KDF{Type: luks.Argon2id, Memory: 4<<20 + 1}},
		{KDF: luks.KDF{Type: luks.Argon2id, Parallel: 5}},
	} {
		if _, _, err := luks.New(t.Context(), passphrase, o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	if _, _, err := luks.New(t.Context(), nil, luks.Options{}); err == nil {
		t.Error("an empty passphrase was accepted")
	}
	if _, _, err := luks.New(t.Context(), passphrase, luks.Options{Rand: bytes.NewReader(make([]byte, 100))}); err == nil {
		t.Error("a source of randomness that ends was accepted")
	}
}

// TestDefaults checks the documented costs.
func TestDefaults(t *testing.T) {
	for _, c := range []struct {
		o    luks.Options
		want luks.SlotInfo
	}{
		{luks.Options{}, luks.SlotInfo{KDF: luks.Argon2id, Iterations: 4, Memory: 64 << 10, Parallel: 4, AFHash: "sha256"}},
		{luks.Options{GeneratedKey: true}, luks.SlotInfo{KDF: luks.PBKDF2, Hash: "sha256", Iterations: 1000, AFHash: "sha256"}},
		{luks.Options{Version: 1}, luks.SlotInfo{KDF: luks.PBKDF2, Hash: "sha256", Iterations: 600_000, AFHash: "sha256"}},
		{luks.Options{Version: 1, Hash: "sha512"}, luks.SlotInfo{KDF: luks.PBKDF2, Hash: "sha512", Iterations: 210_000, AFHash: "sha512"}},
		{luks.Options{Version: 1, Hash: "sha1"}, luks.SlotInfo{KDF: luks.PBKDF2, Hash: "sha1", Iterations: 1_300_000, AFHash: "sha1"}},
		{luks.Options{Version: 1, GeneratedKey: true}, luks.SlotInfo{KDF: luks.PBKDF2, Hash: "sha256", Iterations: 1000, AFHash: "sha256"}},
	} {
		h, _, err := luks.New(t.Context(), passphrase, c.o)
		if err != nil {
			t.Fatal(err)
		}
		i := h.Info()
		if i.Cipher != "aes-xts-plain64" || i.KeyBits != 512 || i.SectorSize != 512 {
			t.Errorf("%+v: %s, %d bits, sectors of %d", c.o, i.Cipher, i.KeyBits, i.SectorSize)
		}
		if want := map[int]int64{1: 2 << 20, 2: 16 << 20}[i.Version]; i.DataOffset != want {
			t.Errorf("%+v: data at %d, want %d", c.o, i.DataOffset, want)
		}
		s := i.Keyslots[0]
		got := luks.SlotInfo{KDF: s.KDF, Hash: s.Hash, Iterations: s.Iterations, Memory: s.Memory, Parallel: s.Parallel, AFHash: s.AFHash}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v:\ngot  %+v\nwant %+v", c.o, got, c.want)
		}
	}
}

// TestLayoutV1 checks offsets against those of images that cryptsetup made.
func TestLayoutV1(t *testing.T) {
	for _, c := range []struct {
		keySize int
		payload uint32 // sectors
		slots   [8]uint32
	}{
		{64, 4096, [8]uint32{8, 512, 1016, 1520, 2024, 2528, 3032, 3536}},
		{32, 4096, [8]uint32{8, 264, 520, 776, 1032, 1288, 1544, 1800}},
	} {
		img := write(t, nil, luks.Options{Version: 1, KeySize: c.keySize, KDF: cheap})
		if got := binary.BigEndian.Uint32(img[104:]); got != c.payload {
			t.Errorf("%d-byte key: payload at sector %d, want %d", c.keySize, got, c.payload)
		}
		for i, want := range c.slots {
			if got := binary.BigEndian.Uint32(img[208+48*i+40:]); got != want {
				t.Errorf("%d-byte key: slot %d at sector %d, want %d", c.keySize, i, got, want)
			}
		}
	}
}

func TestCalibrate(t *testing.T) {
	for _, o := range []luks.Options{
		{Version: 1},
		{KDF: luks.KDF{Memory: 32}},
		{KDF: luks.KDF{Type: luks.Argon2i, Memory: 64, Iterations: 9}},
	} {
		k, err := luks.Calibrate(t.Context(), o, 1)
		if err != nil {
			t.Fatal(err)
		}
		least := uint32(4)
		if k.Type == luks.PBKDF2 {
			least = 1000
		}
		if k.Iterations != least {
			t.Errorf("%+v: %d iterations for a duration of zero, want %d", o, k.Iterations, least)
		}
		o.KDF = k
		if _, _, err := luks.New(t.Context(), passphrase, o); err != nil {
			t.Errorf("%+v: %v", k, err)
		}
	}
}

// TestCiphers writes and reads images with the cipher modes of AES, also with LUKS1.
func TestCiphers(t *testing.T) {
	plain := random(7, 20_000)
	for _, c := range []struct {
		cipher  string
		keySize int
		offset  int64 // data offset in LUKS1
	}{
		{"aes-xts-plain64", 48, 2 << 20},
		{"aes-xts-plain", 32, 2 << 20},
		{"aes-cbc-essiv:sha256", 32, 2 << 20},
		{"aes-cbc-essiv:sha256", 24, 1 << 20},
		{"aes-cbc-plain64be", 16, 1 << 20},
		{"aes-ctr-plain64", 32, 2 << 20},
		{"aes-ecb", 16, 1 << 20},
	} {
		for _, version := range []int{1, 2} {
			img := write(t, plain, luks.Options{Version: version, Cipher: c.cipher, KeySize: c.keySize, KDF: cheap})
			i := open(t, img).Info()
			if want := c.cipher; i.Cipher != want || i.KeyBits != 8*c.keySize {
				t.Errorf("%s in LUKS%d: %s, %d bits", c.cipher, version, i.Cipher, i.KeyBits)
			}
			if version == 1 && i.DataOffset != c.offset {
				t.Errorf("%s, %d bytes: data at %d, want %d", c.cipher, c.keySize, i.DataOffset, c.offset)
			}
			got := make([]byte, len(plain))
			if _, err := unlock(t, img).ReadAt(got, 0); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, plain) {
				t.Errorf("%s in LUKS%d: plaintext differs", c.cipher, version)
			}
		}
	}
}

// TestLayouts makes LUKS2 headers of every size, and detached headers.
func TestLayouts(t *testing.T) {
	plain := random(8, 1024)
	for _, c := range []struct {
		o      luks.Options
		offset int64
		area   int64
	}{
		{luks.Options{}, 16 << 20, 16 << 20},
		{luks.Options{MetadataSize: 4 << 20}, 16 << 20, 16 << 20},
		{luks.Options{MetadataSize: 64 << 10, KeyslotsSize: 1 << 20}, 2 << 20, 1<<20 + 128<<10},
		{luks.Options{KeyslotsSize: 512 << 10}, 1 << 20, 512<<10 + 32<<10},
		{luks.Options{KeyslotsSize: 128 << 20}, 129 << 20, 128<<20 + 32<<10},
		{luks.Options{KeyslotsSize: 512 << 10, DataOffset: 3 << 20}, 3 << 20, 512<<10 + 32<<10},
		{luks.Options{Flags: []string{"allow-discards"}, DataOffset: 1 << 20}, 1 << 20, 1 << 20},
	} {
		c.o.KDF = cheap
		img := write(t, plain, c.o)
		h := open(t, img)
		if i := h.Info(); i.DataOffset != c.offset || h.HeaderSize() != c.area || len(i.Flags) != len(c.o.Flags) {
			t.Errorf("%+v: data at %d, header of %d", c.o, i.DataOffset, h.HeaderSize())
		}
		got := make([]byte, len(plain))
		if _, err := unlock(t, img).ReadAt(got, 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if !bytes.Equal(got, plain) {
			t.Errorf("%+v: plaintext differs", c.o)
		}
	}
	for version, size := range map[int]int{1: 2068480, 2: 16 << 20} {
		h, key, err := luks.New(t.Context(), passphrase, luks.Options{Version: version, KDF: cheap, Detached: true})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := h.WriteTo(&b); err != nil || b.Len() != size {
			t.Errorf("LUKS%d: detached header of %d bytes, %v", version, b.Len(), err)
		}
		w, err := h.Volume(t.Context(), nil, 0, key)
		if err != nil {
			t.Fatal(err)
		}
		data := bytes.Clone(plain)
		w.EncryptSectors(data, data, 0)
		back := open(t, b.Bytes())
		found, _, err := back.VolumeKey(t.Context(), passphrase, luks.AnySlot)
		if err != nil {
			t.Fatal(err)
		}
		v, err := back.Volume(t.Context(), bytes.NewReader(data), int64(len(data)), found)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(plain))
		if _, err := v.ReadAt(got, 0); err != nil && err != io.EOF || !bytes.Equal(got, plain) {
			t.Errorf("LUKS%d, detached: %v", version, err)
		}
	}
}
