package luksimg_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"iter"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/luks"
)

// memory is an output of a fixed length.
type memory []byte

func (m memory) WriteAt(p []byte, off int64) (int, error) {
	if off > int64(len(m)) {
		return 0, io.ErrShortWrite
	}
	if n := copy(m[off:], p); n < len(p) {
		return n, io.ErrShortWrite
	}
	return len(p), nil
}

// holes is a disk where one MiB in four holds data.
type holes struct{ size int64 }

func (h holes) Size() int64 { return h.size }

func (h holes) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), h.size-off))
	clear(p[:n])
	if off>>20&3 == 0 {
		p[0] = 1
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h holes) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for end := off + n; off < end; {
			e := image.Extent{Offset: off, Length: min(1<<20-off&(1<<20-1), end-off), Kind: image.Zero}
			if off>>20&3 == 0 {
				e.Kind = image.Data
			}
			if !yield(e, nil) {
				return
			}
			off = e.End()
		}
	}
}

func BenchmarkVerbs(b *testing.B) {
	const size = 64 << 20
	ctx := context.Background()
	key := []byte("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
	o := luksimg.EncryptOptions{LUKS: luks.Options{Version: 1, GeneratedKey: true}}
	data := make([]byte, size)
	rand.Read(data)
	dense := bytes.NewReader(data)
	out := memory(bytes.Repeat([]byte{1}, size+8<<20)) // allocates every page
	for _, c := range []struct {
		name string
		src  image.Source
	}{{"dense", dense}, {"holes", holes{size: size}}} {
		b.Run("encrypt/"+c.name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				if _, err := luksimg.Encrypt(ctx, out, c.src, key, o); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("measure/"+c.name, func(b *testing.B) {
			o := o
			o.DiscardZeros = true
			for b.Loop() {
				if _, err := luksimg.Measure(ctx, c.src, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	r, err := luksimg.Encrypt(ctx, out, dense, key, o)
	if err != nil {
		b.Fatal(err)
	}
	encrypted := bytes.NewReader(out[:r.FileSize])
	volume, err := luksimg.OpenImage(ctx, encrypted, r.FileSize, luksimg.ImageOptions{Key: key})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			if err := luksimg.Verify(ctx, dense, volume, luksimg.VerifyOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decrypt", func(b *testing.B) {
		b.SetBytes(size)
		plain := make(memory, size)
		for b.Loop() {
			if _, err := luksimg.Decrypt(ctx, plain, volume, luksimg.DecryptOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("convert", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			if _, err := luksimg.Decrypt(ctx, out, dense, luksimg.DecryptOptions{Format: luksimg.QCOW2}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
