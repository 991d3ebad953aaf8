package luks_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/luks"
)

// refuses checks that an image is refused with the right field in the error: by Open, or else by
// Unlock, and by Edit.
func refuses(t *testing.T, name string, img []byte, want error, field string) {
	t.Helper()
	h, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{})
	if err == nil {
		var v *luks.Volume
		if v, err = h.Unlock(t.Context(), passphrase); err == nil {
			v.Close()
		}
		if h.Info().Refused != "" {
			_, err2 := luks.Edit(&journal{b: img}, int64(len(img)), luks.OpenOptions{})
			if !errors.Is(err2, want) {
				t.Errorf("%s: Edit: %v, want %v", name, err2, want)
			}
		}
	}
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", name, err, want)
		return
	}
	if field == "" {
		return
	}
	if f := new(luks.FormatError); !errors.As(err, &f) || f.Field != field {
		t.Errorf("%s: %v, want the field %s", name, err, field)
	}
}

// A refusal is a LUKS1 header with an invalid field.
type refusal struct {
	name   string
	change func(b []byte)
	err    error
	field  string
	// cryptsetup is the reason why cryptsetup 2.6.1 accepts it, or "" if it refuses it too.
	cryptsetup string
}

func refusalsV1() []refusal {
	u32 := func(off int, v uint32) func(b []byte) {
		return func(b []byte) { binary.BigEndian.PutUint32(b[off:], v) }
	}
	fill := func(off, n int) func(b []byte) {
		return func(b []byte) { copy(b[off:off+n], bytes.Repeat([]byte("a"), n)) }
	}
	slot := func(i, field int) int { return 208 + 48*i + field }
	return []refusal{
		{"magic", fill(0, 6), luks.ErrNotLUKS, "", ""},
		{"version 0", func(b []byte) { b[7] = 0 }, luks.ErrUnsupported, "", ""},
		{"version 3", func(b []byte) { b[7] = 3 }, luks.ErrUnsupported, "", ""},
		{"cipher name without NUL", fill(8, 32), luks.ErrUnsupported, "", ""},
		{"cipher mode without NUL", fill(40, 32), luks.ErrUnsupported, "", ""},
		{"hash without NUL", fill(72, 32), luks.ErrUnsupported, "", ""},
		{"no key", u32(108, 0), luks.ErrFormat, "key-bytes", ""},
		{"long key", u32(108, 1<<32-1), luks.ErrFormat, "key-bytes", ""},
		{"digest without iterations", u32(164, 0), luks.ErrFormat, "mk-digest-iter", ""},
		{"slot without iterations", u32(slot(0, 4), 0), luks.ErrFormat, "key-slot-0.iterations", ""},
		{"stripes of an active slot", u32(slot(0, 44), 3999), luks.ErrFormat, "key-slot-0.stripes", ""},
		{"stripes of an inactive slot", u32(slot(7, 44), 0), luks.ErrFormat, "key-slot-7.stripes", ""},
		{"slot in the header", u32(slot(0, 40), 1), luks.ErrFormat, "key-slot-0.key-material-offset", ""},
		{"slot in the data", u32(slot(7, 40), 4096), luks.ErrFormat, "key-slot-7.key-material-offset", ""},
		{"slot past the file", u32(slot(0, 40), 1<<32-1), luks.ErrFormat, "key-slot-0.key-material-offset", ""},
		{"slots overlap", u32(slot(1, 40), 9), luks.ErrFormat, "key-slot-1.key-material-offset", ""},
		{"data in the slots", u32(104, 100), luks.ErrFormat, "key-slot-0.key-material-offset", ""},
	}
}

