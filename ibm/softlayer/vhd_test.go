package softlayer_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	sandbox "github.com/luksimg/luksimg/ibm/sandbox/softlayer"
	"github.com/luksimg/luksimg/ibm/softlayer"
)

// fixedVHD returns a disk followed by the footer of a fixed VHD.
func fixedVHD(disk []byte) []byte {
	f := make([]byte, 512)
	be := binary.BigEndian
	copy(f, "conectix")
	be.PutUint32(f[8:], 2)
	be.PutUint32(f[12:], 0x00010000)
	be.PutUint64(f[16:], 1<<64-1)
	copy(f[28:], "tap\x00")
	be.PutUint64(f[40:], uint64(len(disk)))
	be.PutUint64(f[48:], uint64(len(disk)))
	be.PutUint16(f[56:], 120)
	f[58], f[59] = 4, 17
	be.PutUint32(f[60:], 2)
	sum := uint32(0)
	for _, b := range f {
		sum += uint32(b)
	}
	be.PutUint32(f[64:], ^sum)
	return append(bytes.Clone(disk), f...)
}

// TestPlainVHD imports an unencrypted image, which needs no key.
func TestPlainVHD(t *testing.T) {
	w := newWorld(t)
	w.kms.set(false, true)
	w.store.put("us-south/images/web.vhd-0.vhd", fixedVHD(w.plain))
	w.store.put("us-south/images/cut.vhd-0.vhd", fixedVHD(w.plain)[:1<<20])
	r := softlayer.ImportRequest{Name: "plain", OSCode: "UBUNTU_22_64", URI: "cos://us-south/images/web.vhd-0.vhd", APIKey: iamKey}
	tpl, err := w.client.Import(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	w.srv.Wait()
	if tpl, err = w.client.WaitImport(t.Context(), tpl.ID, softlayer.WaitOptions{}); err != nil || tpl.DiskSpace != int64(len(w.plain)) {
		t.Fatalf("%+v, %v", tpl, err)
	}
	g, err := w.client.Order(t.Context(), w.order(tpl))
	if err != nil {
		t.Fatal(err)
	}
	w.srv.Wait()
	if _, err := w.client.WaitOrder(t.Context(), g.ID, softlayer.WaitOptions{}); err != nil {
		t.Error(err)
	}
	r.Name, r.URI = "cut", "cos://us-south/images/cut.vhd-0.vhd"
	if tpl, err = w.client.Import(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	w.srv.Wait()
	if _, err := w.client.WaitImport(t.Context(), tpl.ID, softlayer.WaitOptions{}); !errors.Is(err, softlayer.ErrFailed) || !strings.Contains(err.Error(), "OPEN_IMAGE_FAILED") {
		t.Error(err)
	}
}

// closing is a disk that records Close, which wipes its key.
type closing struct {
	io.ReaderAt
	closed *int
}

func (c closing) Close() error { *c.closed++; return nil }

// TestOpener imports an image with an opener of the caller. It checks that the opener receives the
// key as text, and that the key is wiped afterwards.
func TestOpener(t *testing.T) {
	var texts [][]byte
	seen, closed := "", 0
	w := newWorld(t, func(c *sandbox.Options) {
		c.Openers = map[string]sandbox.ImageOpener{"vhd": func(r io.ReaderAt, size int64, name string, text []byte) (io.ReaderAt, error) {
			texts = append(texts, text)
			seen += string(text) + " " + name + "\n"
			return closing{r, &closed}, nil
		}}
	})
	w.store.put("us-south/images/web.vhd-0.vhd", w.plain)
	r := w.request()
	r.URI = "cos://us-south/images/web.vhd-0.vhd"
	tpl, err := w.client.Import(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	w.srv.Wait()
	if tpl, err = w.client.WaitImport(t.Context(), tpl.ID, softlayer.WaitOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Order(t.Context(), w.order(tpl)); err != nil {
		t.Fatal(err)
	}
	w.srv.Wait()
	if want := strings.Repeat(string(w.text)+" web.vhd-0.vhd\n", 2); seen != want || closed != 2 {
		t.Errorf("%q, closed %d times", seen, closed)
	}
	for _, text := range texts {
		if len(bytes.Trim(text, "\x00")) != 0 {
			t.Error("key not wiped")
		}
	}
}
