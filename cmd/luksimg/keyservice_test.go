package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/internal/need"
)

// A serviceCase is a running key service with a key.
type serviceCase struct {
	kms    string // the URI of the key
	absent string // the URI of a missing key
	rotate func()
	locked func() // disables the present version of the key; unlock enables it
	unlock func()
	denied func() // switches to an identity that may only wrap
	down   func() // makes the service unreachable
}

// fails runs the command, which must end with this exit code and print this text.
func fails(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	got, out := runIn(t.Context(), args...)
	if got != code || !regexp.MustCompile(want).MatchString(out) || !strings.Contains(out, "hint: ") {
		t.Errorf("%q: %d, want %d and %q\n%s", args, got, code, want, out)
	}
}

// TestKeyServices opens images through tokens and envelopes with the key services that run here.
func TestKeyServices(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) serviceCase{"Vault": startVault, "AWS KMS": startKMS} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			scheme, _, _ := strings.Cut(s.kms, ":")
			dir := t.TempDir()
			at := func(name string) string { return filepath.Join(dir, name) }
			noise(t, at("disk"), 64<<10)
			done(t, "encrypt", "--kms", s.kms, at("disk"), at("made"))
			if err := os.Mkdir(at("elsewhere"), 0o700); err != nil {
				t.Fatal(err)
			}
			image := at("elsewhere/image")
			if err := os.Rename(at("made"), image); err != nil {
				t.Fatal(err)
			}
			opens := func() {
				t.Helper()
				done(t, "decrypt", "-q", "--force", "--kms", scheme, image, at("back"))
				want, _ := os.ReadFile(at("disk"))
				if got, err := os.ReadFile(at("back")); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("the decrypted data differs: %v", err)
				}
			}
			opens()
			done(t, "verify", "--kms", s.kms, at("disk"), image)
			if out := done(t, "inspect", image); !strings.Contains(out, s.kms) {
				t.Errorf("inspect does not name the root key:\n%s", out)
			}
			done(t, "unwrap", "--kms", scheme, "--image", image, at("dek"))
			done(t, "key", "test", "--key-file", at("dek"), image)

			// Rewrap an envelope from one key service to another.
			done(t, "keygen", "--kms", "local:"+at("root"))
			done(t, "wrap", "--kms", s.kms, "--key-file", at("dek"), "--envelope", at("e.json"))
			done(t, "unwrap", "--envelope", at("e.json"), at("dek2"))
			done(t, "rewrap", "--envelope", at("e.json"), "--new-kms", "local:"+at("root"))
			done(t, "rewrap", "--envelope", at("e.json"), "--kms", "local:"+at("root"), "--new-kms", s.kms)
			if a, err := os.ReadFile(at("dek")); err != nil {
				t.Fatal(err)
			} else if b, err := os.ReadFile(at("dek2")); err != nil || !bytes.Equal(a, b) {
				t.Errorf("the key in the envelope differs: %v", err)
			}

			// After a rotation, rewrap renews the token in place.
			before, err := os.ReadFile(image)
			if err != nil {
				t.Fatal(err)
			}
			s.rotate()
			opens()
			done(t, "rewrap", "--kms", scheme, image)
			if after, err := os.ReadFile(image); err != nil || bytes.Equal(before, after) || !bytes.Equal(before[16<<20:], after[16<<20:]) {
				t.Errorf("rewrap did not change the header, or changed the data: %v", err)
			}
			opens()
			done(t, "rewrap", "--envelope", at("e.json"))

			// A disabled key opens nothing until it is enabled again.
			s.locked()
			fails(t, exit.Refused, "not in a usable state", "decrypt", "--kms", scheme, image, at("no"))
			fails(t, exit.Refused, "not in a usable state", "rewrap", "--kms", scheme, image)
			s.unlock()
			opens()

			fails(t, exit.Refused, "not found", "encrypt", "--kms", s.absent, at("disk"), at("no"))
			fails(t, exit.Failure, "another root key wrapped the key", "decrypt", "--kms", s.absent, image, at("no"))
			fails(t, exit.Failure, "names no key", "encrypt", "--kms", scheme, at("disk"), at("no"))
			s.denied()
			if out := done(t, "wrap", "--kms", s.kms, "--key-file", at("dek"), "--envelope", at("built.json")); !strings.Contains(out, "may not unwrap") {
				t.Errorf("wrap does not warn that the key was not checked:\n%s", out)
			}
			fails(t, exit.Refused, "not allowed", "decrypt", "--kms", scheme, image, at("no"))
			fails(t, exit.Refused, "not allowed", "rewrap", "--kms", scheme, image)
			s.down()
			fails(t, exit.Failure, "unavailable", "decrypt", "--kms", scheme, image, at("no"))
			if _, err := os.Stat(at("no")); err == nil {
				t.Error("an output of a failed run exists")
			}
		})
	}
}

// post sends a request with operator rights.
func post(t *testing.T, url, body string, header ...string) string {
	t.Helper()
	req, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode >= 300 {
		t.Fatalf("%s: %d %s", url, res.StatusCode, text)
	}
	return string(text)
}

