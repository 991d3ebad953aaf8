package keyprotect_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox/kms"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

var (
	_ wrap.Wrapper   = (*keyprotect.Client)(nil)
	_ wrap.Unwrapper = (*keyprotect.Client)(nil)
)

func Example() {
	// The sandbox simulates IBM Cloud. For the real service, leave the URLs out.
	sandbox := kms.New(kms.Options{})
	identity, service := httptest.NewServer(sandbox.IAM()), httptest.NewServer(sandbox.KeyProtect())
	defer identity.Close()
	defer service.Close()
	_, apiKey := sandbox.AddUser("me")
	instance := sandbox.AddInstance("kms", "us-south")

	ctx := context.Background()
	tokens, err := iam.New(iam.Options{URL: identity.URL, APIKey: []byte(apiKey)})
	if err != nil {
		log.Fatal(err)
	}
	all, err := keyprotect.New(keyprotect.Options{CRN: instance, Tokens: tokens, URL: service.URL})
	if err != nil {
		log.Fatal(err)
	}
	made, err := all.CreateRootKey(ctx, "images")
	if err != nil {
		log.Fatal(err)
	}
	root, err := keyprotect.New(keyprotect.Options{CRN: made.CRN, Tokens: tokens, URL: service.URL})
	if err != nil {
		log.Fatal(err)
	}

	dek, err := wrap.NewDEK(wrap.Size64)
	if err != nil {
		log.Fatal(err)
	}
	keys, err := wrap.ClassicVHD.Keys(dek)
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Clear()
	wdek, err := root.Wrap(ctx, keys.Plaintext)
	if err != nil {
		log.Fatal(err)
	}
	back, err := root.Unwrap(ctx, wdek)
	if err != nil {
		log.Fatal(err)
	}
	defer back.Clear()
	disk, err := wrap.ClassicVHD.Unwrapped(back.Plaintext)
	fmt.Println(bytes.Equal(disk, keys.Disk), err)
	// Output: true <nil>
}

var secretText = base64.StdEncoding.EncodeToString([]byte("a very secret key of many bytes!"))

