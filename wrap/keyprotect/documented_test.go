package keyprotect_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

// TestDocumented feeds the client the responses in Key Protect's documentation, including their typing errors, and
// checks its requests.
func TestDocumented(t *testing.T) {
	type exchange struct {
		method, path, body string // of the request
		status             int
		answer             string
	}
	const (
		id       = "88d649f8-41b8-4426-b52b-45c88953d5b8"
		instance = "a192d603-0b8d-452f-aac3-f9e1f95e7411"
		name     = "crn:v1:bluemix:public:kms:us-south:a/ea998d3389c3473aa0987652b46fb146:" + instance + ":key:" + id
		failed   = `{"metadata":{"collectionType":"application/vnd.ibm.kms.error+json","collectionTotal":1},"resources":[{"errorMsg":"WHAT. Please see ` + "`reasons`" + ` for more details.","reasons":[{"code":"CODE","message":"MESSAGE","status":400,"moreInfo":"https://cloud.ibm.com/apidocs/key-protect"}]}]}`
	)
	fail := func(what, code, message string) string {
		return strings.NewReplacer("WHAT", what, "CODE", code, "MESSAGE", message).Replace(failed)
	}
	var now exchange
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != now.method || r.URL.Path != now.path || string(body) != now.body {
			t.Errorf("%s %s %s, want %s %s %s", r.Method, r.URL.Path, body, now.method, now.path, now.body)
		}
		for h, want := range map[string]string{"Authorization": "Bearer abc", "Bluemix-Instance": instance, "X-Kms-Key-Ring": "ring", "Accept": "application/json"} {
			if r.Header.Get(h) != want {
				t.Errorf("%s: %q, want %q", h, r.Header.Get(h), want)
			}
		}
		if len(r.Header.Get("Correlation-Id")) != 36 {
			t.Errorf("correlation id %q", r.Header.Get("Correlation-Id"))
		}
		w.WriteHeader(now.status)
		io.WriteString(w, now.answer)
	}))
	defer server.Close()
	c, err := keyprotect.New(keyprotect.Options{CRN: name, Tokens: iam.Static("abc"), URL: server.URL, KeyRing: "ring"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	action := "/api/v2/keys/" + id + "/actions/"

	now = exchange{"POST", action + "wrap", `{"plaintext":"YWJjMTIz"}`, 200, `{"ciphertext":"eyJjaXBoZXJ0ZXh0Ijoi","keyVersion":{"id":"` + id + `"}}`}
	if wdek, err := c.Wrap(ctx, []byte("YWJjMTIz")); err != nil || wdek != "eyJjaXBoZXJ0ZXh0Ijoi" {
		t.Errorf("%s, %v", wdek, err)
	}
	now = exchange{"POST", action + "wrap", `{}`, 200, `{"plaintext":"YWJjMTIz","ciphertext":"eyJj","keyVersion":{"id":"` + id + `"}}`}
	if plain, wdek, err := c.NewDEK(ctx); err != nil || wdek != "eyJj" || string(plain) != "YWJjMTIz" {
		t.Errorf("%s, %v", wdek, err)
	}
	now = exchange{"POST", action + "unwrap", `{"ciphertext":"eyJj"}`, 200, `{"plaintext":"YWJjMTIz","keyVersion":{"id":"1"},"ciphertext":"eyJk","rewrappedKeyVersion":{"id":"2"}}`}
	if u, err := c.Unwrap(ctx, "eyJj"); err != nil || string(u.Plaintext) != "YWJjMTIz" || u.Rewrapped != "eyJk" {
		t.Errorf("%v", err)
	}
	now = exchange{"POST", action + "rewrap", `{"ciphertext":"eyJj"}`, 200, `{"ciphertext":"eyJk","keyVersion":{"id":"1"},"rewrappedKeyVersion":{"id":"2"}}`}
	if wdek, err := c.Rewrap(ctx, "eyJj"); err != nil || wdek != "eyJk" {
		t.Errorf("%s, %v", wdek, err)
	}
	now = exchange{"POST", "/api/v2/keys", `{"metadata":{"collectionType":"application/vnd.ibm.kms.key+json","collectionTotal":1},"resources":[{"name":"Root-key-1","type":"application/vnd.ibm.kms.key+json","extractable":false}]}`, 201,
		`{"metadata":{"collectionType":"application/vnd.ibm.kms.key+json","collectionTotal":1},"resources":[{"type":"application/vnd.ibm.kms.key+json","id":"` + id + `","name":"Root-key-1","state":1,"expirationDate":"2020-08-12T23:38:09Z","extractable":false,"crn":"` + name + `","imported":false,"deleted":false}]}`}
	if k, err := c.CreateRootKey(ctx, "Root-key-1"); err != nil || k.CRN != name || k.Expires.Year() != 2020 || k.State.String() != "active" {
		t.Errorf("%+v, %v", k, err)
	}
	now = exchange{"POST", action + "rotate", `null`, 204, ``}
	if err := c.Rotate(ctx, nil); err != nil {
		t.Error(err)
	}
	for _, x := range []struct {
		status      int
		what        string
		code        string
		message     string
		want        error
		wantMessage string
	}{
		{400, "Bad Request: Action could not be performed on key", "KEY_ROOT_REQ_ERR", "Requested action can only be completed with a root key.", keyprotect.ErrNotRootKey, "only be completed with a root key"},
		{410, "Gone: Key could not be deleted", "KEY_DELETED_ERR", "Key has already been deleted. Please delete references to this key.", keyprotect.ErrDeleted, "already been deleted"},
		{409, "Conflict: Key is not in suspended state", " KEY_ACTION_INVALID_STATE_ERR", "Key is not in a valid state", keyprotect.ErrSuspended, "not in a valid state"}, // the space is in the documentation
		{422, "Unprocessable Entity", "UNPROCESSABLE_CIPHERTEXT_ERR", "The provided ciphertext is invalid or corrupted", wrap.ErrWDEK, "corrupted"},
	} {
		now = exchange{"POST", action + "unwrap", `{"ciphertext":"eyJj"}`, x.status, fail(x.what, x.code, x.message)}
		_, err := c.Unwrap(ctx, "eyJj")
		if !errors.Is(err, x.want) || !strings.Contains(err.Error(), x.wantMessage) {
			t.Errorf("%s: %v", x.code, err)
		}
		expect(t, x.code, err, x.status, strings.TrimSpace(x.code), x.want)
	}
	// A response without reasons, as for an identity without a role.
	now = exchange{"POST", action + "unwrap", `{"ciphertext":"eyJj"}`, 401, `{"metadata":{"collectionType":"application/vnd.ibm.kms.error+json","collectionTotal":1},"resources":[{"errorMsg":"Unauthorized: The user does not have access to the specified resource"}]}`}
	_, err = c.Unwrap(ctx, "eyJj")
	expect(t, "no access", err, 401, "", wrap.ErrDenied, wrap.ErrAuth)
}
