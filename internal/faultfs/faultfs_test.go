package faultfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/luksimg/luksimg/internal/fsys"
)

// put replaces a file by one with n times the same letter. without names the safety steps to leave out.
func put(d *FS, letter string, n int, without string) error {
	f, err := d.OpenFile("dir/temp", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte(strings.Repeat(letter, n)), 0); err != nil {
		return err
	}
	if without != "sync" {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if without != "rename" {
		if err := d.Rename("dir/temp", "dir/name"); err != nil {
			return err
		}
	}
	if without != "folder" {
		if err := d.SyncDir("dir"); err != nil {
			return err
		}
	}
	return f.Close()
}

// states returns the possible contents of dir/name after a crash, and the possible contents at the end.
func states(d *FS) (all []string, last []string) {
	for at, c := range d.Crashes(3) {
		s := string(c.ReadFile("dir/name"))
		if c.ReadFile("dir/name") == nil {
			s = "none"
		}
		all = append(all, s)
		if at.End {
			last = append(last, s)
		}
	}
	slices.Sort(all)
	slices.Sort(last)
	return slices.Compact(all), slices.Compact(last)
}

// TestCrashes checks that leaving out any step of replacing a file shows up.
func TestCrashes(t *testing.T) {
	whole, old := strings.Repeat("n", 1024), "old"
	half := func(s string) bool { return s != whole && s != old }
	for without, want := range map[string]struct{ half, atEnd bool }{
		"nothing": {},
		"sync":    {half: true},
		"folder":  {atEnd: true},
		"rename":  {atEnd: true},
	} {
		d := New()
		d.WriteFile("dir/name", []byte(old))
		if err := put(d, "n", 1024, without); err != nil {
			t.Fatal(err)
		}
		all, last := states(d)
		if got := slices.ContainsFunc(all, half); got != want.half {
			t.Errorf("without %s: content is neither old nor new: %v", without, got)
		}
		if got := slices.Contains(last, old); got != want.atEnd {
			t.Errorf("without %s: old content at the end: %v", without, got)
		}
		if without != "rename" && !slices.Contains(all, whole) || !slices.Contains(all, old) {
			t.Errorf("without %s: old or new content never appears", without)
		}
	}
}

// TestCrashesTorn writes in place without a sync: each sector can survive alone.
func TestCrashesTorn(t *testing.T) {
	d := New()
	d.WriteFile("f", bytes.Repeat([]byte("o"), 2048))
	f := d.Open("f")
	f.WriteAt(bytes.Repeat([]byte("n"), 2048), 0)
	got := map[string]bool{}
	for _, c := range d.Crashes(1) {
		b := c.ReadFile("f")
		got[string([]byte{b[0], b[512], b[1024], b[1536]})] = true
		for i := range b {
			if b[i] != b[i/512*512] {
				t.Fatalf("write torn inside a sector, at offset %d", i)
			}
		}
	}
	for _, s := range []string{"oooo", "nnnn", "nnoo", "oonn"} {
		if !got[s] {
			t.Errorf("state %s never appears: %v", s, got)
		}
	}
}

// TestFailedSync checks that changes covered by a failed Sync can be lost although a later Sync
// succeeds.
func TestFailedSync(t *testing.T) {
	d := New()
	d.WriteFile("f", []byte("o"))
	f := d.Open("f")
	f.WriteAt([]byte("n"), 0)
	d.Fail(func(c Call) (int, error) { return 0, Err })
	if err := f.Sync(); !errors.Is(err, Err) {
		t.Fatal(err)
	}
	d.Fail(nil)
	last := func() string {
		var s string
		for _, c := range d.Crashes(0) {
			s = string(c.ReadFile("f"))
		}
		return s
	}
	if err := f.Sync(); err != nil || last() != "o" {
		t.Errorf("%v, then %q", err, last())
	}
	f.WriteAt([]byte("n"), 0)
	if err := f.Sync(); err != nil || last() != "n" {
		t.Errorf("after writing again: %v, then %q", err, last())
	}
}

// TestFailures checks that each call fails once, and that a long write is also torn.
func TestFailures(t *testing.T) {
	setup := func() *FS {
		d := New()
		d.WriteFile("dir/name", []byte("old"))
		return d
	}
	var ops []string
	for f := range Failures(setup, func(d *FS) error { return put(d, "n", 2000, "") }) {
		ops = append(ops, fmt.Sprint(f.Call.Op, " ", f.Done))
		if !errors.Is(f.Err, Err) {
			t.Errorf("%+v: %v", f.Call, f.Err)
		}
	}
	if want := []string{"open 0", "write 0", "write 512", "sync 0", "rename 0", "sync folder 0", "close 0"}; !slices.Equal(ops, want) {
		t.Errorf("got operations %q", ops)
	}
}

// TestFile compares a file with a real one.
func TestFile(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789"), 1000)
	d := New()
	d.WriteFile("f", want)
	if err := iotest.TestReader(d.Open("f"), want); err != nil {
		t.Error(err)
	}
	f := d.Open("f")
	if err := f.Truncate(5000); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(6000); err != nil {
		t.Fatal(err)
	}
	f.Seek(0, io.SeekEnd)
	f.WriteString("end")
	if got := d.ReadFile("f"); string(got) != string(want[:5000])+string(make([]byte, 1000))+"end" {
		t.Error("wrong content after Truncate and Write")
	}
	for _, c := range []struct {
		name string
		flag int
		err  error
	}{{"g", os.O_RDWR, fs.ErrNotExist}, {"f", os.O_CREATE | os.O_EXCL, fs.ErrExist}} {
		if _, err := d.OpenFile(c.name, c.flag, 0); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := d.RenameNew("f", "f"); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	g, err := d.OpenFile("f", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false} {
		if ok, err := d.TryLock([]fsys.File{f, g}[i]); ok != want || err != nil {
			t.Errorf("lock %d: %v, %v", i, ok, err)
		}
	}
	f.Close()
	if ok, _ := d.TryLock(g); !ok {
		t.Error("Close did not release the lock")
	}
}