func TestWrapUnwrapRotate(t *testing.T) {
	w := start(t, "kms")
	ctx := context.Background()
	c := w.client(t, w.root)

	wdek, err := c.Wrap(ctx, []byte(secretText))
	if err != nil {
		t.Fatal(err)
	}
	back, err := c.Unwrap(ctx, wdek)
	if err != nil || string(back.Plaintext) != secretText || back.Rewrapped != "" {
		t.Fatalf("%q, %q, %v", back.Plaintext, back.Rewrapped, err)
	}
	plain, made, err := c.NewDEK(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := base64.StdEncoding.DecodeString(string(plain)); err != nil || len(b) != 32 {
		t.Errorf("the service made %d bytes, %v", len(b), err)
	}
	if back, err := c.Unwrap(ctx, made); err != nil || !bytes.Equal(back.Plaintext, plain) {
		t.Errorf("%q, %v", back.Plaintext, err)
	}

	before, err := c.Metadata(ctx)
	if err != nil || before.CRN != w.root || before.State != keyprotect.Active || before.Extractable || before.Imported || before.Name != "root" || !before.Rotated.IsZero() {
		t.Fatalf("%+v, %v", before, err)
	}
	w.advance(time.Hour / 2)
	if err := c.Rotate(ctx, nil); err != nil {
		t.Fatal(err)
	}
	after, err := c.Metadata(ctx)
	if err != nil || after.Version == before.Version || !after.Rotated.Equal(w.now()) {
		t.Errorf("%+v, %v", after, err)
	}
	back, err = c.Unwrap(ctx, wdek)
	if err != nil || string(back.Plaintext) != secretText || back.Rewrapped == "" || back.Rewrapped == wdek {
		t.Fatalf("after the rotation: %q, %q, %v", back.Plaintext, back.Rewrapped, err)
	}
	again, err := c.Unwrap(ctx, back.Rewrapped)
	if err != nil || string(again.Plaintext) != secretText || again.Rewrapped != "" {
		t.Errorf("the rewrapped one: %q, %q, %v", again.Plaintext, again.Rewrapped, err)
	}
	for _, old := range []string{wdek, back.Rewrapped} {
		rewrapped, err := c.Rewrap(ctx, old)
		if err != nil || rewrapped == old {
			t.Fatalf("%v", err)
		}
		if again, err := c.Unwrap(ctx, rewrapped); err != nil || string(again.Plaintext) != secretText || again.Rewrapped != "" {
			t.Errorf("rewrapped: %q, %q, %v", again.Plaintext, again.Rewrapped, err)
		}
	}
}

func TestKeys(t *testing.T) {
	w := start(t, "kms")
	ctx := context.Background()
	all := w.client(t, w.instance)
	made, err := all.CreateRootKey(ctx, "second")
	if err != nil || made.Name != "second" || made.State != keyprotect.Active || made.Created.IsZero() {
		t.Fatalf("%+v, %v", made, err)
	}
	if c, err := crn.ParseRootKey(made.CRN); err != nil || c.Resource != made.ID || c.Region != "us-south" {
		t.Errorf("%+v, %v", c, err)
	}
	standard, err := all.CreateStandardKey(ctx, "seed")
	if err != nil || !standard.Extractable {
		t.Fatalf("%+v, %v", standard, err)
	}
	seed, err := all.StandardKey(ctx, standard.ID)
	if err != nil || len(seed) != 32 {
		t.Fatalf("%d bytes, %v", len(seed), err)
	}
	if again, err := all.StandardKey(ctx, standard.ID); err != nil || !bytes.Equal(again, seed) {
		t.Errorf("the second read differs: %v", err)
	}
	if _, err := all.StandardKey(ctx, made.ID); !errors.Is(err, keyprotect.ErrNoStandardKey) {
		t.Errorf("a root key as a seed: %v", err)
	}
	if _, err := all.StandardKey(ctx, "../x"); !errors.Is(err, crn.ErrCRN) {
		t.Errorf("a path as an id: %v", err)
	}
	keys, err := all.RootKeys(ctx)
	if err != nil || len(keys) != 2 || keys[0].CRN != w.root || keys[1].ID != made.ID {
		t.Errorf("%+v, %v", keys, err)
	}
	second, err := all.Key(made.ID)
	if err != nil || second.CRN().String() != made.CRN {
		t.Fatalf("%v", err)
	}
	if _, err := second.Wrap(ctx, []byte(secretText)); err != nil {
		t.Error(err)
	}
	// Without a root key, these calls fail before any request.
	hits := len(w.seen())
	for name, err := range map[string]error{
		"wrap": errOf2(all.Wrap(ctx, []byte(secretText))), "unwrap": errOf2(all.Unwrap(ctx, "x")), "rewrap": errOf2(all.Rewrap(ctx, "x")),
		"rotate": all.Rotate(ctx, nil), "metadata": errOf2(all.Metadata(ctx)),
	} {
		if !errors.Is(err, crn.ErrCRN) {
			t.Errorf("%s of an instance: %v", name, err)
		}
	}
	if hits == 0 || len(w.seen()) != 0 {
		t.Error("a request was sent")
	}
}

func errOf2[T any](_ T, err error) error { return err }

func TestManyKeys(t *testing.T) {
	w := start(t, "kms")
	for i := range 450 {
		if _, err := w.AddRootKey(w.instance, fmt.Sprint("key", i)); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := w.client(t, w.instance).RootKeys(context.Background())
	if err != nil || len(keys) != 451 || keys[450].Name != "key449" {
		t.Errorf("%d, %v", len(keys), err)
	}
}

// TestImport imports root keys into both services. It decrypts their ciphertexts to check the key material.
func TestImport(t *testing.T) {
	for _, service := range []string{"kms", "hs-crypto"} {
		w := start(t, service)
		ctx := context.Background()
		all := w.client(t, w.instance)
		for _, n := range []int{16, 32} {
			made, err := all.ImportRootKey(ctx, "mine", bytes.Repeat([]byte{7}, n))
			if err != nil || !made.Imported || made.Extractable {
				t.Fatalf("%s, %d bytes: %+v, %v", service, n, made, err)
			}
			root, err := all.Key(made.ID)
			if err != nil {
				t.Fatal(err)
			}
			wdek, err := root.Wrap(ctx, []byte(secretText))
			if err != nil {
				t.Fatal(err)
			}
			if plain := openBlob(t, wdek, bytes.Repeat([]byte{7}, n)); base64.StdEncoding.EncodeToString(plain) != secretText {
				t.Errorf("%s, %d bytes: the key is not wrapped with the imported root key", service, n)
			}
			if err := root.Rotate(ctx, nil); !errors.Is(err, wrap.ErrRefused) || !strings.Contains(hint(err), "new key material") {
				t.Errorf("%s: rotated without material: %v", service, err)
			}
			if err := root.Rotate(ctx, bytes.Repeat([]byte{8}, 32)); err != nil {
				t.Errorf("%s: %v", service, err)
			}
			back, err := root.Unwrap(ctx, wdek)
			if err != nil || string(back.Plaintext) != secretText || back.Rewrapped == "" {
				t.Fatalf("%s: %v", service, err)
			}
			if plain := openBlob(t, back.Rewrapped, bytes.Repeat([]byte{8}, 32)); base64.StdEncoding.EncodeToString(plain) != secretText {
				t.Errorf("%s: the key is not wrapped with the root key of the rotation", service)
			}
		}
		if _, err := all.ImportRootKey(ctx, "mine", make([]byte, 20)); !errors.Is(err, wrap.ErrKey) {
			t.Errorf("20 bytes: %v", err)
		}
		if err := w.client(t, w.root).Rotate(ctx, make([]byte, 32)); !errors.Is(err, wrap.ErrRefused) || !strings.Contains(hint(err), "without key material") {
			t.Errorf("material for a key of the service's own: %v", err)
		}
	}
}

func hint(err error) string {
	var h interface{ Hint() string }
	if !errors.As(err, &h) {
		return ""
	}
	return h.Hint()
}

func TestCorrelationAndEvents(t *testing.T) {
	w := start(t, "kms")
	ctx := context.Background()
	const id = "0f5a4c1e-8a43-4a0c-9a37-5f0e5d9f0001"
	c := w.with(t, keyprotect.Options{CRN: w.root, CorrelationID: id})
	wdek, err := c.Wrap(ctx, []byte(secretText))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Unwrap(ctx, wdek+"A"); err == nil {
		t.Fatal("a damaged key unwraps")
	} else {
		var e *keyprotect.Error
		if !errors.As(err, &e) || e.CorrelationID != id || !strings.Contains(err.Error(), id) {
			t.Errorf("%v", err)
		}
	}
	if _, err := c.Rewrap(ctx, wdek); err != nil {
		t.Fatal(err)
	}
	events := w.seen()
	if len(events) != 3 {
		t.Fatalf("%d events", len(events))
	}
	for i, want := range []struct {
		action, outcome string
		code            int
	}{{"kms.secrets.wrap", "success", 200}, {"kms.secrets.unwrap", "failure", 422}, {"kms.secrets.rewrap", "success", 200}} {
		e := events[i]
		if e.Action != want.action || e.Outcome != want.outcome || e.Reason.Code != want.code || e.CorrelationID != id || e.Target.ID != w.root || e.Initiator.Name != "owner" {
			t.Errorf("%+v", e)
		}
		if e.ResponseData["keyState"] != 1 || e.ResponseData["keyId"] != w.client(t, w.root).CRN().Resource {
			t.Errorf("%+v", e.ResponseData)
		}
		if strings.Contains(fmt.Sprint(e), secretText) {
			t.Error("an event holds the key")
		}
	}
	if events[0].ResponseData["keyVersionId"] == "" {
		t.Errorf("%+v", events[0].ResponseData)
	}
	if _, err := keyprotect.New(keyprotect.Options{CRN: w.root, Tokens: w.tokens, CorrelationID: "x"}); err == nil {
		t.Error("accepted a correlation id that is not a UUID")
	}
}

func TestOptions(t *testing.T) {
	tokens := iam.Static("t")
	for name, o := range map[string]keyprotect.Options{
		"no CRN":       {Tokens: tokens},
		"COS":          {Tokens: tokens, CRN: "crn:v1:bluemix:public:cloud-object-storage:global:a/acct:inst::"},
		"a key ring":   {Tokens: tokens, CRN: "crn:v1:bluemix:public:kms:us-south:a/acct:inst:keyring:x"},
		"evil region":  {Tokens: tokens, CRN: "crn:v1:bluemix:public:kms:evil.com/:a/acct:inst:key:k"},
		"evil key":     {Tokens: tokens, CRN: "crn:v1:bluemix:public:kms:us-south:a/acct:inst:key:../../x"},
		"no tokens":    {CRN: "crn:v1:bluemix:public:kms:us-south:a/acct:inst:key:k"},
		"no network":   {Tokens: tokens, CRN: "crn:v1:bluemix:public:kms:us-south:a/acct:inst:key:k", Network: "evil.com"},
		"plain HTTP":   {Tokens: tokens, CRN: "crn:v1:bluemix:public:kms:us-south:a/acct:inst:key:k", URL: "http://kms.example.com"},
		"user in HTTP": {Tokens: tokens, CRN: "crn:v1:bluemix:public:kms:us-south:a/acct:inst:key:k", URL: "https://u:p@kms.example.com"},
	} {
		if _, err := keyprotect.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := keyprotect.New(keyprotect.Options{Tokens: tokens, CRN: "crn:v1:bluemix:public:kms:us-south:a/acct:inst:key:k"}); err != nil {
		t.Error(err)
	}
}
