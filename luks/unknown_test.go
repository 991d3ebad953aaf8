package luks_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/luks"
)

// oddParts are changes of LUKS2 metadata that cryptsetup shows: unknown or unsupported parts. Their
// field is a word of the error.
func oddParts() []jsonRefusal {
	vendorSlot := tree{"type": "vendor", "key_size": 64, "area": tree{"type": "raw", "offset": "290816", "size": "4096"}}
	return []jsonRefusal{
		{path: "keyslots", member: "1", value: vendorSlot, field: "vendor"},
		{path: "keyslots", member: "1", value: tree{"type": "vendor", "key_size": 0, "area": tree{"type": "x", "offset": "290816", "size": "4096"}}, field: "vendor"},
		{path: "config", member: "requirements", value: tree{"mandatory": []any{"vendor"}}, field: "vendor"},
		{path: "config", member: "requirements", value: tree{"mandatory": []any{"opal"}}, field: "opal"},
		{path: "config", member: "requirements", value: tree{"mandatory": []any{"offline-reencrypt"}}, field: "offline-reencrypt"},
		{path: "segments.0", member: "type", value: "vendor", field: "vendor"},
		{path: "segments.0", member: "type", value: "linear", field: "linear"},
		{path: "segments.0", member: "type", value: "hw-opal-crypt", field: "hw-opal-crypt"},
		{path: "segments.0", member: "flags", value: []any{"x"}, field: "flag"},
		{path: "segments.0", member: "sector_size", value: 1536, field: "sector_size"},
		{path: "segments.0", member: "sector_size", value: 8192, field: "sector_size"},
		{path: "segments.0", member: "iv_tweak", value: "8", field: "iv_tweak"},
		{path: "segments.0", member: "integrity", value: tree{"type": "hmac(sha256)", "journal_encryption": "none", "journal_integrity": "none"}, field: "integrity"},
		{path: "segments", member: "1", value: tree{"type": "linear", "offset": "2097152", "size": "dynamic", "flags": []any{"backup-final"}}, field: "segments"},
		{path: "digests", member: "1", value: tree{"type": "vendor", "keyslots": []any{}, "segments": []any{}}, field: "digests.1"},
		{path: "digests", member: "1", value: tree{"type": "pbkdf2", "keyslots": []any{}, "segments": []any{}}, field: "digests.1"},
	}
}

// TestOddParts opens headers with an unknown or unsupported part. Everything that does not need the
// part must work, and nothing must be written.
func TestOddParts(t *testing.T) {
	img := write(t, random(1, 1024), luks.Options{KDF: cheap, DataOffset: 1 << 20})
	for _, c := range oddParts() {
		b := c.apply(t, img)
		h, err := luks.Open(bytes.NewReader(b), int64(len(b)), luks.OpenOptions{})
		if err != nil {
			t.Errorf("%s: %v", c, err)
			continue
		}
		i := h.Info()
		if !strings.Contains(i.Refused, c.field) || !strings.Contains(strings.Join(i.Warnings, "\n"), c.field) || i.SectorSize < 512 {
			t.Errorf("%s: refused: %q, warnings %q", c, i.Refused, i.Warnings)
		}
		if _, n, err := h.VolumeKey(t.Context(), passphrase, luks.AnySlot); n != 0 || err != nil {
			t.Errorf("%s: VolumeKey: %d, %v", c, n, err)
		}
		if _, _, err := h.VolumeKey(t.Context(), []byte("wrong"), luks.AnySlot); !errors.Is(err, luks.ErrPassphrase) {
			t.Errorf("%s: VolumeKey with a wrong passphrase: %v", c, err)
		}
		// The data can be read if all their parts are known.
		data := c.path == "keyslots" || c.path == "digests"
		v, err := h.Unlock(t.Context(), passphrase)
		if data != (err == nil) || data != opens(t, b, passphrase) {
			t.Errorf("%s: Unlock: %v", c, err)
		}
		if err == nil {
			v.Close()
		}
		var backup bytes.Buffer
		if err := h.Backup(&backup); err != nil || !bytes.Equal(backup.Bytes(), b[:h.HeaderSize()]) {
			t.Errorf("%s: Backup: %v", c, err)
		}
		j := &journal{b: bytes.Clone(b)}
		if _, err := luks.Edit(j, int64(len(b)), luks.OpenOptions{}); err == nil || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: Edit: %v", c, err)
		}
		reencrypt := strings.Contains(i.Refused, "reencrypt")
		for _, force := range []bool{false, true} {
			_, err := luks.Restore(j, int64(len(b)), bytes.NewReader(backup.Bytes()), int64(backup.Len()), force)
			if want := force && !reencrypt; want != (err == nil) {
				t.Errorf("%s: Restore, force %v: %v", c, force, err)
			}
		}
		if !bytes.Equal(j.b, b) {
			t.Errorf("%s: the image was changed", c)
		}
	}
}

