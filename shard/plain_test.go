package shard_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/shard"
)

// plainOptions returns the options of a fixed VHD.
func plainOptions() shard.PlanOptions {
	o := options(2)
	o.Plain = &luksimg.DecryptOptions{Format: luksimg.VHD, Fixed: true}
	return o
}

// TestPlain makes a fixed VHD, which has no key.
func TestPlain(t *testing.T) {
	for name, target := range map[string]shard.Target{"memory": newMemory(), "file": shard.File{Name: filepath.Join(t.TempDir(), "image"), Private: true}} {
		t.Run(name, func(t *testing.T) {
			if _, err := shard.Plan(t.Context(), target, bytes.NewReader(disk()), key, plainOptions()); err == nil {
				t.Error("planned with a key")
			}
			o := plainOptions()
			o.Envelope = json.RawMessage("{}")
			if _, err := shard.Plan(t.Context(), target, bytes.NewReader(disk()), nil, o); err == nil {
				t.Error("planned with a wrapped key")
			}
			j, err := shard.Plan(t.Context(), target, bytes.NewReader(disk()), nil, plainOptions())
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := j.Write(&b); err != nil {
				t.Fatal(err)
			}
			if j, err = shard.Parse(&b); err != nil || j.Manifest != nil || j.Image.Encrypted() {
				t.Fatalf("%+v, %v", j, err)
			}
			if _, err := run(t.Context(), j, target, 0); err == nil {
				t.Error("a shard was made with a key")
			}
			for i := range j.Shards {
				r, err := j.Run(t.Context(), target, bytes.NewReader(disk()), nil, shard.RunOptions{Shard: i, Stamp: stamp})
				if err != nil || r.Sent != r.Parts {
					t.Fatalf("%+v, %v", r, err)
				}
			}
			if _, err := j.Finish(t.Context(), target, shard.FinishOptions{Verify: true}); err != nil {
				t.Fatal(err)
			}
			f, err := target.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			img, err := luksimg.OpenImage(t.Context(), io.NewSectionReader(f, 0, f.Size()), f.Size(), luksimg.ImageOptions{})
			if err != nil || img.Format != luksimg.VHD || img.Size() != 27<<20 {
				t.Fatalf("%+v, %v", img, err)
			}
			got := make([]byte, 27<<20)
			if _, err := image.ReadFull(img, got, 0); err != nil || !bytes.Equal(got[:len(disk())], disk()) || len(bytes.Trim(got[len(disk()):], "\x00")) > 0 {
				t.Errorf("the disk in the image differs: %v", err)
			}
			if file, ok := target.(shard.File); ok && runtime.GOOS != "windows" {
				if fi, err := os.Stat(file.Name); err != nil || fi.Mode().Perm() != 0o600 {
					t.Errorf("%v, %v", fi, err)
				}
			}
		})
	}
}

// TestParseRefusesPlain changes the job of a fixed VHD in ways that Parse must refuse.
func TestParseRefusesPlain(t *testing.T) {
	j, err := shard.Plan(t.Context(), newMemory(), bytes.NewReader(disk()), nil, plainOptions())
	if err != nil {
		t.Fatal(err)
	}
	encrypted := goldenJob(t)
	for name, change := range map[string]func(j *shard.Job){
		"manifest":  func(j *shard.Job) { j.Manifest = encrypted.Manifest },
		"envelope":  func(j *shard.Job) { j.Envelope = json.RawMessage("{}") },
		"profile":   func(j *shard.Job) { j.Image.Profile = luksimg.ClassicVHD },
		"encrypted": func(j *shard.Job) { v := *j.Image.VHD; v.Fixed = false; j.Image.VHD = &v },
		"size":      func(j *shard.Job) { j.Image.FileSize += 512 },
	} {
		c := *j
		change(&c)
		var b bytes.Buffer
		if err := c.Write(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := shard.Parse(&b); !errors.Is(err, shard.ErrJob) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
