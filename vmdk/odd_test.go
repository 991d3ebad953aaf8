package vmdk

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/imagetest"
)

// TestOdd checks that odd but valid images are read, with a warning.
func TestOdd(t *testing.T) {
	double := small
	double.redundant = true
	dw := double.build()
	for _, c := range []struct {
		name string
		img  img
		edit func(*layout)
		text string
	}{
		{"directory entry damaged", double, put32(dw.directory, 1<<31), "redundant one was used"},
		{"directory entries alike", double, put32(dw.directory+4, uint32(dw.tables[0]/sectorSize)), "redundant one was used"},
		{"directory past the end", double, func(w *layout) {
			// gdOffset itself must be inside the file.
			le.PutUint64(w.file[offDirectory:], uint64(len(w.file)/sectorSize))
		}, "redundant one was used"},
		{"directory 0", double, put64(offDirectory, 0), "redundant one was used"},
		{"redundant directory entry damaged", double, put32(dw.redundant, 1<<31), "it was ignored"},
		{"redundant directory past the end", double, put64(offRedundant, 1<<60), "it was ignored"},
		{"redundant directory 0", double, put64(offRedundant, 0), "it was ignored"},
		{"redundant directory of fewer tables", double, put32(dw.redundant+4, 0), "directories differ"},
		{"no line ends, no flag", small, both(put32(offFlags, 0), put(offLineEnds, "\x00\x00\x00\x00")), ""},
		{"unclean", small, put(offUncleanShutdown, "\x01"), "not closed"},
		{"no createType", small, replaced("createType", "#createType"), "createType"},
		{"no CID", small, replaced("CID", "#CID"), "no CID"},
		{"hint without a parent", small, replaced("createType", "parentFileNameHint=\"x\"\ncreateType"), "without a parent"},
		{"descriptor of fewer sectors", small, replaced("RW 1000", "RW 500"), "the header was used"},
		{"overHead 0", small, put64(offOverHead, 0), ""},
		{"garbage after the NUL", small, put(19*sectorSize, "RW 1 ZERO\n"), ""},
		{"header differs from the footer", stream, put64(offCapacity, 1008), "the footer was used"},
		{"version of the header", stream, put32(offVersion, 7), "the footer was used"},
		{"descriptor in the header only", stream, func(w *layout) { clear(w.file[w.header+offDescriptor:][:16]) }, ""},
		{"part of a sector at the end", stream, func(w *layout) { w.file = append(w.file, 1, 2, 3) }, ""},
		{"trailing bytes of a marker size", stream, func(w *layout) { w.file[w.grains[0]+8] += 3 }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := c.img.build()
			c.edit(w)
			d := open(t, w.file, Options{})
			imagetest.Exact(t, d, w.guest)
			i, err := d.Info(context.Background())
			if err != nil || !strings.Contains(fmt.Sprint(i.Warnings), c.text) {
				t.Errorf("warnings %q, error %v: want %q", i.Warnings, err, c.text)
			}
		})
	}
}

// TestTruncated cuts images at each sector. The data must be right, or there must be an error.
func TestTruncated(t *testing.T) {
	for name, m := range imgs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := m.build()
			whole := w.file
			step := max(len(whole)/40&^255, 256)
			for n := 0; n < len(whole); n += step {
				w.file = whole[:n]
				readsRight(t, w)
			}
		})
	}
}

func TestDetect(t *testing.T) {
	w := small.build()
	for n, want := range map[int]bool{0: false, 3: false, 4: true, 512: true, len(w.file): true} {
		if got := Detect(bytes.NewReader(w.file[:n]), int64(n)); got != want {
			t.Errorf("%d bytes: %v", n, got)
		}
	}
	for text, want := range map[string]bool{
		"COWD": true, magicSESparse + "x": true, "# Disk DescriptorFile\n": true, "# disk descriptorfile": true,
		"#x\n\n version = 1\n": true, "version=3": true, "version=12": false, "version=x": false, "versions=1": false, "Version: 1": false,
		"#\n#\n": false, "\n\n\n": false, "<xml version=1": false, "RW 1 ZERO": false, "hello": false, string(make([]byte, 5000)): false,
		strings.Repeat("#\n", 4000) + "version=1\n": false,
	} {
		if got := Detect(strings.NewReader(text), int64(len(text))); got != want {
			t.Errorf("%.20q: %v", text, got)
		}
	}
	if Detect(strings.NewReader("KDMV"), 100) || Detect(strings.NewReader(""), -1) {
		t.Error("an unreadable file was detected as VMDK")
	}
}
