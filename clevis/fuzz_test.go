package clevis

import (
	"bytes"
	"context"
	"errors"
	"testing"
)

// FuzzDecrypt checks that Decrypt does not panic, that its work is bounded, and that it refuses what Inspect refuses.
func FuzzDecrypt(f *testing.F) {
	s := goldenServer(f)
	tang := bind(f, s, "tang", oneServer, "x")
	for _, seed := range [][]byte{
		golden(f, "tang.jwe"), golden(f, "sss.jwe"), tang, bind(f, s, "sss", `{"t":1,"pins":{"tang":[`+oneServer+`,`+oneServer+`]}}`, "x"),
		change(f, tang, func(h map[string]any) { h["clevis"] = map[string]any{"pin": "null", "null": map[string]any{}} }),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		i, err := Inspect(text)
		if err == nil {
			_, _ = i.String(), i.Servers()
			token, err := Token(text)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := FromToken(token); err != nil || !bytes.Equal(again, bytes.TrimSpace(text)) {
				t.Fatalf("%q, %v", again, err)
			}
		}
		_, err2 := Decrypt(context.Background(), text, s)
		if err != nil && err2 == nil {
			t.Fatalf("it opens, but Inspect fails: %v", err)
		}
	})
}

// FuzzHeader varies the protected header, which holds most of a binding.
func FuzzHeader(f *testing.F) {
	s := newServer(f, "P-256")
	for _, b := range [][]byte{golden(f, "tang.jwe"), golden(f, "sss.jwe"), bind(f, s, "tang", oneServer, "x"), bind(f, s, "sss", `{"t":1,"pins":{"tang":`+oneServer+`}}`, "x")} {
		j, err := parseCompact(b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(j.header)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		b := b64.AppendEncode(nil, text)
		b = append(b, "..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA"...)
		if got, err := Decrypt(context.Background(), b, s); err == nil {
			t.Fatalf("it opens: %q", got)
		}
	})
}

// FuzzAdvertisement checks that an accepted advertisement has all fields that the package uses.
func FuzzAdvertisement(f *testing.F) {
	for _, name := range []string{"P-256", "P-521"} {
		text, err := newServer(f, name).Advertisement(context.Background(), "", "")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add(golden(f, "adv.jws"))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := parseAdvertisement(text)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) {
				t.Fatal(err)
			}
			return
		}
		if _, err := a.derive.point(); err != nil || len(a.verify) == 0 || compact(a.set) == nil {
			t.Fatalf("%+v, %v", a, err)
		}
	})
}

// FuzzPolicy parses configurations.
func FuzzPolicy(f *testing.F) {
	f.Add("tang", []byte(`{"url":"http://a","thp":"x","adv":{"payload":"","signatures":[]}}`))
	f.Add("sss", []byte(`{"t":1,"pins":{"tang":[{"url":"http://a"}],"sss":{"t":1,"pins":{"tang":{"url":"http://b"}}}}}`))
	f.Fuzz(func(t *testing.T, pin string, text []byte) {
		if p, err := ParsePolicy(pin, text); err == nil && p.check() != nil {
			t.Fatalf("%+v", p)
		}
	})
}

// FuzzToken parses tokens.
func FuzzToken(f *testing.F) {
	s := newServer(f, "P-256")
	token, err := Token(bind(f, s, "tang", oneServer, "x"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add(golden(f, "token.json"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := FromToken(text)
		if err != nil {
			return
		}
		if _, err := parseCompact(b); err != nil {
			t.Fatal(err)
		}
	})
}
