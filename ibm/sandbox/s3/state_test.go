package s3_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/ibm/sandbox/s3"
)

func kept(dir string) (*s3.Server, error) {
	return s3.New(s3.Options{Dir: dir, Keep: true, Token: func(_ context.Context, bearer string) (string, bool) {
		account, ok := strings.CutPrefix(bearer, "token-of-")
		return account, ok
	}})
}

// TestKeep stores objects in one server and finds them in the next one, except those
// whose content is missing.
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	s, err := kept(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateBucket("alice", "images", "eu-de-smart"); err != nil {
		t.Fatal(err)
	}
	for key, text := range map[string]string{"a": "first", "b": "second object"} {
		if err := s.Put("alice", "images", key, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	const cors = "<CORSConfiguration><CORSRule/></CORSConfiguration>"
	put(t, s, "/images/c", "123456789", "X-Amz-Checksum-Crc32", "y/Q5Jg==", "X-Amz-Tagging", "a=b")
	put(t, s, "/images?cors", cors, "Content-MD5", md5Of(cors))
	at := begin(t, s, "/images/d", "X-Amz-Checksum-Algorithm", "CRC32", "X-Amz-Checksum-Type", "FULL_OBJECT")
	part := put(t, s, at+"&partNumber=1", "123456789")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "blob-*"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		if text, _ := os.ReadFile(name); string(text) == "first" {
			os.Truncate(name, 2)
		}
	}
	if s, err = kept(dir); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if region, err := s.Region("alice", "images"); region != "eu-de" || err != nil {
		t.Errorf("%q, %v", region, err)
	}
	if _, err := s.Open("bob", "images", "b"); err == nil {
		t.Error("the bucket has lost its owner alice")
	}
	o, err := s.Open("alice", "images", "b")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	text := make([]byte, o.Size())
	if _, err := o.ReadAt(text, 0); err != nil || string(text) != "second object" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := s.Open("alice", "images", "a"); err == nil {
		t.Error("object with truncated content still exists")
	}
	w, code := ask(s, "POST", at, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+part.Header().Get("Etag")+"</ETag></Part></CompleteMultipartUpload>")
	if w.Code != 200 {
		t.Errorf("the upload: %s", code)
	}
	for _, key := range []string{"c", "d"} {
		if w, _ := ask(s, "HEAD", "/images/"+key, "", "X-Amz-Checksum-Mode", "ENABLED"); w.Header().Get("X-Amz-Checksum-Crc32") != "y/Q5Jg==" {
			t.Errorf("%s: %v", key, w.Header())
		}
	}
	if w, _ := ask(s, "GET", "/images/c?tagging", ""); !strings.Contains(w.Body.String(), "<Key>a</Key><Value>b</Value>") {
		t.Errorf("tags: %s", w.Body)
	}
	if w, _ := ask(s, "GET", "/images?cors", ""); w.Body.String() != cors {
		t.Errorf("cors: %s", w.Body)
	}
}

// TestKeepRefused uses folders with an invalid index, or an index that names foreign files.
func TestKeepRefused(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	object := func(file string) string {
		return `[{"name":"images","owner":"alice","objects":[{"key":"k","blobs":[{"file":"` + file + `","size":1,"md5":"9dd4e461268c8034f5c8564e155c67a6"}]}]}]`
	}
	for _, index := range []string{"", "{", `{}`, `[{"name":"images","objects":[{"key":"k"}]}]`, object(secret), object("../secret"), object("blob-/../../secret"), object("index.json")} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte(index), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := kept(dir); err == nil {
			s.Close()
			t.Errorf("%s accepted", index)
		}
	}
	if _, err := kept(""); err == nil {
		t.Error("Keep without a folder accepted")
	}
}

// TestAccess uses a token with read access only.
func TestAccess(t *testing.T) {
	s, err := s3.New(s3.Options{Dir: t.TempDir(),
		Token: func(context.Context, string) (string, bool) { return "alice", true },
		Access: func(_ context.Context, bearer string, write bool) bool {
			return bearer == "token-writer" || !write && bearer == "token-reader"
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.CreateBucket("alice", "images", ""); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		token, method string
		want          int
	}{
		{"reader", "PUT", 403}, {"writer", "PUT", 200}, {"reader", "GET", 200}, {"reader", "DELETE", 403}, {"nobody", "GET", 403}, {"writer", "DELETE", 204},
	} {
		if w, code := ask(s, c.method, "/images/k", "text", "Authorization", "Bearer token-"+c.token); w.Code != c.want || c.want == 403 && code != "AccessDenied" {
			t.Errorf("%s %s: %d %s, want %d", c.token, c.method, w.Code, code, c.want)
		}
	}
}
