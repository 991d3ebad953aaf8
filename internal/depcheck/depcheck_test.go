// Package depcheck tests the dependency rules of the design: which packages each package may import,
// directly or indirectly.
package depcheck

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/luksimg/luksimg"

// core is banned in all packages that read, write or encrypt: packages that log, start processes or use
// the network, and those of one cloud or of the command.
var core = []string{
	"log/slog", "os/exec", "net/http", "testing", "flag",
	"github.com/IBM/*", "github.com/softlayer/*", "github.com/minio/*",
	"github.com/spf13/*", "github.com/stretchr/*", "github.com/anatol/*",
	module + "/cmd/*", module + "/internal/term", module + "/internal/output",
}

// network is banned in the packages that talk to a cloud: all of core except the network.
var network = slices.DeleteFunc(slices.Clone(core), func(p string) bool { return p == "net/http" })

// direct is banned only as a direct import. For example, zstd of klauspost/compress imports log for its
// debug mode, which is off.
var direct = []string{"log"}

// root lists the packages that the root package may reach.
var root = []string{"internal/spans", "internal/deflate", "internal/target", "internal/lzma", "internal/xz", "internal/zstd", "image", "archive", "internal/checksum", "internal/summed", "compressed", "wrap", "contents", "contents/internal/bounded", "contents/internal/ext4", "contents/internal/tree", "contents/internal/xfs", "internal/size", "internal/advice", "vhd", "qcow", "internal/adler", "internal/inflate", "internal/disk", "internal/guid", "internal/mbr", "vdi", "vhdx", "vmdk", "github.com/klauspost/compress", "github.com/klauspost/compress/*", "luks", "xts", "internal/af", "internal/memory", "internal/pbkdf2", "internal/dmcrypt", "internal/engine", "internal/parallel", "internal/pieces", "internal/signature", "golang.org/x/crypto/*", "golang.org/x/sys/cpu", "golang.org/x/text/*", "github.com/google/uuid"}

