package kms_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/sandbox/event"
	"github.com/luksimg/luksimg/ibm/sandbox/kms"
)

func failure(err error) string {
	var f *kms.Failure
	if errors.As(err, &f) {
		return f.Code
	}
	return ""
}

// TestUnwrapForService unwraps like the import of an image and the start of a server.
func TestUnwrapForService(t *testing.T) {
	var events []event.Event
	s := kms.New(kms.Options{Events: func(e event.Event) { events = append(events, e) }})
	instance := s.AddInstance("kms", "us-south")
	root, err := s.AddRootKey(instance, "root")
	if err != nil {
		t.Fatal(err)
	}
	wdek, err := s.Wrap(root, []byte("abc123"))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	storage := kms.Service("server-protect", s.Account())
	if _, err := s.Unwrap(ctx, storage, root, wdek, "c-1"); failure(err) != "UNAUTHORIZED_ERR" {
		t.Errorf("without an authorization: %v", err)
	}
	if s.Authorized("server-protect", s.Account(), "kms", strings.Split(instance, ":")[7]) {
		t.Error("authorized by nobody")
	}
	owner, _ := s.AddUser("owner")
	if plain, err := s.Unwrap(ctx, owner, root, wdek, ""); err != nil || string(plain) != "abc123" {
		t.Errorf("%q, %v", plain, err)
	}
	stranger := owner
	stranger.Account = "other"
	if _, err := s.Unwrap(ctx, stranger, root, wdek, ""); failure(err) != "UNAUTHORIZED_ERR" {
		t.Errorf("another account: %v", err)
	}
	for name, c := range map[string][3]string{
		"another region":   {strings.Replace(root, "us-south", "eu-de", 1), wdek, "KEY_NOT_FOUND_ERR"},
		"another service":  {strings.Replace(root, "kms", "hs-crypto", 1), wdek, "KEY_NOT_FOUND_ERR"},
		"no such key":      {root + "x", wdek, "KEY_NOT_FOUND_ERR"},
		"no CRN":           {"root", wdek, "BAD_CRN"},
		"no ciphertext":    {root, "x", "UNPROCESSABLE_CIPHERTEXT_ERR"},
		"other ciphertext": {root, wdek[:len(wdek)-8] + "AAAAAAAA", "UNPROCESSABLE_CIPHERTEXT_ERR"},
	} {
		if _, err := s.Unwrap(ctx, owner, c[0], c[1], ""); failure(err) != c[2] {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(events) != 9 || events[0].Outcome != "failure" || events[0].Initiator.Name != "server-protect" || events[0].CorrelationID != "c-1" || events[0].Target.ID != root {
		t.Errorf("%d events, first %+v", len(events), events[0])
	}
	if e := events[1]; e.Action != "kms.secrets.unwrap" || e.Outcome != "success" || e.ResponseData["keyVersionId"] == nil || e.LogSourceCRN != instance {
		t.Errorf("%+v", e)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Unwrap(gone, owner, root, wdek, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestSaveLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := kms.New(kms.Options{})
	owner, apiKey := s.AddUser("owner")
	root, err := s.AddRootKey(s.AddInstance("kms", "us-south"), "root")
	if err != nil {
		t.Fatal(err)
	}
	wdek, err := s.Wrap(root, []byte("abc123"))
	if err != nil {
		t.Fatal(err)
	}
	token := s.Token(owner, time.Hour)
	for range 2 { // also over itself
		if err := s.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if fi, _ := files[0].Info(); runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", fi.Mode())
	}
	again := kms.New(kms.Options{})
	if err := again.Load(dir); err != nil {
		t.Fatal(err)
	}
	if id, err := again.Exchange(apiKey); err != nil || id != owner {
		t.Errorf("%+v, %v", id, err)
	}
	if id, err := again.Identify("Bearer " + token); err != nil || id != owner {
		t.Errorf("%+v, %v", id, err)
	}
	if plain, err := again.Unwrap(context.Background(), owner, root, wdek, ""); err != nil || string(plain) != "abc123" {
		t.Errorf("%q, %v", plain, err)
	}
	if _, err := kms.New(kms.Options{}).Identify(token); !errors.Is(err, kms.ErrToken) {
		t.Errorf("another server accepts the token: %v", err)
	}
	if err := again.Load(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing state: %v", err)
	}
	for _, bad := range []string{"", "{}", "x", `{"version":1,"account":"a","token_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","keys":[{"id":"1"}]}`,
		`{"version":1,"account":"a","token_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","keys":[null]}`} {
		if err := os.WriteFile(filepath.Join(dir, "kms.json"), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := again.Load(dir); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
	if _, err := again.Exchange(apiKey); err != nil {
		t.Error("a failed load lost the state")
	}
}

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s := kms.New(kms.Options{Now: func() time.Time { return now }})
	owner, _ := s.AddUser("owner")
	token := s.Token(owner, time.Minute)
	now = now.Add(59 * time.Second)
	if _, err := s.Identify(token); err != nil {
		t.Error(err)
	}
	now = now.Add(time.Second)
	if _, err := s.Identify(token); !errors.Is(err, kms.ErrExpired) {
		t.Error(err)
	}
}
