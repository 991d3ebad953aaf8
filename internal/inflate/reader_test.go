package inflate

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// TestReader decodes streams with bytes between them, from readers that return large parts and single
// bytes.
func TestReader(t *testing.T) { paths(func(string) { testReader(t) }) }

func testReader(t *testing.T) {
	var all, want bytes.Buffer
	texts := texts()
	for _, level := range []int{-2, 0, 1, 6, 9} {
		for _, name := range []string{"empty", "one", "zeros", "random", "few", "skewed", "lines", "half", "period", "mixed"} {
			all.Write(deflate(t, texts[name], level))
			all.WriteString("between")
			want.Write(texts[name])
			want.WriteString("between")
		}
	}
	big := bytes.Repeat(texts["mixed"], 20) // so that the window slides
	all.Write(deflate(t, big, 6))
	want.Write(big)
	for name, in := range map[string]io.Reader{
		"whole": bytes.NewReader(all.Bytes()), "half": iotest.HalfReader(bytes.NewReader(all.Bytes())),
		"bytes": iotest.OneByteReader(bytes.NewReader(all.Bytes())), "data and EOF": iotest.DataErrReader(bytes.NewReader(all.Bytes())),
	} {
		var got bytes.Buffer
		r := NewReader(in)
		for i := range 51 {
			r.Start()
			if _, err := io.Copy(&got, r); err != nil {
				t.Fatalf("%s: stream %d: %v", name, i, err)
			}
			for range len("between") {
				if c, err := r.ReadByte(); err == nil {
					got.WriteByte(c)
				}
			}
		}
		if _, err := r.ReadByte(); err != io.EOF || !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("%s: %d bytes, want %d, %v", name, got.Len(), want.Len(), err)
		}
	}
}

// TestReaderErrors truncates a stream at each byte, and tests a failing reader.
func TestReaderErrors(t *testing.T) {
	z := deflate(t, texts()["lines"][:5000], 6)
	for n := range z {
		r := NewReader(bytes.NewReader(z[:n]))
		r.Start()
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d of %d bytes: %v", n, len(z), err)
		}
	}
	fails := errors.New("read failed")
	r := NewReader(io.MultiReader(bytes.NewReader(z[:len(z)/2]), iotest.ErrReader(fails)))
	r.Start()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, fails) {
		t.Errorf("failing reader: %v", err)
	}
	// A stream must not see the window of the previous one.
	z = append(z, 0x63, 0x00, 0x02, 0x00) // "\x00", and a match at distance 1
	r = NewReader(bytes.NewReader(z))
	r.Start()
	io.Copy(io.Discard, r)
	r.Start()
	if n, _ := io.Copy(io.Discard, r); n > 8 {
		t.Errorf("%d bytes from the window of the previous stream", n)
	}
}

func FuzzReader(f *testing.F) {
	for _, text := range texts() {
		f.Add(deflate(f, text[:min(len(text), 20_000)], 6))
	}
	f.Fuzz(func(t *testing.T, z []byte) {
		want := make([]byte, 1<<20)
		n, err := Decode(want, z)
		if n == len(want) {
			return // Decode stops when dst is full
		}
		r := NewReader(bytes.NewReader(z))
		r.Start()
		got, err2 := io.ReadAll(r)
		if (err == nil) != (err2 == nil) || err == nil && !bytes.Equal(got, want[:n]) {
			t.Fatalf("Reader: %d bytes, %v; Decode: %d bytes, %v", len(got), err2, n, err)
		}
	})
}
