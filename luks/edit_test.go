package luks_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/luks"
)

// A journal is a file in memory that records its writes.
type journal struct {
	b      []byte
	writes []write1
}

type write1 struct {
	off  int64
	p    []byte
	sync bool // a Sync followed
}

func (j *journal) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(j.b).ReadAt(p, off)
}

func (j *journal) WriteAt(p []byte, off int64) (int, error) {
	j.writes = append(j.writes, write1{off: off, p: bytes.Clone(p)})
	return copy(j.b[off:], p), nil
}

func (j *journal) Sync() error {
	if n := len(j.writes); n > 0 {
		j.writes[n-1].sync = true
	}
	return nil
}

var (
	newPassphrase = []byte("another passphrase")
	third         = []byte("a third one")
	quick         = luks.KeyOptions{KDF: cheap}
)

// editable are small images of every kind that the tests edit.
func editable(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"luks1":      write(t, random(1, 1024), luks.Options{Version: 1, KeySize: 32, KDF: cheap}),
		"luks2":      write(t, random(1, 1024), luks.Options{KeySize: 32, KDF: cheap, DataOffset: 1 << 20}),
		"luks2-sha1": write(t, random(1, 1024), luks.Options{KDF: cheap, DataOffset: 2 << 20, Hash: "sha1"}),
	}
}

func edit(t testing.TB, img []byte) (*luks.Editor, *journal) {
	t.Helper()
	j := &journal{b: bytes.Clone(img)}
	e, err := luks.Edit(j, int64(len(img)), luks.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return e, j
}

// opens reports whether a passphrase opens an image with the right plaintext.
func opens(t testing.TB, img, passphrase []byte) bool {
	t.Helper()
	h, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{})
	if err != nil {
		return false
	}
	v, err := h.Unlock(t.Context(), passphrase)
	return err == nil && holds(v)
}

// holds reports whether v begins with the plaintext of the images, and closes v.
func holds(v *luks.Volume) bool {
	defer v.Close()
	got := make([]byte, 1024)
	if _, err := v.ReadAt(got, 0); err != nil && err != io.EOF {
		return false
	}
	return bytes.Equal(got, random(1, 1024))
}

// A lastKey is the last key that opened an image. It is tried first, because trying all key slots of a
// full header takes long.
type lastKey struct {
	passphrase []byte
	slot       int
}

// opens is like the function [opens], for any of the keys.
func (k *lastKey) opens(t testing.TB, img []byte, keys ...[]byte) bool {
	t.Helper()
	h, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{})
	if err != nil {
		return false
	}
	try := []lastKey{*k}
	for _, passphrase := range keys {
		try = append(try, lastKey{passphrase, luks.AnySlot})
	}
	for _, l := range try {
		if l.passphrase == nil {
			continue
		}
		key, slot, err := h.VolumeKey(t.Context(), l.passphrase, l.slot)
		if err != nil {
			continue
		}
		v, err := h.Volume(t.Context(), bytes.NewReader(img), int64(len(img)), key)
		if err == nil && holds(v) {
			*k = lastKey{l.passphrase, slot}
			return true
		}
	}
	return false
}

func slotsOf(h *luks.Header) []int {
	var all []int
	for _, s := range h.Info().Keyslots {
		all = append(all, s.Slot)
	}
	return all
}

