package cloud

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

type awsClient struct{ *s3.Client }

func newAWS(_ testing.TB, a access) client {
	return &awsClient{s3.New(s3.Options{
		BaseEndpoint: &a.endpoint, Region: a.Region, UsePathStyle: !a.virtual, HTTPClient: a.http,
		Credentials: credentials.NewStaticCredentialsProvider(a.AccessKeyID, a.secret, ""),
	})}
}

func (c *awsClient) makeBucket(bucket string) error {
	_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket, CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "us-south-standard"}})
	return err
}

func (c *awsClient) removeBucket(bucket string) error {
	_, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket})
	return err
}

func (c *awsClient) send(in *s3.PutObjectInput, bucket, key string, body []byte) error {
	in.Bucket, in.Key, in.Body = &bucket, &key, bytes.NewReader(body)
	_, err := c.PutObject(ctx, in)
	return err
}

func (c *awsClient) put(bucket, key string, body []byte) error {
	return c.send(&s3.PutObjectInput{}, bucket, key, body)
}

func (c *awsClient) putAs(bucket, key string, body []byte, mime, owner string) error {
	return c.send(&s3.PutObjectInput{ContentType: &mime, Metadata: map[string]string{"Owner": owner}}, bucket, key, body)
}

func (c *awsClient) putNew(bucket, key string, body []byte) error {
	return c.send(&s3.PutObjectInput{IfNoneMatch: aws.String("*")}, bucket, key, body)
}

func (c *awsClient) multipart(bucket, key string, body []byte) error {
	up := manager.NewUploader(c.Client, func(u *manager.Uploader) { u.PartSize = 5 * mib })
	_, err := up.Upload(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)})
	return err
}

func (c *awsClient) read(in *s3.GetObjectInput) ([]byte, error) {
	out, err := c.GetObject(ctx, in)
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}

func (c *awsClient) get(bucket, key string) ([]byte, error) {
	return c.read(&s3.GetObjectInput{Bucket: &bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
}

func (c *awsClient) getRange(bucket, key string, from, to int64) ([]byte, error) {
	return c.read(&s3.GetObjectInput{Bucket: &bucket, Key: &key, Range: aws.String(fmt.Sprintf("bytes=%d-%d", from, to-1))})
}

func (c *awsClient) head(bucket, key string) (*object, error) {
	out, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	return &object{*out.ContentLength, strings.Trim(*out.ETag, `"`), aws.ToString(out.ContentType), out.Metadata["owner"]}, nil
}

func (c *awsClient) list(bucket, prefix string, deep bool) (keys []string, err error) {
	in := &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix, MaxKeys: aws.Int32(2)}
	if !deep {
		in.Delimiter = aws.String("/")
	}
	for pages := s3.NewListObjectsV2Paginator(c.Client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
		for _, p := range page.CommonPrefixes {
			keys = append(keys, *p.Prefix)
		}
	}
	return keys, nil
}

// source returns the escaped source of a copy, in which a plus would mean a space.
func source(bucket, key string) *string {
	return aws.String(bucket + "/" + strings.ReplaceAll(url.PathEscape(key), "+", "%2B"))
}

func (c *awsClient) copy(bucket, from, to string) error {
	_, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &bucket, Key: &to, CopySource: source(bucket, from)})
	return err
}

func (c *awsClient) partCopy(bucket, from, to string) error {
	up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &to})
	if err != nil {
		return err
	}
	var parts []types.CompletedPart
	for n, span := range []string{"bytes=0-6291455", "bytes=6291456-11534340"} {
		number := aws.Int32(int32(n + 1))
		p, err := c.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
			Bucket: &bucket, Key: &to, UploadId: up.UploadId, PartNumber: number, CopySource: source(bucket, from), CopySourceRange: &span,
		})
		if err != nil {
			return err
		}
		parts = append(parts, types.CompletedPart{PartNumber: number, ETag: p.CopyPartResult.ETag})
	}
	_, err = c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &bucket, Key: &to, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	return err
}

func (c *awsClient) delete(bucket, key string) error {
	_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
	return err
}

func (c *awsClient) deleteMany(bucket string, keys ...string) error {
	var ids []types.ObjectIdentifier
	for _, key := range keys {
		ids = append(ids, types.ObjectIdentifier{Key: &key})
	}
	out, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: ids}})
	if err == nil && (len(out.Errors) != 0 || len(out.Deleted) != len(keys)) {
		err = fmt.Errorf("%d deleted, %d errors", len(out.Deleted), len(out.Errors))
	}
	return err
}

func (c *awsClient) presign(method, bucket, key string) (string, error) {
	p := s3.NewPresignClient(c.Client)
	if method == "PUT" {
		r, err := p.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			return "", err
		}
		return r.URL, nil
	}
	r, err := p.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return "", err
	}
	return r.URL, nil
}

func (c *awsClient) setTag(bucket, key, name, value string) error {
	_, err := c.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: &bucket, Key: &key, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: &name, Value: &value}}}})
	return err
}

func (c *awsClient) tag(bucket, key, name string) (string, error) {
	out, err := c.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return "", err
	}
	for _, tag := range out.TagSet {
		if *tag.Key == name {
			return *tag.Value, nil
		}
	}
	return "", nil
}

func (c *awsClient) code(err error) string {
	var e smithy.APIError
	if !errors.As(err, &e) {
		return err.Error()
	}
	return e.ErrorCode()
}

// transferClient moves objects with the new transfer manager, which uses checksums
// and reads in parts.
type transferClient struct {
	*awsClient
	m *transfermanager.Client
}

func newTransfer(t testing.TB, a access) client {
	c := newAWS(t, a).(*awsClient)
	return &transferClient{c, transfermanager.New(c.Client, func(o *transfermanager.Options) {
		o.PartSizeBytes, o.MultipartUploadThreshold = 5*mib, 5*mib
	})}
}

func (c *transferClient) put(bucket, key string, body []byte) error {
	_, err := c.m.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)})
	return err
}

func (c *transferClient) multipart(bucket, key string, body []byte) error {
	return c.put(bucket, key, body)
}

func (c *transferClient) get(bucket, key string) ([]byte, error) {
	w := manager.NewWriteAtBuffer(nil)
	_, err := c.m.DownloadObject(ctx, &transfermanager.DownloadObjectInput{Bucket: &bucket, Key: &key, WriterAt: w})
	return w.Bytes(), err
}
