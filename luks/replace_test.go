package luks_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/luksimg/luksimg/luks"
)

// full returns images without room for another key slot. One slot keeps its own passphrase; all others
// open with third.
func full(t *testing.T) map[string][]byte {
	t.Helper()
	images := map[string][]byte{
		// With and without room for another area after the key slots.
		"luks1":           write(t, random(1, 1024), luks.Options{Version: 1, KeySize: 32, KDF: cheap}),
		"luks1, long key": write(t, random(1, 1024), luks.Options{Version: 1, KDF: cheap}),
		// All slot numbers are in use, or all space.
		"luks2":         write(t, random(1, 1024), luks.Options{KeySize: 32, KDF: cheap, DataOffset: 5 << 20}),
		"luks2, area":   write(t, random(1, 1024), luks.Options{KDF: cheap, DataOffset: 1 << 20}),
		"luks2, 192":    write(t, random(1, 1024), luks.Options{KeySize: 24, KDF: cheap, DataOffset: 1 << 20, Cipher: "aes-cbc-essiv:sha256"}),
		"luks1, 192":    write(t, random(1, 1024), luks.Options{Version: 1, KeySize: 24, KDF: cheap, Cipher: "aes-cbc-essiv:sha256"}),
		"luks1, 128":    write(t, random(1, 1024), luks.Options{Version: 1, KeySize: 16, KDF: cheap, Cipher: "aes-cbc-essiv:sha256"}),
		"luks1, sha512": write(t, random(1, 1024), luks.Options{Version: 1, KDF: cheap, Hash: "sha512", Cipher: "aes-cbc-plain64"}),
	}
	for name, img := range images {
		e, j := edit(t, img)
		key := volumeKey(t, e, passphrase)
		for {
			if _, err := e.AddKey(t.Context(), luks.AnySlot, luks.NewKey{VolumeKey: key, Passphrase: third, KeyOptions: quick}); err != nil {
				break
			}
		}
		images[name] = j.b
	}
	return images
}

// TestReplaceFull changes each key slot repeatedly in images without room for another one. The right
// passphrases must open, and the old key material must be useless.
func TestReplaceFull(t *testing.T) {
	for name, img := range full(t) {
		for _, slot := range slotsOf(open(t, img)) {
			if slot != 0 && slot != 2 && slot < 6 || slot > 7 && slot < 31 {
				continue // the same as their neighbours
			}
			e, j := edit(t, img)
			key := volumeKey(t, e, passphrase)
			for i := range 6 { // more often than there is slack space
				old := open(t, j.b).Info()
				before := bytes.Clone(j.b)
				new := []byte(fmt.Sprint("new ", i))
				if n, err := e.ReplaceSlot(t.Context(), slot, luks.NewKey{VolumeKey: key, Passphrase: new, KeyOptions: quick}); n != slot || err != nil {
					t.Fatalf("%s, slot %d: %d, %v", name, slot, n, err)
				}
				for _, s := range slotsOf(e.Header()) {
					want := third
					switch s {
					case slot:
						want = new
					case 0:
						want = passphrase
					}
					if key, _, err := e.Header().VolumeKey(t.Context(), want, s); err != nil || key == nil {
						t.Fatalf("%s: slot %d after slot %d was replaced %d times: %v", name, s, slot, i+1, err)
					}
				}
				for _, s := range old.Keyslots {
					if s.Slot == slot && bytes.Equal(before[s.Offset:s.Offset+512], j.b[s.Offset:s.Offset+512]) {
						t.Errorf("%s: slot %d: the first block of the old key material is still there", name, slot)
					}
				}
			}
			if !opens(t, j.b, []byte("new 5")) {
				t.Errorf("%s: slot %d: does not open", name, slot)
			}
			if !cryptsetupSometimes(t, slot, j.b, []byte("new 5")) {
				t.Errorf("%s: slot %d: does not open in cryptsetup", name, slot)
			}
		}
	}
}

// cryptsetupSometimes runs cryptsetup, which is slow, for a part of the slots.
func cryptsetupSometimes(t *testing.T, slot int, img, passphrase []byte) bool {
	return slot%5 != 0 || !haveCryptsetup(t) || cryptsetup(t, img, passphrase)
}

// TestReplaceFullCrash interrupts the change of a key slot in images without room for another one. The
// old or the new passphrase must open the image.
func TestReplaceFullCrash(t *testing.T) {
	images := full(t)
	for _, c := range []struct {
		name string
		slot int
	}{{"luks1", 6}, {"luks1, long key", 2}, {"luks1, long key", 6}, {"luks1, long key", 7}, {"luks1, 192", 0}, {"luks2", 31}, {"luks2, area", 2}} {
		t.Run(fmt.Sprint(c.name, "/", c.slot), func(t *testing.T) {
			e, j := edit(t, images[c.name])
			key := volumeKey(t, e, passphrase)
			if _, err := e.ReplaceSlot(t.Context(), c.slot, luks.NewKey{VolumeKey: key, Passphrase: []byte("old"), KeyOptions: quick}); err != nil {
				t.Fatal(err)
			}
			crash(t, j.b, func(e *luks.Editor) error {
				_, err := e.ReplaceSlot(t.Context(), c.slot, luks.NewKey{VolumeKey: key, Passphrase: []byte("new"), KeyOptions: quick})
				return err
			}, []byte("old"), []byte("new"))
		})
	}
}
