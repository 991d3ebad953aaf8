package luks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"testing"

	"github.com/luksimg/luksimg/luks"
)

// TestNewKey adds and replaces key slots with an existing passphrase and with the volume key. A wrong
// key, both or none must not change the image.
func TestNewKey(t *testing.T) {
	for _, version := range []int{1, 2} {
		img := write(t, random(1, 1024), luks.Options{Version: version, KDF: cheap})
		j := &journal{b: bytes.Clone(img)}
		e, err := luks.Edit(j, int64(len(img)), luks.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		volumeKey, _, err := e.Header().VolumeKey(t.Context(), passphrase, luks.AnySlot)
		if err != nil {
			t.Fatal(err)
		}
		keep := bytes.Clone(volumeKey)
		o := luks.KeyOptions{KDF: cheap}
		for _, c := range []struct {
			k    luks.NewKey
			want error // nil for any error
		}{
			{luks.NewKey{Existing: passphrase}, nil},
			{luks.NewKey{Passphrase: []byte("new")}, nil},
			{luks.NewKey{Passphrase: []byte("new"), Existing: passphrase, VolumeKey: volumeKey}, nil},
			{luks.NewKey{Passphrase: passphrase, Existing: []byte("wrong")}, luks.ErrPassphrase},
			{luks.NewKey{Passphrase: volumeKey, VolumeKey: passphrase}, luks.ErrVolumeKey}, // the two are swapped
		} {
			c.k.KeyOptions = o
			if _, err := e.AddKey(t.Context(), luks.AnySlot, c.k); err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("LUKS%d: add: %v, want %v", version, err, c.want)
			}
			if _, err := e.ReplaceSlot(t.Context(), 0, c.k); err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("LUKS%d: replace: %v, want %v", version, err, c.want)
			}
		}
		if !bytes.Equal(j.b, img) {
			t.Fatalf("LUKS%d: the image was changed", version)
		}
		first, err := e.AddKey(t.Context(), luks.AnySlot, luks.NewKey{Passphrase: []byte("second"), Existing: passphrase, KeyOptions: o})
		if err != nil || first != 1 {
			t.Fatalf("LUKS%d: slot %d, %v", version, first, err)
		}
		if _, err := e.AddKey(t.Context(), 4, luks.NewKey{Passphrase: []byte("third"), VolumeKey: volumeKey, KeyOptions: o}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.ReplaceSlot(t.Context(), first, luks.NewKey{Passphrase: []byte("another"), Existing: []byte("third"), KeyOptions: o}); err != nil {
			t.Fatal(err)
		}
		for p, want := range map[string]bool{string(passphrase): true, "second": false, "third": true, "another": true} {
			if opens(t, j.b, []byte(p)) != want {
				t.Errorf("LUKS%d: %q opens: want %v", version, p, want)
			}
		}
		if !bytes.Equal(volumeKey, keep) {
			t.Errorf("LUKS%d: the caller's volume key was wiped", version)
		}
	}
}

func ExampleEditor_AddKey() {
	f, err := os.OpenFile("disk.luks", os.O_RDWR, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		log.Fatal(err)
	}
	e, err := luks.Edit(f, fi.Size(), luks.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	slot, err := e.AddKey(context.Background(), luks.AnySlot, luks.NewKey{Existing: []byte("the passphrase"), Passphrase: []byte("another one")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("key slot", slot)
}
