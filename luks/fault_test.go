package luks_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/luksimg/luksimg/internal/faultfs"
	"github.com/luksimg/luksimg/luks"
)

// A change is a change of the header of an image in place.
type change struct {
	do   func(e *luks.Editor) error
	good [][]byte // at any moment one of these opens the image
	now  []byte   // opens the image afterwards
}

func changes() map[string]change {
	either := [][]byte{passphrase, newPassphrase}
	second := func(e *luks.Editor) error { // a second key slot
		key, _, err := e.Header().VolumeKey(context.Background(), passphrase, luks.AnySlot)
		if err == nil {
			_, err = e.AddKey(context.Background(), luks.AnySlot, luks.NewKey{VolumeKey: key, Passphrase: newPassphrase, KeyOptions: quick})
		}
		return err
	}
	return map[string]change{
		"AddKey": {second, [][]byte{passphrase}, newPassphrase},
		"ChangeKey": {func(e *luks.Editor) error {
			_, err := e.ChangeKey(context.Background(), passphrase, newPassphrase, quick)
			return err
		}, either, newPassphrase},
		"AddKey, RemoveKey": {func(e *luks.Editor) error {
			if err := second(e); err != nil {
				return err
			}
			_, err := e.RemoveKey(context.Background(), passphrase, false)
			return err
		}, either, newPassphrase},
		"SetLabel": {func(e *luks.Editor) error {
			if e.Header().Version() == 1 {
				return nil
			}
			return e.SetLabel("root", "")
		}, [][]byte{passphrase}, passphrase},
		"Convert": {func(e *luks.Editor) error {
			return e.Convert(3 - e.Header().Version()) // not every LUKS2 image can become LUKS1
		}, nil, passphrase},
	}
}

// in opens the header in a file and changes it.
func (c change) in(d *faultfs.FS) error {
	f := d.Open("disk")
	e, err := luks.Edit(f, f.Size(), luks.OpenOptions{})
	if err != nil {
		return err
	}
	return c.do(e)
}

func opensAny(t testing.TB, img []byte, keys [][]byte) bool {
	for _, k := range keys {
		if opens(t, img, k) {
			return true
		}
	}
	return false
}

// TestEditPowerLoss simulates a power loss at each moment of each change of a header. The old key or
// the new one must open the image; after the change, the new one.
func TestEditPowerLoss(t *testing.T) {
	for name, img := range editable(t) {
		for what, c := range changes() {
			if c.good == nil {
				continue // see the documentation of Convert
			}
			d := faultfs.New()
			d.WriteFile("disk", img)
			if err := c.in(d); err != nil {
				t.Fatalf("%s, %s: %v", name, what, err)
			}
			for at, crashed := range d.Crashes(2) {
				b := crashed.ReadFile("disk")
				if !opensAny(t, b, c.good) {
					t.Errorf("%s, %s: %v: it does not open", name, what, at)
					break
				}
				if at.End && !opens(t, b, c.now) {
					t.Errorf("%s, %s: %v: it does not open with the new key", name, what, at)
					break
				}
			}
		}
	}
}

// TestEditFailures lets each call of each change fail. That must be an error, in particular a failed
// Sync, and the image must still open.
func TestEditFailures(t *testing.T) {
	for name, img := range editable(t) {
		for what, c := range changes() {
			setup := func() *faultfs.FS {
				d := faultfs.New()
				d.WriteFile("disk", img)
				return d
			}
			syncs := 0
			for f := range faultfs.Failures(setup, c.in, faultfs.Write, faultfs.Sync, faultfs.Truncate) {
				at := fmt.Sprintf("%s, %s: %s at %d (%d)", name, what, f.Call.Op, f.Call.Off, f.Call.N)
				if f.Call.Op == faultfs.Sync {
					syncs++
				}
				if f.Err == nil && (f.Call.Op == faultfs.Sync || f.Call.Op == faultfs.Write) {
					t.Errorf("%s: not an error", at)
				}
				if c.good != nil && !opensAny(t, f.FS.ReadFile("disk"), c.good) {
					t.Errorf("%s: it does not open", at)
				}
			}
			if syncs == 0 && what == "ChangeKey" {
				t.Errorf("%s, %s: nothing is synced", name, what)
			}
		}
	}
}

// TestRestorePowerLoss simulates a power loss while a header is restored. The image must open with its
// old or new keys, or after Restore was repeated if the documentation says so. After Restore it must
// open with the new keys.
func TestRestorePowerLoss(t *testing.T) {
	for name, img := range editable(t) {
		h := open(t, img)
		backup := img[:h.HeaderSize()]
		e, j := edit(t, img)
		if _, err := e.ChangeKey(context.Background(), passphrase, newPassphrase, quick); err != nil {
			t.Fatal(err)
		}
		restore := func(d *faultfs.FS) error {
			f := d.Open("disk")
			_, err := luks.Restore(f, f.Size(), bytes.NewReader(backup), int64(len(backup)), false)
			return err
		}
		setup := func() *faultfs.FS {
			d := faultfs.New()
			d.WriteFile("disk", j.b)
			return d
		}
		again := func(at any, d *faultfs.FS) {
			t.Helper()
			if opens(t, d.ReadFile("disk"), passphrase) {
				return
			}
			if err := restore(d); err != nil || !opens(t, d.ReadFile("disk"), passphrase) {
				t.Errorf("%s: %v: repeated: %v", name, at, err)
			}
		}
		d := setup()
		if err := restore(d); err != nil {
			t.Fatal(err)
		}
		for at, crashed := range d.Crashes(2) {
			if at.End && !opens(t, crashed.ReadFile("disk"), passphrase) {
				t.Errorf("%s: %v: the header differs from the backup", name, at)
			}
			again(at, crashed)
		}
		for f := range faultfs.Failures(setup, restore, faultfs.Write, faultfs.Sync) {
			if f.Err == nil && (f.Call.Op == faultfs.Sync || f.Call.Op == faultfs.Write) {
				t.Errorf("%s: %s at %d: not an error", name, f.Call.Op, f.Call.Off)
			}
			again(f.Call, f.FS)
		}
	}
}