func startVault(t *testing.T) serviceCase {
	address := need.Vault(t, "root-of-test")
	for path, body := range map[string]string{"sys/mounts/transit": `{"type":"transit"}`} {
		post(t, address+"/v1/"+path, body, "X-Vault-Token", "root-of-test")
	}
	post(t, address+"/v1/transit/keys/images", `{}`, "X-Vault-Token", "root-of-test")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("root-of-test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(envVaultAddr, address)
	t.Setenv(envVaultToken, "")
	t.Setenv(envVaultTokenFile, file)

	// Without a valid token.
	dir := t.TempDir()
	noise(t, filepath.Join(dir, "disk"), 4096)
	refused := func(code int, want string) {
		t.Helper()
		fails(t, code, want, "encrypt", "--kms", "vault:transit/images", filepath.Join(dir, "disk"), filepath.Join(dir, "no"))
	}
	t.Setenv(envVaultToken, "wrong")
	refused(exit.Refused, "not authenticated")
	t.Setenv(envVaultToken, "")
	t.Setenv(envVaultTokenFile, "")
	t.Setenv("HOME", dir)
	refused(exit.Failure, "VAULT_TOKEN is not set")
	t.Setenv(envVaultCACert, filepath.Join(dir, "disk"))
	t.Setenv(envVaultToken, "@"+file)
	refused(exit.Failure, "VAULT_CACERT: .*no PEM certificate")
	t.Setenv(envVaultCACert, "")
	t.Setenv(envVaultToken, "")
	t.Setenv(envVaultTokenFile, file)
	t.Setenv(envVaultAddr, "")
	refused(exit.Failure, "VAULT_ADDR is not set")
	t.Setenv(envVaultAddr, address)

	return serviceCase{
		kms: "vault:transit/images", absent: "vault:transit/absent",
		rotate: func() {
			post(t, address+"/v1/transit/keys/images/rotate", `{}`, "X-Vault-Token", "root-of-test")
		},
		locked: func() {
			post(t, address+"/v1/transit/keys/images/rotate", `{}`, "X-Vault-Token", "root-of-test")
			post(t, address+"/v1/transit/keys/images/config", `{"min_decryption_version":3}`, "X-Vault-Token", "root-of-test")
		},
		unlock: func() {
			post(t, address+"/v1/transit/keys/images/config", `{"min_decryption_version":1}`, "X-Vault-Token", "root-of-test")
		},
		denied: func() {
			post(t, address+"/v1/sys/policies/acl/builder", `{"policy":"path \"transit/encrypt/images\" { capabilities = [\"update\"] }"}`, "X-Vault-Token", "root-of-test")
			text := post(t, address+"/v1/auth/token/create", `{"policies":["builder"]}`, "X-Vault-Token", "root-of-test")
			t.Setenv(envVaultToken, regexp.MustCompile(`"client_token":"([^"]+)"`).FindStringSubmatch(text)[1])
		},
		down: func() { post(t, address+"/v1/sys/seal", ``, "X-Vault-Token", "root-of-test") },
	}
}

func startKMS(t *testing.T) serviceCase {
	endpoint := need.KMS(t)
	text := post(t, endpoint, `{}`, "Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", "TrentService.CreateKey")
	arn := regexp.MustCompile(`arn:aws:kms:[^"]+`).FindString(text)
	dir := t.TempDir()
	file := filepath.Join(dir, "credentials")
	if err := os.WriteFile(file, []byte("[default]\naws_access_key_id = A\naws_secret_access_key = s3cr3t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	noise(t, filepath.Join(dir, "disk"), 4096)
	refused := func(want string) {
		t.Helper()
		fails(t, exit.Failure, want, "encrypt", "--kms", "awskms:"+arn, filepath.Join(dir, "disk"), filepath.Join(dir, "no"))
	}
	t.Setenv("HOME", dir)
	for _, name := range []string{envAWSKeyID, envAWSSecret, envAWSSession, envAWSProfile, envAWSCredentials} {
		t.Setenv(name, "")
	}
	t.Setenv(envAWSEndpoint, endpoint)
	refused("no credentials")
	t.Setenv(envAWSCredentials, file)
	t.Setenv(envAWSProfile, "other")
	refused(`profile "other" has no access key`)
	t.Setenv(envAWSProfile, "")
	operate := func(op string) {
		post(t, endpoint, `{"KeyId":"`+arn+`"}`, "Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", "TrentService."+op)
	}
	return serviceCase{
		rotate: func() { operate("RotateKeyOnDemand") },
		locked: func() { operate("DisableKey") },
		unlock: func() { operate("EnableKey") },
		denied: func() {
			t.Setenv(envAWSKeyID, need.KMSEncryptsOnly)
			t.Setenv(envAWSSecret, "s3cr3t")
		},
		kms: "awskms:" + arn, absent: "awskms:" + arn[:len(arn)-4] + "0000",
		down: func() { t.Setenv(envAWSEndpoint, "http://127.0.0.1:1") },
	}
}

func TestProfile(t *testing.T) {
	text := "# [default]\n[default]\naws_access_key_id=A\naws_secret_access_key = b=c/d\n\n[ other ]\naws_access_key_id = X\n;aws_secret_access_key = no\nAWS_SECRET_ACCESS_KEY=Y\naws_session_token = Z\nregion = r\n[empty]\n"
	for profile, want := range map[string][3]string{"default": {"A", "b=c/d", ""}, "other": {"X", "Y", "Z"}, "empty": {}, "none": {}} {
		c := profileOf([]byte(text), profile)
		if got := [3]string{c.AccessKeyID, string(c.SecretAccessKey), string(c.SessionToken)}; got != want {
			t.Errorf("%s: %q, want %q", profile, got, want)
		}
	}
}
