package cloud

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// awscli is the AWS command line interface of Debian, or the first one on the PATH. "aws s3"
// moves files; "aws s3api" has a command for each call.
type awscli struct{ *program }

func newAWSCLI(t testing.TB, a access) client {
	p := newProgram(t, "aws", "AWS_ACCESS_KEY_ID="+a.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+a.secret, "AWS_DEFAULT_REGION="+a.Region, "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true")
	p.args = []string{"--endpoint-url", a.endpoint, "--output", "json"}
	return &awscli{p}
}

// api runs an s3api command, and decodes its answer into v unless that is nil.
func (c *awscli) api(v any, call string, args ...string) error {
	out, err := c.run(append([]string{"s3api", call}, args...)...)
	if err == nil && v != nil {
		err = json.Unmarshal(out, v)
	}
	return err
}

func (c *awscli) on(v any, call, bucket, key string, args ...string) error {
	return c.api(v, call, append([]string{"--bucket", bucket, "--key", key}, args...)...)
}

func (c *awscli) makeBucket(bucket string) error {
	return c.api(nil, "create-bucket", "--bucket", bucket, "--create-bucket-configuration", "LocationConstraint=us-south-standard")
}

func (c *awscli) removeBucket(bucket string) error {
	_, err := c.run("s3", "rb", "s3://"+bucket)
	return err
}

func (c *awscli) put(bucket, key string, body []byte) error {
	_, err := c.pipe(body, "s3", "cp", "-", "s3://"+bucket+"/"+key)
	return err
}

func (c *awscli) putAs(bucket, key string, body []byte, mime, owner string) error {
	name, err := c.file(body)
	if err != nil {
		return err
	}
	return c.on(nil, "put-object", bucket, key, "--body", name, "--content-type", mime, "--metadata", "Owner="+owner)
}

// Older versions lack this option.
func (c *awscli) putNew(bucket, key string, body []byte) error {
	name, err := c.file(body)
	if err != nil {
		return err
	}
	if err = c.on(nil, "put-object", bucket, key, "--body", name, "--if-none-match", "*"); err != nil && strings.Contains(err.Error(), "Unknown options") {
		return unsupported
	}
	return err
}

func (c *awscli) multipart(bucket, key string, body []byte) error {
	name, err := c.file(body)
	if err != nil {
		return err
	}
	_, err = c.run("s3", "cp", "--quiet", name, "s3://"+bucket+"/"+key)
	return err
}

func (c *awscli) get(bucket, key string) ([]byte, error) {
	name, err := c.file(nil)
	if err != nil {
		return nil, err
	}
	if err := c.on(nil, "get-object", bucket, key, name); err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}

func (c *awscli) getRange(bucket, key string, from, to int64) ([]byte, error) {
	name, err := c.file(nil)
	if err != nil {
		return nil, err
	}
	if err := c.on(nil, "get-object", bucket, key, "--range", fmt.Sprintf("bytes=%d-%d", from, to-1), name); err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}

func (c *awscli) head(bucket, key string) (*object, error) {
	var o struct {
		ContentLength     int64
		ETag, ContentType string
		Metadata          map[string]string
	}
	if err := c.on(&o, "head-object", bucket, key); err != nil {
		return nil, err
	}
	// The client returns names as in the answer.
	return &object{o.ContentLength, strings.Trim(o.ETag, `"`), o.ContentType, o.Metadata["Owner"] + o.Metadata["owner"]}, nil
}

func (c *awscli) list(bucket, prefix string, deep bool) (keys []string, err error) {
	args := []string{"--bucket", bucket, "--prefix", prefix, "--page-size", "2"}
	if !deep {
		args = append(args, "--delimiter", "/")
	}
	var l struct {
		Contents       []struct{ Key string }
		CommonPrefixes []struct{ Prefix string }
	}
	if err := c.api(&l, "list-objects-v2", args...); err != nil {
		return nil, err
	}
	for _, o := range l.Contents {
		keys = append(keys, o.Key)
	}
	for _, p := range l.CommonPrefixes {
		keys = append(keys, p.Prefix)
	}
	return keys, nil
}

func (c *awscli) copy(bucket, from, to string) error {
	return c.on(nil, "copy-object", bucket, to, "--copy-source", bucket+"/"+from)
}

// partCopy copies in parts because the object exceeds 8 MiB.
func (c *awscli) partCopy(bucket, from, to string) error {
	_, err := c.run("s3", "cp", "--quiet", "s3://"+bucket+"/"+from, "s3://"+bucket+"/"+to)
	return err
}

func (c *awscli) delete(bucket, key string) error {
	_, err := c.run("s3", "rm", "s3://"+bucket+"/"+key)
	return err
}

func (c *awscli) deleteMany(bucket string, keys ...string) error {
	var d struct{ Objects []map[string]string }
	for _, key := range keys {
		d.Objects = append(d.Objects, map[string]string{"Key": key})
	}
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return c.api(nil, "delete-objects", "--bucket", bucket, "--delete", string(text))
}

func (c *awscli) presign(method, bucket, key string) (string, error) {
	if method != "GET" {
		return "", unsupported
	}
	out, err := c.run("s3", "presign", "s3://"+bucket+"/"+key)
	return strings.TrimSpace(string(out)), err
}

func (c *awscli) setTag(bucket, key, name, value string) error {
	return c.on(nil, "put-object-tagging", bucket, key, "--tagging", fmt.Sprintf(`{"TagSet":[{"Key":%q,"Value":%q}]}`, name, value))
}

func (c *awscli) tag(bucket, key, name string) (string, error) {
	var set struct{ TagSet []struct{ Key, Value string } }
	if err := c.on(&set, "get-object-tagging", bucket, key); err != nil {
		return "", err
	}
	for _, tag := range set.TagSet {
		if tag.Key == name {
			return tag.Value, nil
		}
	}
	return "", nil
}
