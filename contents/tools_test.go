package contents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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

// blank creates a file of zeros.
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

// A sample maps paths to file contents. A content "-> target" makes a symbolic link.
type sample map[string]string

const osRelease = "NAME=\"Red Hat\"\nID=\"rhel\"\nVERSION_ID=\"9.4\"\nPRETTY_NAME='Red Hat Enterprise Linux 9.4 (Plow)'\n"

// systemTree returns a typical root filesystem, in which /bin is a link.
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

// write creates the tree in a folder. Files with the same content are hard links.
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

// check compares the filesystem that is read with the tree.
func (s sample) check(t *testing.T, root tree.Node) {
	t.Helper()
	for _, path := range s.paths() {
		want := s[path]
		if target, ok := strings.CutPrefix(want, "-> "); ok {
			// The link itself, found in its folder.
			dir, err := tree.Open(root, filepath.Dir(path))
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			n, err := dir.Lookup(filepath.Base(path))
			if err != nil || n.Kind() != tree.Link {
				t.Errorf("%s is not a link: %v", path, err)
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
			t.Errorf("%s: got %d bytes, want %d, or the data differs: %v", path, len(b), len(want), err)
		}
		s.checkRuns(t, n, path)
	}
	s.checkEntries(t, root)
	for _, path := range []string{"/not", "/usr/bin/not", "/var/many/not", "/var/few/not", "/usr/bin/cloud-init/not"} {
		if _, err := tree.Open(root, path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want ErrNotExist", path, err)
		}
	}
}

// checkRuns compares the size and the runs of a file with its content. Holes must be zeros, and inline data
// must match.
func (s sample) checkRuns(t *testing.T, n tree.Node, path string) {
	t.Helper()
	want := s[path]
	if a := n.Attr(); a.Size != int64(len(want)) || a.Mode != 0o100644 || a.UID != uint32(os.Getuid()) && a.UID != 0 || a.Number == 0 || a.Links < 1 || a.ModTime.Year() < 2020 {
		t.Errorf("%s: got attributes %+v", path, a)
	}
	for off := int64(0); off < int64(len(want)); {
		r, err := n.Run(off)
		if err != nil || r.Length < 1 || r.Length > int64(len(want))-off {
			t.Fatalf("%s: at %d: %+v, %v", path, off, r, err)
		}
		part := want[off:][:r.Length]
		if r.Hole && strings.Trim(part, "\x00") != "" || r.Inode != nil && string(r.Inode) != part {
			t.Errorf("%s: at %d: the data of run %+v differs", path, off, r)
		}
		off += r.Length
	}
	if _, err := n.Run(int64(len(want))); err == nil {
		t.Errorf("%s: got a run past the end of the file", path)
	}
}

// checkEntries compares the entries of all folders with the tree.
func (s sample) checkEntries(t *testing.T, root tree.Node) {
	t.Helper()
	want := map[string]map[string]bool{}
	for p := range s {
		for p != "/" {
			dir := filepath.Dir(p)
			if want[dir] == nil {
				want[dir] = map[string]bool{}
			}
			want[dir][filepath.Base(p)] = true
			p = dir
		}
	}
	for dir, names := range want {
		n, err := tree.Open(root, dir)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		err = n.Entries(func(name string, open func() (tree.Node, error)) bool {
			if _, err := open(); err != nil {
				t.Errorf("%s in %s: %v", name, dir, err)
			}
			if got[name] {
				t.Errorf("%s contains %s twice", dir, name)
			}
			got[name] = true
			return true
		})
		delete(got, ".")
		delete(got, "..")
		if dir == "/" {
			delete(got, "lost+found")
		}
		if s["/links/300"] == "" {
			delete(got, "300") // see README.md of the golden images
		}
		if err != nil || !maps.Equal(got, names) {
			t.Errorf("%s has %d entries, want %d, %v", dir, len(got), len(names), err)
		}
	}
}

// generous returns a reader of a whole image without the limits of Inspect.
func generous(src image.Source) *bounded.Reader {
	return bounded.New(context.Background(), src, src.Size(), 1<<50, 1<<30)
}

// noise returns random bytes other than zero.
func noise(n int, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(1 + r.IntN(255))
	}
	return string(b)
}
