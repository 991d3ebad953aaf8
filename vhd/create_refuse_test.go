package vhd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"testing"
	"time"

	"github.com/luksimg/luksimg/image"
)

func TestCreateRefuses(t *testing.T) {
	src := bytes.NewReader(make([]byte, 4096))
	for name, opts := range map[string]CreateOptions{
		"type":                 {Type: 7},
		"block size 2048":      {BlockSize: 2048},
		"block size 12288":     {BlockSize: 12288},
		"block size 512 MiB":   {BlockSize: 512 << 20},
		"block size below 0":   {BlockSize: -4096},
		"fixed with blocks":    {Type: Fixed, BlockSize: 4096},
		"fixed with a key":     {Type: Fixed, Key: random(64)},
		"key of 0 bytes":       {Key: []byte{}},
		"key of 63 bytes":      {Key: random(63)},
		"key of 48 bytes":      {Key: random(48)},
		"key of equal halves":  {Key: append(random(32), random(32)...)},
		"encrypted, 4 MiB":     {Key: random(64), BlockSize: 4 << 20},
		"timestamp of 1999":    {Timestamp: time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)},
		"timestamp of 2137":    {Timestamp: time.Date(2137, 1, 1, 0, 0, 0, 0, time.UTC)},
		"no random unique ID":  {Rand: bytes.NewReader(nil)},
		"no random nonce":      {Rand: bytes.NewReader(nil), Key: random(64)},
		"no more random bytes": {Rand: bytes.NewReader(make([]byte, 40)), Key: random(64)},
	} {
		m := &memory{}
		if _, err := Create(context.Background(), m, src, opts); err == nil || len(m.b) != 0 {
			t.Errorf("%s: %v, %d bytes written", name, err, len(m.b))
		}
	}
	if _, err := CreateSize(64<<30, first(0), CreateOptions{BlockSize: 4096}); err == nil {
		t.Error("Create accepts more blocks than Open")
	}
}

// TestCreateShortSource checks that a source with missing data or extents is an error.
func TestCreateShortSource(t *testing.T) {
	guest := random(8 << 20)
	for _, opts := range []CreateOptions{{BlockSize: 16 << 10}, {Type: Fixed}, {Key: random(64)}, {BlockSize: 16 << 10, Jobs: 1}, {Type: Fixed, Jobs: 1}} {
		m := &memory{}
		if _, err := Create(context.Background(), m, sized{bytes.NewReader(guest), int64(len(guest)) + 1}, opts); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a truncated source: %v", err)
		}
		if _, err := Create(context.Background(), m, gappy{guest}, opts); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a source with half its extents: %v", err)
		}
		if Detect(bytes.NewReader(m.b), int64(len(m.b))) {
			t.Error("Detect accepts the failed image")
		}
	}
}

// gappy reports extents for only the first half of its data.
type gappy struct{ b []byte }

func (g gappy) Size() int64                             { return int64(len(g.b)) }
func (g gappy) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(g.b).ReadAt(p, off) }
func (g gappy) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) { yield(image.Extent{Offset: off, Length: n / 2}, nil) }
}
