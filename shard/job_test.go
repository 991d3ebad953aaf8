package shard_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/shard"
)

var update = flag.Bool("update", false, "rewrite the golden job")

var vhdKey = []byte("0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQR")

// goldenJob returns a job without random values.
func goldenJob(t testing.TB) *shard.Job {
	o := options(3)
	o.Encrypt = luksimg.EncryptOptions{Profile: luksimg.ClassicVHD}
	src := imagetest.Spots{Bytes: 100 << 20, Data: map[int64]string{0: "boot", 40 << 20: "data"}}
	j, err := shard.Plan(t.Context(), newMemory(), src, vhdKey, o)
	if err != nil {
		t.Fatal(err)
	}
	j.ID = strings.Repeat("0123456789abcdef", 2)
	v := j.Image.VHD
	v.Timestamp = time.Unix(1_700_000_000, 0).UTC()
	copy(v.UniqueID, "an id of 16 byte")
	copy(v.KeyNonce, "a nonce that has thirty-two byte")
	copy(v.KeyHash, "a hash which has thirty-two byte")
	j.Manifest.Image.UUID = ""
	return j
}

// TestGolden compares the JSON of a job with a file.
func TestGolden(t *testing.T) {
	j := goldenJob(t)
	var b bytes.Buffer
	if err := j.Write(&b); err != nil {
		t.Fatal(err)
	}
	const name = "testdata/job.json"
	if *update {
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the JSON of a job differs from %s (%v):\n%s", name, err, b.Bytes())
	}
	back, err := shard.Parse(bytes.NewReader(want))
	if err != nil || !reflect.DeepEqual(back, j) {
		t.Errorf("%v: %+v\nwant %+v", err, back, j)
	}
}

// TestParseRefuses changes the golden job in ways that Parse must refuse.
func TestParseRefuses(t *testing.T) {
	for name, change := range map[string]func(m map[string]any){
		"version":       func(m map[string]any) { m["version"] = 2 },
		"id":            func(m map[string]any) { m["id"] = "../../x" },
		"no source":     func(m map[string]any) { delete(m, "source") },
		"destination":   func(m map[string]any) { m["destination"] = "" },
		"upload":        func(m map[string]any) { m["upload_id"] = strings.Repeat("x", 2000) },
		"no upload":     func(m map[string]any) { delete(m, "upload_id") },
		"no shards":     func(m map[string]any) { m["shards"] = 0 },
		"many shards":   func(m map[string]any) { m["shards"] = 10_001 },
		"small parts":   func(m map[string]any) { m["part_size"] = 5<<20 - 1 },
		"large parts":   func(m map[string]any) { m["part_size"] = int64(5<<30 + 1) },
		"no manifest":   func(m map[string]any) { delete(m, "manifest") },
		"no image":      func(m map[string]any) { delete(m, "image") },
		"format":        func(m map[string]any) { m["image"].(map[string]any)["format"] = "vmdk" },
		"file size":     func(m map[string]any) { m["image"].(map[string]any)["file_size"] = int64(1 << 60) },
		"other size":    func(m map[string]any) { m["image"].(map[string]any)["file_size"] = 1 << 20 },
		"volume":        func(m map[string]any) { m["image"].(map[string]any)["volume_size"] = 5 },
		"negative":      func(m map[string]any) { m["image"].(map[string]any)["source_size"] = -1 },
		"units":         func(m map[string]any) { m["image"].(map[string]any)["units"] = "////" },
		"profile":       func(m map[string]any) { m["image"].(map[string]any)["profile"] = "vpc-qcow2" },
		"no identity":   func(m map[string]any) { delete(m["image"].(map[string]any), "vhd") },
		"negative size": func(m map[string]any) { m["source"].(map[string]any)["stamp"].(map[string]any)["size"] = -1 },
	} {
		text, err := os.ReadFile("testdata/job.json")
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		if text, err = json.Marshal(m); err != nil {
			t.Fatal(err)
		}
		if j, err := shard.Parse(bytes.NewReader(text)); !errors.Is(err, shard.ErrJob) {
			t.Errorf("%s: %v, %+v", name, err, j)
		}
	}
}