func volumeKey(t testing.TB, e *luks.Editor, passphrase []byte) []byte {
	t.Helper()
	key, _, err := e.Header().VolumeKey(t.Context(), passphrase, luks.AnySlot)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestKeySlots(t *testing.T) {
	for name, img := range editable(t) {
		t.Run(name, func(t *testing.T) {
			e, j := edit(t, img)
			check := func(want []int, good ...[]byte) {
				t.Helper()
				if got := slotsOf(e.Header()); !slices.Equal(got, want) {
					t.Errorf("slots %v, want %v", got, want)
				}
				for _, p := range [][]byte{passphrase, newPassphrase, third} {
					is := slices.ContainsFunc(good, func(g []byte) bool { return bytes.Equal(g, p) })
					if opens(t, j.b, p) != is {
						t.Errorf("%q opens: %v, want %v", p, !is, is)
					}
				}
			}
			key := volumeKey(t, e, passphrase)
			if n, err := e.AddKey(t.Context(), luks.AnySlot, luks.NewKey{VolumeKey: key, Passphrase: newPassphrase, KeyOptions: quick}); n != 1 || err != nil {
				t.Fatalf("AddKey: %d, %v", n, err)
			}
			check([]int{0, 1}, passphrase, newPassphrase)
			if n, err := e.AddKey(t.Context(), 5, luks.NewKey{VolumeKey: key, Passphrase: third, KeyOptions: quick}); n != 5 || err != nil {
				t.Fatalf("AddKey to slot 5: %d, %v", n, err)
			}
			check([]int{0, 1, 5}, passphrase, newPassphrase, third)
			if _, err := e.AddKey(t.Context(), 5, luks.NewKey{VolumeKey: key, Passphrase: third, KeyOptions: quick}); !errors.Is(err, luks.ErrNoSlot) {
				t.Errorf("AddKey to a slot in use: %v", err)
			}
			if _, err := e.AddKey(t.Context(), luks.AnySlot, luks.NewKey{VolumeKey: make([]byte, len(key)), Passphrase: third, KeyOptions: quick}); !errors.Is(err, luks.ErrVolumeKey) {
				t.Errorf("AddKey with a wrong volume key: %v", err)
			}
			if _, err := e.AddKey(t.Context(), luks.AnySlot, luks.NewKey{VolumeKey: key, Passphrase: nil, KeyOptions: quick}); err == nil {
				t.Error("AddKey accepted an empty passphrase")
			}
			if n, err := e.RemoveKey(t.Context(), newPassphrase, false); n != 1 || err != nil {
				t.Fatalf("RemoveKey: %d, %v", n, err)
			}
			check([]int{0, 5}, passphrase, third)
			if _, err := e.RemoveKey(t.Context(), newPassphrase, false); !errors.Is(err, luks.ErrPassphrase) {
				t.Errorf("RemoveKey of a removed slot: %v", err)
			}
			if err := e.KillSlot(0, false); err != nil {
				t.Fatal(err)
			}
			check([]int{5}, third)
			if err := e.KillSlot(0, false); !errors.Is(err, luks.ErrNoSlot) {
				t.Errorf("KillSlot of a removed slot: %v", err)
			}
			if err := e.KillSlot(5, false); !errors.Is(err, luks.ErrLastSlot) {
				t.Errorf("KillSlot of the last: %v", err)
			}
			if _, err := e.RemoveKey(t.Context(), third, false); !errors.Is(err, luks.ErrLastSlot) {
				t.Errorf("RemoveKey of the last: %v", err)
			}
			check([]int{5}, third)
			n, err := e.ChangeKey(t.Context(), third, newPassphrase, quick)
			if want := map[bool]int{true: 0, false: 5}[name == "luks1"]; n != want || err != nil {
				t.Fatalf("ChangeKey: %d, %v", n, err)
			}
			check([]int{n}, newPassphrase)
			if err := e.KillSlot(n, true); err != nil {
				t.Fatal(err)
			}
			check(nil)
			if _, err := e.AddKey(t.Context(), luks.AnySlot, luks.NewKey{VolumeKey: key, Passphrase: passphrase, KeyOptions: quick}); err != nil {
				t.Fatal(err)
			}
			check([]int{0}, passphrase)
			if err := e.Erase(); err != nil {
				t.Fatal(err)
			}
			check(nil)
			if _, err := e.Header().Volume(t.Context(), nil, 0, key); err != nil {
				t.Errorf("the volume key after Erase: %v", err)
			}
		})
	}
}

// TestWiped checks that each way to remove a key slot wipes its key material.
func TestWiped(t *testing.T) {
	for name, img := range editable(t) {
		s := open(t, img).Info().Keyslots[0]
		old := bytes.Clone(img[s.Offset : s.Offset+int64(s.KeyBits/8*4000)])
		for what, do := range map[string]func(e *luks.Editor) error{
			"KillSlot":  func(e *luks.Editor) error { return e.KillSlot(0, true) },
			"RemoveKey": func(e *luks.Editor) error { _, err := e.RemoveKey(t.Context(), passphrase, true); return err },
			"ChangeKey": func(e *luks.Editor) error {
				_, err := e.ChangeKey(t.Context(), passphrase, newPassphrase, quick)
				return err
			},
			"Erase": func(e *luks.Editor) error { return e.Erase() },
		} {
			e, j := edit(t, img)
			if err := do(e); err != nil {
				t.Fatal(err)
			}
			for i := 0; i+512 <= len(old); i += 512 {
				if bytes.Contains(j.b, old[i:i+512]) {
					t.Errorf("%s, %s: old key material is still there", name, what)
					break
				}
			}
		}
	}
}

// TestFull uses all key slots.
func TestFull(t *testing.T) {
	for name, want := range map[string]int{"luks1": 8, "luks2": (1<<20 - 32768) / 131072} {
		e, j := edit(t, editable(t)[name])
		key := volumeKey(t, e, passphrase)
		var err error
		for err == nil {
			_, err = e.AddKey(t.Context(), luks.AnySlot, luks.NewKey{VolumeKey: key, Passphrase: newPassphrase, KeyOptions: quick})
		}
		if !errors.Is(err, luks.ErrNoSlot) || len(slotsOf(e.Header())) != want {
			t.Errorf("%s: %d slots, %v; want %d", name, len(slotsOf(e.Header())), err, want)
		}
		if n, err := e.ChangeKey(t.Context(), passphrase, third, quick); n != 0 || err != nil {
			t.Errorf("%s: ChangeKey without room: %d, %v", name, n, err)
		}
		if n, err := e.ChangeKey(t.Context(), third, passphrase, quick); n != 0 || err != nil {
			t.Errorf("%s: ChangeKey back: %d, %v", name, n, err)
		}
		if !opens(t, j.b, passphrase) || !opens(t, j.b, newPassphrase) || opens(t, j.b, third) {
			t.Errorf("%s: no longer opens", name)
		}
		// A free slot in the middle is found again.
		if err := e.KillSlot(3, false); err != nil {
			t.Fatal(err)
		}
		if n, err := e.AddKey(t.Context(), luks.AnySlot, luks.NewKey{VolumeKey: key, Passphrase: third, KeyOptions: quick}); n != 3 || err != nil {
			t.Errorf("%s: into the gap: %d, %v", name, n, err)
		}
	}
}

// TestConvertKDF changes the key derivation function of a passphrase, and changes it back.
func TestConvertKDF(t *testing.T) {
	e, j := edit(t, editable(t)["luks2"])
	for _, k := range []luks.KDF{{Type: luks.Argon2id, Memory: 32}, {Type: luks.PBKDF2, Iterations: 2000, Hash: "sha512"}, {Type: luks.Argon2i, Memory: 64, Parallel: 1}} {
		if _, err := e.ChangeKey(t.Context(), passphrase, passphrase, luks.KeyOptions{KDF: k}); err != nil {
			t.Fatal(err)
		}
		if s := e.Header().Info().Keyslots; len(s) != 1 || s[0].Slot != 0 || s[0].KDF != k.Type || !opens(t, j.b, passphrase) {
			t.Errorf("%s: %+v", k.Type, s)
		}
	}
	e, _ = edit(t, editable(t)["luks1"])
	if _, err := e.ChangeKey(t.Context(), passphrase, passphrase, luks.KeyOptions{KDF: luks.KDF{Type: luks.Argon2id}}); err == nil {
		t.Error("LUKS1 took Argon2id")
	}
}

func TestTokensAndLabels(t *testing.T) {
	e, j := edit(t, editable(t)["luks2"])
	token := `{"type":"clevis","keyslots":["0"],"jwe":{"x":[1,2.50,null,"<&>"]}}`
	if n, err := e.AddToken([]byte(token), luks.AnyToken); n != 0 || err != nil {
		t.Fatalf("AddToken: %d, %v", n, err)
	}
	if n, err := e.AddToken([]byte(`{"type":"x","keyslots":[]}`), 7); n != 7 || err != nil {
		t.Fatalf("AddToken: %d, %v", n, err)
	}
	for _, bad := range []string{"", "[]", "{}", `{"type":"x"}`, `{"type":"x","keyslots":["9"]}`} {
		if _, err := e.AddToken([]byte(bad), luks.AnyToken); err == nil {
			t.Errorf("token %q was accepted", bad)
		}
	}
	if _, err := e.AddToken([]byte(token), 7); err == nil {
		t.Error("a token was replaced")
	}
	all := e.Header().Tokens()
	if len(all) != 2 || all[0].Type != "clevis" || all[1].Number != 7 || !slices.Equal(all[0].Keyslots, []int{0}) {
		t.Fatalf("tokens %+v", all)
	}
	var got, want any
	if json.Unmarshal(all[0].JSON, &got) != nil || json.Unmarshal([]byte(token), &want) != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("token %s, want %s", all[0].JSON, token)
	}
	if err := e.SetPriority(0, "preferred"); err != nil {
		t.Fatal(err)
	}
	if err := e.SetPriority(0, "high"); err == nil {
		t.Error("an unknown priority was accepted")
	}
	if err := e.SetPriority(1, "normal"); !errors.Is(err, luks.ErrNoSlot) {
		t.Errorf("SetPriority of no slot: %v", err)
	}
	if err := e.SetLabel("root", "test"); err != nil {
		t.Fatal(err)
	}
	if err := e.SetLabel(strings.Repeat("x", 48), ""); err == nil {
		t.Error("a long label was accepted")
	}
	// Removing a key slot keeps the tokens. Changing a slot keeps its priority.
	if _, err := e.ChangeKey(t.Context(), passphrase, newPassphrase, quick); err != nil {
		t.Fatal(err)
	}
	i := open(t, j.b).Info()
	if i.Label != "root" || i.Subsystem != "test" || i.Keyslots[0].Priority != "preferred" || len(i.Tokens) != 2 || len(i.Warnings) > 0 {
		t.Errorf("%+v", i)
	}
	if err := e.KillSlot(0, true); err != nil {
		t.Fatal(err)
	}
	if all := e.Header().Tokens(); len(all) != 2 || len(all[0].Keyslots) != 0 {
		t.Errorf("tokens %+v", all)
	}
	if err := e.RemoveToken(0); err != nil || len(e.Header().Tokens()) != 1 {
		t.Errorf("RemoveToken: %v", err)
	}
	if err := e.RemoveToken(0); err == nil {
		t.Error("a token was removed twice")
	}

	e, _ = edit(t, editable(t)["luks1"])
	if _, err := e.AddToken([]byte(token), 0); !errors.Is(err, luks.ErrUnsupported) {
		t.Errorf("LUKS1 token: %v", err)
	}
	if err := e.SetPriority(0, "normal"); !errors.Is(err, luks.ErrUnsupported) {
		t.Errorf("LUKS1 priority: %v", err)
	}
	if err := e.SetLabel("x", ""); err == nil {
		t.Error("LUKS1 took a label")
	}
}

