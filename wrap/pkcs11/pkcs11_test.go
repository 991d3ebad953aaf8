package pkcs11_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/kmsuri"
	"github.com/luksimg/luksimg/wrap/pkcs11"
)

const secret = "pin-4711-secret"

var plaintext = []byte("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")

// client returns a client whose requests run answers.
func client(t *testing.T, run func(request []byte) ([]byte, error)) *pkcs11.Client {
	t.Helper()
	c, err := pkcs11.New(pkcs11.Options{
		Key: kmsuri.Token{Attributes: map[string]string{"token": "a b", "object": "images", "id": "\x01\xff"}, ModulePath: "/m.so"},
		PIN: []byte(secret),
		Run: func(_ context.Context, request []byte) ([]byte, error) { return run(bytes.Clone(request)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRequests checks the requests to luksimg-pkcs11 and the parsing of its answers.
func TestRequests(t *testing.T) {
	var asked []map[string]any
	c := client(t, func(request []byte) ([]byte, error) {
		var q map[string]any
		if err := json.Unmarshal(request, &q); err != nil {
			t.Error(err)
		}
		asked = append(asked, q)
		// A module can print lines before the answer.
		return []byte("hello from a module" + "\n" + `{"version":1,"token":"a b","object":"images","id":"01ff","type":"secret-key","mechanism":"aes-kwp","data":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}` + "\n"), nil
	})
	root, err := c.Find(t.Context())
	if err != nil || root.KMS != "pkcs11:token=a%20b;object=images;id=%01%FF;type=secret-key" {
		t.Fatalf("%v, %v", root, err)
	}
	wdek, err := root.Wrap(t.Context(), plaintext)
	if err != nil || wdek != "pkcs11:aes-kwp:"+string(plaintext) {
		t.Fatalf("%q, %v", wdek, err)
	}
	back, err := root.Unwrap(t.Context(), wdek)
	if err != nil || !bytes.Equal(back.Plaintext, plaintext) || back.Rewrapped != "" {
		t.Errorf("%v, %v", back, err)
	}
	pin := base64.StdEncoding.EncodeToString([]byte(secret))
	for i, want := range []string{"find", "wrap", "unwrap"} {
		q := asked[i]
		if q["operation"] != want || q["version"] != 1. || q["module_path"] != "/m.so" || q["pin"] != pin ||
			fmt.Sprint(q["attributes"]) != "map[id:01ff object:images token:a b]" || (want == "unwrap") != (q["mechanism"] == "aes-kwp") || (want == "find") != (q["data"] == nil) {
			t.Errorf("%s: %v", want, q)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v %v", c, c, c, root); strings.Contains(s, secret) {
		t.Errorf("the PIN is in %s", s)
	}
	if _, err := c.As("object=images?module-path=/evil.so"); !errors.Is(err, kmsuri.ErrURI) {
		t.Errorf("a name with a module: %v", err)
	}
}

// TestFaults checks the error and the hint for each class of faults.
func TestFaults(t *testing.T) {
	for class, want := range map[string]struct {
		err, also          error
		refused, temporary bool
	}{
		"module":     {pkcs11.ErrModule, nil, false, true},
		"token":      {wrap.ErrUnavailable, nil, false, true},
		"pin-needed": {wrap.ErrAuth, pkcs11.ErrNoPIN, true, false},
		"pin":        {wrap.ErrAuth, pkcs11.ErrPIN, true, false},
		"pin-locked": {wrap.ErrAuth, pkcs11.ErrPIN, true, false},
		"key":        {wrap.ErrNotFound, nil, true, false},
		"mechanism":  {wrap.ErrKeyState, nil, true, false},
		"denied":     {wrap.ErrDenied, nil, true, false},
		"data":       {wrap.ErrWDEK, nil, true, false},
		"device":     {wrap.ErrUnavailable, nil, false, true},
		"request":    {wrap.ErrUnavailable, nil, false, true},
		"other":      {wrap.ErrUnavailable, nil, false, true},
	} {
		n := 0
		c := client(t, func([]byte) ([]byte, error) {
			n++
			return fmt.Appendf(nil, `{"version":1,"error":{"class":%q,"code":"CKR_X","message":"bad \u001b[31m words"}}`, class), nil
		})
		_, err := c.Wrap(t.Context(), plaintext)
		_, err2 := c.Unwrap(t.Context(), "pkcs11:aes-kwp:AAAA")
		_, err3 := c.Find(t.Context())
		if n != 3 {
			t.Errorf("%s: asked %d times", class, n)
		}
		for _, err := range []error{err, err2, err3} {
			if !errors.As(err, new(*pkcs11.Error)) || !errors.Is(err, want.err) || want.also != nil && !errors.Is(err, want.also) ||
				rest.Refused(err) != want.refused || class != "module" && rest.Temporary(err) != want.temporary || rest.Hint(err) == "" || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%s: %v, refused %v, temporary %v, hint %q", class, err, rest.Refused(err), rest.Temporary(err), rest.Hint(err))
			}
		}
	}
}

// TestNoKeyAnswer checks that an answer without a name is not taken for a key in a bad state.
func TestNoKeyAnswer(t *testing.T) {
	for out, want := range map[string]error{
		`{"version":1}`:                                 wrap.ErrUnavailable,
		`{"version":1,"mechanism":"x"}`:                 wrap.ErrUnavailable,
		`{"version":1,"token":"t","type":"secret-key"}`: wrap.ErrKeyState,
	} {
		c := client(t, func([]byte) ([]byte, error) { return []byte(out), nil })
		if _, err := c.Find(t.Context()); !errors.Is(err, want) || errors.Is(want, wrap.ErrUnavailable) != errors.Is(err, rest.ErrAnswer) {
			t.Errorf("%s: %v, want %v", out, err, want)
		}
	}
}

// TestOddAnswers checks that invalid answers are refused, and that no error holds the PIN.
func TestOddAnswers(t *testing.T) {
	for _, out := range []string{
		"", "\n", "Segmentation fault", "{}", "[]", `{"version":2,"data":"AAAA"}`, `{"version":1}`, `{"version":1,"mechanism":"aes-kwp"}`,
		`{"version":1,"mechanism":"A B","data":"AAAA"}`, `{"version":1,"data":"AAAA"}`, `{"version":1,"mechanism":"x","data":"` + strings.Repeat("AAAA", 5000) + `"}`,
		`{"version":1,"mechanism":"aes-kwp","data":"A"}`, `{"version":1,"id":"x"}`, `{"version":1,"mechanism":"aes-kwp","data":"AAAA"}` + "\nbye",
	} {
		c := client(t, func([]byte) ([]byte, error) { return []byte(out), nil })
		_, err := c.Wrap(t.Context(), plaintext)
		_, err2 := c.Find(t.Context())
		for _, err := range []error{err, err2} {
			if err == nil || strings.Contains(err.Error(), secret) || rest.Hint(err) == "" {
				t.Errorf("%.60q: %v", out, err)
			}
		}
	}
	c := client(t, func([]byte) ([]byte, error) { return []byte(`{"version":1}`), nil })
	if back, err := c.Unwrap(t.Context(), "pkcs11:aes-kwp:AAAA"); !errors.Is(err, wrap.ErrUnavailable) {
		t.Errorf("%v, %v", back, err)
	}
	c = client(t, func([]byte) ([]byte, error) { return nil, errors.New("it does not start") })
	if _, err := c.Wrap(t.Context(), plaintext); err == nil || !strings.Contains(err.Error(), "it does not start") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c = client(t, func([]byte) ([]byte, error) { cancel(); return nil, errors.New("killed") })
	if _, err := c.Wrap(ctx, plaintext); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestInput checks that invalid input starts no program.
func TestInput(t *testing.T) {
	c := client(t, func([]byte) ([]byte, error) { t.Error("asked"); return nil, nil })
	for _, bad := range [][]byte{nil, []byte("a\nb"), []byte("x"), []byte("AA=="[:3]), bytes.Repeat([]byte("AAAA"), 4000)} {
		if _, err := c.Wrap(t.Context(), bad); !errors.Is(err, wrap.ErrKey) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	for _, wdek := range []string{"", "AAAA", "pkcs11:AAAA", "pkcs11:aes-kwp:", "pkcs11::AAAA", "pkcs11:aes-kwp:x y", "pkcs11:a b:AAAA", "vault:v1:AAAA", "pkcs11:aes-kwp:" + strings.Repeat("AAAA", 5000)} {
		if _, err := c.Unwrap(t.Context(), wdek); !errors.Is(err, wrap.ErrWDEK) {
			t.Errorf("%.20q: %v", wdek, err)
		}
	}
	if _, err := pkcs11.New(pkcs11.Options{Run: func(context.Context, []byte) ([]byte, error) { return nil, nil }}); err == nil || rest.Hint(err) == "" {
		t.Errorf("no module: %v", err)
	}
	if _, err := pkcs11.New(pkcs11.Options{Key: kmsuri.Token{ModuleName: "x"}}); err == nil {
		t.Error("accepted a nil Run")
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"", `{"version":1,"mechanism":"aes-kwp","data":"AAAA"}`, "x\n{\"version\":1,\"error\":{\"class\":\"pin\"}}\n", `{"version":1,"token":"t","object":"o","id":"01","type":"private"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		c := client(t, func([]byte) ([]byte, error) { return out, nil })
		if wdek, err := c.Wrap(t.Context(), plaintext); err == nil {
			if back, err := c.Unwrap(t.Context(), wdek); err == nil && len(back.Plaintext) == 0 {
				t.Fatalf("%q unwraps to nothing", wdek)
			}
		}
		if root, err := c.Find(t.Context()); err == nil {
			if _, err := kmsuri.Of(&wrap.Envelope{KMS: root.KMS}); err != nil {
				t.Fatalf("%q: %v", root.KMS, err)
			}
		}
	})
}
