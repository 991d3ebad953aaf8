package policy_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/interop"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/luks/policy"
)

type tree = map[string]any

// hdrSize is the size of each header copy in these tests, dataOffset the offset of the data.
const hdrSize, dataOffset = 16 << 10, 1 << 20

// image makes a LUKS2 image and changes the metadata in both copies.
func image(t testing.TB, change func(m tree)) []byte {
	t.Helper()
	h, key, err := luks.New(t.Context(), []byte("a passphrase"), luks.Options{KDF: luks.KDF{Type: luks.PBKDF2, Iterations: 1000}, DataOffset: dataOffset})
	if err != nil {
		t.Fatal(err)
	}
	clear(key)
	var b bytes.Buffer
	if _, err := h.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	b.Write(make([]byte, 4096))
	img := b.Bytes()
	for _, off := range []int{0, hdrSize} {
		editCopy(t, img, off, change)
	}
	return img
}

// editCopy changes the metadata of the copy at off and updates its checksum.
func editCopy(t testing.TB, img []byte, off int, change func(m tree)) {
	t.Helper()
	part := img[off : off+hdrSize]
	area := part[4096:]
	var m tree
	if err := json.Unmarshal(bytes.TrimRight(area, "\x00"), &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	clear(area)
	copy(area, text)
	clear(part[448:512])
	sum := sha256.Sum256(part)
	copy(part[448:], sum[:])
}

func at(m tree, path ...string) tree {
	for _, p := range path {
		m = m[p].(tree)
	}
	return m
}

func accept(t testing.TB, img []byte, p *policy.Policy) (*luks.Header, error) {
	t.Helper()
	return luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{AllowNullCipher: true, Accept: p.Accept})
}

