package policy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/luks/policy"
)

// TestParseRefuses checks that a typo never makes a policy weaker.
func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                         "EOF",
		`[]`:                        "the policy is an array, want an object",
		`null`:                      "null",
		`{}`:                        "version",
		`{"version":2}`:             "version is 2",
		`{"version":1} x`:           "text after",
		`{"version":1}{}`:           "text after",
		`{"version":1,"cipher":[]}`: "unknown field",
		`{"version":1,"Ciphers":["aes-xts-plain64"]}`:                             "lower case",
		`{"version":1,"ciphers":["a"],"ciphers":["b"]}`:                           "twice",
		`{"version":1,"keyslots":{"min":1,"min":0}}`:                              "twice",
		`{"version":1,"keyslots":null}`:                                           "null",
		`{"version":1,"keyslots":{"min":2,"max":1}}`:                              "less than min",
		`{"version":1,"keyslots":{"min":-1}}`:                                     "keyslots.min is -1, want a whole number from 0 on",
		`{"version":"1"}`:                                                         `version is "1", want a whole number`,
		`{"version":1.5}`:                                                         "version is 1.5, want a whole number",
		`{"version":1,"ciphers":"aes"}`:                                           `ciphers is "aes", want an array`,
		`{"version":1,"ciphers":[true]}`:                                          "ciphers is true, want a text",
		`{"version":1,"ciphers":{"a":1}}`:                                         "ciphers is an object, want an array",
		`{"version":1,"allow_unbound":"yes"}`:                                     `allow_unbound is "yes", want true or false`,
		`{"version":1,"kdfs":[{"type":"argon2id","memory_kib":65536}]}`:           "memory_kib is 65536, want an object",
		`{"version":1,"kdfs":[{}]}`:                                               "kdfs.0.type",
		`{"version":1,"kdfs":[{"type":"scrypt"}]}`:                                "scrypt",
		`{"version":1,"kdfs":[{"type":"pbkdf2","memory_kib":{"min":1}}]}`:         "kdfs.0",
		`{"version":1,"kdfs":[{"type":"argon2id","hashes":["sha256"]}]}`:          "kdfs.0",
		`{"version":1,"kdfs":[{"type":"argon2id","parallel":{"min":2,"max":1}}]}`: "kdfs.0.parallel",
		`{"version":1,"tokens":{"allowed":["a"],"required":["b"]}}`:               "required but not allowed",
		`{"version":1,"flags":{"allowed":[],"required":["b"]}}`:                   "required but not allowed",
		`{"version":1,"ciphers":` + strings.Repeat("[", 100) + `}`:                "nested",
		`{"version":1,"name":"` + strings.Repeat("x", 1<<20) + `"}`:               "bytes",
	} {
		p, err := policy.Parse([]byte(text))
		if p != nil || !errors.Is(err, policy.ErrPolicy) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, %v; want %q", text, p, err, want)
		}
	}
}

// TestBuiltin checks that the built-in policies are valid and strict, and accept what New makes as
// documented.
func TestBuiltin(t *testing.T) {
	for _, name := range policy.Names() {
		p, text := policy.Builtin(name)
		if p == nil || p.Name != name || p.Ciphers == nil || p.KDFs == nil || p.Hashes == nil {
			t.Fatalf("%s: %+v", name, p)
		}
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := policy.Parse(again); err != nil || len(text) == 0 || !sameJSON(t, back, p) {
			t.Errorf("%s: %s is read as %+v, %v", name, again, back, err)
		}
	}
	if p, text := policy.Builtin("x"); p != nil || text != nil {
		t.Error("Builtin returned a policy for an unknown name")
	}
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return bytes.Equal(x, y)
}

