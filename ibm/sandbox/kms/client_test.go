package kms_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	kp "github.com/IBM/keyprotect-go-client"
	kpiam "github.com/IBM/keyprotect-go-client/iam"

	"github.com/luksimg/luksimg/ibm/sandbox/kms"
)

// realClient returns IBM's client with its default configuration. It gets its token
// from the sandbox too.
func realClient(t *testing.T, s *kms.Server, apiKey, instanceCRN, tokenPath string) *kp.Client {
	t.Helper()
	identity, service := httptest.NewServer(s.IAM()), httptest.NewServer(s.KeyProtect())
	t.Cleanup(identity.Close)
	t.Cleanup(service.Close)
	kp.RetryMax, kpiam.RetryMax = 0, 0
	c, err := kp.New(kp.ClientConfig{BaseURL: service.URL, TokenURL: identity.URL + tokenPath, APIKey: apiKey, InstanceID: strings.Split(instanceCRN, ":")[7]}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func code(err error) string {
	var e *kp.Error
	if errors.As(err, &e) && len(e.Reasons) > 0 {
		return e.Reasons[0].Code
	}
	return ""
}

// TestRealClient tests every call of IBM's client that the sandbox serves.
func TestRealClient(t *testing.T) {
	now := time.Now()
	s := kms.New(kms.Options{Now: func() time.Time { return now }, TokenLife: 100 * time.Hour})
	_, apiKey := s.AddUser("owner")
	instance := s.AddInstance("kms", "us-south")
	ctx := context.Background()
	c := realClient(t, s, apiKey, instance, "/oidc/token")
	text := []byte(base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))

	root, err := c.CreateRootKey(ctx, "root", nil)
	if err != nil {
		t.Fatal(err)
	}
	if root.State != int(kp.Active) || root.KeyVersion == nil || root.KeyVersion.CreationDate == nil || root.Extractable || root.AlgorithmType != "AES" || !strings.HasPrefix(root.CRN, strings.TrimSuffix(instance, "::")) {
		t.Errorf("%+v", root)
	}
	ct, err := c.Wrap(ctx, root.ID, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if pt, rewrapped, err := c.UnwrapV2(ctx, root.ID, ct, nil); err != nil || string(pt) != string(text) || len(rewrapped) != 0 {
		t.Errorf("%s, %s, %v", pt, rewrapped, err)
	}
	pt, ct2, err := c.WrapCreateDEK(ctx, root.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := c.Unwrap(ctx, root.ID, ct2, nil); err != nil || string(back) != string(pt) {
		t.Errorf("%s, %v", back, err)
	}
	v2, err := c.WrapV2(ctx, root.ID, text, nil)
	if err != nil || v2.KeyVersion == nil || v2.KeyVersion.ID != root.KeyVersion.ID {
		t.Errorf("%+v, %v", v2, err)
	}

	// Additional data must be equal, entry by entry.
	aad := []string{"a", "bc"}
	ct3, err := c.Wrap(ctx, root.ID, text, &aad)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := c.Unwrap(ctx, root.ID, ct3, &aad); err != nil || string(back) != string(text) {
		t.Errorf("%v", err)
	}
	for _, other := range [][]string{nil, {"ab", "c"}, {"a"}} {
		if _, err := c.Unwrap(ctx, root.ID, ct3, &other); code(err) != "UNPROCESSABLE_CIPHERTEXT_ERR" {
			t.Errorf("%q: %v", other, err)
		}
	}
	for _, long := range [][]string{{strings.Repeat("x", 256)}, make([]string, 256)} {
		if _, err := c.Wrap(ctx, root.ID, text, &long); code(err) != "BAD_BODY_ERR" {
			t.Errorf("too much of it: %v", err)
		}
	}

	// Rotation.
	if err := c.RotateV2(ctx, root.ID, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Rotate(ctx, root.ID, ""); code(err) != "KEY_ROTATION_NOT_PERMITTED" {
		t.Errorf("twice in an hour: %v", err)
	}
	now = now.Add(time.Hour)
	if err := c.Rotate(ctx, root.ID, ""); err != nil {
		t.Fatal(err)
	}
	pt, rewrapped, err := c.UnwrapV2(ctx, root.ID, ct, nil)
	if err != nil || string(pt) != string(text) || len(rewrapped) == 0 {
		t.Errorf("%s, %s, %v", pt, rewrapped, err)
	}
	if k, err := c.GetKeyMetadata(ctx, root.ID); err != nil || k.KeyVersion.ID == root.KeyVersion.ID || k.LastRotateDate == nil {
		t.Errorf("%+v, %v", k, err)
	}
	if err := c.Rotate(ctx, root.ID, string(text)); code(err) != "KEY_IMPT_REQ_ERR" {
		t.Errorf("%v", err)
	}

	// Standard keys, aliases, expiry, lists.
	expires := now.Add(time.Hour)
	standard, err := c.CreateKeyWithOptions(ctx, "standard", true, kp.WithExpiration(&expires), kp.WithDescription("d"), kp.WithAliases([]string{"nick"}))
	if err != nil {
		t.Fatal(err)
	}
	if k, err := c.GetKey(ctx, "nick"); err != nil || k.ID != standard.ID || len(k.Payload) != 44 || k.Description != "d" || k.Expiration == nil {
		t.Errorf("%+v, %v", k, err)
	}
	if k, err := c.GetKey(ctx, root.ID); err != nil || k.Payload != "" {
		t.Errorf("a root key shows its payload: %v", err)
	}
	if _, err := c.CreateKeyWithAliases(ctx, "other", nil, true, []string{"nick"}); code(err) != "KEY_ALIAS_NOT_UNIQUE_ERR" {
		t.Errorf("%v", err)
	}
	if _, err := c.Wrap(ctx, standard.ID, text, nil); code(err) != "KEY_ROOT_REQ_ERR" {
		t.Errorf("%v", err)
	}
	if _, err := c.CreateImportedStandardKey(ctx, "big", nil, base64.StdEncoding.EncodeToString(make([]byte, 7501))); code(err) != "BAD_BODY_ERR" {
		t.Errorf("%v", err)
	}
	if k, err := c.CreateImportedStandardKey(ctx, "mine", nil, string(text)); err != nil || !k.Imported {
		t.Errorf("%+v, %v", k, err)
	}
	for _, n := range []int{16, 24, 32, 31} {
		k, err := c.CreateImportedRootKey(ctx, "mine", nil, base64.StdEncoding.EncodeToString(make([]byte, n)), "", "")
		if n == 31 && code(err) != "BAD_BODY_ERR" || n != 31 && (err != nil || !k.Imported) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if keys, err := c.GetKeys(ctx, 0, 0); err != nil || len(keys.Keys) != 6 || keys.Metadata.NumberOfKeys != 6 {
		t.Errorf("%+v, %v", keys, err)
	}
	if keys, err := c.GetKeys(ctx, 2, 3); err != nil || len(keys.Keys) != 2 {
		t.Errorf("%+v, %v", keys, err)
	}
	if _, err := c.GetKeys(ctx, 6000, 0); code(err) != "INVALID_QUERY_PARAM_ERR" {
		t.Errorf("%v", err)
	}

	// States.
	if err := c.EnableKey(ctx, root.ID); code(err) != "KEY_ACTION_INVALID_STATE_ERR" {
		t.Errorf("enabling an enabled key: %v", err)
	}
	if err := c.DisableKey(ctx, root.ID); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"wrap": one(c.Wrap(ctx, root.ID, text, nil)), "unwrap": one(c.Unwrap(ctx, root.ID, ct, nil)), "rotate": c.Rotate(ctx, root.ID, ""), "disable": c.DisableKey(ctx, root.ID),
	} {
		if code(err) != "KEY_ACTION_INVALID_STATE_ERR" {
			t.Errorf("%s of a disabled key: %v", name, err)
		}
	}
	now = now.Add(29 * time.Second)
	var early *kp.Error
	if err := c.EnableKey(ctx, root.ID); !errors.As(err, &early) || code(err) != "REQ_TOO_EARLY_ERR" || early.StatusCode != 409 ||
		early.Message != "Conflict: Key could not be enabled. Please see `reasons` for more details." {
		t.Errorf("29 seconds after it was disabled: %v", err)
	}
	now = now.Add(time.Second)
	if err := c.EnableKey(ctx, root.ID); err != nil {
		t.Fatal(err)
	}
	if k, err := c.DeleteKey(ctx, root.ID, kp.ReturnRepresentation); err != nil || k == nil || k.State != int(kp.Destroyed) || k.Deleted == nil || !*k.Deleted {
		t.Errorf("%+v, %v", k, err)
	}
	for name, err := range map[string]error{
		"delete": one(c.DeleteKey(ctx, root.ID, kp.ReturnMinimal)), "get": one(c.GetKey(ctx, root.ID)), "unwrap": one(c.Unwrap(ctx, root.ID, ct, nil)), "enable": c.EnableKey(ctx, root.ID),
	} {
		if code(err) != "KEY_DELETED_ERR" {
			t.Errorf("%s of a deleted key: %v", name, err)
		}
	}
	if k, err := c.DeleteKey(ctx, standard.ID, kp.ReturnMinimal); err != nil || k != nil {
		t.Errorf("%+v, %v", k, err)
	}
	if _, err := c.GetKey(ctx, "nothing"); code(err) != "KEY_NOT_FOUND_ERR" {
		t.Errorf("%v", err)
	}
}

func one[T any](_ T, err error) error { return err }

// TestImportToken tests the secure import with the client's own functions, and all
// its failures.
func TestImportToken(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s := kms.New(kms.Options{Now: func() time.Time { return now }})
	_, apiKey := s.AddUser("owner")
	c := realClient(t, s, apiKey, s.AddInstance("kms", "us-south"), "/identity/token")
	ctx := context.Background()
	material := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))

	if _, err := c.GetImportTokenTransportKey(ctx); code(err) != "IMPORT_TOKEN_NOT_FOUND_ERR" {
		t.Errorf("no import token: %v", err)
	}
	for _, bad := range [][2]int{{299, 1}, {86401, 1}, {600, 501}} {
		if _, err := c.CreateImportToken(ctx, bad[0], bad[1]); code(err) != "BAD_BODY_ERR" {
			t.Errorf("%v: %v", bad, err)
		}
	}
	made, err := c.CreateImportToken(ctx, 300, 2)
	if err != nil || made.MaxAllowedRetrievals != 2 || made.RemainingRetrievals != 2 || !made.ExpirationDate.Equal(now.Add(5*time.Minute)) {
		t.Fatalf("%+v, %v", made, err)
	}
	token, err := c.GetImportTokenTransportKey(ctx)
	if err != nil || token.ID != made.ID {
		t.Fatalf("%+v, %v", token, err)
	}
	payload, err := kp.EncryptKey(material, token.Payload)
	if err != nil {
		t.Fatal(err)
	}
	nonce, iv, err := kp.EncryptNonce(material, token.Nonce, "")
	if err != nil {
		t.Fatal(err)
	}
	wrongNonce, wrongIV, err := kp.EncryptNonce(material, base64.StdEncoding.EncodeToString(make([]byte, 12)), "")
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string][4]string{
		"wrong nonce":      {payload, wrongNonce, wrongIV, "INCORRECT_NONCE_ERR"},
		"wrong iv":         {payload, nonce, wrongIV, "INCORRECT_NONCE_ERR"},
		"no iv":            {payload, nonce, "", "INCORRECT_NONCE_IV_ERR"},
		"no nonce":         {payload, "", iv, "INCORRECT_NONCE_IV_ERR"},
		"not under it":     {material, nonce, iv, "BAD_BODY_ERR"},
		"no payload":       {"", nonce, iv, "BAD_BODY_ERR"},
		"nonce not base64": {payload, "?", iv, "INCORRECT_NONCE_IV_ERR"},
	} {
		if _, err := c.CreateImportedRootKey(ctx, "mine", nil, x[0], x[1], x[2]); code(err) != x[3] {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.CreateImportedKeyWithSHA1(ctx, "mine", nil, payload, nonce, iv, false, nil); code(err) != "BAD_BODY_ERR" {
		t.Errorf("SHA-1 at Key Protect: %v", err)
	}
	if k, err := c.CreateImportedRootKey(ctx, "mine", nil, payload, nonce, iv); err != nil || !k.Imported {
		t.Errorf("%+v, %v", k, err)
	}
	if _, err := c.GetImportTokenTransportKey(ctx); err != nil {
		t.Errorf("the second of two: %v", err)
	}
	if _, err := c.GetImportTokenTransportKey(ctx); code(err) != "IMPORT_TOKEN_EXPIRED_ERR" {
		t.Errorf("the third of two: %v", err)
	}
	now = now.Add(5 * time.Minute)
	if _, err := c.CreateImportedRootKey(ctx, "mine", nil, payload, nonce, iv); code(err) != "IMPORT_TOKEN_EXPIRED_ERR" {
		t.Errorf("too late: %v", err)
	}
}

// TestRealClientRefused uses invalid credentials.
func TestRealClientRefused(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	s := kms.New(kms.Options{Now: func() time.Time { return now }})
	owner, apiKey := s.AddUser("owner")
	instance := s.AddInstance("kms", "us-south")
	ctx := context.Background()

	var e kpiam.Error
	_, err := realClient(t, s, "wrong", instance, "/identity/token").GetKeys(ctx, 0, 0)
	if !errors.As(err, &e) || e.ErrorCode != "BXNIM0415E" || e.Context == nil || e.Context.RequestID == "" {
		t.Errorf("a wrong API key: %v", err)
	}
	c := realClient(t, s, apiKey, instance, "/identity/token")
	for name, token := range map[string]string{
		"nonsense": "nonsense", "none": "Bearer ", "forged": strings.TrimRight(s.Token(owner, time.Hour), "=") + "x", "expired": s.Token(owner, -time.Second),
		"of nobody": s.Token(kms.Identity{IAMID: "IBMid-X"}, time.Hour),
	} {
		if _, err := c.GetKeys(kp.NewContextWithAuth(ctx, token), 0, 0); code(err) != "UNAUTHORIZED_ERR" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.GetKeys(kp.NewContextWithAuth(ctx, "Bearer "+s.Token(owner, time.Second)), 0, 0); err != nil {
		t.Errorf("valid token: %v", err)
	}
}
