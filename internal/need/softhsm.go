package need

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// A SoftHSM is a token of SoftHSM2.
type SoftHSM struct {
	Module string // path of the PKCS #11 module
	Label  string // label of the token
	PIN    string // PIN of the user

	t testing.TB
}

// HSM creates a token of SoftHSM2, builds luksimg-pkcs11 and puts it on the PATH. It sets PATH and
// SOFTHSM2_CONF in the environment of the test.
func HSM(t testing.TB) *SoftHSM {
	t.Helper()
	h := &SoftHSM{Label: "luksimg test", PIN: "pin-of-the-user", t: t}
	Program(t, "softhsm2-util", "pkcs11-tool")
	for _, name := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"} {
		if _, err := os.Stat(name); err == nil {
			h.Module = name
		}
	}
	if h.Module == "" {
		Lack(t, "the PKCS #11 module of SoftHSM2 is not installed")
	}
	helper(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "directories.tokendir = %s\nlog.level = ERROR\n", dir), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	Run(t, dir, "softhsm2-util", "--init-token", "--free", "--label", h.Label, "--so-pin", "pin-of-the-officer", "--pin", h.PIN)
	return h
}

// helper builds luksimg-pkcs11, which is a separate Go module, and puts it on the PATH.
func helper(t testing.TB) {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "luksimg-pkcs11"), ".")
	build.Dir = filepath.Join(filepath.Dir(here), "../../cmd/luksimg-pkcs11")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		Lack(t, fmt.Sprintf("luksimg-pkcs11 cannot be built: %v\n%s", err, out))
	}
	t.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

// Tool runs pkcs11-tool on the token, logged in as its user.
func (h *SoftHSM) Tool(args ...string) string {
	h.t.Helper()
	return Run(h.t, ".", "pkcs11-tool", append([]string{"--module", h.Module, "--token-label", h.Label, "--login", "--pin", h.PIN}, args...)...)
}

// AES creates an AES key with a label and an id in hexadecimal digits.
func (h *SoftHSM) AES(label, id string) {
	h.t.Helper()
	h.Tool("--keygen", "--key-type", "AES:32", "--label", label, "--id", id, "--sensitive", "--usage-decrypt", "--usage-wrap")
}