// TestDefaults checks that the defaults of New conform to cloud, and to fips if the key slot does.
func TestDefaults(t *testing.T) {
	cloud, _ := policy.Builtin("cloud")
	fips, _ := policy.Builtin("fips")
	quick := luks.KDF{Type: luks.PBKDF2, Iterations: 1000}
	for name, c := range map[string]struct {
		o           luks.Options
		cloud, fips []string // fields that violate the policy
	}{
		"LUKS1":        {luks.Options{Version: 1, KDF: quick}, nil, nil},
		"LUKS2":        {luks.Options{KDF: quick}, nil, nil},
		"Argon2":       {luks.Options{KDF: luks.KDF{Type: luks.Argon2id}}, nil, []string{"keyslots.0.kdf.type"}},
		"cheap Argon2": {luks.Options{KDF: luks.KDF{Type: luks.Argon2id, Memory: 32, Parallel: 1}}, []string{"keyslots.0.kdf.memory_kib"}, []string{"keyslots.0.kdf.type"}},
		"Argon2i":      {luks.Options{KDF: luks.KDF{Type: luks.Argon2i, Memory: 32}}, []string{"keyslots.0.kdf.type"}, []string{"keyslots.0.kdf.type"}},
		"SHA-1": {luks.Options{KDF: quick, Hash: "sha1"}, []string{"keyslots.0.af.hash", "keyslots.0.kdf.hash", "digests.0.hash"},
			[]string{"keyslots.0.af.hash", "keyslots.0.kdf.hash", "digests.0.hash"}},
		"LUKS1 SHA-1": {luks.Options{Version: 1, KDF: quick, Hash: "sha1"}, []string{"hash-spec", "hash-spec", "hash-spec"}, []string{"hash-spec", "hash-spec", "hash-spec"}},
		"CBC": {luks.Options{KDF: quick, Cipher: "aes-cbc-essiv:sha256"}, []string{"segments.0.encryption", "keyslots.0.area.encryption"},
			[]string{"segments.0.encryption", "keyslots.0.area.encryption"}},
		"LUKS1 CBC":   {luks.Options{Version: 1, KDF: quick, Cipher: "aes-cbc-essiv:sha256"}, []string{"cipher-name, cipher-mode"}, []string{"cipher-name, cipher-mode"}},
		"AES-192":     {luks.Options{KDF: quick, KeySize: 48}, []string{"keyslots.0.key_size", "keyslots.0.area.key_size"}, []string{"keyslots.0.key_size", "keyslots.0.area.key_size"}},
		"2048 bytes":  {luks.Options{KDF: quick, SectorSize: 2048}, []string{"segments.0.sector_size"}, nil},
		"flag":        {luks.Options{KDF: quick, Flags: []string{"allow-discards"}}, nil, nil},
		"no-journal":  {luks.Options{KDF: quick, Flags: []string{"no-journal"}}, []string{"config.flags.0"}, nil},
		"its token":   {luks.Options{KDF: quick, Tokens: []json.RawMessage{[]byte(`{"type":"luksimg-wdek","keyslots":["0"]}`)}}, nil, nil},
		"other token": {luks.Options{KDF: quick, Tokens: []json.RawMessage{[]byte(`{"type":"vendor","keyslots":[]}`)}}, []string{"tokens.0.type"}, nil},
	} {
		h, key, err := luks.New(t.Context(), []byte("a passphrase"), c.o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		clear(key)
		wants(t, name+", cloud", cloud, h, c.cloud)
		wants(t, name+", fips", fips, h, c.fips)
	}
}

// wants checks which fields violate a policy.
func wants(t *testing.T, name string, p *policy.Policy, h *luks.Header, fields []string) {
	t.Helper()
	err := p.Accept(h)
	var got []string
	if v := new(policy.ViolationError); errors.As(err, &v) {
		for _, f := range v.Violations {
			got = append(got, f.Field)
			if !strings.Contains(err.Error(), f.String()) || f.Want == "" {
				t.Errorf("%s: %v does not mention %+v", name, err, f)
			}
		}
	}
	if strings.Join(got, " ") != strings.Join(fields, " ") || (err == nil) != (len(fields) == 0) || err != nil && !errors.Is(err, policy.ErrViolated) {
		t.Errorf("%s: %v, want %v", name, err, fields)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range policy.Names() {
		_, text := policy.Builtin(name)
		f.Add(text)
	}
	f.Add([]byte(`{"version":1,"tokens":{"count":{"max":1},"required":["a"]},"uuid":"x","keyslots":{"min":1,"max":1}}`))
	h, key, err := luks.New(f.Context(), []byte("a passphrase"), luks.Options{KDF: luks.KDF{Type: luks.PBKDF2, Iterations: 1000}})
	if err != nil {
		f.Fatal(err)
	}
	clear(key)
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := policy.Parse(text)
		if err != nil {
			if !errors.Is(err, policy.ErrPolicy) {
				t.Error(err)
			}
			return
		}
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		back, err := policy.Parse(again)
		if err != nil || !sameJSON(t, back, p) {
			t.Fatalf("%s: %v", again, err)
		}
		if a, b := p.Accept(h), back.Accept(h); (a == nil) != (b == nil) {
			t.Errorf("%v, then %v", a, b)
		}
	})
}