func TestRefuseV1(t *testing.T) {
	img := write(t, random(1, 512), luks.Options{Version: 1, KDF: cheap})
	u32 := func(off int, v uint32) func(b []byte) {
		return func(b []byte) { binary.BigEndian.PutUint32(b[off:], v) }
	}
	for _, c := range refusalsV1() {
		b := bytes.Clone(img)
		c.change(b)
		refuses(t, c.name, b, c.err, c.field)
	}
	for _, c := range []struct{ name, cipher string }{{"serpent", "serpent"}, {"null", "cipher_null"}, {"none", ""}} {
		b := bytes.Clone(img)
		clear(b[8:40])
		copy(b[8:40], c.cipher)
		want := luks.ErrUnsupported
		if c.name == "null" {
			want = luks.ErrNullCipher
		}
		if _, err := open(t, b).Unlock(t.Context(), passphrase); !errors.Is(err, want) {
			t.Errorf("cipher %s: %v", c.name, err)
		}
	}
	b := bytes.Clone(img)
	copy(b[72:], "whirlpool\x00")
	if _, err := open(t, b).Unlock(t.Context(), passphrase); !errors.Is(err, luks.ErrUnsupported) {
		t.Errorf("unknown hash: %v", err)
	}
	b = bytes.Clone(img)
	u32(108, 48)(b) // not a key length of AES-XTS
	if _, err := open(t, b).Unlock(t.Context(), passphrase); err == nil {
		t.Error("a key of 48 bytes was accepted")
	}
}

// tree is a JSON object that tests change.
type tree = map[string]any

// setJSON replaces the metadata of both copies of a LUKS2 header and updates the checksums.
func setJSON(t testing.TB, img, text []byte) []byte {
	t.Helper()
	img = bytes.Clone(img)
	size := int(binary.BigEndian.Uint64(img[8:]))
	for _, off := range []int{0, size} {
		area := img[off+4096 : off+size]
		if len(text) > len(area) {
			t.Fatal("metadata too long")
		}
		clear(area)
		copy(area, text)
	}
	return sumV2(img)
}

// sumV2 updates the checksums of both copies of a LUKS2 header.
func sumV2(img []byte) []byte {
	n := binary.BigEndian.Uint64(img[8:])
	if n < 4096 || n > uint64(len(img)/2) {
		return img
	}
	size := int(n)
	for _, off := range []int{0, size} {
		clear(img[off+448 : off+512])
		sum := sha256.Sum256(img[off : off+size])
		copy(img[off+448:], sum[:])
	}
	return img
}