// hostile are changes of a header that even an empty policy refuses, with the fields in the error.
var hostile = map[string]struct {
	change func(m tree)
	fields []string
}{
	"null data": {func(m tree) { at(m, "segments", "0")["encryption"] = "cipher_null-ecb" }, []string{"segments.0.encryption"}},
	"null data, capi": {func(m tree) { at(m, "segments", "0")["encryption"] = "capi:ecb(cipher_null)-plain64" },
		[]string{"segments.0.encryption"}},
	"null key slot": {func(m tree) { at(m, "keyslots", "0", "area")["encryption"] = "cipher_null-ecb" }, []string{"keyslots.0.area.encryption"}},
	"plain data":    {func(m tree) { at(m, "segments", "0")["type"] = "linear" }, []string{"segments.0.type"}},
	"linear before crypt": {func(m tree) {
		crypt := at(m, "segments", "0")
		crypt["offset"] = "2097152"
		at(m, "segments")["0"], at(m, "segments")["1"] = tree{"type": "linear", "offset": "1048576", "size": "1048576"}, crypt
		at(m, "digests", "0")["segments"] = []any{"1"}
	}, []string{"segments", "segments.0.type"}},
	"linear behind crypt": {func(m tree) {
		at(m, "segments", "0")["size"] = "4096"
		at(m, "segments")["1"] = tree{"type": "linear", "offset": "1052672", "size": "dynamic"}
	}, []string{"segments", "segments.1.type"}},
	"two ciphers, one null": {func(m tree) {
		s := at(m, "segments", "0")
		s["size"] = "4096"
		at(m, "segments")["1"] = tree{"type": "crypt", "offset": "1052672", "size": "dynamic", "iv_tweak": "0", "encryption": "cipher_null-ecb", "sector_size": 512}
		at(m, "digests", "0")["segments"] = []any{"0", "1"}
	}, []string{"segments", "segments.1.encryption"}},
	"opal": {func(m tree) { at(m, "segments", "0")["type"] = "hw-opal" }, []string{"segments.0.type"}},
	"integrity": {func(m tree) {
		at(m, "segments", "0")["integrity"] = tree{"type": "none", "journal_encryption": "none", "journal_integrity": "none"}
	}, []string{"segments.0.integrity"}},
	"IV": {func(m tree) { at(m, "segments", "0")["iv_tweak"] = "8" }, []string{"segments.0.iv_tweak"}},
	"reencryption": {func(m tree) {
		at(m, "config")["requirements"] = tree{"mandatory": []any{"online-reencrypt-v2"}}
		at(m, "keyslots")["1"] = tree{"type": "reencrypt", "key_size": 1, "mode": "decrypt", "direction": "forward",
			"area": tree{"type": "checksum", "offset": "290816", "size": "4096", "hash": "sha256", "sector_size": 512}}
		s := at(m, "segments", "0")
		s["size"] = "4096"
		at(m, "segments")["1"] = tree{"type": "linear", "offset": "1052672", "size": "dynamic"}
		at(m, "segments")["2"] = tree{"type": "crypt", "offset": "1048576", "size": "dynamic", "iv_tweak": "0", "encryption": "aes-xts-plain64", "sector_size": 512,
			"flags": []any{"backup-previous"}}
		at(m, "digests", "0")["segments"] = []any{"0", "2"}
	}, []string{"segments", "segments.1.type", "segments.2.flags", "keyslots.1.type", "config.requirements.mandatory.0"}},
	"requirement":    {func(m tree) { at(m, "config")["requirements"] = tree{"mandatory": []any{"vendor"}} }, []string{"config.requirements.mandatory.0"}},
	"extra digest":   {func(m tree) { at(m, "digests")["1"] = digest(m) }, []string{"digests.1"}},
	"vendor's slot":  {func(m tree) { at(m, "keyslots")["1"] = vendorSlot }, []string{"keyslots.1.type"}},
	"unknown KDF":    {func(m tree) { at(m, "keyslots", "0", "kdf")["type"] = "scrypt" }, []string{"keyslots.0.kdf.type"}},
	"unknown digest": {func(m tree) { at(m, "digests", "0")["type"] = "vendor" }, []string{"digests.0.type"}},
	"unbound": {func(m tree) {
		slot := at(m, "keyslots", "0")
		text, _ := json.Marshal(slot)
		var other tree
		json.Unmarshal(text, &other)
		at(other, "area")["offset"] = "290816"
		at(m, "keyslots")["1"] = other
	}, []string{"keyslots.1"}},
}

var vendorSlot = tree{"type": "vendor", "key_size": 64, "area": tree{"type": "raw", "offset": "290816", "size": "4096"}}

// digest returns an unused copy of the first digest.
func digest(m tree) tree {
	text, _ := json.Marshal(at(m, "digests", "0"))
	var d tree
	json.Unmarshal(text, &d)
	d["keyslots"], d["segments"] = []any{}, []any{}
	return d
}

