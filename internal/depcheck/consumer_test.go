package depcheck

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const consumer = `package main

import (
	"bytes"
	"context"
	"fmt"
	"log"

	"github.com/luksimg/luksimg/luks"
)

func main() {
	var b bytes.Buffer
	h, key, err := luks.New(context.Background(), []byte("a passphrase"), luks.Options{Version: 1, KDF: luks.KDF{Type: luks.PBKDF2, Iterations: 1000}})
	if err != nil {
		log.Fatal(err)
	}
	clear(key)
	if _, err := h.WriteTo(&b); err != nil {
		log.Fatal(err)
	}
	fmt.Println(luks.Detect(bytes.NewReader(b.Bytes()), int64(b.Len())))
}
`

// TestConsumer builds a module that imports only package luks. Its binary must contain only the modules
// that luks needs, and none of the command's or a cloud's.
func TestConsumer(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("main.go", consumer)
	write("go.mod", "module example.com/consumer\n\ngo 1.26\n\nrequire "+module+" v0.0.0\n\nreplace "+module+" => "+root+"\n")
	run := func(args ...string) string {
		t.Helper()
		c := exec.Command("go", args...)
		c.Dir = dir
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if out := strings.TrimSpace(run("run", ".")); !strings.HasSuffix(out, "true") {
		t.Errorf("the consumer printed %s", out)
	}
	run("mod", "tidy")
	may := []string{"golang.org/x/crypto", "golang.org/x/sys", "github.com/google/uuid", module, "example.com/consumer"}
	for _, m := range strings.Fields(run("list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")) {
		if !matches(may, m) {
			t.Errorf("the program contains module %s", m)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, banned := range []string{"IBM", "softlayer", "cobra", "minio", "testify", "klauspost", "serpent", "purego"} {
			if strings.Contains(string(text), banned) {
				t.Errorf("%s of the consumer contains %s:\n%s", name, banned, text)
			}
		}
	}
}
