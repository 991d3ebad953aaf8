package depcheck

import (
	"os"
	"strings"
	"testing"
)

// inner are the packages that read, write and encrypt images, and what they reach: what
// is behind a service may open what it is given.
var inner = []string{
	"image", "vhd", "qcow", "luks", "xts", "internal/af", "internal/dmcrypt", "internal/chain", "internal/inflate", "internal/parallel",
	"github.com/klauspost/compress", "github.com/klauspost/compress/*", "golang.org/x/crypto/*", "golang.org/x/sys/cpu", "github.com/google/uuid",
}

// remote lists the packages that talk to a service or emulate one, with the packages
// they may reach. They use the network, but are no part of the command.
var remote = map[string][]string{
	"ibm/audit":                      {"github.com/google/uuid"},
	"ibm/softlayer":                  {"github.com/softlayer/*", "golang.org/x/text/*"},
	"ibm/vpc":                        {"github.com/google/uuid"},
	"ibm/sandbox/internal/guestdisk": {},
	"ibm/sandbox/softlayer":          append([]string{"ibm/audit", "ibm/sandbox/internal/guestdisk"}, inner...),
	"ibm/sandbox": append([]string{"ibm/audit", "ibm/crn", "ibm/sandbox/internal/guestdisk", "ibm/sandbox/event", "ibm/sandbox/fault", "ibm/sandbox/kms",
		"ibm/sandbox/s3", "ibm/sandbox/softlayer", "ibm/sandbox/vpc", "internal/sigv4"}, inner...),
	"ibm/sandbox/vpc": append([]string{"ibm/audit", "ibm/sandbox/internal/guestdisk"}, inner...),
}

// outside is banned in the packages of remote.
var outside = []string{
	"os/exec", "testing", "flag", "github.com/spf13/*", "github.com/stretchr/*", "github.com/anatol/*",
	module + "/cmd/*", module + "/internal/term", module + "/internal/output",
}

// TestRemote checks each package of remote. What other modules import of the
// standard library is theirs.
func TestRemote(t *testing.T) {
	for name, may := range remote {
		pkg := module + "/" + name
		for _, dep := range list(t, "-f", `{{join .Imports " "}}`, pkg) {
			if dep == "log" || dep == "log/slog" || matches(outside, dep) {
				t.Errorf("%s imports %s", pkg, dep)
			}
		}
		for _, dep := range list(t, "-deps", pkg) {
			own, isOwn := strings.CutPrefix(dep, module+"/")
			switch {
			case dep == pkg:
			case matches(outside, dep):
				t.Errorf("%s reaches %s", pkg, dep)
			case isOwn && !matches(may, own):
				t.Errorf("%s reaches %s", pkg, dep)
			case !isOwn && strings.Contains(strings.Split(dep, "/")[0], ".") && !matches(may, dep):
				t.Errorf("%s reaches %s", pkg, dep)
			}
		}
		for _, file := range list(t, "-f", `{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}} {{end}}`, pkg) {
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
