package cloud

import (
	"bytes"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/sandbox/s3"
)

const (
	accessKey = "0123456789abcdef"
	secretKey = "fedcba9876543210fedcba9876543210"
)

func objects(t testing.TB) (*httptest.Server, *s3.Server) {
	t.Helper()
	s, err := s3.New(s3.Options{Dir: t.TempDir(), HMAC: func(key string) ([]byte, string, bool) { return []byte(secretKey), "acct", key == accessKey }})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(func() { srv.Close(); s.Close() })
	return srv, s
}

func minioFor(t testing.TB, endpoint, secret string, trailers bool) *minio.Client {
	t.Helper()
	m, err := minio.New(strings.TrimPrefix(endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4(accessKey, secret, ""), Region: "us-south", BucketLookup: minio.BucketLookupPath, TrailingHeaders: trailers})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSandbox uses the sandbox with minio-go's defaults: signed chunks and trailing
// checksums over plain HTTP.
func TestSandbox(t *testing.T) {
	srv, s := objects(t)
	m := minioFor(t, srv.URL, secretKey, true)
	if err := m.MakeBucket(ctx, "images", minio.MakeBucketOptions{Region: "us-south-standard"}); err != nil {
		t.Fatal(err)
	}
	plain := minioFor(t, srv.URL, secretKey, false)
	if ok, err := m.BucketExists(ctx, "images"); err != nil || !ok {
		t.Errorf("bucket: %v, %v", ok, err)
	}
	if region, err := s.Region("acct", "images"); err != nil || region != "us-south" {
		t.Errorf("region %s, %v", region, err)
	}
	for _, size := range []int{0, 1, 65536, 5 * mib, 17*mib + 345} {
		for name, opts := range map[string]minio.PutObjectOptions{
			"default":    {PartSize: 5 * mib},
			"plain":      {PartSize: 5 * mib},
			"md5":        {PartSize: 5 * mib, SendContentMd5: true},
			"no-sha256":  {PartSize: 5 * mib, DisableContentSha256: true},
			"crc32":      {PartSize: 5 * mib, Checksum: minio.ChecksumCRC32},
			"crc64":      {PartSize: 5 * mib, Checksum: minio.ChecksumCRC64NVME},
			"concurrent": {PartSize: 5 * mib, NumThreads: 3},
		} {
			b := noise(size, uint64(size))
			key := fmt.Sprintf("a folder/%s %d+%%.raw", name, size)
			r := io.Reader(bytes.NewReader(b))
			if name == "default" {
				r = struct{ io.Reader }{r} // hides ReaderAt
			}
			up := m
			if name == "plain" {
				up = plain
			}
			if _, err := up.PutObject(ctx, "images", key, r, int64(size), opts); err != nil {
				t.Errorf("%s: %v", key, err)
				continue
			}
			o, err := s.Open("acct", "images", key)
			if err != nil {
				t.Fatal(err)
			}
			stored, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
			if err != nil || !bytes.Equal(stored, b) {
				t.Errorf("%s: %d stored bytes differ from the %d sent: %v", key, len(stored), size, err)
			}
			o.Close()
			g, err := m.GetObject(ctx, "images", key, minio.GetObjectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(g)
			if err != nil || !bytes.Equal(got, b) {
				t.Errorf("%s: read: %v", key, err)
			}
			if size > 100 {
				p := make([]byte, 50)
				if _, err := g.ReadAt(p, 33); err != nil || !bytes.Equal(p, b[33:83]) {
					t.Errorf("%s: range: %v", key, err)
				}
			}
			g.Close()
		}
	}
	// Unknown size.
	b := noise(12*mib, 9)
	if _, err := m.PutObject(ctx, "images", "stream", struct{ io.Reader }{bytes.NewReader(b)}, -1, minio.PutObjectOptions{PartSize: 5 * mib}); err != nil {
		t.Error(err)
	}
	n := 0
	for o := range m.ListObjects(ctx, "images", minio.ListObjectsOptions{Prefix: "a folder/", Recursive: true, MaxKeys: 7}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		n++
	}
	if n != 35 {
		t.Errorf("%d objects in the list", n)
	}
	var top []string
	for o := range m.ListObjects(ctx, "images", minio.ListObjectsOptions{}) {
		top = append(top, o.Key)
	}
	slices.Sort(top)
	if fmt.Sprint(top) != "[a folder/ stream]" {
		t.Errorf("top level: %v", top)
	}
	if err := m.RemoveBucket(ctx, "images"); minio.ToErrorResponse(err).Code != "BucketNotEmpty" {
		t.Errorf("non-empty bucket: %v", err)
	}
	if err := m.RemoveObject(ctx, "images", "stream", minio.RemoveObjectOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := m.StatObject(ctx, "images", "stream", minio.StatObjectOptions{}); minio.ToErrorResponse(err).Code != "NoSuchKey" {
		t.Errorf("removed: %v", err)
	}
	for u := range m.ListIncompleteUploads(ctx, "images", "", true) {
		t.Errorf("unfinished: %+v", u)
	}
}

func TestSandboxRefuses(t *testing.T) {
	srv, s := objects(t)
	if err := s.CreateBucket("acct", "images", ""); err != nil {
		t.Fatal(err)
	}
	m := minioFor(t, srv.URL, "wrong", false)
	_, err := m.PutObject(ctx, "images", "x", bytes.NewReader([]byte("x")), 1, minio.PutObjectOptions{})
	if minio.ToErrorResponse(err).Code != "SignatureDoesNotMatch" {
		t.Errorf("wrong secret: %v", err)
	}
	core := minio.Core{Client: minioFor(t, srv.URL, secretKey, true)}
	id, err := core.NewMultipartUpload(ctx, "images", "x", minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var parts []minio.CompletePart
	for n := 1; n <= 2; n++ {
		p, err := core.PutObjectPart(ctx, "images", "x", id, n, bytes.NewReader(noise(1000, 1)), 1000, minio.PutObjectPartOptions{})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, minio.CompletePart{PartNumber: n, ETag: p.ETag})
	}
	complete := func(parts ...minio.CompletePart) string {
		_, err := core.CompleteMultipartUpload(ctx, "images", "x", id, parts, minio.PutObjectOptions{})
		return minio.ToErrorResponse(err).Code
	}
	if code := complete(parts...); code != "EntityTooSmall" {
		t.Errorf("small part: %s", code)
	}
	if code := complete(parts[1], parts[0]); code != "InvalidPartOrder" {
		t.Errorf("order: %s", code)
	}
	if code := complete(minio.CompletePart{PartNumber: 3, ETag: parts[0].ETag}); code != "InvalidPart" {
		t.Errorf("missing part: %s", code)
	}
	list, err := core.ListObjectParts(ctx, "images", "x", id, 0, 1)
	if err != nil || len(list.ObjectParts) != 1 || !list.IsTruncated || list.NextPartNumberMarker != 1 {
		t.Errorf("parts: %+v, %v", list, err)
	}
	if err := core.AbortMultipartUpload(ctx, "images", "x", id); err != nil {
		t.Error(err)
	}
	if code := complete(parts...); code != "NoSuchUpload" {
		t.Errorf("aborted: %s", code)
	}
}

// TestBothWays lets each client read what the other one wrote.
func TestBothWays(t *testing.T) {
	srv, s := objects(t)
	if err := s.CreateBucket("acct", "images", ""); err != nil {
		t.Fatal(err)
	}
	m := minioFor(t, srv.URL, secretKey, true)
	c, err := cos.New(cos.Options{Endpoint: srv.URL, HMAC: &cos.HMAC{AccessKeyID: accessKey, SecretAccessKey: []byte(secretKey)}})
	if err != nil {
		t.Fatal(err)
	}
	b := noise(40*mib+1, 10)
	ours, theirs := cos.Object{Region: "us-south", Bucket: "images", Key: "ours"}, cos.Object{Region: "us-south", Bucket: "images", Key: "theirs"}
	if _, err := c.Upload(ctx, ours, bytes.NewReader(b), int64(len(b)), cos.UploadOptions{}); err != nil {
		t.Fatal(err)
	}
	g, err := m.GetObject(ctx, "images", "ours", minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(g); err != nil || !bytes.Equal(got, b) {
		t.Errorf("minio-go reads ours: %v", err)
	}
	// A download must guess the part size of 16 MiB.
	if _, err := m.PutObject(ctx, "images", "theirs", bytes.NewReader(b), int64(len(b)), minio.PutObjectOptions{PartSize: 16 * mib}); err != nil {
		t.Fatal(err)
	}
	var w sink
	if r, err := c.Download(ctx, theirs, &w, cos.DownloadOptions{Jobs: 1}); err != nil || !r.Verified || !bytes.Equal(w.b, b) {
		t.Errorf("ours reads minio-go's: %+v, %v", r, err)
	}
}

// sink is memory that is written sequentially.
type sink struct{ b []byte }

func (s *sink) WriteAt(p []byte, off int64) (int, error) {
	if int64(len(s.b)) != off {
		return 0, fmt.Errorf("write at %d, not at %d", off, len(s.b))
	}
	s.b = append(s.b, p...)
	return len(p), nil
}
