package need

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// Vault starts an in-memory HashiCorp Vault with its transit engine, and returns its address. token is
// the root token.
func Vault(t testing.TB, token string) (address string) {
	t.Helper()
	address = keyService(t, "minivault", []string{"VAULT_DEV_ROOT_TOKEN_ID=" + token})
	for try := 0; ; try++ { // Vault listens before it is ready
		res, err := http.Get(address + "/v1/sys/health")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return address
			}
		}
		if try == 600 {
			t.Fatalf("Vault does not start: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// KMS starts local-kms, which imitates AWS KMS in the region eu-central-1 and the account 111122223333,
// and returns its address. It accepts any credentials. [KMSEncryptsOnly] can only encrypt.
func KMS(t testing.TB) (endpoint string) {
	t.Helper()
	return keyService(t, "localkms2", nil, filepath.Join(t.TempDir(), "data"))
}

// KMSEncryptsOnly is the access key ID of an identity that may only encrypt with [KMS].
const KMSEncryptsOnly = "AKIAENCRYPTSONLY"

// keyService starts a program that scripts/keyservices.sh builds, and returns its address.
func keyService(t testing.TB, name string, env []string, args ...string) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(here), "../../.cache/bin", name)
	if _, err := os.Stat(path); err != nil {
		Lack(t, name+" is not installed: scripts/keyservices.sh builds it")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close() // the program needs a port number, and this one is free
	cmd := exec.Command(path, append([]string{address}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %.3000s", name, out.String())
		}
	})
	for try := 0; ; try++ {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return "http://" + address
		}
		if try == 600 {
			t.Fatalf("%s does not start", name)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
