package compressed

import (
	"bytes"
	"io"
	"testing"

	klauspost "github.com/klauspost/compress/zstd"

	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/internal/zstd"
)

// FuzzOpen reads any bytes as a compressed stream and by index. Both results must be equal.
func FuzzOpen(f *testing.F) {
	text := bytes.Repeat([]byte("a disk, more or less "), 300)
	w, err := klauspost.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	one := w.EncodeAll(text, nil)
	f.Add(one)
	f.Add(append(w.EncodeAll(text[:100], bytes.Clone(one)), skippableFrame(5)...))
	f.Add(append(skippableFrame(4), one...))
	f.Add(zstdZeros(3, 3*zstd.MaxBlock, 18))
	f.Add(zstdZeros(2, -1, 18))
	f.Add(gzipMember(deflated(f, text), 0, uint32(len(text))))
	f.Add([]byte{0x1f, 0x8b, 8, flagCRC | flagExtra | flagName | flagComment, 0, 0, 0, 0, 0, 3, 2, 0, 'a', 'b', 'n', 0, 'c', 0, 0x1c, 0x8b, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	if _, err := need.Path("xz"); err == nil {
		for _, args := range [][]string{{"-0c"}, {"-0c", "--block-size=1000"}, {"-0c", "--check=sha256", "--block-size=4096"}} {
			f.Add([]byte(need.Input(f, "", string(text), "xz", args...)))
		}
	}
	if _, err := need.Path("bzip2"); err == nil {
		f.Add([]byte(need.Input(f, "", string(text), "bzip2", "-1c")))
	}
	f.Add([]byte("BZh9\x17\x72\x45\x38\x50\x90\x00\x00\x00\x00"))
	o := Options{MaxSize: 4 << 20, MaxWindow: 8 << 20}
	f.Fuzz(func(t *testing.T, file []byte) {
		k, err := Detect(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		if k == "" {
			return
		}
		var stream []byte
		r, streamErr := NewReader(t.Context(), bytes.NewReader(file), k, int64(len(file)), o)
		if streamErr == nil {
			stream, streamErr = io.ReadAll(r)
			r.Close()
		}
		if len(stream) > 8<<20 {
			t.Fatalf("%d bytes", len(stream))
		}
		c, err := Open(t.Context(), bytes.NewReader(file), int64(len(file)), o)
		if err != nil {
			return // a stream does not check the whole index
		}
		defer c.Close()
		if c.Size() < 0 {
			return
		}
		src, err := c.Source()
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := src.(io.Closer); ok {
			defer s.Close()
		}
		got, err := io.ReadAll(io.NewSectionReader(src, 0, src.Size()))
		if err == nil && streamErr == nil && !bytes.Equal(got, stream) {
			t.Fatalf("%d bytes at random, %d as a stream", len(got), len(stream))
		}
		if err == nil && streamErr != nil && c.Kind() != XZ {
			t.Fatalf("at random: %d bytes; as a stream: %v", len(got), streamErr)
		}
	})
}
