package luks_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/luksimg/luksimg/luks"
)

// try opens img, possibly an image, with a right and a wrong passphrase, and reads. The result must be
// an error or plaintext, with little memory.
func try(t *testing.T, img []byte) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	h, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{MaxMemory: 1 << 20, MaxWork: 5000})
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("Open allocated %d bytes", n)
	}
	if err != nil {
		if !errors.Is(err, luks.ErrFormat) && !errors.Is(err, luks.ErrNotLUKS) && !errors.Is(err, luks.ErrUnsupported) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the error matches no known class: %v", err)
		}
		return
	}
	v, err := h.Unlock(t.Context(), passphrase)
	if err != nil {
		return
	}
	defer v.Close()
	p := make([]byte, 1000)
	for _, off := range []int64{0, 1, 511, v.Size() - 1, v.Size(), v.Size() + 1} {
		if n, err := v.ReadAt(p, max(off, 0)); n < len(p) && err == nil {
			t.Errorf("ReadAt(%d): %d bytes and no error", off, n)
		}
	}
}

func FuzzOpenLUKS1(f *testing.F) {
	for _, o := range []luks.Options{{Version: 1, KDF: cheap}, {Version: 1, KeySize: 32, Hash: "sha1", KDF: cheap}} {
		f.Add(write(f, nil, o)[:1024], uint16(0))
	}
	body := write(f, random(1, 2048), luks.Options{Version: 1, KDF: cheap})
	f.Fuzz(func(t *testing.T, header []byte, cut uint16) {
		img := bytes.Clone(body)
		copy(img, header[:min(len(header), 1024)])
		try(t, img[:len(img)-int(cut)])
	})
}

func FuzzOpenLUKS2(f *testing.F) {
	body := write(f, random(1, 2048), luks.Options{KDF: cheap, DataOffset: 1 << 20})
	f.Add(body[:4096], uint16(0), true)
	f.Add(body[16384:16384+4096], uint16(100), false)
	f.Fuzz(func(t *testing.T, binaryHeader []byte, cut uint16, sum bool) {
		img := bytes.Clone(body)
		copy(img, binaryHeader[:min(len(binaryHeader), 4096)])
		if sum {
			img = sumV2(img)
		}
		try(t, img[:len(img)-int(cut)])
	})
}

func FuzzJSON(f *testing.F) {
	body := write(f, random(1, 2048), luks.Options{KDF: cheap, DataOffset: 1 << 20})
	argon := write(f, nil, luks.Options{KDF: luks.KDF{Memory: 32}, DataOffset: 1 << 20})
	f.Add(bytes.TrimRight(body[4096:16384], "\x00"))
	f.Add(bytes.TrimRight(argon[4096:16384], "\x00"))
	f.Add([]byte(`{"keyslots":{},"tokens":{},"segments":{},"digests":{},"config":{"json_size":"12288","keyslots_size":"0"}}`))
	good := string(bytes.TrimRight(body[4096:16384], "\x00"))
	f.Add([]byte(strings.Replace(good, `{`, `{"segments\u0000":{},`, 1)))
	f.Add([]byte(strings.Replace(good, `"encryption":"`, `"encryption":"\u0000`, 1)))
	f.Add([]byte(strings.Replace(good, `"tokens":{`, `"tokens":{"0":{"type":"x","keyslots":[],"\\u0000":"\xff"}`, 1)))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 12288 {
			return
		}
		img := setJSON(t, body, text)
		try(t, img)
		text, _, _ = bytes.Cut(text, []byte{0})
		var tree any
		if json.Unmarshal(text, &tree); utf8.Valid(text) && !holdsNUL(tree) {
			return
		}
		if _, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{}); !errors.Is(err, luks.ErrFormat) {
			t.Errorf("text that cryptsetup interprets differently was accepted: %v", err)
		}
	})
}

// FuzzVolume reads and writes at random offsets and lengths, and compares with a slice.
func FuzzVolume(f *testing.F) {
	for _, sector := range []uint8{0, 1, 2, 3} {
		f.Add(sector, []byte{0, 0, 1, 2, 0, 1, 255, 3, 1, 4, 4, 200, 9, 9, 9, 1})
	}
	type shape struct {
		o    luks.Options
		data []byte
	}
	var shapes []shape
	for _, o := range []luks.Options{
		{DataOffset: 1 << 20},
		{DataOffset: 1 << 20, SectorSize: 4096},
		{Version: 1, KeySize: 32, Cipher: "aes-cbc-essiv:sha256"},
		{DataOffset: 1 << 20, SectorSize: 1024, KeySize: 32},
	} {
		o.KDF = cheap
		shapes = append(shapes, shape{o, write(f, random(1, 20_000), o)})
	}
	f.Fuzz(func(t *testing.T, kind uint8, ops []byte) {
		s := shapes[kind%4]
		file := &shared{b: bytes.Clone(s.data)}
		h, err := luks.Open(file, int64(len(file.b)), luks.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		v, err := h.Unlock(t.Context(), passphrase)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		want := make([]byte, v.Size())
		copy(want, random(1, 20_000))
		for ; len(ops) >= 4; ops = ops[4:] {
			off := int64(ops[1])<<8 | int64(ops[2])
			p := random(uint64(ops[3]), int(ops[3])*int(ops[0]&15+1))
			if ops[0]&128 == 0 {
				n, err := v.WriteAt(p, off)
				if fits := off+int64(len(p)) <= v.Size(); fits != (err == nil) || err == nil && n != len(p) {
					t.Fatalf("WriteAt(%d bytes, %d): %d, %v", len(p), off, n, err)
				}
				if err == nil {
					copy(want[off:], p)
				}
				continue
			}
			got := make([]byte, len(p))
			n, err := v.ReadAt(got, off)
			m, errWant := bytes.NewReader(want).ReadAt(p, off)
			if n != m || err != errWant || !bytes.Equal(got[:n], p[:n]) {
				if len(p) == 0 && n == 0 && err == nil {
					continue // reads past the end differ
				}
				t.Fatalf("ReadAt(%d bytes, %d): %d, %v, want %d, %v", len(p), off, n, err, m, errWant)
			}
		}
	})
}

// holdsNUL reports whether a name or a string of a JSON value contains U+0000.
func holdsNUL(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, "\x00")
	case []any:
		return slices.ContainsFunc(v, holdsNUL)
	case map[string]any:
		for name, v := range v {
			if holdsNUL(name) || holdsNUL(v) {
				return true
			}
		}
	}
	return false
}
