package cloud

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/IBM/ibm-cos-sdk-go/aws"
	"github.com/IBM/ibm-cos-sdk-go/aws/awserr"
	"github.com/IBM/ibm-cos-sdk-go/aws/credentials"
	"github.com/IBM/ibm-cos-sdk-go/aws/credentials/ibmiam"
	"github.com/IBM/ibm-cos-sdk-go/aws/request"
	"github.com/IBM/ibm-cos-sdk-go/aws/session"
	"github.com/IBM/ibm-cos-sdk-go/service/s3"
	"github.com/IBM/ibm-cos-sdk-go/service/s3/s3manager"
)

type cosClient struct {
	*s3.S3
	iam bool
}

func newCOSByHMAC(t testing.TB, a access) client {
	return newCOS(t, a, credentials.NewStaticCredentials(a.AccessKeyID, a.secret, ""))
}

func newCOSByIAM(t testing.TB, a access) client {
	c := newCOS(t, a, ibmiam.NewStaticCredentials(aws.NewConfig(), a.IAM+"/identity/token", a.APIKey, a.COSInstance))
	c.iam = true
	return c
}

func newCOS(t testing.TB, a access, who *credentials.Credentials) *cosClient {
	s, err := session.NewSession(aws.NewConfig().WithEndpoint(a.endpoint).WithRegion("us-south").WithCredentials(who).WithS3ForcePathStyle(!a.virtual).WithHTTPClient(a.http))
	if err != nil {
		t.Fatal(err)
	}
	return &cosClient{S3: s3.New(s)}
}

func (c *cosClient) makeBucket(bucket string) error {
	_, err := c.CreateBucket(&s3.CreateBucketInput{Bucket: &bucket, CreateBucketConfiguration: &s3.CreateBucketConfiguration{LocationConstraint: aws.String("us-south-standard")}})
	return err
}

func (c *cosClient) removeBucket(bucket string) error {
	_, err := c.DeleteBucket(&s3.DeleteBucketInput{Bucket: &bucket})
	return err
}

func (c *cosClient) send(in *s3.PutObjectInput, bucket, key string, body []byte, o ...request.Option) error {
	in.Bucket, in.Key, in.Body = &bucket, &key, bytes.NewReader(body)
	_, err := c.PutObjectWithContext(ctx, in, o...)
	return err
}

func (c *cosClient) put(bucket, key string, body []byte) error {
	return c.send(&s3.PutObjectInput{}, bucket, key, body)
}

func (c *cosClient) putAs(bucket, key string, body []byte, mime, owner string) error {
	return c.send(&s3.PutObjectInput{ContentType: &mime, Metadata: map[string]*string{"Owner": &owner}}, bucket, key, body)
}

func (c *cosClient) putNew(bucket, key string, body []byte) error {
	return c.send(&s3.PutObjectInput{}, bucket, key, body, request.WithSetRequestHeaders(map[string]string{"If-None-Match": "*"}))
}

func (c *cosClient) multipart(bucket, key string, body []byte) error {
	up := s3manager.NewUploaderWithClient(c.S3, func(u *s3manager.Uploader) { u.PartSize = 5 * mib })
	_, err := up.Upload(&s3manager.UploadInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)})
	return err
}

func (c *cosClient) get(bucket, key string) ([]byte, error) {
	w := aws.NewWriteAtBuffer(nil)
	_, err := s3manager.NewDownloaderWithClient(c.S3).Download(w, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	return w.Bytes(), err
}

func (c *cosClient) getRange(bucket, key string, from, to int64) ([]byte, error) {
	out, err := c.GetObject(&s3.GetObjectInput{Bucket: &bucket, Key: &key, Range: aws.String(fmt.Sprintf("bytes=%d-%d", from, to-1))})
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}

func (c *cosClient) head(bucket, key string) (*object, error) {
	out, err := c.HeadObject(&s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	return &object{*out.ContentLength, strings.Trim(*out.ETag, `"`), aws.StringValue(out.ContentType), aws.StringValue(out.Metadata["Owner"])}, nil
}

func (c *cosClient) list(bucket, prefix string, deep bool) (keys []string, err error) {
	in := &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix, MaxKeys: aws.Int64(2)}
	if !deep {
		in.Delimiter = aws.String("/")
	}
	err = c.ListObjectsV2Pages(in, func(page *s3.ListObjectsV2Output, _ bool) bool {
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
		for _, p := range page.CommonPrefixes {
			keys = append(keys, *p.Prefix)
		}
		return true
	})
	return keys, err
}

func (c *cosClient) copy(bucket, from, to string) error {
	_, err := c.CopyObject(&s3.CopyObjectInput{Bucket: &bucket, Key: &to, CopySource: source(bucket, from)})
	return err
}

func (c *cosClient) partCopy(bucket, from, to string) error {
	up, err := c.CreateMultipartUpload(&s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &to})
	if err != nil {
		return err
	}
	var parts []*s3.CompletedPart
	for n, span := range []string{"bytes=0-6291455", "bytes=6291456-11534340"} {
		number := aws.Int64(int64(n + 1))
		p, err := c.UploadPartCopy(&s3.UploadPartCopyInput{
			Bucket: &bucket, Key: &to, UploadId: up.UploadId, PartNumber: number, CopySource: source(bucket, from), CopySourceRange: &span,
		})
		if err != nil {
			return err
		}
		parts = append(parts, &s3.CompletedPart{PartNumber: number, ETag: p.CopyPartResult.ETag})
	}
	_, err = c.CompleteMultipartUpload(&s3.CompleteMultipartUploadInput{
		Bucket: &bucket, Key: &to, UploadId: up.UploadId, MultipartUpload: &s3.CompletedMultipartUpload{Parts: parts},
	})
	return err
}

func (c *cosClient) delete(bucket, key string) error {
	_, err := c.DeleteObject(&s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
	return err
}

func (c *cosClient) deleteMany(bucket string, keys ...string) error {
	var ids []*s3.ObjectIdentifier
	for _, key := range keys {
		ids = append(ids, &s3.ObjectIdentifier{Key: &key})
	}
	out, err := c.DeleteObjects(&s3.DeleteObjectsInput{Bucket: &bucket, Delete: &s3.Delete{Objects: ids}})
	if err == nil && (len(out.Errors) != 0 || len(out.Deleted) != len(keys)) {
		err = fmt.Errorf("%d deleted, %d errors", len(out.Deleted), len(out.Errors))
	}
	return err
}

// presign requires HMAC credentials, since a URL cannot carry a token.
func (c *cosClient) presign(method, bucket, key string) (string, error) {
	if c.iam {
		return "", unsupported
	}
	if method == "PUT" {
		r, _ := c.PutObjectRequest(&s3.PutObjectInput{Bucket: &bucket, Key: &key})
		return r.Presign(time.Minute)
	}
	r, _ := c.GetObjectRequest(&s3.GetObjectInput{Bucket: &bucket, Key: &key})
	return r.Presign(time.Minute)
}

func (c *cosClient) setTag(bucket, key, name, value string) error {
	_, err := c.PutObjectTagging(&s3.PutObjectTaggingInput{Bucket: &bucket, Key: &key, Tagging: &s3.Tagging{TagSet: []*s3.Tag{{Key: &name, Value: &value}}}})
	return err
}

func (c *cosClient) tag(bucket, key, name string) (string, error) {
	out, err := c.GetObjectTagging(&s3.GetObjectTaggingInput{Bucket: &bucket, Key: &key})
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

func (c *cosClient) code(err error) string {
	var e awserr.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	return e.Code()
}
