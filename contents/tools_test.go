package contents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/contents/internal/tree"
	"github.com/luksimg/luksimg/image"
)

// blank makes a file of zeros.
func blank(t testing.TB, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	return path
}

func openImage(t testing.TB, path string) *image.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	src, err := image.NewFile(f)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func inspect(t testing.TB, src image.Source) *Info {
	t.Helper()
	info, err := Inspect(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// A sample is a tree of files by path, with links ("-> target") among them.
type sample map[string]string

const osRelease = "NAME=\"Red Hat\"\nID=\"rhel\"\nVERSION_ID=\"9.4\"\nPRETTY_NAME='Red Hat Enterprise Linux 9.4 (Plow)'\n"

// system is a root filesystem of today, in which /bin is a link.
func systemTree() sample {
	return sample{
		"/bin":                      "-> usr/bin",
		"/etc/fstab":                "# by hand\nUUID=1234 / xfs defaults 0 0\nLABEL=SWAP-xvdb1 swap swap sw,password=x 0 0\n",
		"/etc/os-release":           "-> ../usr/lib/os-release",
		"/usr/lib/os-release":       osRelease,
		"/usr/bin/cloud-init":       "-> /etc/alternatives/../../usr/libexec/cloud-init-3",
		"/usr/libexec/cloud-init-3": "#!/bin/sh\n",
		"/etc/alternatives/none":    "",
	}
}

// many adds a directory with n files, most of them empty.
func (s sample) many(dir string, n int) sample {
	for i := range n {
		name := fmt.Sprintf("%s/%04d-%s", dir, i, strings.Repeat("n", i*7%40))
		s[name] = ""
		if i%5 == 0 {
			s[name] = fmt.Sprint("file ", i%35)
		}
	}
	return s
}

// write makes the tree below a folder. Files with the same content are links to one.
func (s sample) write(t testing.TB, dir string) {
	t.Helper()
	first := map[string]string{}
	for _, path := range s.paths() {
		to := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(s[path], "-> "); ok {
			err = os.Symlink(target, to)
		} else if first[s[path]] != "" {
			err = os.Link(first[s[path]], to)
		} else {
			first[s[path]] = to
			err = os.WriteFile(to, []byte(s[path]), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (s sample) paths() []string {
	var all []string
	for p := range s {
		all = append(all, p)
	}
	slices.Sort(all)
	return all
}

// check compares what is read of a filesystem with the tree.
func (s sample) check(t *testing.T, root tree.Node) {
	t.Helper()
	for _, path := range s.paths() {
		want := s[path]
		if target, ok := strings.CutPrefix(want, "-> "); ok {
			// The link itself, by its folder.
			dir, err := tree.Open(root, filepath.Dir(path))
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			n, err := dir.Lookup(filepath.Base(path))
			if err != nil || n.Kind() != tree.Link {
				t.Errorf("%s: no link, %v", path, err)
				continue
			}
			if b, err := n.Content(4096); err != nil || string(b) != target {
				t.Errorf("%s -> %q, %v, want %q", path, b, err, target)
			}
			continue
		}
		n, err := tree.Open(root, path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if b, err := n.Content(1 << 30); err != nil || n.Kind() != tree.File || !bytes.Equal(b, []byte(want)) {
			t.Errorf("%s: %d bytes, other than the %d that were written, or %v", path, len(b), len(want), err)
		}
	}
	for _, path := range []string{"/not", "/usr/bin/not", "/var/many/not", "/var/few/not", "/usr/bin/cloud-init/not"} {
		if _, err := tree.Open(root, path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// generous is a reader of a whole image without the limits of Inspect.
func generous(src image.Source) *bounded.Reader {
	return bounded.New(context.Background(), src, src.Size(), 1<<50, 1<<30)
}

// noise is data that is nowhere zero.
func noise(n int, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(1 + r.IntN(255))
	}
	return string(b)
}
