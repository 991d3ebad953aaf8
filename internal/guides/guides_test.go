package guides

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/internal/need"
)

// TestGuides runs the blocks marked "sh" of each guide in order, in one shell that stops at the first
// failure. It builds the commands from this source.
func TestGuides(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the commands")
	}
	if runtime.GOOS == "windows" {
		t.Skip("the guides need a Unix shell")
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "../../cmd/luksimg", "../../cmd/luksimg-sandbox")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, guide := range []struct {
		name  string
		needs []string // programs other than this project's
	}{
		{"getting-started", nil},
		{"keys", nil},
		{"libvirt", []string{"qemu-img"}},
		{"sandbox", nil},
		{"shard", nil},
		{"softlayer", nil},
		{"vpc", nil},
	} {
		t.Run(guide.name, func(t *testing.T) {
			t.Parallel()
			need.Program(t, "bash")
			for _, p := range guide.needs {
				need.Program(t, p)
			}
			text, err := os.ReadFile(filepath.Join("../../docs", guide.name+".md"))
			if err != nil {
				t.Fatal(err)
			}
			run(t, bin, script(t, string(text)))
		})
	}
}

// script returns the commands in the blocks of a guide that are marked "sh".
func script(t *testing.T, guide string) string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(guide) {
		switch strings.TrimRight(line, "\n") {
		case "```sh":
			inside = true
		case "```":
			inside = false
		default:
			if inside {
				b.WriteString(line)
			}
		}
	}
	if b.Len() == 0 {
		t.Fatal("no commands in the guide")
	}
	return b.String()
}

// run runs a script in a new folder, and kills the processes that it leaves running.
func run(t *testing.T, bin, script string) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-exc", "trap 's=$?; kill $(jobs -p) 2>/dev/null || :; wait || :; exit $s' EXIT\n"+script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"), "HOME="+cmd.Dir)
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}
