package cloud

import (
	"bytes"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/tags"
)

type minioClient struct{ *minio.Core }

func newMinio(t testing.TB, a access) client {
	u, err := url.Parse(a.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	lookup := minio.BucketLookupPath
	if a.virtual {
		lookup = minio.BucketLookupDNS
	}
	c, err := minio.NewCore(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(a.AccessKeyID, a.secret, ""), Region: a.Region, BucketLookup: lookup, Transport: a.http.Transport, TrailingHeaders: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &minioClient{c}
}

func (c *minioClient) makeBucket(bucket string) error {
	return c.MakeBucket(ctx, bucket, minio.MakeBucketOptions{Region: "us-south-standard"})
}

func (c *minioClient) removeBucket(bucket string) error { return c.RemoveBucket(ctx, bucket) }

func (c *minioClient) send(bucket, key string, body []byte, o minio.PutObjectOptions) error {
	_, err := c.Client.PutObject(ctx, bucket, key, bytes.NewReader(body), int64(len(body)), o)
	return err
}

func (c *minioClient) put(bucket, key string, body []byte) error {
	return c.send(bucket, key, body, minio.PutObjectOptions{})
}

func (c *minioClient) putAs(bucket, key string, body []byte, mime, owner string) error {
	return c.send(bucket, key, body, minio.PutObjectOptions{ContentType: mime, UserMetadata: map[string]string{"Owner": owner}})
}

func (c *minioClient) putNew(bucket, key string, body []byte) error {
	var o minio.PutObjectOptions
	o.SetMatchETagExcept("*")
	return c.send(bucket, key, body, o)
}

func (c *minioClient) multipart(bucket, key string, body []byte) error {
	return c.send(bucket, key, body, minio.PutObjectOptions{PartSize: 5 * mib})
}

func (c *minioClient) read(bucket, key string, o minio.GetObjectOptions) ([]byte, error) {
	r, err := c.Client.GetObject(ctx, bucket, key, o)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func (c *minioClient) get(bucket, key string) ([]byte, error) {
	return c.read(bucket, key, minio.GetObjectOptions{Checksum: true})
}

func (c *minioClient) getRange(bucket, key string, from, to int64) ([]byte, error) {
	var o minio.GetObjectOptions
	if err := o.SetRange(from, to-1); err != nil {
		return nil, err
	}
	return c.read(bucket, key, o)
}

func (c *minioClient) head(bucket, key string) (*object, error) {
	i, err := c.StatObject(ctx, bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return nil, err
	}
	return &object{i.Size, i.ETag, i.ContentType, i.UserMetadata["Owner"]}, nil
}

func (c *minioClient) list(bucket, prefix string, deep bool) (keys []string, err error) {
	for o := range c.Client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: deep, MaxKeys: 2}) {
		if o.Err != nil {
			return nil, o.Err
		}
		keys = append(keys, o.Key)
	}
	return keys, nil
}

func (c *minioClient) copy(bucket, from, to string) error {
	_, err := c.Client.CopyObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: to}, minio.CopySrcOptions{Bucket: bucket, Object: from})
	return err
}

func (c *minioClient) partCopy(bucket, from, to string) error {
	id, err := c.NewMultipartUpload(ctx, bucket, to, minio.PutObjectOptions{})
	if err != nil {
		return err
	}
	var parts []minio.CompletePart
	for n, span := range [][2]int64{{0, 6 * mib}, {6 * mib, 5*mib + 5}} {
		p, err := c.CopyObjectPart(ctx, bucket, from, bucket, to, id, n+1, span[0], span[1], nil)
		if err != nil {
			return err
		}
		parts = append(parts, p)
	}
	_, err = c.CompleteMultipartUpload(ctx, bucket, to, id, parts, minio.PutObjectOptions{})
	return err
}

func (c *minioClient) delete(bucket, key string) error {
	return c.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{})
}

func (c *minioClient) deleteMany(bucket string, keys ...string) error {
	objects := make(chan minio.ObjectInfo, len(keys))
	for _, key := range keys {
		objects <- minio.ObjectInfo{Key: key}
	}
	close(objects)
	for e := range c.RemoveObjects(ctx, bucket, objects, minio.RemoveObjectsOptions{}) {
		return e.Err
	}
	return nil
}

func (c *minioClient) presign(method, bucket, key string) (string, error) {
	u, err := c.Presign(ctx, method, bucket, key, time.Minute, nil)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

func (c *minioClient) setTag(bucket, key, name, value string) error {
	set, err := tags.NewTags(map[string]string{name: value}, true)
	if err != nil {
		return err
	}
	return c.PutObjectTagging(ctx, bucket, key, set, minio.PutObjectTaggingOptions{})
}

func (c *minioClient) tag(bucket, key, name string) (string, error) {
	set, err := c.GetObjectTagging(ctx, bucket, key, minio.GetObjectTaggingOptions{})
	if err != nil {
		return "", err
	}
	return set.ToMap()[name], nil
}

func (c *minioClient) code(err error) string {
	return strings.TrimSpace(minio.ToErrorResponse(err).Code)
}
