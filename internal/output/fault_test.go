package output

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/faultfs"
)

// old and whole are the content of a file before and after.
var (
	old   = bytes.Repeat([]byte("o"), 1500)
	whole = bytes.Repeat([]byte("n"), 3000)
)

// A way is a sequence of calls that writes whole to a file. Ways with Keep have two runs.
type way struct {
	force bool // the file exists before
	write func() error
}

func ways() map[string]way {
	write := func(f *File) error {
		for off := 0; off < len(whole); off += 1000 {
			if _, err := f.WriteAt(whole[off:off+1000], int64(off)); err != nil {
				return err
			}
		}
		return nil
	}
	create := func(force bool) func() error {
		return func() error {
			f, err := Create("dir/disk", 0o600, force)
			if err != nil {
				return err
			}
			defer f.Abort()
			if err := write(f); err != nil {
				return err
			}
			return f.Commit()
		}
	}
	resume := func() error {
		f, err := Resume("dir/disk", 0o600, false)
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(whole[:1000], 0); err != nil {
			f.Abort()
			return err
		}
		if err := f.Keep(); err != nil {
			return err
		}
		if f, err = Resume("dir/disk", 0o600, false); err != nil {
			return err
		}
		defer f.Abort()
		if err := write(f); err != nil {
			return err
		}
		return f.Commit()
	}
	return map[string]way{
		"new":               {false, create(false)},
		"new, with force":   {false, create(true)},
		"replaced":          {true, create(true)},
		"resumed":           {false, resume},
		"small, replaced":   {true, func() error { return WriteFile("dir/disk", whole, 0o600) }},
		"small, new":        {false, func() error { return WriteNew("dir/disk", whole, 0o600) }},
		"small, first time": {false, func() error { return WriteFile("dir/disk", whole, 0o600) }},
	}
}

// on runs work with output files on an in-memory filesystem.
func on(d *faultfs.FS, work func() error) error {
	defer Use(d)()
	return work()
}

func (w way) disk() *faultfs.FS {
	d := faultfs.New()
	if w.force {
		d.WriteFile("dir/disk", old)
	}
	return d
}

// right returns an error unless the file has its old content, or all of the new one.
func (w way) right(d *faultfs.FS) error {
	switch b := d.ReadFile("dir/disk"); {
	case bytes.Equal(b, whole), w.force && bytes.Equal(b, old), !w.force && b == nil:
		return nil
	default:
		return fmt.Errorf("a file of %d bytes is neither the old one nor the new one", len(b))
	}
}

// TestFailures makes each call fail. With an error the old file must remain, or none, and no leftovers.
// Without an error the new file must exist.
func TestFailures(t *testing.T) {
	for name, w := range ways() {
		t.Run(name, func(t *testing.T) {
			for f := range faultfs.Failures(w.disk, func(d *faultfs.FS) error { return on(d, w.write) }) {
				at := fmt.Sprintf("%s %s (%d)", f.Call.Op, f.Call.Name, f.Call.N)
				got := f.FS.ReadFile("dir/disk")
				isNew := bytes.Equal(got, whole)
				if err := w.right(f.FS); err != nil {
					t.Errorf("%s: %v", at, err)
				}
				switch {
				case f.Err == nil && !isNew:
					t.Errorf("%s: no error, but no new file", at)
				case f.Err == nil:
					// Errors of closing a synced file, of searching for leftovers and of locking do not
					// matter.
					if !slices.Contains([]faultfs.Op{faultfs.Close, faultfs.Read}, f.Call.Op) {
						t.Errorf("%s: no error", at)
					}
				case isNew && !strings.Contains(f.Err.Error(), "after a power failure"):
					t.Errorf("%s: error, but the new file exists: %v", at, f.Err)
				case isNew && !w.force:
					t.Errorf("%s: error, but the new file was not removed", at)
				}
				if f.Call.Op == faultfs.Sync && f.Err == nil || f.Call.Op == faultfs.SyncDir && f.Err == nil {
					t.Errorf("%s: a failed sync returned no error", at)
				}
				for _, n := range f.FS.Names() {
					// A file kept for the next run can stay.
					if n != "dir/disk" && !(name == "resumed" && n == "dir/disk.download") {
						t.Errorf("%s: left behind: %s", at, n)
					}
				}
			}
		})
	}
}

// TestPowerLoss makes the power fail at each moment. The name must have the complete old or new file,
// and the new one after Commit has returned. The next run must succeed.
func TestPowerLoss(t *testing.T) {
	for name, w := range ways() {
		t.Run(name, func(t *testing.T) {
			d := w.disk()
			if err := on(d, w.write); err != nil {
				t.Fatal(err)
			}
			n := 0
			for at, c := range d.Crashes(4) {
				n++
				if err := w.right(c); err != nil {
					t.Fatalf("%v: %v", at, err)
				}
				if at.End && !bytes.Equal(c.ReadFile("dir/disk"), whole) {
					t.Fatalf("%v: the new file is lost after Commit", at)
				}
				if c.ReadFile("dir/disk") == nil || w.force {
					if err := on(c, w.write); err != nil || !bytes.Equal(c.ReadFile("dir/disk"), whole) {
						t.Fatalf("%v: the next run: %v", at, err)
					}
					if names := c.Names(); len(names) != 1 {
						t.Fatalf("%v: left over after the next run: %q", at, names)
					}
				}
			}
			if n < 10 {
				t.Errorf("only %d states", n)
			}
		})
	}
}

// TestRemoveDurable checks that Remove is durable, and that it keeps a file that replaced another one.
func TestRemoveDurable(t *testing.T) {
	for _, w := range []way{{force: false}, {force: true}} {
		d := w.disk()
		err := on(d, func() error {
			f, err := Create("dir/disk", 0o600, true)
			if err != nil {
				return err
			}
			f.Write(whole)
			if err := f.Commit(); err != nil {
				return err
			}
			d.Settle()
			f.Remove()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for at, c := range d.Crashes(0) {
			if got := c.ReadFile("dir/disk"); at.End && (got != nil) != w.force {
				t.Errorf("replaced %v: the file has %d bytes after Remove", w.force, len(got))
			}
		}
	}
}

// TestFolderNotSynced checks that a name that may be lost is an error, and that the error says which
// file exists.
func TestFolderNotSynced(t *testing.T) {
	for _, w := range []way{{force: false}, {force: true}} {
		d := w.disk()
		d.Fail(func(c faultfs.Call) (int, error) {
			if c.Op == faultfs.SyncDir {
				return 0, faultfs.Err
			}
			return 0, nil
		})
		err := on(d, func() error { return WriteFile("dir/disk", whole, 0o600) })
		if !errors.Is(err, faultfs.Err) || strings.Contains(err.Error(), "may be back") != w.force {
			t.Errorf("replaced %v: %v", w.force, err)
		}
		if there := d.ReadFile("dir/disk") != nil; there != w.force {
			t.Errorf("replaced %v: file exists: %v", w.force, there)
		}
		var path *fs.PathError
		if !errors.As(err, &path) {
			t.Errorf("%v", err)
		}
	}
}
