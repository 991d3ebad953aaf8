package clevis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/clevis"
	"github.com/luksimg/luksimg/clevis/tang"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/internal/rest"
)

// once is a client that makes one attempt.
var once = &tang.Client{Retry: rest.Retry{Attempts: 1}}

func yes(context.Context, string, []string) error { return nil }

// encrypt makes a binding from the configuration of a pin.
func encrypt(t *testing.T, pin, config, secret string) ([]byte, error) {
	t.Helper()
	p, err := clevis.ParsePolicy(pin, []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return clevis.Encrypt(context.Background(), p, []byte(secret), once, yes)
}

// TestClevis checks that each side opens the bindings of the other, for each kind of policy.
func TestClevis(t *testing.T) {
	need.Program(t, "clevis", "jose")
	a, b := need.NewTang(t), need.NewTang(t)
	one := fmt.Sprintf(`{"url":%q}`, a.URL)
	for _, c := range []struct{ pin, config string }{
		{"tang", one},
		{"tang", fmt.Sprintf(`{"url":%q,"thp":%q}`, a.URL, a.Thumbprint("S256"))},
		{"tang", fmt.Sprintf(`{"url":%q,"thp":%q}`, a.URL, a.Thumbprint("S1"))},
		{"tang", fmt.Sprintf(`{"url":%q,"adv":%s}`, a.URL, advertisement(t, a))},
		{"sss", fmt.Sprintf(`{"t":1,"pins":{"tang":[%s]}}`, one)},
		{"sss", fmt.Sprintf(`{"t":1,"pins":{"tang":%s}}`, one)},
		{"sss", fmt.Sprintf(`{"t":2,"pins":{"tang":[%s,{"url":%q}]}}`, one, b.URL)},
		{"sss", fmt.Sprintf(`{"t":2,"pins":{"tang":[%[1]s,%[1]s],"sss":{"t":1,"pins":{"tang":%[1]s}}}}`, one)},
		{"sss", fmt.Sprintf(`{"t":3,"pins":{"tang":[%[1]s,%[1]s,%[1]s]}}`, one)},
	} {
		t.Run(c.pin+" "+c.config[:min(40, len(c.config))], func(t *testing.T) {
			const secret = "a secret of some bytes\x00\xff\n"
			theirs := need.Input(t, "", secret, "clevis", "encrypt", c.pin, c.config, "-y")
			got, err := clevis.Decrypt(context.Background(), []byte(theirs), once)
			if err != nil || string(got) != secret {
				t.Errorf("theirs: %q, %v", got, err)
			}
			ours, err := encrypt(t, c.pin, c.config, secret)
			if err != nil {
				t.Fatal(err)
			}
			if got := need.Input(t, "", string(ours), "clevis", "decrypt"); got != secret {
				t.Errorf("ours: %q", got)
			}
			if got, err := clevis.Decrypt(context.Background(), ours, once); err != nil || string(got) != secret {
				t.Errorf("ours, here: %q, %v", got, err)
			}
			for _, text := range [][]byte{[]byte(theirs), ours} {
				i, err := clevis.Inspect(text)
				if err != nil || i.Pin != c.pin || i.Servers()[0] != a.URL && i.Servers()[0] != b.URL {
					t.Errorf("%v, %v", i, err)
				}
			}
		})
	}
}

func advertisement(t *testing.T, s *need.Tang) []byte {
	t.Helper()
	text, err := once.Advertisement(context.Background(), s.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestCurves uses servers whose keys are on other curves.
func TestCurves(t *testing.T) {
	need.Program(t, "clevis")
	for _, c := range []struct{ sign, crv string }{{"ES256", "P-256"}, {"ES384", "P-384"}} {
		s := need.NewTang(t)
		s.Replace(fmt.Sprintf(`{"alg":%q}`, c.sign), fmt.Sprintf(`{"alg":"ECMR","crv":%q}`, c.crv))
		config := fmt.Sprintf(`{"url":%q}`, s.URL)
		ours, err := encrypt(t, "tang", config, "secret")
		if err != nil {
			t.Fatal(c, err)
		}
		if got := need.Input(t, "", string(ours), "clevis", "decrypt"); got != "secret" {
			t.Errorf("%v: %q", c, got)
		}
		theirs := need.Input(t, "", "secret", "clevis", "encrypt", "tang", config, "-y")
		if got, err := clevis.Decrypt(context.Background(), []byte(theirs), once); err != nil || string(got) != "secret" {
			t.Errorf("%v: %q, %v", c, got, err)
		}
	}
}

// TestServers uses servers whose keys were rotated or removed, other servers, and servers that are down.
func TestServers(t *testing.T) {
	ctx := context.Background()
	a, b := need.NewTang(t), need.NewTang(t)
	config := func(s *need.Tang, thumbprint string) string {
		return fmt.Sprintf(`{"url":%q,"thp":%q}`, s.URL, thumbprint)
	}
	old := a.Thumbprint("S256")
	binding, err := encrypt(t, "tang", config(a, old), "secret")
	if err != nil {
		t.Fatal(err)
	}
	share := fmt.Sprintf(`{"t":1,"pins":{"tang":[{"url":%q},{"url":%q}]}}`, a.URL, b.URL)
	either, err := encrypt(t, "sss", share, "secret")
	if err != nil {
		t.Fatal(err)
	}
	both, err := encrypt(t, "sss", strings.Replace(share, "1", "2", 1), "secret")
	if err != nil {
		t.Fatal(err)
	}

	if _, err := encrypt(t, "tang", config(a, b.Thumbprint("S256")), "x"); !errors.Is(err, tang.ErrNoKey) || !rest.Refused(err) || !strings.Contains(rest.Hint(err), "thumbprint") {
		t.Errorf("the thumbprint of another server: %v", err)
	}
	p, err := clevis.Tang(a.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clevis.Encrypt(ctx, p, []byte("x"), once, nil); !errors.Is(err, clevis.ErrTrust) || rest.Hint(err) == "" {
		t.Errorf("without a trusted key: %v", err)
	}
	var shown []string
	no := errors.New("no")
	_, err = clevis.Encrypt(ctx, p, []byte("x"), once, func(_ context.Context, url string, prints []string) error {
		shown = append(prints, url)
		return no
	})
	if !errors.Is(err, no) || strings.Join(shown, " ") != old+" "+a.URL {
		t.Errorf("the user refuses: %v, asked about %q", err, shown)
	}

	a.Rotate()
	if got, err := clevis.Decrypt(ctx, binding, once); err != nil || string(got) != "secret" {
		t.Errorf("a rotated key: %q, %v", got, err)
	}
	// The old key signs the advertisement but is not in it.
	if _, err := encrypt(t, "tang", config(a, old), "x"); !errors.Is(err, clevis.ErrThumbprint) || rest.Hint(err) == "" {
		t.Errorf("the thumbprint of a rotated key: %v", err)
	}
	a.Forget()
	if _, err := clevis.Decrypt(ctx, binding, once); !errors.Is(err, tang.ErrNoKey) || !rest.Refused(err) || !strings.Contains(rest.Hint(err), "removed from the server") {
		t.Errorf("a removed key: %v", err)
	}
	if got, err := clevis.Decrypt(ctx, either, once); err != nil || string(got) != "secret" {
		t.Errorf("one of two: %q, %v", got, err)
	}
	if _, err := clevis.Decrypt(ctx, both, once); !errors.Is(err, clevis.ErrThreshold) || !errors.Is(err, tang.ErrNoKey) {
		t.Errorf("two of two: %v", err)
	}

	b.Stop()
	if _, err := encrypt(t, "tang", fmt.Sprintf(`{"url":%q}`, b.URL), "x"); err == nil || rest.Refused(err) || !rest.Temporary(err) || rest.Hint(err) == "" {
		t.Errorf("a server that does not run: %v", err)
	}
	if _, err := clevis.Decrypt(ctx, either, once); !errors.Is(err, clevis.ErrThreshold) {
		t.Errorf("none of two: %v", err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	for _, text := range [][]byte{binding, either} {
		if _, err := clevis.Decrypt(done, text, once); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
}
