package luksimg

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
)

// TestRawReader puts a signature at the end of streams of many lengths, read in several ways.
func TestRawReader(t *testing.T) {
	for _, size := range []int{512, 513, 1000, peekSize - 1, peekSize, peekSize + 1, peekSize + 511, peekSize + 512, 3*peekSize + 7} {
		for name, reader := range map[string]func(io.Reader) io.Reader{
			"whole":   func(r io.Reader) io.Reader { return r },
			"in bits": func(r io.Reader) io.Reader { return iotest.HalfReader(r) },
			"EOF":     iotest.DataErrReader,
		} {
			disk := make([]byte, size)
			read := func(format Format) ([]byte, error) {
				s, err := NewRawReader(reader(bytes.NewReader(disk)), format)
				if err != nil {
					return nil, err
				}
				return io.ReadAll(reader(s))
			}
			if b, err := read(""); err != nil || !bytes.Equal(b, disk) {
				t.Errorf("%d bytes, %s: %d bytes, %v", size, name, len(b), err)
			}
			copy(disk[size-512:], "conectix")
			if b, err := read(""); err == nil {
				t.Errorf("%d bytes, %s: the footer was not detected in %d bytes", size, name, len(b))
			}
			if b, err := read(Raw); err != nil || !bytes.Equal(b, disk) {
				t.Errorf("%d bytes, %s: taken as raw: %d bytes, %v", size, name, len(b), err)
			}
			if _, err := read(VHD); err == nil {
				t.Errorf("%d bytes, %s: a VHD was read as a stream", size, name)
			}
		}
	}
	// These bytes would be a footer if the stream ended after the first read.
	disk := make([]byte, 2*peekSize)
	copy(disk[peekSize-512:], "conectix")
	if _, err := NewRawReader(bytes.NewReader(disk), ""); err != nil {
		t.Error(err)
	}
}
