package wrap_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/wrap"
)

// A keeper returns its input as the wrapped key, and unwraps it to turns or to the input.
type keeper struct {
	turns string // "" unwraps to the input
	err   error
}

func (k keeper) Wrap(_ context.Context, plaintext []byte) (string, error) {
	return "w" + string(plaintext), nil
}

func (k keeper) Unwrap(_ context.Context, wdek string) (wrap.Unwrapped, error) {
	if k.turns != "" {
		wdek = "w" + k.turns
	}
	return wrap.Unwrapped{Plaintext: []byte(wdek[1:]), Rewrapped: "newer"}, k.err
}

const (
	text    = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	imageID = "7d9f4ad6-2d0b-4b6e-9d3a-3b8c7f3f2a11"
	otherID = "7d9f4ad6-2d0b-4b6e-9d3a-3b8c7f3f2a12"
)

func sealed(t *testing.T, c wrap.Convention, material, id string) *wrap.Envelope {
	t.Helper()
	e, _, err := wrap.Seal(t.Context(), keeper{}, []byte(material), wrap.SealOptions{
		Convention: c, KMS: "local:0123456789abcdef", ImageUUID: id, Created: time.Unix(1, 0), Tool: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	return again(t, e)
}

// again writes an envelope and reads it.
func again(t *testing.T, e *wrap.Envelope) *wrap.Envelope {
	t.Helper()
	var b bytes.Buffer
	if err := e.Write(&b); err != nil {
		t.Fatal(err)
	}
	back, err := wrap.ReadEnvelope(&b)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// TestSealOpen seals and opens keys under every convention, before and after writing the envelope.
func TestSealOpen(t *testing.T) {
	for c, material := range map[wrap.Convention]string{
		wrap.None: "a short passphrase", wrap.ClassicLUKS: text, wrap.ClassicVHD: strings.Repeat("k", 32), wrap.VPCQCOW2: "abc123",
	} {
		e := sealed(t, c, material, imageID)
		o, err := wrap.Open(t.Context(), keeper{}, e)
		if err != nil || string(o.Disk) != material || o.Rewrapped != "newer" || !e.Bound() {
			t.Errorf("%s: %v, bound: %v", c, err, e.Bound())
			continue
		}
		if j, err := json.Marshal(o); err == nil || bytes.Contains(j, []byte(material)) {
			t.Errorf("%s: %s", c, j)
		}
		o.Clear()
		if strings.Contains(string(o.Disk), material[:4]) {
			t.Errorf("%s: not wiped", c)
		}
	}
}

// TestSealChecks checks that Seal unwraps and compares the wrapped key, and that it accepts only ErrDenied instead.
func TestSealChecks(t *testing.T) {
	broken := errors.New("the connection broke")
	for name, c := range map[string]struct {
		keeper
		checked bool
		want    error
	}{
		"same key":    {keeper{}, true, nil},
		"other key":   {keeper{turns: strings.ToLower(text)}, false, wrap.ErrWDEK},
		"not allowed": {keeper{err: wrap.ErrDenied}, false, nil},
		"broken":      {keeper{err: broken}, false, broken},
		"not a WDEK":  {keeper{err: wrap.ErrWDEK}, false, wrap.ErrWDEK},
	} {
		e, checked, err := wrap.Seal(t.Context(), c, []byte(text), wrap.SealOptions{
			Convention: wrap.ClassicLUKS, KMS: "local:0123456789abcdef", Fingerprint: true, Unwrapper: c,
		})
		if checked != c.checked || !errors.Is(err, c.want) {
			t.Errorf("%s: checked %v, %v", name, checked, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "checking the wrapped key") || strings.Contains(err.Error(), text)) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (e.WDEK != "w"+text || e.KMS != "local:0123456789abcdef" || e.KeyFingerprint != wrap.Fingerprint([]byte(text))) {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if _, _, err := wrap.Seal(t.Context(), keeper{}, []byte("short"), wrap.SealOptions{Convention: wrap.ClassicLUKS, KMS: "x"}); !errors.Is(err, wrap.ErrKey) {
		t.Errorf("a bad key: %v", err)
	}
	if _, _, err := wrap.Seal(t.Context(), keeper{}, []byte(text), wrap.SealOptions{}); !errors.Is(err, wrap.ErrEnvelope) {
		t.Errorf("without a root key: %v", err)
	}
}

// TestBinding checks that the binding covers each field that identifies the key and its image.
func TestBinding(t *testing.T) {
	other := sealed(t, wrap.None, "another", otherID)
	for name, change := range map[string]func(e *wrap.Envelope){
		"wdek":           func(e *wrap.Envelope) { e.WDEK = other.WDEK },
		"image":          func(e *wrap.Envelope) { e.ImageUUID = otherID },
		"no image":       func(e *wrap.Envelope) { e.ImageUUID = "" },
		"root key":       func(e *wrap.Envelope) { e.KMS = "local:0123456789abcdee" },
		"kind of keeper": func(e *wrap.Envelope) { e.KMS, e.RootKeyCRN = "", "crn:x" },
		"convention":     func(e *wrap.Envelope) { e.Convention = wrap.VPCQCOW2 },
		"fingerprint":    func(e *wrap.Envelope) { e.KeyFingerprint = "0123456789abcdef" },
		"fingerprint of the key": func(e *wrap.Envelope) {
			e.KeyFingerprint = wrap.Fingerprint([]byte(text))
		},
	} {
		e := sealed(t, wrap.None, text, imageID)
		change(e)
		if o, err := wrap.Open(t.Context(), keeper{}, again(t, e)); !errors.Is(err, wrap.ErrBinding) || o != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	e := sealed(t, wrap.None, text, imageID)
	e.Tool, e.Created, e.ImageUUID = "another", time.Unix(2, 0), strings.ToUpper(imageID)
	if _, err := wrap.Open(t.Context(), keeper{}, again(t, e)); err != nil {
		t.Errorf("the binding covers tool or created: %v", err)
	}
	// A convention whose rule the key breaks.
	e = sealed(t, wrap.None, text, imageID)
	e.Convention = wrap.ClassicVHD
	if _, err := wrap.Open(t.Context(), keeper{}, e); !errors.Is(err, wrap.ErrBinding) {
		t.Error(err)
	}
}

// TestVersion1 opens an envelope without a binding. Bind makes it version 2.
func TestVersion1(t *testing.T) {
	e, err := wrap.ReadEnvelope(strings.NewReader(`{"version":1,"wdek":"w` + base64.StdEncoding.EncodeToString([]byte(text)) +
		`","kms":"local:1","key_convention":"none","image_uuid":"` + imageID + `","later":1}`))
	if err != nil || e.Bound() {
		t.Fatalf("%v, bound: %v", err, e.Bound())
	}
	o, err := wrap.Open(t.Context(), keeper{}, e)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Bind(o.Disk); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := e.Write(&b); err != nil || !strings.Contains(b.String(), `"version": 2`) || !strings.Contains(b.String(), `"later": 1`) {
		t.Errorf("%v: %s", err, &b)
	}
	if _, err := wrap.Open(t.Context(), keeper{}, again(t, e)); err != nil {
		t.Error(err)
	}
	e.KeyFingerprint = "0123456789abcdef"
	if err := e.Bind(o.Disk); !errors.Is(err, wrap.ErrBinding) {
		t.Errorf("bound to the fingerprint of another key: %v", err)
	}
}

// TestBindingGuesses checks that a key that a person may have chosen is stretched, so that the binding does not help
// guessing. A generated key is not stretched.
func TestBindingGuesses(t *testing.T) {
	for material, want := range map[string]bool{
		"abc123": true, "a passphrase that is longer than thirty-two bytes": true, text: false, string(bytes.Repeat([]byte{0xfe}, 32)): false,
	} {
		var b bytes.Buffer
		if err := sealed(t, wrap.None, material, "").Write(&b); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), `"binding_iterations": 500000`); got != want {
			t.Errorf("%q: stretched: %v", material, got)
		}
	}
}

// TestBindingGolden compares the format with docs/envelope.md, as wrap/testdata/binding.py implements it.
func TestBindingGolden(t *testing.T) {
	for _, c := range []struct{ text, disk string }{
		{`{"version":2,"wdek":"w` + text + `","kms":"local:0123456789abcdef","key_convention":"classic-luks","image_uuid":"` + imageID +
			`","binding":"82f471457800df8892c2b2d855737b5650c10a85d1623f59b1bd70ce988c80a7","binding_salt":"000102030405060708090a0b0c0d0e0f"}`, text},
		{`{"version":2,"wdek":"wYWJjMTIz","root_key_crn":"crn:x","key_convention":"vpc-qcow2",` +
			`"binding":"ba1fbbc36708e07e55581462f7aa9598dfc357009eb811b27b7250561a4f668f","binding_salt":"000102030405060708090a0b0c0d0e0f","binding_iterations":1000}`, "abc123"},
	} {
		e, err := wrap.ReadEnvelope(strings.NewReader(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if o, err := wrap.Open(t.Context(), keeper{}, e); err != nil || string(o.Disk) != c.disk {
			t.Error(err)
		}
	}
}
