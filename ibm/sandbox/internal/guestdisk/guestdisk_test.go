package guestdisk

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"
)

func mbr(kind byte, start, count uint32) []byte {
	b := make([]byte, 1<<20)
	b[510], b[511] = 0x55, 0xaa
	p := b[446+16:]
	p[4] = kind
	binary.LittleEndian.PutUint32(p[8:], start)
	binary.LittleEndian.PutUint32(p[12:], count)
	return b
}

func gpt(last uint64) []byte {
	b := mbr(0xee, 1, math.MaxUint32)
	copy(b[512:], "EFI PART")
	binary.LittleEndian.PutUint64(b[512+32:], last)
	return b
}

func TestCheck(t *testing.T) {
	const sectors = 1 << 20 / 512
	for name, c := range map[string]struct {
		disk []byte
		want error
	}{
		"partition to the end":  {mbr(0x83, 64, sectors-64), nil},
		"partition past it":     {mbr(0x83, 64, sectors-63), ErrTruncated},
		"partition far past it": {mbr(0x83, math.MaxUint32, math.MaxUint32), ErrTruncated},
		"unused entry":          {mbr(0, 64, sectors), nil},
		"GPT":                   {gpt(sectors - 1), nil},
		"GPT past the end":      {gpt(sectors), ErrTruncated},
		"GPT far past the end":  {gpt(math.MaxUint64), ErrTruncated},
		"zeros":                 {make([]byte, 1<<20), ErrNoBoot},
		"short":                 {make([]byte, 100), io.ErrUnexpectedEOF},
		"one sector":            {mbr(0, 0, 0)[:512], nil},
	} {
		if err := Check(bytes.NewReader(c.disk), int64(len(c.disk))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Check(bytes.NewReader(mbr(0x83, 64, sectors)), 0); err != nil {
		t.Errorf("unknown size: %v", err)
	}
}

func TestRecording(t *testing.T) {
	data := make([]byte, 10*pageSize+100)
	for i := range data {
		data[i] = byte(i / 7)
	}
	c := Record(bytes.NewReader(data), int64(len(data)))
	read := func(off, n int) error {
		t.Helper()
		got := make([]byte, n)
		k, err := c.ReadAt(got, int64(off))
		if !bytes.Equal(got[:k], data[off:off+k]) {
			t.Errorf("%d bytes at %d are wrong", k, off)
		}
		if err == nil && k != n {
			t.Errorf("%d of %d bytes at %d", k, n, off)
		}
		return err
	}
	for _, r := range [][2]int{{0, 10}, {pageSize - 1, 2}, {10 * pageSize, 100}, {3 * pageSize, pageSize}} {
		if err := read(r[0], r[1]); err != nil {
			t.Error(err)
		}
	}
	if err := read(10*pageSize+50, 51); err != io.EOF {
		t.Error(err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	c = new(Recording)
	if err := json.Unmarshal(text, c); err != nil {
		t.Fatal(err)
	}
	if c.Size() != int64(len(data)) {
		t.Errorf("size %d", c.Size())
	}
	if err := iotest.TestReader(io.NewSectionReader(c, 0, 2*pageSize), data[:2*pageSize]); err != nil {
		t.Error(err)
	}
	if err := read(5*pageSize, 1); err == nil || !strings.Contains(err.Error(), "not recorded") {
		t.Error(err)
	}
	if _, err := c.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("read at -1 succeeded")
	}
	for _, bad := range []string{`{"size":-1,"pages":[{"page":0,"data":"AA=="}]}`, `{"size":5,"pages":[{"page":1,"data":"AA=="}]}`, `{"size":5,"pages":[{"page":-1,"data":"AA=="}]}`, `{"size":5,"pages":[{"page":0,"data":"AA=="}]}`, `1`} {
		if err := json.Unmarshal([]byte(bad), new(Recording)); err == nil {
			t.Errorf("%s accepted", bad)
		}
	}
}

func TestRecordingLimit(t *testing.T) {
	size := int64(maxPages+10) * pageSize
	c := Record(zeros{}, size)
	if _, err := c.ReadAt(make([]byte, size), 0); err == nil || !strings.Contains(err.Error(), "reads more than") {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }
