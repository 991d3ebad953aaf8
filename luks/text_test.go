package luks_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/luks"
)

// objectsJSON are the paths of all kinds of objects in metadata with one token.
var objectsJSON = []string{
	"", "keyslots", "keyslots.0", "keyslots.0.kdf", "keyslots.0.af", "keyslots.0.area", "segments", "segments.0", "digests", "digests.0",
	"tokens", "tokens.0", "tokens.0.deep", "config", "config.requirements",
}

// textMetadata returns the metadata of an image with all kinds of objects, to be changed.
func textMetadata(t *testing.T, img []byte) tree {
	m := getJSON(t, img)
	at(m, "tokens")["0"] = tree{"type": "x", "keyslots": []any{}, "deep": tree{}}
	at(m, "config")["requirements"] = tree{"mandatory": []any{}}
	return m
}

// TestRefuseText puts text that cryptsetup interprets differently into metadata: cryptsetup ends a name
// at U+0000, so it uses "segments\u0000" in place of "segments". Such a header must be refused wherever
// the text is, and the error must name the place.
func TestRefuseText(t *testing.T) {
	img := write(t, random(1, 512), luks.Options{KDF: cheap, DataOffset: 1 << 20})
	good, err := json.Marshal(textMetadata(t, img))
	if err != nil {
		t.Fatal(err)
	}
	if open(t, setJSON(t, img, good)).Info().Refused != "" {
		t.Fatal("the unchanged metadata are refused")
	}
	for _, path := range objectsJSON {
		names := []string{"x"}
		for name := range at(textMetadata(t, img), path) {
			names = append(names, name)
		}
		for _, name := range names {
			for _, c := range []struct {
				name, json, want string
				inner            string // path of the invalid text in the object
			}{
				{name + "\x00", `%q:"y"`, "U+0000", ""},
				{name + "\x00x", `%q:{}`, "U+0000", ""},
				{"\x00" + name, `%q:0`, "U+0000", ""},
				{name + "x", `%q:"\u0000"`, "U+0000", name + "x"},
				{name + "x", `%q:[["a","b\u0000c"]]`, "U+0000", name + "x"},
				{name + "x", `%q:{"a":{"b":"\u0000"}}`, "U+0000", name + "x.a.b"},
				{name + "x", "%q:\"\xff\"", "UTF-8", ""},
				{name + "x", "%q:\"\xed\xa0\x80\"", "UTF-8", ""},
				{name + "x", "%q:{\"y\xc0\x80\":1}", "UTF-8", ""},
			} {
				m := textMetadata(t, img)
				at(m, path)["MARK"] = 0
				text, err := json.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				quoted, _ := json.Marshal(c.name)
				member := strings.Replace(c.json, "%q", string(quoted), 1)
				text = bytes.Replace(text, []byte(`"MARK":0`), []byte(member), 1)
				what := fmt.Sprintf("%s: %s", path, member)
				b := setJSON(t, img, text)
				h, err := luks.Open(bytes.NewReader(b), int64(len(b)), luks.OpenOptions{})
				f := new(luks.FormatError)
				if h != nil || !errors.As(err, &f) || !strings.Contains(f.Want, c.want) {
					t.Errorf("%s: %v", what, err)
					continue
				}
				start := int64(4096 + bytes.Index(text, []byte(member)))
				if f.Offset < start || f.Offset > start+int64(len(member)) {
					t.Errorf("%s: offset %d, want from %d to %d", what, f.Offset, start, start+int64(len(member)))
				}
				field := strings.Trim(path+"."+c.inner, ".")
				if field == "" || c.want == "UTF-8" {
					field = "json"
				}
				if f.Field != field {
					t.Errorf("%s: field %q, want %q", what, f.Field, field)
				}
				if _, err := luks.Edit(&journal{b: b}, int64(len(b)), luks.OpenOptions{}); !errors.Is(err, luks.ErrFormat) {
					t.Errorf("%s: Edit: %v", what, err)
				}
			}
		}
	}
}

// TestTokenText checks that no token with such text is written.
func TestTokenText(t *testing.T) {
	for _, token := range []string{`{"type":"x","keyslots":[],"type\u0000":"y"}`, `{"type":"x\u0000","keyslots":[]}`, "{\"type\":\"\xff\",\"keyslots\":[]}"} {
		j := &journal{b: write(t, nil, luks.Options{KDF: cheap, DataOffset: 1 << 20})}
		before := bytes.Clone(j.b)
		e, err := luks.Edit(j, int64(len(j.b)), luks.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.AddToken([]byte(token), luks.AnyToken); err == nil || !bytes.Equal(j.b, before) {
			t.Errorf("%q: %v", token, err)
		}
	}
}

// TestUnknownMembers checks that unknown members are reported wherever they are, except in tokens, and
// that nothing is refused because of them.
func TestUnknownMembers(t *testing.T) {
	img := write(t, random(1, 512), luks.Options{KDF: cheap, DataOffset: 1 << 20})
	for _, path := range objectsJSON {
		m := textMetadata(t, img)
		at(m, path)["z"] = []any{"text"}
		if !strings.HasPrefix(path, "tokens") && strings.HasSuffix(path, "s") && !strings.HasSuffix(path, "requirements") || path == "tokens" {
			continue // their members are numbers
		}
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		i := open(t, setJSON(t, img, text)).Info()
		got := fmt.Sprint(i.Unknown)
		want := fmt.Sprintf(`[{%s ["text"]}]`, strings.Trim(path+".z", "."))
		if strings.HasPrefix(path, "tokens") {
			want = "[]"
		}
		if got != want || i.Refused != "" || len(i.Warnings) != 0 {
			t.Errorf("%s: %s, want %s; refused %q, warnings %q", path, got, want, i.Refused, i.Warnings)
		}
	}
	// A long name is shortened, and the number of reported members is limited.
	m := getJSON(t, img)
	for n := range 100 {
		at(m, "config")[strings.Repeat("z", 60+n%10)+fmt.Sprint(n)] = n
	}
	text, _ := json.Marshal(m)
	i := open(t, setJSON(t, img, text)).Info()
	if len(i.Unknown) != 32 || len(i.Unknown[31].Field) > 80 {
		t.Errorf("%d: %+v", len(i.Unknown), i.Unknown)
	}
}