func getJSON(t testing.TB, img []byte) tree {
	t.Helper()
	var m tree
	if err := json.Unmarshal(bytes.TrimRight(img[4096:16384], "\x00"), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// at returns the object at a path.
func at(m tree, path string) tree {
	if path == "" {
		return m
	}
	for _, name := range strings.Split(path, ".") {
		m = m[name].(tree)
	}
	return m
}

// A jsonRefusal is LUKS2 metadata with an invalid member.
type jsonRefusal struct {
	path, member string
	value        any
	err          error
	field        string
	// cryptsetup is the reason why cryptsetup 2.6.1 accepts it, or "" if it refuses it too.
	cryptsetup string
}

// remove, used as a value, removes the member.
const remove = "\x00remove"

func refusalsJSON() []jsonRefusal {
	const slot, seg, dig = "keyslots.0", "segments.0", "digests.0"
	return []jsonRefusal{
		{"", "keyslots", remove, luks.ErrFormat, "keyslots", ""},
		{"", "tokens", remove, luks.ErrFormat, "tokens", ""},
		{"", "segments", remove, luks.ErrFormat, "segments", ""},
		{"", "digests", remove, luks.ErrFormat, "digests", ""},
		{"", "config", remove, luks.ErrFormat, "config", ""},
		{"", "keyslots", []any{}, luks.ErrFormat, "keyslots", ""},
		{"", "segments", tree{}, luks.ErrFormat, "segments", ""},
		{"", "digests", tree{}, luks.ErrFormat, "digests", ""},
		{"keyslots", "32", tree{}, luks.ErrFormat, "keyslots.32", ""},
		{"keyslots", "01", tree{}, luks.ErrFormat, "keyslots.01", ""},
		{"keyslots", "-1", tree{}, luks.ErrFormat, "keyslots.-1", ""},
		{"keyslots", "x", tree{}, luks.ErrFormat, "keyslots.x", ""},
		{"keyslots", "0", 1, luks.ErrFormat, "keyslots.0", ""},

		{"config", "json_size", remove, luks.ErrFormat, "config.json_size", ""},
		{"config", "json_size", "12289", luks.ErrFormat, "config.json_size", ""},
		{"config", "json_size", 12288, luks.ErrFormat, "config.json_size", ""},
		{"config", "keyslots_size", "4095", luks.ErrFormat, "config.keyslots_size", ""},
		{"config", "keyslots_size", "134221824", luks.ErrFormat, "config.keyslots_size", ""},
		{"config", "keyslots_size", "-4096", luks.ErrFormat, "config.keyslots_size", ""},
		{"config", "keyslots_size", "4096", luks.ErrFormat, "keyslots.0.area.offset", ""},
		{"config", "flags", "x", luks.ErrFormat, "config.flags", ""},
		{"config", "requirements", []any{"x"}, luks.ErrFormat, "config.requirements", ""},
		{"config", "requirements", tree{"mandatory": "x"}, luks.ErrFormat, "config.requirements.mandatory", ""},
		{"config", "requirements", tree{"mandatory": []any{"online-reencrypt-v2"}}, luks.ErrUnsupported, "", ""},

		{slot, "type", "reencrypt", luks.ErrUnsupported, "", ""},
		{slot, "type", 5, luks.ErrFormat, "keyslots.0.type", ""},
		{slot, "key_size", 0, luks.ErrFormat, "keyslots.0.key_size", ""},
		{slot, "key_size", 513, luks.ErrFormat, "keyslots.0.key_size", ""},
		{slot, "key_size", int64(1 << 32), luks.ErrFormat, "keyslots.0.key_size", ""},
		{slot, "key_size", 64.5, luks.ErrFormat, "keyslots.0.key_size", ""},
		{slot, "key_size", "64", luks.ErrFormat, "keyslots.0.key_size", ""},
		{slot, "key_size", 128, luks.ErrFormat, "keyslots.0.area.size", ""},
		{slot, "priority", 3, luks.ErrFormat, "keyslots.0.priority", ""},
		{slot, "af", remove, luks.ErrFormat, "keyslots.0.af", ""},
		{slot + ".af", "type", "luks2", luks.ErrFormat, "keyslots.0.af.type", ""},
		{slot + ".af", "stripes", 1_000_000_000, luks.ErrFormat, "keyslots.0.af.stripes", "it always uses 4000 stripes"},
		{slot + ".af", "hash", remove, luks.ErrFormat, "keyslots.0.af.hash", ""},
		{slot + ".area", "type", "none", luks.ErrFormat, "keyslots.0.area.type", ""},
		{slot + ".area", "offset", "0", luks.ErrFormat, "keyslots.0.area.offset", ""},
		{slot + ".area", "offset", "1048576", luks.ErrFormat, "keyslots.0.area.offset", ""},
		{slot + ".area", "offset", "9223372036854775807", luks.ErrFormat, "keyslots.0.area.offset", ""},
		{slot + ".area", "size", "255999", luks.ErrFormat, "keyslots.0.area.size", "it reads past the end of the area"},
		{slot + ".area", "size", "9223372036854775807", luks.ErrFormat, "keyslots.0.area.offset", ""},
		{slot + ".area", "size", "18446744073709551615", luks.ErrFormat, "keyslots.0.area.size", ""},
		{slot + ".area", "key_size", 0, luks.ErrFormat, "keyslots.0.area.key_size", ""},
		{slot + ".area", "key_size", 1 << 30, luks.ErrFormat, "keyslots.0.area.key_size", ""},
		{slot + ".area", "encryption", remove, luks.ErrFormat, "keyslots.0.area.encryption", ""},
		{slot + ".kdf", "type", "scrypt", luks.ErrFormat, "keyslots.0.kdf.type", ""},
		{slot + ".kdf", "time", 0, luks.ErrFormat, "keyslots.0.kdf.time", ""},
		{slot + ".kdf", "cpus", 0, luks.ErrFormat, "keyslots.0.kdf.cpus", ""},
		{slot + ".kdf", "cpus", 65, luks.ErrFormat, "keyslots.0.kdf.cpus", ""},
		{slot + ".kdf", "cpus", 257, luks.ErrFormat, "keyslots.0.kdf.cpus", ""},
		{slot + ".kdf", "memory", 0, luks.ErrFormat, "keyslots.0.kdf.memory", ""},
		{slot + ".kdf", "memory", 31, luks.ErrFormat, "keyslots.0.kdf.memory", ""},
		{slot + ".kdf", "salt", "AAAA", luks.ErrFormat, "keyslots.0.kdf.salt", ""},
		{slot + ".kdf", "salt", "?", luks.ErrFormat, "keyslots.0.kdf.salt", ""},
		{slot, "kdf", tree{"type": "pbkdf2", "salt": strings.Repeat("A", 43) + "=", "hash": "sha256", "iterations": 0}, luks.ErrFormat, "keyslots.0.kdf.iterations", ""},

		{"tokens", "0", tree{"type": "x", "keyslots": []any{"1"}}, luks.ErrFormat, "tokens.0.keyslots", ""},
		{"tokens", "0", tree{"keyslots": []any{}}, luks.ErrFormat, "tokens.0.type", ""},

		{seg, "type", "linear", luks.ErrUnsupported, "", "--test-passphrase does not check the segment"},
		{seg, "offset", "1048577", luks.ErrFormat, "segments.0.offset", ""},
		{seg, "offset", "65536", luks.ErrFormat, "segments.0.offset", ""},
		{seg, "size", "0", luks.ErrFormat, "segments.0.size", ""},
		{seg, "size", "513", luks.ErrFormat, "segments.0.size", ""},
		{seg, "size", "9223372036854775296", luks.ErrFormat, "segments.0.size", "--test-passphrase does not check the size"},
		{seg, "size", 512, luks.ErrFormat, "segments.0.size", ""},
		{seg, "iv_tweak", "1", luks.ErrUnsupported, "", "it does not use the tweak"},
		{seg, "sector_size", 0, luks.ErrFormat, "segments.0.sector_size", ""},
		{seg, "sector_size", 513, luks.ErrFormat, "segments.0.sector_size", ""},
		{seg, "sector_size", int64(1 << 31), luks.ErrFormat, "segments.0.sector_size", "--test-passphrase does not check the sector size"},
		{seg, "integrity", tree{"type": "hmac(sha256)"}, luks.ErrUnsupported, "", ""},
		{seg, "flags", []any{"backup-final"}, luks.ErrUnsupported, "", ""},
		{"segments", "1", tree{"type": "crypt"}, luks.ErrFormat, "segments.1.offset", ""},

		{dig, "type", "x", luks.ErrFormat, "digests.0.type", ""},
		{dig, "keyslots", []any{"7"}, luks.ErrFormat, "digests.0.keyslots", ""},
		{dig, "keyslots", []any{0}, luks.ErrFormat, "digests.0.keyslots", ""},
		{dig, "segments", []any{"1"}, luks.ErrFormat, "digests.0.segments", ""},
		{dig, "segments", []any{}, luks.ErrFormat, "digests", ""},
		{dig, "iterations", 0, luks.ErrFormat, "digests.0.iterations", ""},
		{dig, "salt", "AAAAAAAAAAAAAAAAAAAAAA==", luks.ErrFormat, "digests.0.salt", "it skips the comparison and accepts a wrong passphrase"},
		{dig, "digest", "", luks.ErrFormat, "digests.0.digest", "it skips the comparison and accepts a wrong passphrase"},
		{dig, "digest", "AAAA", luks.ErrFormat, "digests.0.digest", "it skips the comparison and accepts a wrong passphrase"},
	}
}

func (c jsonRefusal) String() string { return fmt.Sprintf("%s.%s = %v", c.path, c.member, c.value) }

// apply returns the image with the change.
func (c jsonRefusal) apply(t testing.TB, img []byte) []byte {
	t.Helper()
	m := getJSON(t, img)
	o := at(m, c.path)
	o[c.member] = c.value
	if c.value == remove {
		delete(o, c.member)
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return setJSON(t, img, text)
}

func TestRefuseV2JSON(t *testing.T) {
	img := write(t, random(1, 512), luks.Options{KDF: luks.KDF{Memory: 32}, DataOffset: 1 << 20})
	for _, c := range refusalsJSON() {
		refuses(t, c.String(), c.apply(t, img), c.err, c.field)
	}
}

// TestRefuseV2Text uses metadata that are not valid text.
func TestRefuseV2Text(t *testing.T) {
	img := write(t, nil, luks.Options{KDF: cheap, DataOffset: 1 << 20})
	good := bytes.TrimRight(img[4096:16384], "\x00")
	for _, text := range []string{
		"", " " + string(good), "[]", "null", `{"keyslots":`, string(good[:len(good)-1]), string(good) + " {}", string(good) + "\x00x",
		`{"config":{},` + string(good[1:]),                   // a duplicate member
		strings.Replace(string(good), "config", "CONFIG", 1), // another case
		`{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}",
		strings.Repeat("x", 12288), // no NUL at the end
	} {
		refuses(t, fmt.Sprintf("%.40q", text), setJSON(t, img, []byte(text)), luks.ErrFormat, "")
	}
}

// refusalsBinary change the binary header of LUKS2; the tests apply each to both copies.
func refusalsBinary() []refusal {
	return []refusal{
		{"hdr_size 0", func(b []byte) { binary.BigEndian.PutUint64(b[8:], 0) }, luks.ErrFormat, "hdr_size", ""},
		{"hdr_size 20000", func(b []byte) { binary.BigEndian.PutUint64(b[8:], 20000) }, luks.ErrFormat, "hdr_size", ""},
		{"hdr_size 2^63", func(b []byte) { binary.BigEndian.PutUint64(b[8:], 1<<63) }, luks.ErrFormat, "hdr_size", ""},
		{"hdr_offset", func(b []byte) { binary.BigEndian.PutUint64(b[256:], 7) }, luks.ErrFormat, "hdr_offset", ""},
		{"csum_alg", func(b []byte) { copy(b[72:], "sha512") }, luks.ErrFormat, "csum_alg", ""},
	}
}

// sumCopies updates the checksums of copies of 16 KiB, whatever length they contain.
func sumCopies(b []byte) []byte {
	for _, off := range []int{0, 16384} {
		clear(b[off+448 : off+512])
		sum := sha256.Sum256(b[off : off+16384])
		copy(b[off+448:], sum[:])
	}
	return b
}

func TestRefuseV2Binary(t *testing.T) {
	img := write(t, nil, luks.Options{KDF: cheap, DataOffset: 1 << 20})
	for _, c := range refusalsBinary() {
		b := bytes.Clone(img)
		c.change(b[:16384])
		c.change(b[16384:32768])
		refuses(t, c.name, sumCopies(b), c.err, c.field)
	}
	b := bytes.Clone(img)
	b[5000] ^= 1
	b[16384+5000] ^= 1
	refuses(t, "checksums", b, luks.ErrFormat, "csum")
}

// TestLimit opens a key slot that needs more memory than allowed. It must be refused before memory is
// allocated.
func TestLimit(t *testing.T) {
	img := write(t, nil, luks.Options{KDF: luks.KDF{Memory: 64}, DataOffset: 1 << 20})
	h, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{MaxMemory: 64<<10 - 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Unlock(t.Context(), passphrase); !errors.Is(err, luks.ErrLimit) {
		t.Errorf("with less memory than needed: %v", err)
	}
	m := getJSON(t, img)
	at(m, "keyslots.0.kdf")["memory"] = int64(1<<32 - 1)
	text, _ := json.Marshal(m)
	if _, err := open(t, setJSON(t, img, text)).Unlock(t.Context(), passphrase); !errors.Is(err, luks.ErrLimit) {
		t.Errorf("4 TiB of memory: %v", err)
	}
	for path, member := range map[string]string{"keyslots.0.kdf": "time", "digests.0": "iterations"} {
		m := getJSON(t, img)
		at(m, path)[member] = int64(1<<32 - 1)
		text, _ := json.Marshal(m)
		if _, err := open(t, setJSON(t, img, text)).Unlock(t.Context(), passphrase); !errors.Is(err, luks.ErrLimit) {
			t.Errorf("%s.%s: %v", path, member, err)
		}
	}
	for _, off := range []int{164, 208 + 4} {
		img := write(t, nil, luks.Options{Version: 1, KDF: cheap})
		binary.BigEndian.PutUint32(img[off:], 1<<32-1)
		if _, err := open(t, img).Unlock(t.Context(), passphrase); !errors.Is(err, luks.ErrLimit) {
			t.Errorf("iterations at %d: %v", off, err)
		}
	}
}

// TestSlots changes the number and the priority of the key slot, and adds slots that do not open.
func TestSlots(t *testing.T) {
	img := write(t, random(1, 512), luks.Options{KDF: cheap, DataOffset: 1 << 20})
	with := func(change func(m tree)) []byte {
		m := getJSON(t, img)
		change(m)
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return setJSON(t, img, text)
	}
	move := func(m tree, to string) {
		at(m, "keyslots")[to] = at(m, "keyslots.0")
		delete(at(m, "keyslots"), "0")
		at(m, "digests.0")["keyslots"] = []any{to}
	}
	unlock(t, with(func(m tree) { move(m, "31") }))
	unlock(t, with(func(m tree) { at(m, "keyslots.0")["priority"] = 2 }))
	unlock(t, with(func(m tree) { at(m, "tokens")["5"] = tree{"type": "x", "keyslots": []any{"0"}, "y": tree{"z": 1.5}} }))
	unlock(t, with(func(m tree) { at(m, "config")["requirements"] = tree{"mandatory": []any{}} }))
	unlock(t, with(func(m tree) { at(m, "segments.0")["size"] = "512" }))

	none := with(func(m tree) { at(m, "keyslots.0")["priority"] = 0 })
	if _, err := open(t, none).Unlock(t.Context(), passphrase); !errors.Is(err, luks.ErrNotTried) || errors.Is(err, luks.ErrPassphrase) || !strings.Contains(err.Error(), "key slot 0 was left out") {
		t.Errorf("ignored slot: %v", err)
	}
	unbound := with(func(m tree) { at(m, "digests.0")["keyslots"] = []any{} })
	if _, err := open(t, unbound).Unlock(t.Context(), passphrase); !errors.Is(err, luks.ErrNoSlot) || errors.Is(err, luks.ErrPassphrase) {
		t.Errorf("unbound slot: %v", err)
	}
	short := with(func(m tree) { at(m, "segments.0")["size"] = "1024" })
	if _, err := open(t, short).Unlock(t.Context(), passphrase); err == nil {
		t.Error("a segment longer than the file was opened")
	}
	serpent := with(func(m tree) { at(m, "segments.0")["encryption"] = "serpent-xts-plain64" })
	if _, err := open(t, serpent).Unlock(t.Context(), passphrase); !errors.Is(err, luks.ErrUnsupported) {
		t.Errorf("serpent: %v", err)
	}
	slot := with(func(m tree) { at(m, "keyslots.0.area")["encryption"] = "cipher_null-ecb" })
	if _, err := open(t, slot).Unlock(t.Context(), passphrase); !errors.Is(err, luks.ErrNullCipher) {
		t.Errorf("null cipher in the slot: %v", err)
	}
}
