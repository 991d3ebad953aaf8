package cloud

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// s3cmd requests the location of a bucket first, and the ACL of an object that it copies.
type s3cmd struct{ *program }

func newS3cmd(t testing.TB, a access) client {
	p := newProgram(t, "s3cmd")
	host := strings.TrimPrefix(a.endpoint, "http://")
	config := filepath.Join(p.dir, "s3cfg")
	text := fmt.Sprintf("[default]\naccess_key = %s\nsecret_key = %s\nhost_base = %s\nhost_bucket = %s\nuse_https = False\nmultipart_chunk_size_mb = 5\nmultipart_copy_chunk_size_mb = 6\nmax_retries = 1\n", a.AccessKeyID, a.secret, host, host)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.args = []string{"-c", config, "--no-progress"}
	return &s3cmd{p}
}

func (c *s3cmd) do(args ...string) error {
	_, err := c.run(args...)
	return err
}

func s3URI(bucket, key string) string { return "s3://" + bucket + "/" + key }

func (c *s3cmd) makeBucket(bucket string) error {
	return c.do("mb", "--bucket-location=us-south-standard", "s3://"+bucket)
}

func (c *s3cmd) removeBucket(bucket string) error { return c.do("rb", "s3://"+bucket) }

func (c *s3cmd) put(bucket, key string, body []byte) error { return c.putAs(bucket, key, body, "", "") }

func (c *s3cmd) putAs(bucket, key string, body []byte, mime, owner string) error {
	name, err := c.file(body)
	if err != nil {
		return err
	}
	args := []string{"put", name, s3URI(bucket, key)}
	if mime != "" {
		args = append(args, "--mime-type="+mime, "--add-header=x-amz-meta-owner:"+owner)
	}
	return c.do(args...)
}

func (c *s3cmd) multipart(bucket, key string, body []byte) error { return c.put(bucket, key, body) }

func (c *s3cmd) get(bucket, key string) ([]byte, error) {
	name := filepath.Join(c.dir, "got")
	if err := c.do("get", "--force", s3URI(bucket, key), name); err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}

func (c *s3cmd) head(bucket, key string) (*object, error) {
	out, err := c.run("info", s3URI(bucket, key))
	if err != nil {
		return nil, err
	}
	var o object
	for _, line := range lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch name {
		case "File size":
			o.size, _ = strconv.ParseInt(value, 10, 64)
		case "MIME type":
			o.mime = value
		case "MD5 sum":
			o.etag = value
		case "x-amz-meta-owner":
			o.owner = value
		}
	}
	return &o, nil
}

func (c *s3cmd) list(bucket, prefix string, deep bool) ([]string, error) {
	args := []string{"ls", s3URI(bucket, prefix)}
	if deep {
		args = append(args, "--recursive")
	}
	out, err := c.run(args...)
	var keys []string
	for _, line := range lines(out) {
		if _, key, ok := strings.Cut(line, s3URI(bucket, "")); ok {
			keys = append(keys, key)
		}
	}
	return keys, err
}

func (c *s3cmd) copy(bucket, from, to string) error {
	return c.do("cp", s3URI(bucket, from), s3URI(bucket, to))
}

func (c *s3cmd) partCopy(bucket, from, to string) error { return c.copy(bucket, from, to) }

func (c *s3cmd) delete(bucket, key string) error { return c.do("del", s3URI(bucket, key)) }

func (c *s3cmd) deleteMany(bucket string, keys ...string) error {
	args := []string{"del"}
	for _, key := range keys {
		args = append(args, s3URI(bucket, key))
	}
	return c.do(args...)
}

// s3cmd reports missing objects in its own words.
func (c *s3cmd) code(err error) string {
	if text := err.Error(); strings.Contains(text, "Key not found") || strings.Contains(text, "Source object") && strings.Contains(text, "does not exist") {
		return "NoSuchKey"
	}
	return c.program.code(err)
}