// TestParseTwice parses jobs with duplicate members.
func TestParseTwice(t *testing.T) {
	text, err := os.ReadFile("testdata/job.json")
	if err != nil {
		t.Fatal(err)
	}
	for before, more := range map[string]string{
		`"destination":`: `"destination": "/other",`,
		`"id":`:          `"ID": "00000000000000000000000000000000",`,
		`"stamp":`:       `"stamp": {},`,
	} {
		twice := bytes.Replace(text, []byte(before), []byte(more+before), 1)
		if _, err := shard.Parse(bytes.NewReader(twice)); bytes.Equal(text, twice) || !errors.Is(err, shard.ErrJob) || !strings.Contains(err.Error(), "occurs twice") {
			t.Errorf("%s: %v", more, err)
		}
	}
	deep := strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	if _, err := shard.Parse(strings.NewReader(`{"version":1,"x":` + deep + `}`)); !errors.Is(err, shard.ErrJob) || !strings.Contains(err.Error(), "deeply") {
		t.Errorf("nested deeply: %v", err)
	}
}

// FuzzParse checks that every accepted job can be written and parsed again, and that its parts cover its image.
func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("testdata/job.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`{"version":1,"id":"0123456789abcdef0123456789abcdef","shards":3,"part_size":5242880,"image":{"format":"luks1","file_size":9,"header":[{"offset":-1,"data":"TFVLUw=="}]}}`))
	f.Add([]byte(`{"version":1,"id":"0123456789abcdef0123456789abcdef","source":{"name":"/a"},"destination":"/b","upload_id":"c","shards":2,"part_size":5242880,` +
		`"image":{"format":"vhd","source_size":1000,"volume_size":1048576,"file_size":1049088,"vhd":{"unique_id":"YW4gaWQgb2YgMTYgYnl0ZQ==","timestamp":"2023-11-14T22:13:20Z","fixed":true}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		j, err := shard.Parse(bytes.NewReader(b))
		if err != nil {
			return
		}
		next, size := 1, int64(0)
		for i := range j.Shards {
			from, to := j.Shard(i)
			if from != next || to < from {
				t.Fatalf("shard %d: %d to %d", i, from, to)
			}
			next = to
			size += j.ShardSize(i)
		}
		if next != j.Parts()+1 || size != j.Image.FileSize {
			t.Fatalf("%d parts, %d bytes of %d", next-1, size, j.Image.FileSize)
		}
		var out bytes.Buffer
		if err := j.Write(&out); err != nil {
			t.Fatal(err)
		}
		if _, err := shard.Parse(&out); err != nil {
			t.Fatal(err)
		}
	})
}

// TestLarge plans disks up to the largest size of an object.
func TestLarge(t *testing.T) {
	for _, c := range []struct {
		size   int64
		shards int
		asked  int64
		part   int64
		err    bool
	}{
		{1 << 40, 256, 0, 105 << 20, false},
		{10 << 40, 256, 0, 1049 << 20, false},
		{1 << 30, 64, 0, 16 << 20, false},
		{100 << 20, 64, 0, 5 << 20, false},
		{40 << 40, 1, 0, 4195 << 20, false},
		{100 << 40, 1, 0, 0, true},
		{1 << 40, 1, 5 << 20, 0, true},
		{1 << 40, 1, 128 << 20, 128 << 20, false},
	} {
		o := options(c.shards)
		o.PartSize = c.asked
		j, err := shard.Plan(t.Context(), newMemory(), image.Zeros(c.size), key, o)
		if (err != nil) != c.err {
			t.Errorf("%d bytes: %v", c.size, err)
			continue
		}
		if err == nil && (j.PartSize != c.part || j.Parts() > shard.MaxParts) {
			t.Errorf("%d bytes: %d parts of %d, want %d", c.size, j.Parts(), j.PartSize, c.part)
		}
	}
}

// TestSparse plans an almost empty disk of 1 TiB and limits the size of the job.
func TestSparse(t *testing.T) {
	data := map[int64]string{}
	for i := range int64(1000) {
		data[i<<30+i*4096] = "data"
	}
	for name, o := range map[string]luksimg.EncryptOptions{"luks1": cheap, "qcow2": {Format: luksimg.QCOW2, LUKS: cheap.LUKS}} {
		imagetest.Bounded(t, 64<<20, func() {
			p := options(256)
			p.PartSize, p.Encrypt = 0, o
			j, err := shard.Plan(t.Context(), newMemory(), imagetest.Spots{Bytes: 1 << 40, Data: data}, key, p)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if n := len(j.Image.Units); n > 10_000 {
				t.Errorf("%s: the extents take %d bytes", name, n)
			}
		})
	}
}
