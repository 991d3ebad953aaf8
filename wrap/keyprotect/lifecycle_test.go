package keyprotect_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

func TestLifecycle(t *testing.T) {
	w, ctx := start(t, "kms"), context.Background()
	c := w.client(t, w.root)
	wdek, err := c.Wrap(ctx, []byte(secretText))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Disable(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Unwrap(ctx, wdek); !errors.Is(err, keyprotect.ErrSuspended) || !strings.Contains(hint(err), "luksimg rootkey enable") {
		t.Errorf("%v, hint %q", err, hint(err))
	}
	if err := c.Enable(ctx); !errors.Is(err, keyprotect.ErrTooEarly) || !errors.Is(err, wrap.ErrRefused) || !strings.HasPrefix(hint(err), "wait 30 seconds") {
		t.Errorf("at once: %v, hint %q", err, hint(err))
	}
	w.advance(30 * time.Second)
	if err := c.Enable(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Rotate(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Rotate(ctx, nil); !errors.Is(err, keyprotect.ErrTooEarly) || !strings.Contains(hint(err), "once an hour") {
		t.Errorf("%v, hint %q", err, hint(err))
	}

	const bucket = "crn:v1:bluemix:public:cloud-object-storage:global:a/1:2:bucket:images"
	if err := w.Register(w.root, bucket, "cloud-object-storage", true); err != nil {
		t.Fatal(err)
	}
	for _, o := range []keyprotect.DeleteOptions{{}, {Protecting: true}} {
		if err := c.Delete(ctx, o); !errors.Is(err, keyprotect.ErrInUse) || !strings.Contains(hint(err), "retention") {
			t.Errorf("%+v: %v, hint %q", o, err, hint(err))
		}
	}
	if err := w.Register(w.root, bucket, "cloud-object-storage", false); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(ctx, keyprotect.DeleteOptions{}); !errors.Is(err, keyprotect.ErrInUse) || !strings.Contains(hint(err), "--protecting") {
		t.Errorf("%v, hint %q", err, hint(err))
	}
	if err := c.Delete(ctx, keyprotect.DeleteOptions{Protecting: true}); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"disable": c.Disable(ctx), "enable": c.Enable(ctx), "delete": c.Delete(ctx, keyprotect.DeleteOptions{})} {
		if !errors.Is(err, keyprotect.ErrDeleted) {
			t.Errorf("%s of a deleted key: %v", name, err)
		}
	}
	if err := w.client(t, w.instance).Disable(ctx); err == nil {
		t.Error("an instance was disabled")
	}
}

func TestKeyRing(t *testing.T) {
	w, ctx := start(t, "kms"), context.Background()
	in := w.with(t, keyprotect.Options{CRN: w.instance, Tokens: w.tokens, KeyRing: "prod"})
	_, created := in.CreateRootKey(ctx, "inside")
	_, listed := in.RootKeys(ctx)
	for _, err := range []error{created, listed} {
		if !errors.Is(err, keyprotect.ErrNoKeyRing) || !errors.Is(err, wrap.ErrNotFound) || !errors.Is(err, wrap.ErrRefused) || !strings.Contains(hint(err), "--create-key-ring") {
			t.Errorf("%v, hint %q", err, hint(err))
		}
	}
	for _, want := range []bool{true, false} {
		if made, err := in.EnsureKeyRing(ctx); err != nil || made != want {
			t.Errorf("%v, %v", made, err)
		}
	}
	if all, err := in.RootKeys(ctx); err != nil || len(all) != 0 {
		t.Errorf("an empty key ring: %v, %v", all, err)
	}
	k, err := in.ImportRootKey(ctx, "inside", make([]byte, 32))
	if err != nil || k.Ring != "prod" || !k.Imported {
		t.Fatalf("%+v, %v", k, err)
	}
	root, err := in.Key(k.ID)
	if err != nil {
		t.Fatal(err)
	}
	wdek, err := root.Wrap(ctx, []byte(secretText))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Rewrap(ctx, wdek); err != nil {
		t.Error(err)
	}
	if list, err := in.RootKeys(ctx); err != nil || len(list) != 1 || list[0].ID != k.ID {
		t.Errorf("%+v, %v", list, err)
	}
	other := w.with(t, keyprotect.Options{CRN: k.CRN, Tokens: w.tokens, KeyRing: "default"})
	if _, err := other.Unwrap(ctx, wdek); !errors.Is(err, wrap.ErrNotFound) || !strings.Contains(hint(err), "key ring") {
		t.Errorf("in another ring: %v, hint %q", err, hint(err))
	}
}