// TestHostile checks that an empty policy refuses headers with unencrypted data or with unknown parts,
// before a key is needed.
func TestHostile(t *testing.T) {
	for name, c := range hostile {
		img := image(t, c.change)
		h, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{AllowNullCipher: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wants(t, name, &policy.Policy{Version: 1}, h, c.fields)
		for _, builtin := range policy.Names() {
			p, _ := policy.Builtin(builtin)
			if h, err := accept(t, img, p); h != nil || !errors.Is(err, policy.ErrViolated) {
				t.Errorf("%s: %s: %v", name, builtin, err)
			}
		}
	}
}

// TestUnknown checks that an unknown member at any level violates every policy.
func TestUnknown(t *testing.T) {
	integrity := func(m tree) tree {
		o := tree{"type": "none", "journal_encryption": "none", "journal_integrity": "none", "key_size": 0}
		at(m, "segments", "0")["integrity"] = o
		return o
	}
	for field, object := range map[string]func(m tree) tree{
		"x":                      func(m tree) tree { return m },
		"config.x":               func(m tree) tree { return at(m, "config") },
		"keyslots.0.x":           func(m tree) tree { return at(m, "keyslots", "0") },
		"keyslots.0.kdf.x":       func(m tree) tree { return at(m, "keyslots", "0", "kdf") },
		"keyslots.0.af.x":        func(m tree) tree { return at(m, "keyslots", "0", "af") },
		"keyslots.0.area.x":      func(m tree) tree { return at(m, "keyslots", "0", "area") },
		"segments.0.x":           func(m tree) tree { return at(m, "segments", "0") },
		"digests.0.x":            func(m tree) tree { return at(m, "digests", "0") },
		"segments.0.integrity.x": integrity,
		"config.requirements.x": func(m tree) tree {
			o := tree{"mandatory": []any{}}
			at(m, "config")["requirements"] = o
			return o
		},
	} {
		p := &policy.Policy{Version: 1, Integrity: []string{"none"}}
		if _, err := accept(t, image(t, func(m tree) { object(m) }), p); err != nil {
			t.Errorf("%s: without it: %v", field, err)
		}
		h, err := luks.Open(bytes.NewReader(image(t, func(m tree) { object(m)["x"] = 1 })), dataOffset+4096, luks.OpenOptions{})
		if err != nil {
			t.Errorf("%s: %v", field, err)
			continue
		}
		wants(t, field, p, h, []string{field})
	}
	token := image(t, func(m tree) {
		at(m, "tokens")["0"] = tree{"type": "clevis", "keyslots": []any{"0"}, "x": tree{"y": "z"}}
	})
	if _, err := accept(t, token, &policy.Policy{Version: 1}); err != nil {
		t.Errorf("a token: %v", err)
	}
}

// TestNames checks names with U+0000: cryptsetup ends a name there, so such a member replaces another
// one. The header must not open at all.
func TestNames(t *testing.T) {
	for _, change := range []func(m tree){
		func(m tree) {
			m["segments\x00"] = tree{"0": tree{"type": "linear", "offset": "1048576", "size": "dynamic"}}
		},
		func(m tree) { at(m, "segments", "0")["encryption\x00"] = "cipher_null-ecb" },
		func(m tree) { at(m, "keyslots", "0", "kdf")["iterations\x00"] = 1 },
	} {
		if h, err := accept(t, image(t, change), &policy.Policy{Version: 1}); h != nil || !errors.Is(err, luks.ErrFormat) {
			t.Errorf("%v", err)
		}
	}
}

// TestAllowed checks that what a policy allows by name conforms.
func TestAllowed(t *testing.T) {
	for name, text := range map[string]string{
		"integrity":    `{"version":1,"integrity":["none"]}`,
		"requirement":  `{"version":1,"requirements":["vendor"]}`,
		"extra digest": `{"version":1,"allow_unbound":true}`,
		"unbound":      `{"version":1,"allow_unbound":true}`,
	} {
		p, err := policy.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := accept(t, image(t, hostile[name].change), p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBehindAllowed checks that an allowed part hides no other problem, and that each problem is
// reported.
func TestBehindAllowed(t *testing.T) {
	iv := func(m tree) { at(m, "segments", "0")["iv_tweak"] = "8" }
	for text, c := range map[string]struct {
		names  []string // of hostile
		change func(m tree)
		fields []string
	}{
		`"integrity":["none"]`:                           {[]string{"integrity"}, iv, []string{"segments.0.iv_tweak"}},
		`"requirements":["vendor"]`:                      {[]string{"requirement"}, iv, []string{"segments.0.iv_tweak"}},
		`"requirements":["vendor"],"integrity":["none"]`: {[]string{"requirement", "integrity"}, iv, []string{"segments.0.iv_tweak"}},
		`"requirements":["vendor"],"allow_unbound":true`: {[]string{"requirement", "unbound"}, func(m tree) {
			iv(m)
			at(m, "segments", "0")["sector_size"] = 1536
			at(m, "keyslots", "0")["priority"] = 7
			at(m, "keyslots", "0", "area")["encryption"] = "cipher_null-ecb"
			at(m, "keyslots", "1", "kdf")["iterations"] = 0
			at(m, "keyslots", "1", "kdf")["salt"] = ""
			at(m, "digests", "0")["type"] = "vendor"
		}, []string{"keyslots.0.area.encryption", "keyslots.0.priority", "keyslots.1.kdf.salt", "keyslots.1.kdf.iterations", "segments.0.sector_size", "segments.0.iv_tweak",
			"digests.0.type"}},
	} {
		p, err := policy.Parse([]byte(`{"version":1,` + text + `}`))
		if err != nil {
			t.Fatal(err)
		}
		img := image(t, func(m tree) {
			for _, name := range c.names {
				hostile[name].change(m)
			}
			c.change(m)
		})
		h, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{AllowNullCipher: true})
		if err != nil {
			t.Fatal(err)
		}
		wants(t, text, p, h, c.fields)
	}
}

// TestRules checks each rule with a header that just violates it.
func TestRules(t *testing.T) {
	plain := func(tree) {}
	token := func(kinds ...string) func(m tree) {
		return func(m tree) {
			for n, k := range kinds {
				at(m, "tokens")[string(rune('0'+n))] = tree{"type": k, "keyslots": []any{}}
			}
		}
	}
	argon := func(m tree) {
		k := at(m, "keyslots", "0", "kdf")
		at(m, "keyslots", "0")["kdf"] = tree{"type": "argon2id", "salt": k["salt"], "time": 4, "memory": 65536, "cpus": 4}
	}
	for text, c := range map[string]struct {
		change func(m tree)
		fields string
	}{
		`"luks_versions":[1]`:   {plain, "version"},
		`"luks_versions":[1,2]`: {plain, ""},
		`"luks_versions":[]`:    {plain, "version"},
		`"ciphers":[]`:          {plain, "segments.0.encryption keyslots.0.area.encryption"},
		`"ciphers":[],"keyslot_ciphers":["AES-xts-plain64"]`: {plain, "segments.0.encryption"},
		`"key_bits":[256]`:                            {plain, "keyslots.0.key_size keyslots.0.area.key_size"},
		`"sector_sizes":[4096]`:                       {plain, "segments.0.sector_size"},
		`"hashes":["sha512"]`:                         {plain, "keyslots.0.af.hash keyslots.0.kdf.hash digests.0.hash"},
		`"digest_iterations":{"min":1001}`:            {plain, "digests.0.iterations"},
		`"digest_iterations":{"min":1000,"max":1000}`: {plain, ""},
		`"digest_iterations":{"max":999}`:             {plain, "digests.0.iterations"},
		`"kdfs":[]`:                                   {plain, "keyslots.0.kdf.type"},
		`"kdfs":[{"type":"pbkdf2"}]`:                  {plain, ""},
		`"kdfs":[{"type":"argon2id"},{"type":"pbkdf2","iterations":{"min":1001}}]`: {plain, "keyslots.0.kdf.iterations"},
		`"kdfs":[{"type":"pbkdf2","iterations":{"min":1001}},{"type":"pbkdf2"}]`:   {plain, ""},
		`"kdfs":[{"type":"pbkdf2","hashes":["sha1"]}]`:                             {plain, "keyslots.0.kdf.hash"},
		`"kdfs":[{"type":"argon2id","iterations":{"min":5},"memory_kib":{"min":65537},"parallel":{"max":3}}]`: {argon,
			"keyslots.0.kdf.iterations keyslots.0.kdf.memory_kib keyslots.0.kdf.parallel"},
		`"kdfs":[{"type":"argon2id","iterations":{"min":4},"memory_kib":{"min":65536},"parallel":{"max":4}}]`: {argon, ""},
		`"keyslots":{"min":2}`:                            {plain, "keyslots"},
		`"keyslots":{"min":1,"max":1}`:                    {plain, ""},
		`"keyslots":{"max":0}`:                            {plain, "keyslots"},
		`"tokens":{"count":{"max":1}}`:                    {token("a", "b"), "tokens"},
		`"tokens":{"allowed":["a"]}`:                      {token("a", "b"), "tokens.1.type"},
		`"tokens":{"allowed":[]}`:                         {token("a"), "tokens.0.type"},
		`"tokens":{"required":["a"]}`:                     {token("b"), "tokens"},
		`"tokens":{"allowed":["a","b"],"required":["a"]}`: {token("b", "a"), ""},
		`"flags":{"required":["allow-discards"]}`:         {plain, "config.flags"},
		`"flags":{"allowed":[]}`:                          {func(m tree) { at(m, "config")["flags"] = []any{"allow-discards"} }, "config.flags.0"},
		`"uuid":"x"`:                                      {plain, "uuid"},
		`"label":"x","subsystem":"y"`:                     {plain, "label subsystem"},
		`"label":"","subsystem":""`:                       {plain, ""},
	} {
		p, err := policy.Parse([]byte(`{"version":1,` + text + `}`))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		img := image(t, c.change)
		h, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		wants(t, text, p, h, strings.Fields(c.fields))
	}
}

// TestCopies checks that both copies of a LUKS2 header are checked, because other software can use the
// other one.
func TestCopies(t *testing.T) {
	for name, damage := range map[string]func(img []byte){
		"damaged primary":   func(img []byte) { img[4100] ^= 1 },
		"damaged secondary": func(img []byte) { img[hdrSize+4100] ^= 1 },
		"another secondary": func(img []byte) {
			editCopy(t, img, hdrSize, func(m tree) { at(m, "segments", "0")["encryption"] = "cipher_null-ecb" })
		},
	} {
		img := image(t, func(tree) {})
		damage(img)
		if _, err := accept(t, img, &policy.Policy{Version: 1}); err == nil || !strings.Contains(err.Error(), "header copy") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := accept(t, img, &policy.Policy{Version: 1, AllowUnfitCopy: true}); err != nil {
			t.Errorf("%s: allowed: %v", name, err)
		}
	}
}

// TestCryptsetup checks images that cryptsetup made.
func TestCryptsetup(t *testing.T) {
	interop.Need(t, "cryptsetup")
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("a passphrase"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args        []string
		cloud, fips string
	}{
		"pbkdf2":   {[]string{"--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}, "", ""},
		"luks1":    {[]string{"--type", "luks1", "--pbkdf-force-iterations", "1000"}, "", ""},
		"argon2id": {[]string{"--type", "luks2", "--pbkdf", "argon2id", "--pbkdf-force-iterations", "4", "--pbkdf-memory", "65536"}, "", "keyslots.0.kdf.type"},
		"old": {[]string{"--type", "luks1", "--cipher", "aes-cbc-essiv:sha256", "--hash", "sha1", "--pbkdf-force-iterations", "1000"},
			"cipher-name, cipher-mode hash-spec hash-spec hash-spec", "cipher-name, cipher-mode hash-spec hash-spec hash-spec"},
	} {
		img := filepath.Join(dir, name)
		if err := os.WriteFile(img, make([]byte, 20<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		interop.Must(t, "cryptsetup", append(append([]string{"luksFormat", "-q"}, c.args...), img, key)...)
		f, err := os.Open(img)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		h, err := luks.Open(f, 20<<20, luks.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for which, fields := range map[string]string{"cloud": c.cloud, "fips": c.fips} {
			p, _ := policy.Builtin(which)
			got := ""
			for _, v := range p.Check(h.Info()) {
				got += v.Field + " "
			}
			if strings.TrimSpace(got) != fields {
				t.Errorf("%s, %s: %s, want %s", name, which, got, fields)
			}
		}
	}
}
