package sandbox_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox"
)

// TestBucketRootKey creates buckets that a root key protects. The key must exist and be active, and Object Storage must be
// authorized for its instance.
func TestBucketRootKey(t *testing.T) {
	w := start(t, sandbox.Options{})
	create := func(name, key string) error {
		return w.cos.CreateBucket(t.Context(), sandbox.Region, name, cos.BucketOptions{RootKeyCRN: key})
	}
	missing := w.RootKey[:len(w.RootKey)-12] + "000000000000"
	for _, key := range []string{w.RootKey, missing} {
		if err := create("protected", key); err == nil || !strings.Contains(err.Error(), "ServiceNotAuthorized") {
			t.Errorf("without an authorization: %v", err)
		}
	}
	policy := iam.Authorization(w.Account, iam.COS, iam.KeyProtect, w.kp.CRN().Instance)
	if _, err := w.iam.CreatePolicy(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	if err := create("protected", missing); err == nil || !strings.Contains(err.Error(), "InvalidArgument") {
		t.Errorf("with a missing root key: %v", err)
	}
	if err := create("protected", w.RootKey); err != nil {
		t.Error(err)
	}
	if got := w.registrations(); len(got) != 1 || !strings.HasSuffix(got[0], ":bucket:protected") {
		t.Errorf("the root key protects %q", got)
	}
	if err := w.keyAction("disable"); err != nil {
		t.Fatal(err)
	}
	if err := create("second", w.RootKey); err == nil {
		t.Error("bucket with a disabled root key created")
	}
}

// registrations returns the resources that the root keys protect.
func (w *world) registrations() (resources []string) {
	w.t.Helper()
	token, err := w.iam.Token(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.Settings.KMS+"/api/v2/keys/registrations", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", token.Header())
	r.Header.Set("Bluemix-Instance", w.kp.CRN().Instance)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	var list struct {
		Resources []struct{ ResourceCrn string }
	}
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		w.t.Fatal(err)
	}
	for _, x := range list.Resources {
		resources = append(resources, x.ResourceCrn)
	}
	return resources
}

// TestOtherInstance creates a bucket in an Object Storage instance of another account.
func TestOtherInstance(t *testing.T) {
	w := start(t, sandbox.Options{})
	for _, id := range []string{"any-text", "00000000-0000-0000-0000-000000000000"} {
		c, err := cos.New(cos.Options{Endpoint: w.COS, Tokens: w.iam, ServiceInstanceID: id, Clock: fastClock{}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.CreateBucket(t.Context(), sandbox.Region, "fresh", cos.BucketOptions{}); err == nil || id != "any-text" && !errors.Is(err, cos.ErrAccess) {
			t.Errorf("%s: %v", id, err)
		}
	}
}
