package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/internal/imagetest"
)

func goldenImage(name string) []byte {
	return golden.Read("../../testdata/contents/" + name + ".img.gz")
}

func open(t testing.TB, b []byte) *FS {
	t.Helper()
	f, err := Open(context.Background(), bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func find(t testing.TB, f *FS, path string) *File {
	t.Helper()
	n, err := f.Find(path)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// list returns the names in a folder, with the error of each entry.
func list(f *File) (names map[string]error, err error) {
	names = map[string]error{}
	for n, e := range f.Entries() {
		if n == nil {
			return names, e
		}
		names[n.Name] = e
	}
	return names, nil
}

// TestContent runs the tests of all sources on files stored in all forms.
func TestContent(t *testing.T) {
	large := []byte(strings.Repeat("0123456789abcde\n", 409600/16))
	comb := make([]byte, 400<<10)
	for i := 0; i < 400; i += 2 {
		copy(comb[i<<10:], fmt.Sprintln(i))
	}
	for _, name := range []string{"ext2", "ext4", "comb", "xfs4", "xfs5"} {
		f := open(t, goldenImage(name))
		check := func(path string, want []byte) {
			t.Helper()
			c, err := find(t, f, path).Content()
			if err != nil {
				t.Fatal(err)
			}
			imagetest.Source(t, c, want)
		}
		check("/files/large", large)
		check("/files/100", large[:100])
		check("/etc/alternatives/none", nil)
		if name == "comb" {
			check("/files/comb", comb)
			c, _ := find(t, f, "/files/comb").Content()
			holes := 0
			for e := range image.Extents(c, 0, c.Size()) {
				if e.Kind == image.Hole {
					holes++
				}
			}
			if holes != 200 {
				t.Errorf("%d holes, want 200", holes)
			}
		}
		if w := f.Warnings(); len(w) > 0 {
			t.Errorf("%s: got warnings %q, want none", name, w)
		}
	}
}

// TestFiles lists folders and checks the attributes of inodes.
func TestFiles(t *testing.T) {
	for _, name := range []string{"ext2", "ext4", "comb", "xfs4", "xfs5"} {
		f := open(t, goldenImage(name))
		for path, want := range map[string]int{"/var/many": 200, "/files": 2, "/": 6} {
			names, err := list(find(t, f, path))
			delete(names, "lost+found")
			delete(names, "comb")
			if err != nil || len(names) != want {
				t.Errorf("%s: %s has %d names, want %d, %v", name, path, len(names), want, err)
			}
		}
		for path, want := range map[string]fs.FileMode{"/": fs.ModeDir | 0o755, "/etc/fstab": 0o644, "/bin/cloud-init": 0o644} {
			if n := find(t, f, path); n.Mode != want || n.Inode == 0 || n.Links == 0 || n.ModTime.Year() < 2023 {
				t.Errorf("%s: %s is %+v, want %v", name, path, n, want)
			}
		}
		for n := range find(t, f, "/links").Entries() {
			target, err := n.Target()
			want := map[string]string{"59": fmt.Sprintf("%059d", 7), "60": fmt.Sprintf("%060d", 7), "300": fmt.Sprintf("%0300d", 7)}[n.Name]
			if n.Mode.Type() != fs.ModeSymlink || (err != nil || target != want) && !(name == "xfs5" && n.Name == "300") {
				t.Errorf("%s: %s %v -> %q, %v", name, n.Name, n.Mode, target, err)
			}
			if _, err := n.Content(); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%s: Content of a link: %v", name, err)
			}
		}
		if _, err := find(t, f, "/etc/fstab").Target(); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: Target of a file: %v", name, err)
		}
		if _, err := f.Find("/etc/nothing"); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
}

func TestOpen(t *testing.T) {
	for _, b := range [][]byte{nil, make([]byte, 4096), []byte("XFSA"), []byte(strings.Repeat("\x53\xef", 541))} {
		if _, err := Open(context.Background(), bytes.NewReader(b)); !errors.Is(err, image.ErrUnsupported) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	f, err := Open(ctx, bytes.NewReader(goldenImage("ext4")))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := f.Find("/etc/fstab"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestHostile reads folders with invalid names, contents past the end of the image, and files over the
// limits.
func TestHostile(t *testing.T) {
	const good = "0001-0000000000000000000000000000000000000000"
	for _, name := range []string{"ext2", "xfs5"} {
		for _, bad := range []string{"../x", "/etc/passwd", "a\x00b"} {
			b := bytes.ReplaceAll(goldenImage(name), []byte(good), []byte(bad+good[len(bad):]))
			names, err := list(find(t, open(t, b), "/var/many"))
			if e := names[bad+good[len(bad):]]; err != nil || len(names) != 200 || !errors.Is(e, image.ErrFormat) {
				t.Errorf("%s: %q: %d names, %v, %v", name, bad, len(names), e, err)
			}
		}
		f := open(t, goldenImage(name))
		f.entries = 150
		if names, err := list(find(t, f, "/var/many")); len(names) != 150 || !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %d names, %v", name, len(names), err)
		}
		c, err := find(t, f, "/files/large").Content()
		if err != nil {
			t.Fatal(err)
		}
		f.runs = 0
		if _, err := c.ReadAt(make([]byte, 1000), 0); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: without runs: %v, want ErrLimit", name, err)
		}
		for _, err := range c.Extents(0, c.Size()) {
			if !errors.Is(err, ErrLimit) {
				t.Errorf("%s: without runs: %v, want ErrLimit", name, err)
			}
		}
		// The image is truncated.
		b := goldenImage(name)
		b = b[:bytes.LastIndex(b, []byte("0123456789abcde\n"))-5000]
		if c, err = find(t, open(t, b), "/files/large").Content(); err == nil {
			_, err = c.ReadAt(make([]byte, c.Size()), 0)
		}
		if !errors.Is(err, image.ErrFormat) || !strings.Contains(err.Error(), "past the end") {
			t.Errorf("%s: truncated: %v", name, err)
		}
	}
}
