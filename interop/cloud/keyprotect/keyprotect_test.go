package keyprotect

import (
	"bufio"
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/IBM/go-sdk-core/v5/core"
	kp "github.com/IBM/keyprotect-go-client/ibmkeyprotectapiv2"
)

// settings are the settings that luksimg-sandbox prints.
type settings struct {
	IAM      string `json:"iam_url"`
	KMS      string `json:"kms_url"`
	Instance string `json:"kms_instance_crn"`
	APIKey   string `json:"api_key"`
}

// start builds the sandbox and runs it until the test ends.
func start(t *testing.T) settings {
	t.Helper()
	program := filepath.Join(t.TempDir(), "luksimg-sandbox")
	build := exec.Command("go", "build", "-o", program, "./cmd/luksimg-sandbox")
	build.Dir = "../../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(program, "--json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	var s settings
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func body(text string) io.ReadCloser { return io.NopCloser(strings.NewReader(text)) }

// TestKeys creates a root key in a key ring, wraps and unwraps with it, rotates it, and deletes it.
func TestKeys(t *testing.T) {
	s := start(t)
	c, err := kp.NewIbmKeyProtectApiV2(&kp.IbmKeyProtectApiV2Options{URL: s.KMS, Authenticator: &core.IamAuthenticator{ApiKey: s.APIKey, URL: s.IAM}})
	if err != nil {
		t.Fatal(err)
	}
	instance := strings.Split(s.Instance, ":")[7]
	if _, err := c.CreateKeyRing(c.NewCreateKeyRingOptions("images", instance)); err != nil {
		t.Fatal(err)
	}
	made, _, err := c.CreateKey(c.NewCreateKeyOptions(instance, body(`{"metadata":{"collectionType":"application/vnd.ibm.kms.key+json","collectionTotal":1},
		"resources":[{"name":"root","aliases":["golden"],"type":"application/vnd.ibm.kms.key+json","extractable":false}]}`)).SetXKmsKeyRing("images"))
	if err != nil || len(made.Resources) != 1 {
		t.Fatalf("%+v, %v", made, err)
	}
	id := *made.Resources[0].ID
	wrapped, _, err := c.WrapKey(c.NewWrapKeyOptions("golden", instance).SetKeyActionWrapBody(body(`{"plaintext":"c2VjcmV0"}`)).SetXKmsKeyRing("images"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.RotateKey(c.NewRotateKeyOptions(id, instance).SetKeyActionRotateBody(body(`{}`))); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{"ciphertext": *wrapped.Ciphertext})
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := c.UnwrapKey(c.NewUnwrapKeyOptions(id, instance, body(string(text))))
	if err != nil || *got.Plaintext != "c2VjcmV0" || got.Ciphertext == nil || got.RewrappedKeyVersion == nil {
		t.Errorf("%+v, %v", got, err)
	}
	if v, _, err := c.GetKeyVersions(c.NewGetKeyVersionsOptions(id, instance)); err != nil || len(v.Resources) != 2 {
		t.Errorf("%+v, %v", v, err)
	}
	if m, _, err := c.GetKeyMetadata(c.NewGetKeyMetadataOptions(id, instance)); err != nil || *m.Resources[0].KeyRingID != "images" {
		t.Errorf("%+v, %v", m, err)
	}
	if r, _, err := c.ListKeyRings(c.NewListKeyRingsOptions(instance)); err != nil || len(r.Resources) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, r, err := c.PostImportToken(c.NewPostImportTokenOptions(instance)); err != nil || r.StatusCode != 200 && r.StatusCode != 201 {
		t.Errorf("%+v, %v", r, err)
	}
	if token, _, err := c.GetImportToken(c.NewGetImportTokenOptions(instance)); err != nil || len(*token.Payload) == 0 || len(*token.Nonce) == 0 {
		t.Errorf("%v", err)
	}
	if _, _, err := c.DeleteKey(c.NewDeleteKeyOptions(id, instance)); err != nil {
		t.Error(err)
	}
	_, r, err := c.WrapKey(c.NewWrapKeyOptions(id, instance).SetKeyActionWrapBody(body(`{}`)))
	if err == nil || r.StatusCode != 410 {
		t.Errorf("wrapping with a deleted key: %v", err)
	}
}