// allowed lists every package of the module except commands and tests, with the packages that it may
// reach. The standard library is allowed, except core.
var allowed = map[string][]string{
	"":                                root,
	"image/folder":                    append([]string{module}, root...),
	"compressed":                      {"image", "internal/disk", "internal/lzma", "internal/xz", "internal/zstd", "internal/inflate", "internal/signature", "golang.org/x/sys/cpu"},
	"shard":                           append([]string{module, "manifest", "wrap", "internal/advice", "internal/fsys", "internal/members", "golang.org/x/sys/unix", "golang.org/x/sys/windows"}, root...),
	"manifest":                        append([]string{module, "wrap", "internal/advice"}, root...),
	"image":                           {},
	"xts":                             {"golang.org/x/sys/cpu"},
	"internal/mbr":                    {},
	"nbd":                             {"image"},
	"luks":                            {"image", "internal/signature", "xts", "internal/af", "internal/memory", "internal/parallel", "internal/pbkdf2", "internal/dmcrypt", "golang.org/x/crypto/*", "golang.org/x/sys/cpu", "github.com/google/uuid"},
	"internal/members":                {},
	"luks/policy":                     {"internal/members", "luks", "image", "internal/signature", "xts", "internal/af", "internal/memory", "internal/parallel", "internal/pbkdf2", "internal/dmcrypt", "golang.org/x/crypto/*", "golang.org/x/sys/cpu", "github.com/google/uuid"},
	"vhd":                             {"internal/spans", "internal/advice", "image", "internal/pieces", "xts", "internal/disk", "internal/parallel", "internal/target", "golang.org/x/sys/cpu"},
	"qcow":                            {"internal/spans", "image", "internal/deflate", "internal/pieces", "internal/signature", "internal/target", "luks", "xts", "internal/inflate", "internal/disk", "internal/parallel", "internal/af", "internal/memory", "internal/pbkdf2", "internal/dmcrypt", "github.com/klauspost/compress", "github.com/klauspost/compress/*", "golang.org/x/crypto/*", "golang.org/x/sys/cpu", "github.com/google/uuid"},
	"vhdx":                            {"image", "internal/disk", "internal/guid", "internal/parallel", "internal/pieces", "internal/target"},
	"vmdk":                            {"image", "internal/adler", "internal/deflate", "internal/disk", "internal/inflate", "internal/parallel", "internal/pieces", "internal/target", "github.com/klauspost/compress", "github.com/klauspost/compress/*", "golang.org/x/sys/cpu", "golang.org/x/text/*"},
	"vdi":                             {"image", "internal/disk", "internal/guid"},
	"internal/disk":                   {"image"},
	"internal/guid":                   {},
	"internal/adler":                  {"golang.org/x/sys/cpu"},
	"internal/aeslimit":               {"golang.org/x/sys/cpu"},
	"internal/bench":                  {"internal/aeslimit", "xts", "golang.org/x/sys/cpu"},
	"internal/af":                     {},
	"internal/inflate":                {},
	"internal/lzma":                   {},
	"internal/xz":                     {"internal/lzma"},
	"internal/zstd":                   {"golang.org/x/sys/cpu"},
	"internal/dmcrypt":                {"xts", "golang.org/x/sys/cpu"},
	"luks/ciphers":                    {"internal/dmcrypt", "xts", "golang.org/x/crypto/*", "golang.org/x/sys/cpu", "luks/ciphers/internal/camellia", "luks/ciphers/internal/serpent", "luks/ciphers/internal/whirlpool", "lukechampine.com/adiantum", "lukechampine.com/adiantum/*"},
	"luks/ciphers/internal/camellia":  {},
	"luks/ciphers/internal/serpent":   {},
	"luks/ciphers/internal/whirlpool": {},
	"internal/pbkdf2":                 {},
	"internal/memory":                 {},
	"internal/parallel":               {},
	"internal/pieces":                 {"image", "internal/parallel"},
	"internal/engine":                 {"image", "internal/parallel", "internal/pieces"},
	"internal/signature":              {"image"},
	"internal/spans":                  {},
	"internal/size":                   {},
	"internal/drawing":                {"internal/size"},
	"internal/summed":                 {"image"},
	"archive":                         {"image", "internal/advice", "internal/checksum", "internal/summed"},
	"internal/deflate":                {"github.com/klauspost/compress", "github.com/klauspost/compress/*"},
	"internal/target":                 {"image", "internal/parallel", "internal/pieces"},
	"contents":                        {"image", "internal/mbr", "internal/size", "contents/internal/bounded", "contents/internal/tree", "contents/internal/ext4", "contents/internal/xfs"},
	"contents/files":                  {"image", "internal/advice", "contents/internal/bounded", "contents/internal/tree", "contents/internal/ext4", "contents/internal/xfs"},
	"contents/internal/bounded":       {},
	"contents/internal/tree":          {},
	"contents/internal/ext4":          {"image", "contents/internal/bounded", "contents/internal/tree"},
	"contents/internal/xfs":           {"image", "contents/internal/bounded", "contents/internal/tree"},
	"internal/advice":                 {},
	"wrap":                            {"internal/advice", "internal/pbkdf2", "github.com/google/uuid"},
	"clevis":                          {"internal/advice"},
	"wrap/internal/kind":              {"wrap", "internal/advice", "internal/pbkdf2", "github.com/google/uuid"},
	"wrap/kmsuri":                     {"wrap", "ibm/crn", "internal/advice", "internal/pbkdf2", "github.com/google/uuid"},
	"internal/memscan":                {"golang.org/x/sys/unix"},
	"wrap/local":                      {"wrap", "internal/advice", "internal/pbkdf2", "internal/output", "internal/fsys", "golang.org/x/sys/unix", "golang.org/x/sys/windows", "github.com/google/uuid"},
}

// inner lists the packages that read, write and encrypt images, with their dependencies. The sandbox
// services may open the images that they receive.
var inner = []string{"internal/spans",
	"image", "internal/mbr", "internal/signature", "vhd", "qcow", "luks", "xts", "internal/af", "internal/memory", "internal/pbkdf2", "internal/dmcrypt", "internal/deflate", "internal/disk", "internal/inflate", "internal/parallel", "internal/pieces", "internal/target",
	"github.com/klauspost/compress", "github.com/klauspost/compress/*", "golang.org/x/crypto/*", "golang.org/x/sys/cpu", "github.com/google/uuid",
}

// clients lists the additional dependencies of the service clients.
var clients = []string{
	"internal/advice", "internal/parallel", "internal/sigv4", "internal/output", "internal/fsys", "golang.org/x/sys/unix", "golang.org/x/sys/windows", "golang.org/x/text/*",
	"github.com/google/uuid", "github.com/IBM/keyprotect-go-client", "github.com/IBM/keyprotect-go-client/iam", "github.com/hashicorp/go-retryablehttp",
	"github.com/hashicorp/go-cleanhttp", "github.com/softlayer/*",
}

// way lists the dependencies of the path from a disk to a server: images and all services.
var way = slices.Concat(root, clients, allowed["contents"], []string{
	module, "contents", "ibm/account", "ibm/audit", "ibm/cos", "ibm/crn", "ibm/endpoint", "ibm/iam", "ibm/softlayer", "ibm/vpc", "internal/fetch", "internal/rest", "wrap", "wrap/internal/kind", "wrap/keyprotect",
})

