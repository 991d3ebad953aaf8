package luks_test

import (
	"testing"

	"github.com/luksimg/luksimg/luks"
)

// TestLayout compares the predicted layout with that of the header.
func TestLayout(t *testing.T) {
	for _, o := range []luks.Options{
		{},
		{Version: 1},
		{Version: 1, KeySize: 32},
		{Version: 1, DataOffset: 4040 * 512},
		{Version: 1, Detached: true},
		{SectorSize: 4096},
		{MetadataSize: 64 << 10, KeyslotsSize: 1 << 20},
		{DataOffset: 32 << 20},
		{Detached: true},
	} {
		l, err := o.Layout()
		if err != nil {
			t.Fatal(err)
		}
		o.KDF = luks.KDF{Type: luks.PBKDF2, Iterations: 1000}
		h, key, err := luks.New(t.Context(), []byte("key"), o)
		if err != nil {
			t.Fatal(err)
		}
		clear(key)
		want := luks.Layout{Version: h.Version(), HeaderSize: h.HeaderSize(), DataOffset: h.DataOffset(), SectorSize: h.SectorSize()}
		if l != want {
			t.Errorf("%+v: %+v, the header has %+v", o, l, want)
		}
	}
	if _, err := (luks.Options{SectorSize: 100}).Layout(); err == nil {
		t.Error("a sector size of 100 was accepted")
	}
}
