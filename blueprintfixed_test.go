package luksimg_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/vhd"
)

// TestBlueprintFixed makes fixed VHDs in parts of random sizes. It compares them with vhd.Create for
// the same ID and time, and with Decrypt.
func TestBlueprintFixed(t *testing.T) {
	fixed := luksimg.DecryptOptions{Format: luksimg.VHD, Fixed: true}
	for _, size := range []int{0, 1, 70_000, 1 << 20, 9<<20 + 4097} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			src := newDisk(size, hole(int64(size/3), int64(size/4)))
			b, err := luksimg.DrawPlain(src, fixed)
			if err != nil {
				t.Fatal(err)
			}
			if b = again(t, b); b.Encrypted() {
				t.Error("Encrypted is true for a fixed VHD")
			}
			want := &file{}
			made, err := vhd.Create(t.Context(), want, src, vhd.CreateOptions{Type: vhd.Fixed, UniqueID: [16]byte(b.VHD.UniqueID), Timestamp: b.VHD.Timestamp})
			if err != nil {
				t.Fatal(err)
			}
			r, err := b.Result()
			if err != nil || r.Format != luksimg.VHD || r.UUID != made.UniqueID || r.KeyBits != 0 ||
				r.SourceSize != int64(size) || r.VolumeSize != made.VirtualSize || r.FileSize != made.FileSize {
				t.Errorf("%+v, %v, want %+v", r, err, made)
			}
			w, err := b.Build(t.Context(), src, nil, luksimg.BuildOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			got := inParts(t, w)
			if !bytes.Equal(got, want.b) {
				t.Errorf("the parts differ from the output of vhd.Create: %d and %d bytes", len(got), len(want.b))
			}
			plain := &file{}
			if _, err := luksimg.Decrypt(t.Context(), plain, src, fixed); err != nil {
				t.Fatal(err)
			}
			// The footers differ in the time, the checksum and the unique ID, at 24, 64 and 68 to 84.
			end := len(got) - 512
			for _, s := range [][2]int{{0, end + 24}, {end + 28, end + 64}, {end + 84, end + 512}} {
				if !bytes.Equal(got[s[0]:s[1]], plain.b[s[0]:s[1]]) {
					t.Errorf("the parts differ from the output of Decrypt from %d to %d of %d", s[0], s[1], len(got))
				}
			}
			if same, err := b.Is(bytes.NewReader(got)); !same || err != nil {
				t.Errorf("Is: %v, %v", same, err)
			}
			got[end+70] ^= 1
			if same, err := b.Is(bytes.NewReader(got)); same || err != nil {
				t.Errorf("Is returned %v, %v for a different image", same, err)
			}
			if _, err := b.Build(t.Context(), src, vhdKey, luksimg.BuildOptions{}); err == nil {
				t.Error("a key was accepted for an image that is not encrypted")
			}
			if _, err := b.Build(t.Context(), bytes.NewReader(make([]byte, size+1)), nil, luksimg.BuildOptions{}); !errors.Is(err, luksimg.ErrBlueprint) {
				t.Errorf("a disk of another size: %v", err)
			}
		})
	}
}

// TestBlueprintFixedRefused checks that invalid options and invalid blueprints of fixed VHDs are
// refused.
func TestBlueprintFixedRefused(t *testing.T) {
	src := newDisk(70_000)
	for _, o := range []luksimg.DecryptOptions{{}, {Format: luksimg.VHD}, {Format: luksimg.QCOW2}, {Format: luksimg.VMDK}} {
		if _, err := luksimg.DrawPlain(src, o); !errors.Is(err, luksimg.ErrUnsupportedFormat) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := luksimg.DrawPlain(src, luksimg.DecryptOptions{Format: luksimg.QCOW2, Fixed: true}); !errors.As(err, new(*luksimg.OptionError)) {
		t.Errorf("a fixed qcow2 image: %v", err)
	}
	for name, spoil := range map[string]func(b *luksimg.Blueprint){
		"profile":        func(b *luksimg.Blueprint) { b.Profile = luksimg.ClassicVHD },
		"format":         func(b *luksimg.Blueprint) { b.Format = luksimg.LUKS1 },
		"units":          func(b *luksimg.Blueprint) { b.Units = []byte{0, 1} },
		"header":         func(b *luksimg.Blueprint) { b.Header = []luksimg.HeaderPart{{Data: []byte("x")}} },
		"unique ID":      func(b *luksimg.Blueprint) { b.VHD.UniqueID = nil },
		"zero unique ID": func(b *luksimg.Blueprint) { b.VHD.UniqueID = make([]byte, 16) },
		"time":           func(b *luksimg.Blueprint) { b.VHD.Timestamp = time.Time{} },
		"early time":     func(b *luksimg.Blueprint) { b.VHD.Timestamp = time.Unix(1, 0) },
		"key bits":       func(b *luksimg.Blueprint) { b.VHD.KeyBits = 512 },
		"key hash":       func(b *luksimg.Blueprint) { b.VHD.KeyHash = make([]byte, 32) },
		"encrypted":      func(b *luksimg.Blueprint) { b.VHD.Fixed = false },
		"file size":      func(b *luksimg.Blueprint) { b.FileSize++ },
		"volume size":    func(b *luksimg.Blueprint) { b.VolumeSize += 512 },
		"too large":      func(b *luksimg.Blueprint) { b.SourceSize, b.VolumeSize, b.FileSize = 1<<50, 1<<50, 1<<50+512 },
	} {
		b, err := luksimg.DrawPlain(src, luksimg.DecryptOptions{Format: luksimg.VHD, Fixed: true})
		if err != nil {
			t.Fatal(err)
		}
		spoil(b)
		if _, err := b.Result(); !errors.Is(err, luksimg.ErrBlueprint) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := b.Build(t.Context(), src, nil, luksimg.BuildOptions{}); !errors.Is(err, luksimg.ErrBlueprint) {
			t.Errorf("%s: Build: %v", name, err)
		}
		if _, err := b.Is(bytes.NewReader(make([]byte, b.FileSize&0xffffff))); name != "too large" && !errors.Is(err, luksimg.ErrBlueprint) {
			t.Errorf("%s: Is: %v", name, err)
		}
	}
}