// TestOddSlotV1 uses a LUKS1 key slot that is neither active nor inactive. The other slots must open,
// and nothing must be written.
func TestOddSlotV1(t *testing.T) {
	img := write(t, random(1, 1024), luks.Options{Version: 1, KDF: cheap})
	img[208+48*3+3] = 1
	i := open(t, img).Info()
	if !opens(t, img, passphrase) || !strings.Contains(i.Refused, "key-slot-3.active") || len(i.Keyslots) != 2 {
		t.Errorf("%+v", i)
	}
	j := &journal{b: img}
	if _, err := luks.Edit(j, int64(len(img)), luks.OpenOptions{}); !errors.Is(err, luks.ErrFormat) {
		t.Errorf("Edit: %v", err)
	}
}

// TestTextWithoutEnd fills text fields completely, so that they have no NUL at the end.
func TestTextWithoutEnd(t *testing.T) {
	x := bytes.Repeat([]byte("x"), 48)
	img := write(t, random(1, 1024), luks.Options{KDF: cheap, DataOffset: 1 << 20})
	for _, off := range []int{0, 16384} {
		copy(img[off+24:], x)
		copy(img[off+168:], x[:40])
		copy(img[off+208:], x)
	}
	img = sumCopies(img)
	i := open(t, img).Info()
	if i.Label != string(x) || i.Subsystem != string(x) || i.UUID != string(x[:40]) || !opens(t, img, passphrase) {
		t.Errorf("label %q, subsystem %q, UUID %q", i.Label, i.Subsystem, i.UUID)
	}
	// The texts are kept when the header is changed.
	e, j := edit(t, img)
	if _, err := e.ChangeKey(t.Context(), passphrase, newPassphrase, quick); err != nil {
		t.Fatal(err)
	}
	if n := open(t, j.b).Info(); n.Label != i.Label || n.Subsystem != i.Subsystem || n.UUID != i.UUID {
		t.Errorf("changed: label %q, subsystem %q, UUID %q", n.Label, n.Subsystem, n.UUID)
	}
	img = write(t, random(1, 1024), luks.Options{Version: 1, KDF: cheap})
	copy(img[168:], x[:40])
	if i := open(t, img).Info(); i.UUID != string(x[:40]) || !opens(t, img, passphrase) {
		t.Errorf("LUKS1 UUID %q", i.UUID)
	}
}

// TestRepeatedNames uses a digest that lists its key slot twice, which cryptsetup accepts.
func TestRepeatedNames(t *testing.T) {
	img := write(t, random(1, 1024), luks.Options{KDF: cheap, DataOffset: 1 << 20})
	img = jsonRefusal{path: "digests.0", member: "keyslots", value: []any{"0", "0"}}.apply(t, img)
	e, j := edit(t, img)
	if _, err := e.ChangeKey(t.Context(), passphrase, newPassphrase, quick); err != nil || !opens(t, j.b, newPassphrase) {
		t.Error(err)
	}
	if err := e.KillSlot(0, true); err != nil {
		t.Error(err)
	}
}
