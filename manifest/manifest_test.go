package manifest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/manifest"
)

// encrypted makes an image of an empty disk and its manifest.
func encrypted(t *testing.T, o luksimg.EncryptOptions, m manifest.Options) (*os.File, *manifest.Manifest) {
	t.Helper()
	src := io.NewSectionReader(bytes.NewReader(make([]byte, 1<<20)), 0, 1<<20)
	f, err := os.Create(filepath.Join(t.TempDir(), "disk.luks"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	o.Digest = true
	o.LUKS.KDF.Type, o.LUKS.KDF.Iterations = luks.PBKDF2, 1000
	r, err := luksimg.Encrypt(t.Context(), f, src, m.Generated, o)
	if err != nil {
		t.Fatal(err)
	}
	return f, manifest.New(r, m)
}

func TestManifest(t *testing.T) {
	key := []byte("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	f, m := encrypted(t, luksimg.EncryptOptions{Profile: luksimg.ClassicLUKS}, manifest.Options{
		Created: time.Unix(1e9, 0).UTC(), Tool: "test 1", Name: "disk.luks", Profile: luksimg.ClassicLUKS, Generated: key,
		Source: manifest.Source{Name: "disk.raw", Format: "raw", FileSize: 1 << 20},
	})
	if want := fmt.Sprintf("%x", sha256.Sum256(make([]byte, 1<<20))); m.Source.SHA256 != want || m.Source.VirtualSize != 1<<20 {
		t.Errorf("source %+v, want the digest %s", m.Source, want)
	}
	if m.KeyFingerprint == "" || m.KeyConvention == "" || m.Image.KDF.Iterations != 1000 || m.Image.KDF.Hash == "" {
		t.Errorf("%+v", m)
	}
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b.Bytes(), key) {
		t.Error("the manifest holds the key")
	}
	again, err := manifest.Read(bytes.NewReader(b.Bytes()))
	if err != nil || !reflect.DeepEqual(again, m) {
		t.Errorf("read %+v, %v; want %+v", again, err, m)
	}
	i, err := luksimg.Inspect(context.Background(), f, m.Image.FileSize, luksimg.ImageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if differ := m.Compare(i); differ != nil {
		t.Errorf("its own image differs: %q", differ)
	}
	_, other := encrypted(t, luksimg.EncryptOptions{Format: luksimg.LUKS2}, manifest.Options{Generated: key})
	if differ := other.Compare(i); len(differ) != 3 || !strings.Contains(differ[2], "UUID") {
		t.Errorf("another image differs in %q, want size, container and UUID", differ)
	}
	fields := map[string]string{}
	for name, value := range m.Fields() {
		fields[name] = value
	}
	if fields["manifest"] != "made 2001-09-09 01:46:40 by test 1" || fields["  key fingerprint"] != m.KeyFingerprint || len(fields) != 7 {
		t.Errorf("%q", fields)
	}
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "EOF",
		`{"manifest_version":2}`:  "version 2 is not supported, want 1",
		`{}`:                      "version 0",
		`{"manifest_version":1} `: "",
		strings.Repeat(" ", 1<<20) + `{"manifest_version":1}`: "EOF",
	} {
		_, err := manifest.Read(strings.NewReader(text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}
