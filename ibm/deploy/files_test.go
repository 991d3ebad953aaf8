package deploy

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestLocal checks that Local reads only regular files, replaces none, and detects a disk that changes during
// reading.
func TestLocal(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	files := Local{}
	if _, err := files.Open(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := files.Open(dir); err == nil {
		t.Error("folder opened")
	}
	out, err := files.Create(name, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := out.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Create(name, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("existing file: %v", err)
	}
	f, err := files.Open(name)
	if err != nil || f.Size() != 1<<20 {
		t.Fatalf("%v, %v", f, err)
	}
	f.Close()
	s := files.Source(name)
	before, err := s.Stat(t.Context())
	if err != nil || before.Size != 1<<20 {
		t.Errorf("%+v, %v", before, err)
	}
	d, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Unchanged(); err != nil {
		t.Error(err)
	}
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(name, later, later); err != nil {
		t.Fatal(err)
	}
	if err := d.Unchanged(); err == nil {
		t.Error("change not detected")
	}
	unlock, err := files.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := files.Lock(name); err == nil {
		t.Error("locked twice")
	}
}

// TestOptionsCheck checks that invalid options are refused before any action.
func TestOptionsCheck(t *testing.T) {
	good := Plan{
		Source: "disk.raw", Object: "cos://us-south/images/", OSCode: "UBUNTU_22_64",
		RootKeyCRN: "crn:v1:bluemix:public:kms:us-south:a/ea998d3389c3473aa0987652b46fb146:a192d603-0b8d-452f-aac3-f9e1f95e7411:key:88d649f8-41b8-4426-b52b-45c88953d5b8",
	}
	p, err := good.Complete()
	if err != nil || p.Name != "disk" || p.Object != "cos://us-south/images/disk.raw" || p.Envelope != "disk.envelope.json" || p.Image != "disk.encrypted.raw" || p.Target() != Classic {
		t.Errorf("%+v, %v", p, err)
	}
	for name, change := range map[string]func(*Options){
		"name":    func(o *Options) { o.Plan.Name = "../x" },
		"profile": func(o *Options) { o.Plan.Profile = "x" },
		"object":  func(o *Options) { o.Plan.Object = "x" },
		"suffix":  func(o *Options) { o.Plan.Object = "cos://us-south/images/disk.vhd" },
		"key":     func(o *Options) { o.Plan.RootKeyCRN = "x" },
		"system":  func(o *Options) { o.Plan.OSCode = "" },
		"license": func(o *Options) { o.Plan.OSCode = "REDHAT_9_64" },
		"changed": func(o *Options) { o.Changed = "x" },
	} {
		o := Options{Plan: p}
		if err := o.Check(); err != nil {
			t.Fatal(err)
		}
		if change(&o); o.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
