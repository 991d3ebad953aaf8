package cloud

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// rclone checks for an object before it writes, copies large objects in parts, and stores
// the time of a file in the metadata.
type rclone struct{ *program }

func newRclone(t testing.TB, a access) client {
	p := newProgram(t, "rclone", "RCLONE_CONFIG_COS_TYPE=s3", "RCLONE_CONFIG_COS_PROVIDER=IBMCOS", "RCLONE_CONFIG_COS_ACCESS_KEY_ID="+a.AccessKeyID,
		"RCLONE_CONFIG_COS_SECRET_ACCESS_KEY="+a.secret, "RCLONE_CONFIG_COS_ENDPOINT="+a.endpoint, "RCLONE_CONFIG_COS_LOCATION_CONSTRAINT=us-south-standard",
		"RCLONE_S3_CHUNK_SIZE=5Mi", "RCLONE_S3_UPLOAD_CUTOFF=5Mi", "RCLONE_S3_COPY_CUTOFF=5Mi", "RCLONE_S3_LIST_CHUNK=2", "RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1")
	return &rclone{p}
}

func remote(bucket, key string) string { return "cos:" + bucket + "/" + key }

func (c *rclone) do(args ...string) error {
	_, err := c.run(args...)
	return err
}

func (c *rclone) makeBucket(bucket string) error { return c.do("mkdir", "cos:"+bucket) }

func (c *rclone) removeBucket(bucket string) error { return c.do("rmdir", "cos:"+bucket) }

func (c *rclone) put(bucket, key string, body []byte) error {
	name, err := c.file(body)
	if err != nil {
		return err
	}
	return c.do("copyto", name, remote(bucket, key))
}

func (c *rclone) putAs(bucket, key string, body []byte, mime, owner string) error {
	name, err := c.file(body)
	if err != nil {
		return err
	}
	return c.do("copyto", name, remote(bucket, key), "--header-upload", "Content-Type: "+mime, "--header-upload", "x-amz-meta-owner: "+owner)
}

func (c *rclone) multipart(bucket, key string, body []byte) error { return c.put(bucket, key, body) }

func (c *rclone) get(bucket, key string) ([]byte, error) {
	name := filepath.Join(c.dir, "got")
	if err := c.do("copyto", "--ignore-times", remote(bucket, key), name); err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}

func (c *rclone) getRange(bucket, key string, from, to int64) ([]byte, error) {
	return c.run("cat", remote(bucket, key), "--offset", strconv.FormatInt(from, 10), "--count", strconv.FormatInt(to-from, 10))
}

func (c *rclone) list(bucket, prefix string, deep bool) ([]string, error) {
	args := []string{"lsf", remote(bucket, prefix)}
	if deep {
		args = append(args, "-R", "--files-only")
	}
	out, err := c.run(args...)
	keys := lines(out)
	for i := range keys {
		keys[i] = prefix + keys[i]
	}
	return keys, err
}

func (c *rclone) copy(bucket, from, to string) error {
	// Without the option it treats a missing object as an empty folder.
	return c.do("copyto", "--error-on-no-transfer", remote(bucket, from), remote(bucket, to))
}

func (c *rclone) partCopy(bucket, from, to string) error { return c.copy(bucket, from, to) }

func (c *rclone) delete(bucket, key string) error { return c.do("deletefile", remote(bucket, key)) }

func (c *rclone) presign(method, bucket, key string) (string, error) {
	if method != "GET" {
		return "", unsupported
	}
	out, err := c.run("link", remote(bucket, key), "--expire", "1m")
	return strings.TrimSpace(string(out)), err
}

// rclone reports missing objects in its own words.
func (c *rclone) code(err error) string {
	text := err.Error()
	switch missing := strings.Contains(text, "directory not found") || strings.Contains(text, "Source doesn't exist") || strings.Contains(text, "exit status 9"); {
	case missing && strings.Contains(text, `"lsf"`):
		return "NoSuchBucket"
	case missing:
		return "NoSuchKey"
	}
	return c.program.code(err)
}