// TestChanged lets another program change the header between two operations.
func TestChanged(t *testing.T) {
	for name, img := range editable(t) {
		e, j := edit(t, img)
		other, err := luks.Edit(j, int64(len(j.b)), luks.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		key := volumeKey(t, e, passphrase)
		if _, err := other.AddKey(t.Context(), luks.AnySlot, luks.NewKey{VolumeKey: key, Passphrase: newPassphrase, KeyOptions: quick}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.AddKey(t.Context(), luks.AnySlot, luks.NewKey{VolumeKey: key, Passphrase: third, KeyOptions: quick}); !errors.Is(err, luks.ErrChanged) {
			t.Errorf("%s: AddKey: %v", name, err)
		}
		if err := e.KillSlot(0, true); !errors.Is(err, luks.ErrChanged) {
			t.Errorf("%s: KillSlot: %v", name, err)
		}
		if !opens(t, j.b, passphrase) || !opens(t, j.b, newPassphrase) {
			t.Errorf("%s: a key is gone", name)
		}
	}
}

func TestRepair(t *testing.T) {
	img := editable(t)["luks2"]
	for _, at := range []int{0, 16384} {
		broken := bytes.Clone(img)
		clear(broken[at : at+16384])
		e, j := edit(t, broken)
		if did, err := e.Repair(); !did || err != nil {
			t.Fatalf("copy at %d: %v, %v", at, did, err)
		}
		if w := open(t, j.b).Info().Warnings; len(w) > 0 || !opens(t, j.b, passphrase) {
			t.Errorf("copy at %d: %q", at, w)
		}
		if first := j.writes[0].off; first != int64(at) {
			t.Errorf("copy at %d: the one at %d was written first", at, first)
		}
		if did, err := e.Repair(); did || err != nil {
			t.Errorf("again: %v, %v", did, err)
		}
	}
}

// TestCrash interrupts every operation after each write, and tears each write at each 512 bytes. Every
// resulting image must open with the old or the new passphrase.
func TestCrash(t *testing.T) {
	damage := func(at int) func(b []byte) { return func(b []byte) { clear(b[at : at+16384]) } }
	for _, c := range []struct {
		name   string
		v1     bool
		before func(b []byte)
		do     func(e *luks.Editor) error
	}{
		{"AddKey", true, nil, func(e *luks.Editor) error {
			_, err := e.AddKey(t.Context(), luks.AnySlot, luks.NewKey{VolumeKey: volumeKey(t, e, passphrase), Passphrase: third, KeyOptions: quick})
			return err
		}},
		{"AddKey, primary damaged", false, damage(0), func(e *luks.Editor) error {
			_, err := e.AddKey(t.Context(), luks.AnySlot, luks.NewKey{VolumeKey: volumeKey(t, e, passphrase), Passphrase: third, KeyOptions: quick})
			return err
		}},
		{"AddKey, secondary damaged", false, damage(16384), func(e *luks.Editor) error {
			_, err := e.AddKey(t.Context(), luks.AnySlot, luks.NewKey{VolumeKey: volumeKey(t, e, passphrase), Passphrase: third, KeyOptions: quick})
			return err
		}},
		{"ChangeKey", true, nil, func(e *luks.Editor) error {
			_, err := e.ChangeKey(t.Context(), passphrase, newPassphrase, quick)
			return err
		}},
		{"SetLabel", false, nil, func(e *luks.Editor) error { return e.SetLabel("x", "y") }},
		{"AddToken", false, nil, func(e *luks.Editor) error {
			_, err := e.AddToken([]byte(`{"type":"x","keyslots":["0"]}`), luks.AnyToken)
			return err
		}},
		{"Repair, primary damaged", false, damage(0), func(e *luks.Editor) error { _, err := e.Repair(); return err }},
		{"Repair, secondary damaged", false, damage(16384), func(e *luks.Editor) error { _, err := e.Repair(); return err }},
	} {
		for _, name := range []string{"luks1", "luks2"} {
			if name == "luks1" && !c.v1 {
				continue
			}
			t.Run(name+"/"+c.name, func(t *testing.T) {
				start := editable(t)[name]
				if c.before != nil {
					c.before(start)
				}
				crash(t, start, c.do, passphrase, newPassphrase)
			})
		}
	}
	// One of two slots is removed; the other must open at each moment.
	for _, name := range []string{"luks1", "luks2"} {
		e, j := edit(t, editable(t)[name])
		if _, err := e.AddKey(t.Context(), luks.AnySlot, luks.NewKey{VolumeKey: volumeKey(t, e, passphrase), Passphrase: newPassphrase, KeyOptions: quick}); err != nil {
			t.Fatal(err)
		}
		for what, do := range map[string]func(e *luks.Editor) error{
			"RemoveKey": func(e *luks.Editor) error { _, err := e.RemoveKey(t.Context(), passphrase, false); return err },
			"KillSlot":  func(e *luks.Editor) error { return e.KillSlot(0, false) },
		} {
			t.Run(name+"/"+what, func(t *testing.T) { crash(t, j.b, do, newPassphrase, nil) })
		}
	}
}

// crash runs an operation and checks every state in which it can be interrupted.
func crash(t *testing.T, start []byte, do func(e *luks.Editor) error, old, new []byte) {
	t.Helper()
	e, j := edit(t, start)
	if err := do(e); err != nil {
		t.Fatal(err)
	}
	crashStates(t, start, j, old, new)
}

// crashStates checks every state in which the writes of a journal can be interrupted.
func crashStates(t *testing.T, start []byte, j *journal, old, new []byte) {
	t.Helper()
	states, asked := 0, 0
	real := haveCryptsetup(t)
	img := bytes.Clone(start)
	var last lastKey
	look := func(where string, ask bool) {
		states++
		if !last.opens(t, img, old, new) {
			t.Fatalf("%s: the image does not open", where)
		}
		if ask && real {
			asked++
			if !cryptsetup(t, img, old) && (new == nil || !cryptsetup(t, img, new)) {
				t.Errorf("%s: cryptsetup does not open the image", where)
			}
		}
	}
	for i, w := range j.writes {
		if !w.sync && len(w.p) < 256<<10 {
			t.Errorf("write %d of %d bytes at %d is not synced", i, len(w.p), w.off)
		}
		step := 512
		if len(w.p) > 64<<10 { // key material: a few offsets suffice
			step = 512 * 29
		}
		for n := 0; n < len(w.p); n += step {
			copy(img[w.off:], w.p[:n])
			// cryptsetup is slow: run it only at the first tear and in the middle.
			look(fmt.Sprintf("write %d, %d of %d bytes at %d", i, n, len(w.p), w.off), n == step || n == len(w.p)/2/step*step)
		}
		copy(img[w.off:], w.p)
		look(fmt.Sprintf("after write %d", i), true)
	}
	if !bytes.Equal(img, j.b) {
		t.Error("the writes do not add up to the result")
	}
	t.Logf("%d writes, %d states, %d of them shown to cryptsetup", len(j.writes), states, asked)
}

func TestBackup(t *testing.T) {
	for name, img := range editable(t) {
		t.Run(name, func(t *testing.T) {
			var backup bytes.Buffer
			h := open(t, img)
			if err := h.Backup(&backup); err != nil {
				t.Fatal(err)
			}
			if int64(backup.Len()) != h.HeaderSize() || h.HeaderSize() > h.DataOffset() {
				t.Errorf("%d bytes, header of %d, data at %d", backup.Len(), h.HeaderSize(), h.DataOffset())
			}
			restore := func(img []byte, force bool) (*journal, error) {
				j := &journal{b: bytes.Clone(img)}
				_, err := luks.Restore(j, int64(len(j.b)), bytes.NewReader(backup.Bytes()), int64(backup.Len()), force)
				return j, err
			}
			// After a change of the passphrase, the backup restores the old one.
			e, j := edit(t, img)
			if _, err := e.ChangeKey(t.Context(), passphrase, newPassphrase, quick); err != nil {
				t.Fatal(err)
			}
			r, err := restore(j.b, false)
			if err != nil || !opens(t, r.b, passphrase) || opens(t, r.b, newPassphrase) {
				t.Errorf("restored: %v", err)
			}
			if w := open(t, r.b).Info().Warnings; len(w) > 0 {
				t.Errorf("restored: %q", w)
			}
			if !bytes.Equal(r.b[:h.HeaderSize()], backup.Bytes()) {
				t.Error("the restored bytes differ from the backup")
			}
			// Restore to an image that lost its header, and to another image.
			gone := bytes.Clone(img)
			clear(gone[:h.HeaderSize()])
			if _, err := restore(gone, false); !errors.Is(err, luks.ErrBackup) {
				t.Errorf("no header there: %v", err)
			}
			if r, err := restore(gone, true); err != nil || !opens(t, r.b, passphrase) {
				t.Errorf("no header there, by force: %v", err)
			}
			other := editable(t)[name]
			if r, err := restore(other, false); !errors.Is(err, luks.ErrBackup) || !bytes.Equal(r.b, other) {
				t.Errorf("an image with another UUID: %v", err)
			}
			if _, err := restore(img[:4096], true); err == nil {
				t.Error("restored to a file that is too short")
			}
			short := backup.Bytes()[:backup.Len()-1]
			if _, err := luks.Restore(j, int64(len(j.b)), bytes.NewReader(short), int64(len(short)), true); err == nil {
				t.Error("a truncated backup was restored")
			}
		})
	}
}

// convertible is a LUKS2 image that can be converted to LUKS1.
func convertible(t testing.TB) []byte {
	return write(t, random(1, 1024), luks.Options{KeySize: 32, KDF: cheap, DataOffset: 2 << 20})
}

func TestConvert(t *testing.T) {
	for name, start := range map[string][]byte{"luks1": editable(t)["luks1"], "luks2": convertible(t)} {
		t.Run(name, func(t *testing.T) {
			e, j := edit(t, start)
			key := volumeKey(t, e, passphrase)
			for i, p := range [][]byte{newPassphrase, third} {
				if _, err := e.AddKey(t.Context(), []int{7, 3}[i], luks.NewKey{VolumeKey: key, Passphrase: p, KeyOptions: quick}); err != nil {
					t.Fatal(err)
				}
			}
			uuid := e.Header().UUID()
			version := e.Header().Version()
			for range 4 { // there and back, twice
				version = 3 - version
				if err := e.Convert(version); err != nil {
					t.Fatal(err)
				}
				h := open(t, j.b)
				if h.Version() != version || h.UUID() != uuid || len(h.Info().Warnings) > 0 {
					t.Errorf("%+v", h.Info())
				}
				if got := slotsOf(h); !slices.Equal(got, []int{0, 3, 7}) {
					t.Errorf("LUKS%d: slots %v", version, got)
				}
				for _, p := range [][]byte{passphrase, newPassphrase, third} {
					if !opens(t, j.b, p) {
						t.Errorf("LUKS%d: %q does not open", version, p)
					}
				}
			}
			if err := e.Convert(version); err != nil {
				t.Errorf("to the same version: %v", err)
			}
			if err := e.Convert(3); err == nil {
				t.Error("converted to LUKS3")
			}
			// Changes after the conversion must be kept.
			if _, err := e.ChangeKey(t.Context(), third, []byte("x"), quick); err != nil || !opens(t, j.b, []byte("x")) || opens(t, j.b, third) {
				t.Errorf("ChangeKey: %v", err)
			}
		})
	}
}

// TestConvertWipes checks that nothing of the old header is left.
func TestConvertWipes(t *testing.T) {
	img := editable(t)["luks1"]
	e, j := edit(t, img)
	if err := e.Convert(2); err != nil {
		t.Fatal(err)
	}
	s := e.Header().Info().Keyslots[0]
	old := img[4096 : 4096+512]
	if (s.Offset-32768)%s.Size != 0 || !bytes.Equal(j.b[s.Offset:s.Offset+512], old) {
		t.Errorf("the key material was changed or not moved to byte %d", s.Offset)
	}
	if bytes.Contains(j.b[s.Offset+1:], old) || bytes.Contains(j.b[:s.Offset], old) {
		t.Error("the old key material is still there")
	}
	e, j = edit(t, convertible(t))
	if err := e.Convert(1); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(j.b, []byte("SKUL")) || bytes.Contains(j.b, []byte(`"keyslots"`)) {
		t.Error("the old header is still there")
	}
}

func TestConvertRefused(t *testing.T) {
	for name, img := range map[string][]byte{
		"Argon2":          write(t, nil, luks.Options{KDF: luks.KDF{Memory: 32}}),
		"sectors of 4096": write(t, nil, luks.Options{KDF: cheap, SectorSize: 4096}),
		"two hashes":      write(t, nil, luks.Options{KDF: luks.KDF{Type: luks.PBKDF2, Hash: "sha512", Iterations: 1000}}),
		"no room":         write(t, nil, luks.Options{KDF: cheap, DataOffset: 1 << 20}),
		"flags":           write(t, nil, luks.Options{KDF: cheap, Flags: []string{"allow-discards"}}),
		"no slack":        write(t, nil, luks.Options{Version: 1, KDF: cheap, DataOffset: 4040 * 512}),
	} {
		e, j := edit(t, img)
		if err := e.Convert(3 - e.Header().Version()); !errors.Is(err, luks.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(j.b, img) {
			t.Errorf("%s: the image has changed", name)
		}
	}
	e, _ := edit(t, convertible(t))
	if _, err := e.AddToken([]byte(`{"type":"x","keyslots":[]}`), 0); err != nil {
		t.Fatal(err)
	}
	if err := e.Convert(1); !errors.Is(err, luks.ErrUnsupported) {
		t.Errorf("token: %v", err)
	}
	// All eight key slots of LUKS1 are in use: none can move.
	e, j := edit(t, editable(t)["luks1"])
	key := volumeKey(t, e, passphrase)
	for range 7 {
		if _, err := e.AddKey(t.Context(), luks.AnySlot, luks.NewKey{VolumeKey: key, Passphrase: third, KeyOptions: quick}); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Convert(2); !errors.Is(err, luks.ErrNoSlot) || !opens(t, j.b, passphrase) {
		t.Errorf("no free slot: %v", err)
	}
}

func TestConvertCrash(t *testing.T) {
	for name, start := range map[string][]byte{"luks1": editable(t)["luks1"], "luks2": convertible(t)} {
		for damage := range 3 {
			img := bytes.Clone(start)
			if name == "luks2" && damage > 0 { // damage one of the copies
				clear(img[(damage-1)*16384:][:16384])
			}
			t.Run(fmt.Sprintf("%s/%d", name, damage), func(t *testing.T) {
				crash(t, img, func(e *luks.Editor) error { return e.Convert(3 - e.Header().Version()) }, passphrase, nil)
			})
		}
	}
}

// TestRestoreCrash restores the header from before a change of the passphrase. The old or the new
// passphrase must open the image at each moment.
func TestRestoreCrash(t *testing.T) {
	for name, img := range editable(t) {
		t.Run(name, func(t *testing.T) {
			var backup bytes.Buffer
			if err := open(t, img).Backup(&backup); err != nil {
				t.Fatal(err)
			}
			e, changed := edit(t, img)
			if _, err := e.ChangeKey(t.Context(), passphrase, newPassphrase, quick); err != nil {
				t.Fatal(err)
			}
			if name != "luks1" { // back to the old area
				if _, err := e.ChangeKey(t.Context(), newPassphrase, newPassphrase, quick); err != nil {
					t.Fatal(err)
				}
			}
			j := &journal{b: bytes.Clone(changed.b)}
			if _, err := luks.Restore(j, int64(len(j.b)), bytes.NewReader(backup.Bytes()), int64(backup.Len()), false); err != nil {
				t.Fatal(err)
			}
			crashStates(t, changed.b, j, newPassphrase, passphrase)
			if !opens(t, j.b, passphrase) || opens(t, j.b, newPassphrase) {
				t.Error("the header differs from the backup")
			}
		})
	}
}
