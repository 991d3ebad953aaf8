package luksimg_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/luks"
)

// file is a file in memory that grows.
type file struct {
	mu sync.Mutex
	b  []byte
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.grow(off + int64(len(p)))
	return copy(f.b[off:], p), nil
}

func (f *file) Truncate(n int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.grow(n)
	f.b = f.b[:n]
	return nil
}

func (f *file) grow(n int64) {
	if more := n - int64(len(f.b)); more > 0 {
		f.b = append(f.b, make([]byte, more)...)
	}
}

var vhdKey = []byte("0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQR")

// TestContainers encrypts a disk into each container. It compares the measured sizes, and reads the
// disk back whole and in pieces.
func TestContainers(t *testing.T) {
	ctx := context.Background()
	for _, size := range []int{0, 512, 1000, 300_000, 5 << 20} {
		d := newDisk(size)
		if size > 1<<20 {
			clear(d.b[size/3 : size/2])
		}
		for _, c := range []struct {
			opts luksimg.EncryptOptions
			key  []byte
			want luksimg.Format
		}{
			{luksimg.EncryptOptions{LUKS: luks.Options{KDF: cheap}}, key, luksimg.LUKS2},
			{luksimg.EncryptOptions{Format: luksimg.LUKS1, LUKS: luks.Options{KDF: cheap}}, key, luksimg.LUKS1},
			{luksimg.EncryptOptions{Profile: luksimg.ClassicLUKS}, key, luksimg.LUKS1},
			{luksimg.EncryptOptions{Profile: luksimg.ClassicVHD}, vhdKey, luksimg.VHD},
			{luksimg.EncryptOptions{Format: luksimg.VHD}, vhdKey[:32], luksimg.VHD},
			{luksimg.EncryptOptions{Profile: luksimg.VPCQCOW2}, key, luksimg.QCOW2},
			{luksimg.EncryptOptions{Format: luksimg.QCOW2, LUKS: luks.Options{KDF: cheap, Cipher: "aes-cbc-essiv:sha256"}}, key, luksimg.QCOW2},
		} {
			name := fmt.Sprintf("%d bytes, %q %q", size, c.opts.Format, c.opts.Profile)
			if err := c.opts.Check(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			s, err := luksimg.Measure(ctx, d, c.opts)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var f file
			r, err := luksimg.Encrypt(ctx, &f, d, c.key, c.opts)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if r.Format != c.want || r.Cipher == "" || r.KeyBits == 0 || r.UUID == "" {
				t.Errorf("%s: %+v", name, r)
			}
			if s.File != int64(len(f.b)) || r.FileSize != s.File || r.VolumeSize != s.Volume || r.SourceSize != s.Source {
				t.Errorf("%s: measured %+v, the file has %d bytes, the result says %+v", name, s, len(f.b), r)
			}
			if _, err := luksimg.OpenImage(t.Context(), bytes.NewReader(f.b), int64(len(f.b)), luksimg.ImageOptions{}); !errors.Is(err, luksimg.ErrEncrypted) {
				t.Errorf("%s: without a key: %v", name, err)
			}
			img, err := luksimg.OpenImage(t.Context(), bytes.NewReader(f.b), int64(len(f.b)), luksimg.ImageOptions{Key: c.key})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !img.Encrypted || img.Format != c.want || img.Size() != s.Volume {
				t.Errorf("%s: %v, %s, %d bytes", name, img.Encrypted, img.Format, img.Size())
			}
			if err := luksimg.Verify(ctx, d, img, luksimg.VerifyOptions{}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			img.Close()
		}
	}
}

// TestConvert writes each plain format and reads it back.
func TestConvert(t *testing.T) {
	ctx := context.Background()
	d := newDisk(3<<20 + 512)
	clear(d.b[1<<20 : 2<<20])
	for _, o := range []luksimg.DecryptOptions{
		{}, {Format: luksimg.VHD}, {Format: luksimg.VHD, Fixed: true}, {Format: luksimg.VHDX}, {Format: luksimg.VHDX, BlockSize: 1 << 20, SectorSize: 512}, {Format: luksimg.VMDK}, {Format: luksimg.QCOW2},
		{Format: luksimg.QCOW2, Compression: "zlib", ClusterSize: 4096}, {Format: luksimg.QCOW2, Compression: "zstd"},
	} {
		var f file
		r, err := luksimg.Decrypt(ctx, &f, d, o)
		if err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
		n := int64(len(f.b))
		want := d.Size()
		if o.Fixed {
			want = 4 << 20
		}
		if r.FileSize != n || r.VirtualSize != want {
			t.Errorf("%+v: %+v, want a disk of %d bytes in a file of %d", o, r, want, n)
		}
		img, err := luksimg.OpenImage(t.Context(), bytes.NewReader(f.b), n, luksimg.ImageOptions{})
		if err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
		if err := luksimg.Verify(ctx, d, img, luksimg.VerifyOptions{}); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
		if o.Format != "" {
			c, err := luksimg.Check(ctx, bytes.NewReader(f.b), n, luksimg.ImageOptions{})
			if err != nil || c.Corruptions != 0 {
				t.Errorf("%+v: %+v, %v", o, c, err)
			}
		}
	}
	for _, o := range []luksimg.DecryptOptions{{Fixed: true}, {Format: luksimg.VHD, Compression: "zlib"}, {Format: luksimg.VMDK, BlockSize: 1 << 20}, {SectorSize: 4096}, {Format: luksimg.LUKS1}} {
		if _, err := luksimg.Decrypt(ctx, new(file), d, o); err == nil || o.Check() == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	for _, f := range luksimg.WrittenFormats() {
		var b bytes.Buffer
		o := luksimg.DecryptOptions{Format: f}
		r, err := luksimg.DecryptInOrder(ctx, &b, d, o)
		if can := f == luksimg.Raw || f == luksimg.VMDK; can != (err == nil) || can != luksimg.WrittenInOrder(f) || can && r.FileSize != int64(b.Len()) {
			t.Errorf("%s in order: %+v, %d bytes, %v", f, r, b.Len(), err)
		}
		if err != nil {
			continue
		}
		img, err := luksimg.OpenImage(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()), luksimg.ImageOptions{})
		if err != nil {
			t.Fatalf("%s in order: %v", f, err)
		}
		if err := luksimg.Verify(ctx, d, img, luksimg.VerifyOptions{}); err != nil {
			t.Errorf("%s in order: %v", f, err)
		}
	}
}

// TestConvertSectors checks that a VHDX gets the sector size of the disk's partition table.
func TestConvertSectors(t *testing.T) {
	for _, size := range []int{512, 4096} {
		d := newDisk(3<<20 + 512)
		copy(d.b[size:], "EFI PART")
		clear(d.b[:size])
		for format, want := range map[luksimg.Format]int{luksimg.VHDX: size, luksimg.QCOW2: 512} {
			var f file
			r, err := luksimg.Decrypt(t.Context(), &f, d, luksimg.DecryptOptions{Format: format})
			if err != nil || int(r.SectorSize) != want || r.VirtualSize%r.SectorSize != 0 {
				t.Fatalf("sectors of %d: %+v, %v", size, r, err)
			}
			img, err := luksimg.OpenImage(t.Context(), bytes.NewReader(f.b), int64(len(f.b)), luksimg.ImageOptions{})
			if err != nil || format == luksimg.VHDX && img.SectorSize != size {
				t.Errorf("sectors of %d: %+v, %v", size, img, err)
			}
		}
	}
}

// TestDigest compares the digests with those of the source and the output.
func TestDigest(t *testing.T) {
	ctx := context.Background()
	for _, size := range []int{0, 1000, 3<<20 + 700} {
		d := newDisk(size)
		for _, o := range []luksimg.EncryptOptions{
			{Profile: luksimg.ClassicLUKS},
			{LUKS: luks.Options{KDF: cheap, SectorSize: 4096}},
			{LUKS: luks.Options{KDF: cheap}, RunOptions: luksimg.RunOptions{Jobs: 5}},
		} {
			o.Digest = true
			var f file
			r, err := luksimg.Encrypt(ctx, &f, d, key, o)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			s, err := luksimg.EncryptStream(ctx, &b, bytes.NewReader(d.b), key, o)
			if err != nil {
				t.Fatal(err)
			}
			var ordered bytes.Buffer
			i, err := luksimg.EncryptInOrder(ctx, &ordered, d, key, o)
			if err != nil {
				t.Fatal(err)
			}
			disk := fmt.Sprintf("%x", sha256.Sum256(d.b))
			for name, c := range map[string]struct {
				r *luksimg.Result
				b []byte
			}{"file": {r, f.b}, "stream": {s, b.Bytes()}, "in order": {i, ordered.Bytes()}} {
				if c.r.SourceSHA256 != disk || c.r.FileSHA256 != fmt.Sprintf("%x", sha256.Sum256(c.b)) {
					t.Errorf("%s of %d bytes: %s and %s", name, size, c.r.SourceSHA256, c.r.FileSHA256)
				}
			}
		}
	}
	if _, err := luksimg.Encrypt(ctx, new(file), newDisk(512), key, luksimg.EncryptOptions{Format: luksimg.QCOW2, Digest: true}); err == nil {
		t.Error("Check accepted digests for qcow2")
	}
}

// TestDiscardZeros checks that holes are not written, and the length of the file.
func TestDiscardZeros(t *testing.T) {
	ctx := context.Background()
	d := newDisk(4<<20, hole(1<<20, 1<<20), hole(3<<20, 1<<20)) // the last hole is at the end
	for _, digest := range []bool{false, true} {
		var f file
		r, err := luksimg.Encrypt(ctx, &f, d, key, luksimg.EncryptOptions{LUKS: luks.Options{Version: 1, KDF: cheap}, DiscardZeros: true, Digest: digest})
		if err != nil {
			t.Fatal(err)
		}
		if r.FileSize != int64(len(f.b)) {
			t.Errorf("digest %v: %d bytes, want %d", digest, len(f.b), r.FileSize)
		}
		for _, h := range d.holes {
			if part := f.b[r.LUKS.DataOffset+h.Offset:][:h.Length]; !bytes.Equal(part, make([]byte, h.Length)) {
				t.Errorf("digest %v: the hole at %d was written", digest, h.Offset)
			}
		}
		if digest && r.FileSHA256 != fmt.Sprintf("%x", sha256.Sum256(f.b)) {
			t.Error("the digest is not that of the file")
		}
		img, err := luksimg.OpenImage(t.Context(), bytes.NewReader(f.b), r.FileSize, luksimg.ImageOptions{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		if err := luksimg.Verify(ctx, d, img, luksimg.VerifyOptions{SkipZeros: true}); err != nil {
			t.Error(err)
		}
		if err := luksimg.Verify(ctx, d, img, luksimg.VerifyOptions{}); !errors.Is(err, luksimg.ErrMismatch) {
			t.Errorf("Verify without SkipZeros ignored the discarded zeros: %v", err)
		}
	}
	for _, o := range []luksimg.EncryptOptions{{DiscardZeros: true}, {Format: luksimg.VHD}, {Profile: luksimg.VPCQCOW2}} {
		if _, err := luksimg.EncryptStream(ctx, io.Discard, bytes.NewReader(nil), key, o); err == nil {
			t.Errorf("%+v: EncryptStream accepted the options", o)
		}
		if _, err := luksimg.EncryptInOrder(ctx, io.Discard, d, key, o); err == nil {
			t.Errorf("%+v: EncryptInOrder accepted the options", o)
		}
	}
}

// TestVHDWithoutKey checks that no unencrypted VHD is made in place of an encrypted one.
func TestVHDWithoutKey(t *testing.T) {
	for _, key := range [][]byte{nil, {}} {
		dst, src, o := &file{}, newDisk(70_000), luksimg.EncryptOptions{Format: luksimg.VHD}
		if r, err := luksimg.Encrypt(t.Context(), dst, src, key, o); err == nil || len(dst.b) > 0 {
			t.Errorf("Encrypt: %+v, %d bytes", r, len(dst.b))
		}
		if b, err := luksimg.Draw(t.Context(), src, key, o); err == nil {
			t.Errorf("Draw: %+v", b)
		}
	}
}
