package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/wrap"
)

// A keeper wraps, and unwraps to what it is told.
type keeper struct {
	plaintext string
	err       error
}

func (k keeper) Wrap(context.Context, []byte) (string, error) { return "d2Rlaw==", nil }

func (k keeper) Unwrap(context.Context, string) (wrap.Unwrapped, error) {
	return wrap.Unwrapped{Plaintext: []byte(k.plaintext)}, k.err
}

// TestWrapChecks: what was wrapped is unwrapped and compared; only an identity that may
// not do that is forgiven.
func TestWrapChecks(t *testing.T) {
	const text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	broken := errors.New("the connection broke")
	for name, c := range map[string]struct {
		keeper
		checked bool
		want    error
		text    string
	}{
		"same key":    {keeper{plaintext: text}, true, nil, ""},
		"other key":   {keeper{plaintext: strings.ToLower(text)}, false, nil, "unwraps to another key"},
		"not allowed": {keeper{err: wrap.ErrDenied}, false, nil, ""},
		"broken":      {keeper{err: broken}, false, broken, "checking the wrapped key"},
		"not a WDEK":  {keeper{err: wrap.ErrWDEK}, false, wrap.ErrWDEK, "checking the wrapped key"},
	} {
		e, checked, err := wrapKey(t.Context(), &rootKey{Wrapper: c, Unwrapper: c, kms: "local:0123456789abcdef"}, wrap.ClassicLUKS, []byte(text))
		failed := c.want != nil || c.text != ""
		if checked != c.checked || (err != nil) != failed || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: checked %v, %v", name, checked, err)
		}
		if err != nil && (!strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), text)) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (e.WDEK != "d2Rlaw==" || e.KMS != "local:0123456789abcdef" || e.Convention != wrap.ClassicLUKS) {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// TestFingerprint: an envelope of another key than the one that comes out is refused.
func TestFingerprint(t *testing.T) {
	k := keeper{plaintext: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
	e := &wrap.Envelope{WDEK: "d2Rlaw==", Convention: wrap.ClassicLUKS, KeyFingerprint: wrap.Fingerprint([]byte(k.plaintext))}
	if disk, _, err := unwrapKey(t.Context(), k, e); err != nil || string(disk) != k.plaintext {
		t.Error(err)
	}
	e.KeyFingerprint = wrap.Fingerprint([]byte(strings.ToLower(k.plaintext)))
	if _, _, err := unwrapKey(t.Context(), k, e); err == nil || !strings.Contains(err.Error(), "fingerprint") {
		t.Error(err)
	}
}