// services is like allowed for the packages that talk to a cloud or imitate one. They may use the
// network.
var services = map[string][]string{
	"internal/rest":     {"internal/advice"},
	"internal/fetch":    {"internal/advice", "internal/rest"},
	"internal/checksum": {"internal/advice"},
	"image/web":         {"image", "internal/advice", "internal/fetch", "internal/rest"},
	"clevis/tang":       {"internal/advice", "internal/rest"},
	"ibm/crn":           {"internal/advice"},
	"ibm/endpoint":      {"internal/advice", "ibm/crn"},
	"ibm/deploy":        way,
	"ibm/account":       append([]string{"ibm/audit", "ibm/cos", "ibm/crn", "ibm/endpoint", "ibm/iam", "internal/fetch", "internal/rest", "internal/pbkdf2", "wrap", "wrap/internal/kind", "wrap/keyprotect"}, clients...),
	"ibm/iam":           {"internal/advice", "ibm/crn", "ibm/endpoint", "internal/rest"},
	"ibm/sandbox/event": {},
	"ibm/sandbox/fault": {},
	"ibm/sandbox/kms":   {"internal/advice", "ibm/crn", "ibm/sandbox/event", "ibm/sandbox/fault", "github.com/google/uuid"},
	"wrap/keyprotect":   {"internal/advice", "wrap", "wrap/internal/kind", "internal/pbkdf2", "ibm/crn", "ibm/endpoint", "ibm/iam", "internal/rest", "github.com/google/uuid", "github.com/IBM/keyprotect-go-client", "github.com/IBM/keyprotect-go-client/iam", "github.com/hashicorp/go-retryablehttp", "github.com/hashicorp/go-cleanhttp"},
	"wrap/vault":        {"internal/advice", "wrap", "wrap/kmsuri", "wrap/internal/kind", "ibm/crn", "internal/pbkdf2", "internal/rest", "github.com/google/uuid"},
	"wrap/awskms":       {"internal/advice", "wrap", "wrap/kmsuri", "wrap/internal/kind", "ibm/crn", "internal/pbkdf2", "internal/rest", "internal/sigv4", "github.com/google/uuid"},
	"wrap/pkcs11":       {"internal/advice", "wrap", "wrap/kmsuri", "wrap/internal/kind", "ibm/crn", "internal/pbkdf2", "internal/rest", "github.com/google/uuid"},
	"internal/sigv4":    {}, // net/http only
	"ibm/cos":           {"internal/advice", "ibm/crn", "ibm/endpoint", "internal/fetch", "internal/rest", "internal/parallel", "internal/sigv4", "internal/output", "internal/fsys", "golang.org/x/sys/unix"},
	"ibm/sandbox/s3":    {"internal/advice", "ibm/crn", "internal/sigv4"},
	"ibm/audit":         {"internal/advice", "internal/rest", "github.com/google/uuid"},
	"ibm/softlayer":     {"internal/advice", "ibm/crn", "ibm/endpoint", "internal/rest", "github.com/softlayer/*", "golang.org/x/text/*"},
	"ibm/vpc":           {"internal/advice", "ibm/crn", "ibm/endpoint", "internal/rest", "github.com/google/uuid"},

	"internal/rest/resttest":         {},
	"ibm/sandbox/internal/guestdisk": {},
	"ibm/sandbox/softlayer":          append([]string{"internal/advice", "ibm/audit", "internal/rest", "ibm/sandbox/internal/guestdisk"}, inner...),
	"ibm/sandbox/vpc":                append([]string{"internal/advice", "ibm/audit", "internal/rest", "ibm/sandbox/internal/guestdisk"}, inner...),
	"ibm/sandbox": append([]string{"internal/advice", "ibm/audit", "internal/rest", "ibm/crn", "ibm/sandbox/internal/guestdisk", "ibm/sandbox/event", "ibm/sandbox/fault", "ibm/sandbox/kms",
		"ibm/sandbox/s3", "ibm/sandbox/softlayer", "ibm/sandbox/vpc", "internal/sigv4"}, inner...),
}

// free lists the packages without restrictions.
var free = []string{
	"cmd/*", "contents/internal/fstest", "examples/backing", "examples/deploy", "examples/put", "examples/qcow", "internal/guides", "internal/prose", "internal/claims", "internal/copyout", "internal/depcheck", "internal/diskmap", "internal/faultfs", "internal/fsys", "internal/golden", "internal/hide", "internal/imagetest",
	"internal/browser", "docs",
	"internal/interop", "internal/need", "interop/slurm", "internal/output", "internal/stdio", "internal/term",
}

