// Package depcheck holds the arrows of the design: what each package may import,
// directly or through others, as tests.
package depcheck

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/luksimg/luksimg"

// core is banned in all packages that read, write or encrypt: nothing that logs, starts a
// process, uses the network, or belongs to one cloud or to the command.
var core = []string{
	"log/slog", "os/exec", "net/http", "testing", "flag",
	"github.com/IBM/*", "github.com/softlayer/*", "github.com/minio/*",
	"github.com/spf13/*", "github.com/stretchr/*", "github.com/anatol/*",
	module + "/cmd/*", module + "/internal/term", module + "/internal/output",
}

// direct is banned as an import of the packages themselves. Others may have it: zstd of
// klauspost/compress imports log for its debug mode, which is off.
var direct = []string{"log"}

// allowed lists every package of the module that is not a command or a test, with the
// packages it may reach: of this module, and of others. The standard library is allowed, but for core.
var allowed = map[string][]string{
	"":                  {"image", "vhd", "qcow", "internal/inflate", "internal/chain", "github.com/klauspost/compress", "github.com/klauspost/compress/*", "luks", "xts", "internal/af", "internal/dmcrypt", "internal/parallel", "golang.org/x/crypto/*", "golang.org/x/sys/cpu", "github.com/google/uuid"},
	"image":             {},
	"xts":               {"golang.org/x/sys/cpu"},
	"luks":              {"xts", "internal/af", "internal/dmcrypt", "golang.org/x/crypto/*", "golang.org/x/sys/cpu", "github.com/google/uuid"},
	"vhd":               {"image", "xts", "internal/chain", "golang.org/x/sys/cpu"},
	"qcow":              {"image", "luks", "xts", "internal/inflate", "internal/chain", "internal/af", "internal/dmcrypt", "github.com/klauspost/compress", "github.com/klauspost/compress/*", "golang.org/x/crypto/*", "golang.org/x/sys/cpu", "github.com/google/uuid"},
	"internal/af":       {},
	"internal/chain":    {},
	"internal/inflate":  {},
	"internal/dmcrypt":  {"xts", "golang.org/x/sys/cpu"},
	"luks/ciphers":      {"internal/dmcrypt", "xts", "golang.org/x/crypto/*", "golang.org/x/sys/cpu", "github.com/aead/serpent", "github.com/dgryski/go-camellia", "github.com/jzelinskie/whirlpool", "lukechampine.com/adiantum", "lukechampine.com/adiantum/*"},
	"internal/parallel": {},
}

// free are the packages that may import what they like.
var free = []string{"cmd/luksimg", "internal/depcheck", "internal/interop", "internal/output", "internal/term"}

func list(t *testing.T, args ...string) []string {
	t.Helper()
	c := exec.Command("go", append([]string{"list"}, args...)...)
	c.Dir = "../.."
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go list %s: %v", strings.Join(args, " "), err)
	}
	return strings.Fields(string(out))
}

func matches(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if prefix, ok := strings.CutSuffix(p, "*"); ok {
			return strings.HasPrefix(pkg, prefix)
		}
		return p == pkg
	})
}

// TestArrows checks each package of the module against allowed and core.
func TestArrows(t *testing.T) {
	for _, pkg := range list(t, "./...") {
		name := strings.TrimPrefix(strings.TrimPrefix(pkg, module), "/")
		may, ok := allowed[name]
		if !ok {
			if _, ok := services[name]; !ok && !slices.Contains(free, name) {
				t.Errorf("%s has no row here: say what it may import", pkg)
			}
			continue
		}
		for _, dep := range list(t, "-f", `{{join .Imports " "}}`, pkg) {
			if matches(direct, dep) {
				t.Errorf("%s imports %s", pkg, dep)
			}
		}
		for _, dep := range list(t, "-deps", pkg) {
			if dep == pkg {
				continue
			}
			if matches(core, dep) {
				t.Errorf("%s reaches %s, which is banned in the core", pkg, dep)
			}
			own, isOwn := strings.CutPrefix(dep, module+"/")
			if isOwn && !slices.Contains(may, own) {
				t.Errorf("%s reaches %s", pkg, dep)
			}
			if !isOwn && strings.Contains(strings.Split(dep, "/")[0], ".") && !matches(may, dep) {
				t.Errorf("%s reaches %s", pkg, dep)
			}
		}
	}
}

// processWords are those of code that knows the process it runs in.
var processWords = []string{"os.Args", "os.Getenv", "os.LookupEnv", "os.Environ", "os.Stdin", "os.Stdout", "os.Stderr", "os.Exit", "fmt.Print", "println("}

// TestNoEnvironment checks that only the command and the terminal know the arguments, the
// environment and the standard streams of the process.
func TestNoEnvironment(t *testing.T) {
	for name := range allowed {
		for _, file := range list(t, "-f", `{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}} {{end}}`, strings.TrimSuffix(module+"/"+name, "/")) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range processWords {
				if strings.Contains(string(text), word) {
					t.Errorf("%s holds %s", file, word)
				}
			}
		}
	}
}
