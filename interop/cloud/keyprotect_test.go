package cloud

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	kp "github.com/IBM/keyprotect-go-client"

	"github.com/luksimg/luksimg/ibm/sandbox"
)

// keys returns IBM's client of Key Protect, with an API key, in a ring unless that is "".
func keys(t testing.TB, at sandbox.Settings, key, ring string) *kp.Client {
	t.Helper()
	crn := strings.Split(at.KMSInstance, ":")
	c, err := kp.New(kp.ClientConfig{BaseURL: at.KMS, APIKey: key, TokenURL: at.IAM + "/oidc/token", InstanceID: crn[7], KeyRing: ring}, kp.DefaultTransport())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// refusedKey fails unless an error of Key Protect has this status and reason.
func refusedKey(t testing.TB, err error, status int, reason string) {
	t.Helper()
	var e *kp.Error
	if !errors.As(err, &e) {
		t.Errorf("%v, want %s", err, reason)
		return
	}
	if e.StatusCode != status || len(e.Reasons) == 0 || e.Reasons[0].Code != reason {
		t.Errorf("%v, want %d %s", err, status, reason)
	}
}

// importKey imports material as a root key, encrypted by the client with an import token.
func importKey(t testing.TB, c *kp.Client, name string, material []byte) *kp.Key {
	t.Helper()
	if _, err := c.CreateImportToken(ctx, 600, 2); err != nil {
		t.Fatal(err)
	}
	token, err := c.GetImportTokenTransportKey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(material)
	payload, err := kp.EncryptKey(text, token.Payload)
	if err != nil {
		t.Fatal(err)
	}
	nonce, iv, err := kp.EncryptNonce(text, token.Nonce, "")
	if err != nil {
		t.Fatal(err)
	}
	k, err := c.CreateImportedRootKey(ctx, name, nil, payload, nonce, iv)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestImportedKey imports a root key into a key ring, and wraps with it.
func TestImportedKey(t *testing.T) {
	at := start(t, sandbox.Options{}).Settings()
	if err := keys(t, at, at.APIKey, "").CreateKeyRing(ctx, "images"); err != nil {
		t.Fatal(err)
	}
	c := keys(t, at, at.APIKey, "images")
	k := importKey(t, c, "byok", noise(32, 1))
	if got, err := c.GetKeyMetadata(ctx, k.ID); err != nil || !got.Imported || got.KeyRingID != "images" || got.Extractable {
		t.Fatalf("%+v, %v", got, err)
	}
	rings, err := c.GetKeyRings(ctx)
	if err != nil || len(rings.KeyRings) != 2 {
		t.Errorf("%+v, %v", rings, err)
	}
	plain, wdek, err := c.WrapCreateDEK(ctx, k.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Unwrap(ctx, k.ID, wdek, nil); err != nil || string(again) != string(plain) {
		t.Errorf("unwrapped: %v", err)
	}
	aad := []string{"image", "web"}
	wdek, err = c.Wrap(ctx, k.ID, []byte("c2VjcmV0"), &aad)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Unwrap(ctx, k.ID, wdek, nil)
	refusedKey(t, err, 422, "UNPROCESSABLE_CIPHERTEXT_ERR")
	// An imported key can be rotated only with new material.
	if err := c.Rotate(ctx, k.ID, base64.StdEncoding.EncodeToString(noise(32, 2))); err != nil {
		t.Fatal(err)
	}
	if got, fresh, err := c.UnwrapV2(ctx, k.ID, wdek, &aad); err != nil || string(got) != "c2VjcmV0" || len(fresh) == 0 {
		t.Errorf("%q, %q, %v", got, fresh, err)
	}
	if v, err := c.ListKeyVersions(ctx, k.ID, nil); err != nil || len(v.KeyVersion) != 2 {
		t.Errorf("%+v, %v", v, err)
	}
	// A ring that contains a key cannot be deleted.
	if err := c.DeleteKeyRing(ctx, "images"); err == nil {
		t.Error("ring with a key deleted")
	}
}

// TestKeys tests the remaining key operations of the client.
func TestKeys(t *testing.T) {
	at := start(t, sandbox.Options{}).Settings()
	c := keys(t, at, at.APIKey, "")
	k, err := c.CreateKeyWithOptions(ctx, "root", false, kp.WithAliases([]string{"golden"}), kp.WithDescription("of images"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateKeyAlias(ctx, "silver", k.ID); err != nil {
		t.Error(err)
	}
	wdek, err := c.Wrap(ctx, "golden", []byte("c2VjcmV0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Unwrap(ctx, "silver", wdek, nil); err != nil || string(got) != "c2VjcmV0" {
		t.Errorf("%q, %v", got, err)
	}
	if err := c.DeleteKeyAlias(ctx, "silver", k.ID); err != nil {
		t.Error(err)
	}
	if _, err := c.SetRotationPolicy(ctx, k.ID, 3); err != nil {
		t.Error(err)
	}
	if p, err := c.GetRotationPolicy(ctx, k.ID); err != nil || p.Rotation == nil || p.Rotation.Interval != 3 {
		t.Errorf("%+v, %v", p, err)
	}
	if l, err := c.ListRegistrations(ctx, k.ID, ""); err != nil || len(l.Registrations) != 0 {
		t.Errorf("%+v, %v", l, err)
	}
	limit := uint32(10)
	if l, err := c.ListKeys(ctx, &kp.ListKeysOptions{Limit: &limit, State: []kp.KeyState{kp.Active}}); err != nil || len(l.Keys) != 2 {
		t.Errorf("%+v, %v", l, err)
	}

	// A standard key can be read, but cannot wrap.
	s, err := c.CreateImportedStandardKey(ctx, "dek", nil, base64.StdEncoding.EncodeToString(noise(32, 3)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.GetKey(ctx, s.ID); err != nil || got.Payload != base64.StdEncoding.EncodeToString(noise(32, 3)) {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = c.Wrap(ctx, s.ID, []byte("c2VjcmV0"), nil)
	refusedKey(t, err, 400, "KEY_ROOT_REQ_ERR")

	// A key cannot be enabled within 30 seconds after it was disabled.
	if err := c.DisableKey(ctx, k.ID); err != nil {
		t.Fatal(err)
	}
	_, err = c.Wrap(ctx, k.ID, []byte("c2VjcmV0"), nil)
	refusedKey(t, err, 409, "KEY_ACTION_INVALID_STATE_ERR")
	refusedKey(t, c.EnableKey(ctx, k.ID), 409, "REQ_TOO_EARLY_ERR")

	// Delete and restore the key.
	d, err := c.CreateRootKey(ctx, "lost", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteKey(ctx, d.ID, kp.ReturnRepresentation); err != nil {
		t.Error(err)
	}
	if got, err := c.GetKeyMetadata(ctx, d.ID); err != nil || got.State != int(kp.Destroyed) {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = c.Wrap(ctx, d.ID, []byte("c2VjcmV0"), nil)
	refusedKey(t, err, 410, "KEY_DELETED_ERR")
	_, err = c.RestoreKey(ctx, d.ID)
	refusedKey(t, err, 409, "REQ_TOO_EARLY_ERR")
	if _, err := c.PurgeKey(ctx, d.ID, kp.ReturnMinimal); err == nil {
		t.Error("purged immediately and without the role")
	}
}
