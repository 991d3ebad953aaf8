package vhd_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/luksimg/luksimg/internal/faultfs"
	"github.com/luksimg/luksimg/vhd"
)

// TestCreateFaults has each call that Create makes fail, and the power lost at each moment,
// to a file that has its final name already: what opens as a VHD afterwards is whole, and
// each failure is an error.
func TestCreateFaults(t *testing.T) {
	disk := make([]byte, 80<<10)
	rand.NewChaCha8([32]byte{5}).Read(disk)
	clear(disk[20<<10 : 40<<10])
	key := []byte("0123456789abcdef0123456789ABCDEF")
	for name, o := range map[string]vhd.CreateOptions{
		"dynamic":   {BlockSize: 8 << 10, Jobs: 1},
		"encrypted": {Key: key, Jobs: 1},
		"fixed":     {Type: vhd.Fixed, Jobs: 1},
	} {
		create := func(d *faultfs.FS) error {
			_, err := vhd.Create(context.Background(), d.Open("disk.vhd"), bytes.NewReader(disk), o)
			return err
		}
		setup := func() *faultfs.FS {
			d := faultfs.New()
			d.WriteFile("disk.vhd", nil)
			return d
		}
		// whole tells whether the file is a VHD, and an error if it is another disk.
		whole := func(d *faultfs.FS) (bool, error) {
			b := d.ReadFile("disk.vhd")
			opts := vhd.Options{}
			if name == "encrypted" {
				opts.Key = key
			}
			v, err := vhd.Open(context.Background(), bytes.NewReader(b), int64(len(b)), opts)
			if err != nil {
				return false, nil
			}
			got := make([]byte, len(disk))
			if _, err := v.ReadAt(got, 0); err != nil && err != io.EOF {
				return true, err
			}
			if !bytes.Equal(got, disk) {
				return true, errors.New("another disk")
			}
			return true, nil
		}
		d := setup()
		if err := create(d); err != nil {
			t.Fatal(err)
		}
		if ok, err := whole(d); !ok || err != nil {
			t.Fatalf("%s: %v, %v", name, ok, err)
		}
		for at, c := range d.Crashes(4) {
			if _, err := whole(c); err != nil {
				t.Errorf("%s: %v: %v", name, at, err)
			}
		}
		for f := range faultfs.Failures(setup, create, faultfs.Write, faultfs.Sync, faultfs.Truncate) {
			if f.Err == nil {
				t.Errorf("%s: %s at %d: no error", name, f.Call.Op, f.Call.Off)
			}
			if _, err := whole(f.FS); err != nil {
				t.Errorf("%s: %s at %d: %v", name, f.Call.Op, f.Call.Off, err)
			}
		}
	}
}
