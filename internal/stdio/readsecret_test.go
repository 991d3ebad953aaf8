package stdio

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestReadSecret(t *testing.T) {
	for _, n := range []int{0, 1, 4095, 4096, 4097, 20000} {
		want := bytes.Repeat([]byte("k"), n)
		got, err := readSecret(iotest.HalfReader(bytes.NewReader(want)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d, %v", n, len(got), err)
		}
	}
	// Data read before an error, and outgrown buffers, must be wiped.
	broken := errors.New("broken")
	seen := &buffers{r: io.MultiReader(bytes.NewReader(make([]byte, 1)), bytes.NewReader(bytes.Repeat([]byte("k"), 10000)), iotest.ErrReader(broken))}
	if got, err := readSecret(seen); got != nil || err != broken {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for _, b := range seen.all {
		if bytes.Contains(b, []byte("k")) {
			t.Errorf("buffer of %d bytes was not wiped", len(b))
		}
	}
}

// buffers keeps the buffers that it was asked to fill.
type buffers struct {
	r   io.Reader
	all [][]byte
}

func (b *buffers) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.all = append(b.all, p[:n])
	return n, err
}
