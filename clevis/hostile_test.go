package clevis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// change returns a binding with a changed protected header, which the tag no longer authenticates.
func change(t testing.TB, binding []byte, f func(h map[string]any)) []byte {
	t.Helper()
	j, err := parseCompact(binding)
	if err != nil {
		t.Fatal(err)
	}
	var h map[string]any
	if err := json.Unmarshal(j.header, &h); err != nil {
		t.Fatal(err)
	}
	f(h)
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(binding), ".")
	return []byte(b64.EncodeToString(text) + "." + rest)
}

// TestHostile checks that a malformed binding is refused before a server is asked, and that a changed one does not
// open.
func TestHostile(t *testing.T) {
	s := newServer(t, "P-256")
	tang := bind(t, s, "tang", oneServer, "x")
	sss := bind(t, s, "sss", `{"t":1,"pins":{"tang":[`+oneServer+`,`+oneServer+`]}}`, "x")
	of := func(h map[string]any, pin string) map[string]any {
		return h["clevis"].(map[string]any)[pin].(map[string]any)
	}
	deep := tang
	for range maxDepth + 1 {
		deep = change(t, sss, func(h map[string]any) { of(h, "sss")["jwe"] = []string{string(deep)} })
	}
	wide := change(t, sss, func(h map[string]any) {
		inner := change(t, sss, func(h map[string]any) {
			var all []string
			for range maxPins / 2 {
				all = append(all, string(tang))
			}
			of(h, "sss")["jwe"] = all
		})
		of(h, "sss")["jwe"] = []string{string(inner), string(inner)}
	})
	for name, text := range map[string][]byte{
		"nothing":             nil,
		"four parts":          []byte("a.b.c.d"),
		"no base64url":        []byte("a+b=..AAAAAAAAAAAAAAAA..AAAAAAAAAAAAAAAAAAAAAA"),
		"no header":           []byte("bnVsbA..AAAAAAAAAAAAAAAA..AAAAAAAAAAAAAAAAAAAAAA"),
		"a long text":         []byte(strings.Repeat("A", maxBinding+1)),
		"an encrypted key":    []byte(strings.Replace(string(tang), "..", ".AAAA.", 1)),
		"a short tag":         tang[:len(tang)-3],
		"no pin":              change(t, tang, func(h map[string]any) { delete(h, "clevis") }),
		"enc":                 change(t, tang, func(h map[string]any) { h["enc"] = "A128GCM" }),
		"zip":                 change(t, tang, func(h map[string]any) { h["zip"] = "DEF" }),
		"crit":                change(t, tang, func(h map[string]any) { h["crit"] = []string{"exp"} }),
		"alg":                 change(t, tang, func(h map[string]any) { h["alg"] = "ECDH-ES+A256KW" }),
		"no epk":              change(t, tang, func(h map[string]any) { delete(h, "epk") }),
		"no url":              change(t, tang, func(h map[string]any) { delete(of(h, "tang"), "url") }),
		"no adv":              change(t, tang, func(h map[string]any) { delete(of(h, "tang"), "adv") }),
		"kid of no key":       change(t, tang, func(h map[string]any) { h["kid"] = "AAAA" }),
		"kid with a path":     change(t, tang, func(h map[string]any) { h["kid"] = "../../etc" }),
		"t of 0":              change(t, sss, func(h map[string]any) { of(h, "sss")["t"] = 0 }),
		"t of more":           change(t, sss, func(h map[string]any) { of(h, "sss")["t"] = 3 }),
		"t of less than 0":    change(t, sss, func(h map[string]any) { of(h, "sss")["t"] = -1 }),
		"no shares":           change(t, sss, func(h map[string]any) { of(h, "sss")["jwe"] = nil }),
		"p of 0":              change(t, sss, func(h map[string]any) { of(h, "sss")["p"] = strings.Repeat("A", 43) }),
		"p that is no prime":  change(t, sss, func(h map[string]any) { of(h, "sss")["p"] = strings.Repeat("_", 42) + "8" }),
		"p that is short":     change(t, sss, func(h map[string]any) { of(h, "sss")["p"] = "Bw" }),
		"p of a million bits": change(t, sss, func(h map[string]any) { of(h, "sss")["p"] = strings.Repeat("_", 1<<18) }),
		"a share of nothing":  change(t, sss, func(h map[string]any) { of(h, "sss")["jwe"] = []string{""} }),
		"sss in sss":          deep,
		"many shares":         wide,
	} {
		s.asked.Store(0)
		got, err := Decrypt(context.Background(), text, s)
		if err == nil || !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) || s.asked.Load() != 0 {
			t.Errorf("%s: %q, %v, asked %d times", name, got, err, s.asked.Load())
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
	// A change of the header must not open, even if the key would still fit.
	for name, text := range map[string][]byte{
		"another url": change(t, tang, func(h map[string]any) { of(h, "tang")["url"] = "http://evil" }),
		"another epk": change(t, tang, func(h map[string]any) { h["epk"] = newServer(t, "P-256").public }),
		"apu":         change(t, tang, func(h map[string]any) { h["apu"] = "QWxpY2U" }),
		"a third":     change(t, sss, func(h map[string]any) { h["x"] = 1 }),
		"two of two":  change(t, sss, func(h map[string]any) { of(h, "sss")["t"] = 2 }),
		"the same share twice": change(t, sss, func(h map[string]any) {
			all := of(h, "sss")["jwe"].([]any)
			of(h, "sss")["t"], of(h, "sss")["jwe"] = 2, []any{all[0], all[0]}
		}),
	} {
		if got, err := Decrypt(context.Background(), text, s); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestForeignPins checks that unsupported pins are described but not opened, and do not prevent other pins from
// opening.
func TestForeignPins(t *testing.T) {
	s := newServer(t, "P-256")
	tpm := change(t, bind(t, s, "tang", oneServer, "x"), func(h map[string]any) {
		h["alg"], h["clevis"] = "dir", map[string]any{"pin": "tpm2", "tpm2": map[string]any{"hash": "sha256", "key": "ecc"}}
	})
	if i, err := Inspect(tpm); err != nil || i.String() != "tpm2" || len(i.Servers()) != 0 {
		t.Errorf("%v, %v", i, err)
	}
	for _, pin := range []string{"tpm2", "null", "pkcs11", "else"} {
		text := change(t, tpm, func(h map[string]any) { h["clevis"] = map[string]any{"pin": pin} })
		if _, err := Decrypt(context.Background(), text, s); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), pin) {
			t.Errorf("%s: %v", pin, err)
		}
		if _, err := ParsePolicy(pin, []byte("{}")); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", pin, err)
		}
	}
}

