package luks_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/luksimg/luksimg/luks"
)

func BenchmarkWriter(b *testing.B) {
	data := make([]byte, 4<<20)
	for _, o := range []luks.Options{
		{Version: 1, GeneratedKey: true},
		{Version: 2, GeneratedKey: true, SectorSize: 4096},
	} {
		b.Run(fmt.Sprintf("luks%d", o.Version), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			w, err := luks.NewWriter(b.Context(), io.Discard, []byte("a key"), o)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := w.Write(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVolume(b *testing.B) {
	var image bytes.Buffer
	key := []byte("a key")
	w, err := luks.NewWriter(b.Context(), &image, key, luks.Options{GeneratedKey: true})
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 4<<20)
	if _, err := w.Write(data); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	r := bytes.NewReader(image.Bytes())
	open := func() *luks.Volume {
		h, err := luks.Open(r, r.Size(), luks.OpenOptions{})
		if err != nil {
			b.Fatal(err)
		}
		v, err := h.Unlock(b.Context(), key)
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
	b.Run("unlock", func(b *testing.B) {
		for b.Loop() {
			open().Close()
		}
	})
	v := open()
	defer v.Close()
	for _, n := range []int{4096, 1 << 20} {
		b.Run(fmt.Sprintf("read-%dk", n>>10), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				if _, err := v.ReadAt(data[:n], 1<<20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
