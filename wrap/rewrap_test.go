package wrap_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/wrap"
)

// A versioned keeper has root keys with versions.
type versioned struct{ keeper }

func (versioned) Rewrap(_ context.Context, wdek string) (string, error) { return "v" + wdek[1:], nil }

func open(t *testing.T, e *wrap.Envelope, k keeper) *wrap.Opened {
	t.Helper()
	key, err := wrap.Open(t.Context(), k, e)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestRewrap(t *testing.T) {
	e := sealed(t, wrap.ClassicLUKS, text, imageID)
	was := *e
	to := &wrap.RootKey{Wrapper: keeper{}, Unwrapper: keeper{}, KMS: "local:fedcba9876543210"}
	moved, checked, err := wrap.Rewrap(t.Context(), e, open(t, e, keeper{}), to)
	if err != nil || !checked {
		t.Fatalf("checked %v, %v", checked, err)
	}
	moved = again(t, moved)
	if moved.KMS != to.KMS || moved.ImageUUID != imageID || moved.Tool != "test" || !moved.Created.Equal(e.Created) || string(open(t, moved, keeper{}).Disk) != text {
		t.Errorf("%+v", moved)
	}
	if e.KMS != was.KMS || e.WDEK != was.WDEK || to.Opens(e) == nil || to.Opens(moved) != nil {
		t.Errorf("%+v became %+v", was, e)
	}
	// An identity that may not unwrap is not an error. A wrapped key that unwraps to another key is.
	to.Unwrapper = keeper{err: wrap.ErrDenied}
	if _, checked, err := wrap.Rewrap(t.Context(), e, open(t, e, keeper{}), to); err != nil || checked {
		t.Errorf("checked %v, %v", checked, err)
	}
	to.Unwrapper = keeper{turns: base64.StdEncoding.EncodeToString([]byte("another key"))}
	if m, _, err := wrap.Rewrap(t.Context(), e, open(t, e, keeper{}), to); m != nil || !errors.Is(err, wrap.ErrWDEK) || !strings.Contains(err.Error(), "was not changed") {
		t.Errorf("%v, %v", m, err)
	}
}

func TestRenew(t *testing.T) {
	e := sealed(t, wrap.ClassicLUKS, text, imageID)
	root := &wrap.RootKey{Wrapper: versioned{}, Unwrapper: keeper{}, KMS: e.KMS}
	renewed, err := wrap.Renew(t.Context(), e, open(t, e, keeper{}), root)
	if err != nil || renewed.WDEK != "v"+e.WDEK[1:] || e.WDEK[0] != 'w' {
		t.Fatalf("%+v, %v", renewed, err)
	}
	if got := open(t, again(t, renewed), keeper{}); string(got.Disk) != text {
		t.Errorf("%q", got.Disk)
	}
	// A wrapped key that does not unwrap is refused.
	root.Unwrapper = keeper{err: wrap.ErrWDEK}
	if r, err := wrap.Renew(t.Context(), e, open(t, e, keeper{}), root); r != nil || !errors.Is(err, wrap.ErrWDEK) {
		t.Errorf("%v, %v", r, err)
	}
	// A root key without versions cannot renew, but it binds an envelope of version 1.
	root.Wrapper, root.Unwrapper = keeper{}, keeper{}
	if r, err := wrap.Renew(t.Context(), e, open(t, e, keeper{}), root); r != nil || err == nil {
		t.Errorf("%v, %v", r, err)
	}
	loose := &wrap.Envelope{WDEK: e.WDEK, KMS: e.KMS, Convention: e.Convention}
	if r, err := wrap.Renew(t.Context(), loose, open(t, loose, keeper{}), root); err != nil || !r.Bound() || loose.Bound() {
		t.Errorf("%v, %v", r, err)
	}
}

func TestNewMaterial(t *testing.T) {
	for _, n := range []int{16, 32, wrap.MaxRandom} {
		key, err := wrap.NewMaterial(n, false)
		decoded, errDecode := base64.StdEncoding.DecodeString(string(key))
		if err != nil || errDecode != nil || len(decoded) != n || len(key) > 512 {
			t.Errorf("%d: %d characters, %v, %v", n, len(key), err, errDecode)
		}
		if raw, err := wrap.NewMaterial(n, true); err != nil || len(raw) != n {
			t.Errorf("%d: %d bytes, %v", n, len(raw), err)
		}
	}
	for _, n := range []int{-1, 0, 15, wrap.MaxRandom + 1} {
		if key, err := wrap.NewMaterial(n, true); key != nil || err == nil {
			t.Errorf("%d: %d bytes", n, len(key))
		}
	}
}
