package qcow_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/luksimg/luksimg/internal/faultfs"
	"github.com/luksimg/luksimg/qcow"
)

// TestCreateFaults has each call that Create makes fail, and the power lost at each moment,
// to a file that has its final name already: what opens as qcow2 afterwards is whole, and each
// failure is an error.
func TestCreateFaults(t *testing.T) {
	disk := make([]byte, 40<<10)
	rand.NewChaCha8([32]byte{5}).Read(disk)
	clear(disk[10<<10 : 20<<10])
	for name, o := range map[string]qcow.CreateOptions{
		"plain":      {ClusterSize: 4096, Jobs: 1},
		"compressed": {ClusterSize: 4096, Compression: "zlib", Jobs: 1},
	} {
		create := func(d *faultfs.FS) error {
			_, err := qcow.Create(context.Background(), d.Open("disk.qcow2"), bytes.NewReader(disk), o)
			return err
		}
		setup := func() *faultfs.FS {
			d := faultfs.New()
			d.WriteFile("disk.qcow2", nil)
			return d
		}
		// whole tells whether the file is qcow2, and an error if it is another disk.
		whole := func(d *faultfs.FS) (bool, error) {
			b := d.ReadFile("disk.qcow2")
			if !qcow.Detect(bytes.NewReader(b), int64(len(b))) {
				return false, nil
			}
			v, err := qcow.Open(context.Background(), bytes.NewReader(b), int64(len(b)), qcow.Options{})
			if err != nil {
				return true, nil // torn: an error when it is opened
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