// A loaded package is one that go list reported.
type loaded struct {
	path    string
	dir     string
	files   []string // compiled here without cgo
	imports []string
	deps    []string
}

// packages lists all packages of the module, by path below the module's. It runs go list once, because
// that is slow.
var packages = sync.OnceValues(func() (map[string]loaded, error) {
	out, err := list("-f", `{{.ImportPath}};{{.Dir}};{{join .GoFiles " "}};{{join .Imports " "}};{{join .Deps " "}}`, "./...")
	if err != nil {
		return nil, err
	}
	all := map[string]loaded{}
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ";")
		if len(f) != 5 {
			return nil, fmt.Errorf("unexpected output of go list: %q", line)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(f[0], module), "/")
		all[name] = loaded{f[0], f[1], strings.Fields(f[2]), strings.Fields(f[3]), strings.Fields(f[4])}
	}
	return all, nil
})

func load(t *testing.T) map[string]loaded {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func list(args ...string) (string, error) {
	c := exec.Command("go", append([]string{"list"}, args...)...)
	c.Dir = "../.."
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("go list %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}

func matches(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if prefix, ok := strings.CutSuffix(p, "*"); ok {
			return strings.HasPrefix(pkg, prefix)
		}
		return p == pkg
	})
}

// TestArrows checks each package of the module against allowed and core, or services and network.
func TestArrows(t *testing.T) {
	for name, p := range load(t) {
		pkg := p.path
		may, ok := allowed[name]
		banned := core
		if !ok {
			may, ok = services[name]
			banned = network
		}
		if !ok {
			if !matches(free, name) {
				t.Errorf("%s has no row here: add one with its allowed imports", pkg)
			}
			continue
		}
		for _, dep := range p.imports {
			if matches(direct, dep) {
				t.Errorf("%s imports %s, which is banned", pkg, dep)
			}
		}
		for _, dep := range p.deps {
			own, isOwn := strings.CutPrefix(dep, module+"/")
			if matches(banned, dep) && !matches(may, dep) && !(isOwn && slices.Contains(may, own)) {
				t.Errorf("%s depends on %s, which is banned", pkg, dep)
			}
			if isOwn && !slices.Contains(may, own) {
				t.Errorf("%s depends on %s, which its row does not allow", pkg, dep)
			}
			if !isOwn && strings.Contains(strings.Split(dep, "/")[0], ".") && !matches(may, dep) {
				t.Errorf("%s depends on %s, which its row does not allow", pkg, dep)
			}
		}
	}
}

// processWords are identifiers that access the arguments, environment and streams of the process.
var processWords = []string{"os.Args", "os.Getenv", "os.LookupEnv", "os.Environ", "os.Stdin", "os.Stdout", "os.Stderr", "os.Exit", "fmt.Print", "println("}

// TestNoEnvironment checks that only the command and the terminal access the arguments, the environment
// and the standard streams.
func TestNoEnvironment(t *testing.T) {
	names := slices.Concat(slices.Collect(maps.Keys(allowed)), slices.Collect(maps.Keys(services)))
	for _, name := range names {
		p, ok := load(t)[name]
		if !ok {
			t.Errorf("package %s does not exist", name)
		}
		for _, file := range p.files {
			text, err := os.ReadFile(filepath.Join(p.dir, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range processWords {
				if strings.Contains(string(text), word) {
					t.Errorf("%s contains %s", file, word)
				}
			}
		}
	}
}

// TestPinned checks that updates do not bring in newer versions of some modules.
func TestPinned(t *testing.T) {
	for path, pin := range map[string]struct{ version, why string }{
		"github.com/IBM/keyprotect-go-client": {"v0.16.0", "since v0.17.0 it contains native libraries and many more dependencies"},
	} {
		got, err := list("-m", "-f", "{{.Version}}", path)
		if err != nil {
			t.Fatal(err)
		}
		if got = strings.TrimSpace(got); got != pin.version {
			t.Errorf("%s is %s, want %s: %s", path, got, pin.version, pin.why)
		}
	}
}

// TestNoTemplate checks that the command executes no template. Templates look up methods by name, so
// the linker would keep all methods, which costs 3 MB.
func TestNoTemplate(t *testing.T) {
	if testing.Short() {
		t.Skip("links the command")
	}
	name := filepath.Join(t.TempDir(), "luksimg")
	build := exec.Command("go", "build", "-o", name, module+"/cmd/luksimg")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	symbols, err := exec.Command("go", "tool", "nm", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(symbols, []byte("main.main")) || bytes.Contains(symbols, []byte("text/template.(*Template).Execute")) {
		t.Error("the command executes templates, or its symbols could not be read")
	}
}