// nested returns a configuration of n nested sss pins, with a server in the innermost.
func nested(n int) string {
	config := oneServer
	for i := range n {
		config = fmt.Sprintf(`{"t":1,"pins":{%q:%s}}`, map[bool]string{true: "tang", false: "sss"}[i == 0], config)
	}
	return config
}

// TestDepth checks the documented limit of nested sss pins.
func TestDepth(t *testing.T) {
	const documented = 5
	s := newServer(t, "P-256")
	b := bind(t, s, "sss", nested(documented), "x")
	if got, err := Decrypt(context.Background(), b, s); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ParsePolicy("sss", []byte(nested(documented+1))); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a policy: %v", err)
	}
	deeper := change(t, b, func(h map[string]any) {
		h["clevis"].(map[string]any)["sss"].(map[string]any)["jwe"] = []string{string(b)}
	})
	if _, err := Inspect(deeper); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a binding: %v", err)
	}
}

// A crowd is a server that answers only when the largest allowed number of requests has arrived.
type crowd struct {
	*server
	now, most atomic.Int64
	once      sync.Once
	full      chan struct{}
}

func (c *crowd) Recover(ctx context.Context, url, thumbprint string, point []byte) ([]byte, error) {
	n := c.now.Add(1)
	defer c.now.Add(-1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	if n >= maxAsked {
		c.once.Do(func() { close(c.full) })
	}
	<-c.full
	return c.server.Recover(ctx, url, thumbprint, point)
}

// TestAskedAtATime checks how many servers are asked at the same time, also in nested sss pins.
func TestAskedAtATime(t *testing.T) {
	s := newServer(t, "P-256")
	many := strings.TrimSuffix(strings.Repeat(oneServer+",", 14), ",")
	binding := bind(t, s, "sss", `{"t":15,"pins":{"tang":[`+many+`],"sss":{"t":14,"pins":{"tang":[`+many+`]}}}}`, "x")
	c := &crowd{server: s, full: make(chan struct{})}
	got, err := Decrypt(context.Background(), binding, c)
	if err != nil || string(got) != "x" || c.most.Load() != maxAsked || s.asked.Load() != 28 {
		t.Errorf("%q, %v: %d at a time, %d in all", got, err, c.most.Load(), s.asked.Load())
	}
}

func TestPolicies(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(oneServer+",", maxPins), ",")
	deep := nested(maxDepth + 1)
	for _, c := range []struct{ pin, config string }{
		{"tang", ``}, {"tang", `{}`}, {"tang", `[]`}, {"tang", `{"url":"u"} x`}, {"tang", `{"url":"u","thumb":"x"}`},
		{"tang", `{"url":"u","thp":"../x"}`}, {"tang", `{"url":"u","adv":"/etc/passwd"}`}, {"tang", `{"url":"u","adv":3}`},
		{"sss", `{}`}, {"sss", `{"t":0,"pins":{"tang":` + oneServer + `}}`}, {"sss", `{"t":2,"pins":{"tang":` + oneServer + `}}`},
		{"sss", `{"t":1,"pins":{"null":{}}}`}, {"sss", `{"t":1,"pins":{"tpm2":{}}}`}, {"sss", `{"t":1,"pins":{"tang":[3]}}`},
		{"sss", `{"t":1,"pins":{"tang":[` + many + `]}}`}, {"sss", deep}, {"sss", `{"t":1,"pins":{"sss":{"t":1,"pins":{}}}}`},
	} {
		if p, err := ParsePolicy(c.pin, []byte(c.config)); err == nil || p != nil || !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s %.60s: %v", c.pin, c.config, err)
		}
	}
	if _, err := Encrypt(context.Background(), &Policy{}, nil, nil, nil); !errors.Is(err, ErrFormat) {
		t.Errorf("a nil policy: %v", err)
	}
	if _, err := Encrypt(context.Background(), oneTang(t, ""), nil, nil, nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("without an Exchanger: %v", err)
	}
}

func TestTokens(t *testing.T) {
	for _, text := range []string{
		``, `{}`, `[]`, `{"type":"clevis"}`, `{"type":"clevis","jwe":"x"}`, `{"type":"clevis","jwe":{}}`, `{"type":"other","jwe":{}}`,
		`{"type":"clevis","jwe":{"protected":"e30..AAAAAAAAAAAAAAAA..AAAAAAAAAAAAAAAAAAAAAA"}}`,
	} {
		if b, err := FromToken([]byte(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %q, %v", text, b, err)
		}
	}
	if _, err := Token([]byte("x")); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}
