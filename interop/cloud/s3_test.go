package cloud

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/ibm/sandbox"
)

const mib = 1 << 20

var ctx = context.Background()

// A client is an independent S3 client with its default behavior. It gets an address and credentials.
// For an operation that it does not support, it returns [errors.ErrUnsupported].
type client interface {
	makeBucket(bucket string) error
	removeBucket(bucket string) error

	put(bucket, key string, body []byte) error
	// putAs stores an object with a Content-Type and metadata named "Owner".
	putAs(bucket, key string, body []byte, mime, owner string) error
	// putNew stores an object only if it does not exist.
	putNew(bucket, key string, body []byte) error
	// multipart uploads in parts of 5 MiB, or of the client's own size.
	multipart(bucket, key string, body []byte) error

	get(bucket, key string) ([]byte, error)
	getRange(bucket, key string, from, to int64) ([]byte, error) // to is exclusive
	head(bucket, key string) (*object, error)
	// list uses pages of two if possible. Unless deep, folders end in a slash.
	list(bucket, prefix string, deep bool) ([]string, error)

	copy(bucket, from, to string) error
	partCopy(bucket, from, to string) error
	delete(bucket, key string) error
	deleteMany(bucket string, keys ...string) error

	presign(method, bucket, key string) (string, error)
	setTag(bucket, key, name, value string) error
	tag(bucket, key, name string) (string, error)

	// code returns the S3 code of an error.
	code(error) string
}

// object is the result of head.
type object struct {
	size        int64
	etag        string // without quotes
	mime, owner string
}

// none is a client that supports nothing.
type none struct{}

var unsupported = errors.ErrUnsupported

func (none) makeBucket(string) error                          { return unsupported }
func (none) removeBucket(string) error                        { return unsupported }
func (none) put(_, _ string, _ []byte) error                  { return unsupported }
func (none) putAs(_, _ string, _ []byte, _, _ string) error   { return unsupported }
func (none) putNew(_, _ string, _ []byte) error               { return unsupported }
func (none) multipart(_, _ string, _ []byte) error            { return unsupported }
func (none) get(_, _ string) ([]byte, error)                  { return nil, unsupported }
func (none) getRange(_, _ string, _, _ int64) ([]byte, error) { return nil, unsupported }
func (none) head(_, _ string) (*object, error)                { return nil, unsupported }
func (none) list(_, _ string, _ bool) ([]string, error)       { return nil, unsupported }
func (none) copy(_, _, _ string) error                        { return unsupported }
func (none) partCopy(_, _, _ string) error                    { return unsupported }
func (none) delete(_, _ string) error                         { return unsupported }
func (none) deleteMany(string, ...string) error               { return unsupported }
func (none) presign(_, _, _ string) (string, error)           { return "", unsupported }
func (none) setTag(_, _, _, _ string) error                   { return unsupported }
func (none) tag(_, _, _ string) (string, error)               { return "", unsupported }
func (none) code(err error) string                            { return err.Error() }

// An access is the address of the sandbox and the credentials for a client.
type access struct {
	sandbox.Settings
	cloud    *sandbox.Sandbox
	endpoint string       // address of Object Storage
	http     *http.Client // client that reaches the address
	secret   string       // secret of the HMAC credentials
	virtual  bool         // the host name contains the bucket
}

// The host name of the service in the region of the sandbox.
const realEndpoint = "http://s3.us-south.cloud-object-storage.appdomain.cloud"

// path is an access by the address of the sandbox. virtual is one by the host name of the service, to
// which a client can prepend the bucket.
func path(s *sandbox.Sandbox) access {
	at := s.Settings()
	return access{Settings: at, cloud: s, endpoint: at.COS, http: &http.Client{}, secret: at.SecretAccessKey}
}

func virtual(s *sandbox.Sandbox) access {
	a := path(s)
	address := strings.TrimPrefix(a.endpoint, "http://")
	a.endpoint, a.virtual = realEndpoint, true
	a.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}}}
	return a
}

func start(t testing.TB, o sandbox.Options) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func noise(n int, seed uint64) []byte {
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	b := make([]byte, n)
	rand.NewChaCha8(s).Read(b)
	return b
}

// clients are all S3 clients: how each is created, and how it reaches the sandbox.
var clients = []struct {
	name string
	make func(testing.TB, access) client
	at   func(*sandbox.Sandbox) access
}{
	{"minio-go", newMinio, path},
	{"aws-sdk-go-v2", newAWS, path},
	{"aws-sdk-go-v2 transfermanager", newTransfer, path},
	{"ibm-cos-sdk-go, HMAC", newCOSByHMAC, path},
	{"ibm-cos-sdk-go, IAM", newCOSByIAM, path},
	{"minio-go, virtual host", newMinio, virtual},
	{"aws-sdk-go-v2, virtual host", newAWS, virtual},
	{"ibm-cos-sdk-go, IAM, virtual host", newCOSByIAM, virtual},
	{"awscli", newAWSCLI, path},
	{"rclone", newRclone, path},
	{"s3cmd", newS3cmd, path},
}

// TestClients runs all operations with each client.
func TestClients(t *testing.T) {
	s := start(t, sandbox.Options{})
	for i, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := c.at(s)
			j := &judge{client: c.make(t, a), access: a, bucket: "bucket-" + string(rune('a'+i))}
			if err := j.makeBucket(j.bucket); err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				t.Run(row.name, func(t *testing.T) {
					k := *j
					k.T = t
					row.run(&k)
				})
			}
		})
	}
}

// A judge runs one test of a client in its bucket.
type judge struct {
	*testing.T
	client
	access
	bucket string
}

// did ends the test if the client failed or does not support the operation.
func (j *judge) did(err error) {
	j.Helper()
	if errors.Is(err, unsupported) {
		j.Skip("the client has no call for it")
	}
	if err != nil {
		j.Fatal(err)
	}
}

// refused fails unless an error has this code.
func (j *judge) refused(err error, code string) {
	j.Helper()
	if errors.Is(err, unsupported) {
		j.Skip("the client has no call for it")
	}
	if err == nil {
		j.Errorf("not refused, want %s", code)
	} else if got := j.code(err); got != code {
		j.Errorf("refused with %s, want %s: %v", got, code, err)
	}
}

// stored stores an object without the client.
func (j *judge) stored(key string, body []byte) {
	j.Helper()
	j.did(j.cloud.Objects().Put(j.Account, j.bucket, key, bytes.NewReader(body)))
}

// holds fails unless an object has this content. It returns the ETag.
func (j *judge) holds(key string, want []byte) (etag string) {
	j.Helper()
	o, err := j.cloud.Objects().Open(j.Account, j.bucket, key)
	j.did(err)
	defer o.Close()
	got, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
	j.did(err)
	if !bytes.Equal(got, want) {
		j.Errorf("%s: %d stored bytes differ from the %d sent", key, len(got), len(want))
	}
	return o.ETag()
}

// reads fails unless the client reads this content.
func (j *judge) reads(key string, want []byte) {
	j.Helper()
	got, err := j.get(j.bucket, key)
	j.did(err)
	if !bytes.Equal(got, want) {
		j.Errorf("%s: %d bytes read differ from the %d stored", key, len(got), len(want))
	}
}

// gone fails if an object exists.
func (j *judge) gone(key string) {
	j.Helper()
	if o, err := j.cloud.Objects().Open(j.Account, j.bucket, key); err == nil {
		o.Close()
		j.Errorf("%s exists", key)
	}
}

var rows = []struct {
	name string
	run  func(*judge)
}{
	{"put", func(j *judge) {
		body := noise(70_001, 1)
		for key, b := range map[string][]byte{"put/empty": {}, "put/a folder/ü +%&=~.raw": body} {
			j.did(j.put(j.bucket, key, b))
			j.holds(key, b)
			j.reads(key, b)
		}
		j.did(j.put(j.bucket, "put/empty", body))
		j.holds("put/empty", body)
	}},
	{"head", func(j *judge) {
		body := noise(1000, 2)
		j.did(j.putAs(j.bucket, "head", body, "application/x-disk", "me"))
		o, err := j.head(j.bucket, "head")
		j.did(err)
		sum := md5.Sum(body)
		if want := (object{1000, hex.EncodeToString(sum[:]), "application/x-disk", "me"}); *o != want {
			j.Errorf("%+v, want %+v", *o, want)
		}
	}},
	{"range", func(j *judge) {
		body := noise(1000, 3)
		j.stored("range", body)
		got, err := j.getRange(j.bucket, "range", 100, 300)
		j.did(err)
		if !bytes.Equal(got, body[100:300]) {
			j.Errorf("%d bytes differ", len(got))
		}
	}},
	{"list", func(j *judge) {
		keys := []string{"list/a b", "list/deep/1", "list/deep/2", "list/x+y%20z", "list/ä"}
		for _, key := range keys {
			j.stored(key, []byte("x"))
		}
		got, err := j.list(j.bucket, "list/", true)
		j.did(err)
		slices.Sort(got)
		if !slices.Equal(got, keys) {
			j.Errorf("%q, want %q", got, keys)
		}
		got, err = j.list(j.bucket, "list/", false)
		j.did(err)
		slices.Sort(got)
		if want := []string{"list/a b", "list/deep/", "list/x+y%20z", "list/ä"}; !slices.Equal(got, want) {
			j.Errorf("%q, want %q", got, want)
		}
	}},
	{"multipart", func(j *judge) {
		body := noise(11*mib+3, 4)
		j.did(j.multipart(j.bucket, "multipart", body))
		if etag := j.holds("multipart", body); !strings.Contains(etag, "-") {
			j.Errorf("ETag %s is not a multipart ETag", etag)
		}
		j.reads("multipart", body)
	}},
	{"copy", func(j *judge) {
		body := noise(2000, 5)
		j.did(j.putAs(j.bucket, "copy/from ü+", body, "application/x-disk", "me"))
		j.did(j.copy(j.bucket, "copy/from ü+", "copy/to"))
		j.holds("copy/to", body)
		j.holds("copy/from ü+", body)
		if o, err := j.head(j.bucket, "copy/to"); err == nil && (o.mime != "application/x-disk" || o.owner != "me") {
			j.Errorf("the copy has %+v", *o)
		}
		j.refused(j.copy(j.bucket, "copy/nothing", "copy/other"), "NoSuchKey")
	}},
	{"part copy", func(j *judge) {
		body := noise(11*mib+5, 6)
		j.stored("partcopy/from", body)
		j.did(j.partCopy(j.bucket, "partcopy/from", "partcopy/to"))
		if etag := j.holds("partcopy/to", body); !strings.Contains(etag, "-") {
			j.Errorf("ETag %s is not a multipart ETag", etag)
		}
	}},
	{"delete", func(j *judge) {
		j.stored("delete", []byte("x"))
		j.did(j.delete(j.bucket, "delete"))
		j.gone("delete")
		_, err := j.get(j.bucket, "delete")
		j.refused(err, "NoSuchKey")
	}},
	{"delete many", func(j *judge) {
		for _, key := range []string{"many/1", "many/2 ü&<>", "many/3"} {
			j.stored(key, []byte(key))
		}
		j.did(j.deleteMany(j.bucket, "many/1", "many/2 ü&<>"))
		j.gone("many/1")
		j.gone("many/2 ü&<>")
		j.holds("many/3", []byte("many/3"))
	}},
	{"presign", func(j *judge) {
		body := noise(3000, 7)
		j.stored("pre signed+", body)
		get, err := j.presign("GET", j.bucket, "pre signed+")
		j.did(err)
		if status, got := j.fetch("GET", get, nil); status != 200 || !bytes.Equal(got, body) {
			j.Errorf("status %d, %d bytes", status, len(got))
		}
		u, err := url.Parse(get)
		j.did(err)
		u.Path, u.RawPath = strings.Replace(u.Path, "signed", "forged", 1), ""
		if status, _ := j.fetch("GET", u.String(), nil); status != 403 {
			j.Errorf("forged: status %d", status)
		}
		put, err := j.presign("PUT", j.bucket, "pre signed+ put")
		j.did(err)
		if status, got := j.fetch("PUT", put, body); status != 200 {
			j.Errorf("status %d, %s", status, got)
		}
		j.holds("pre signed+ put", body)
	}},
	{"tagging", func(j *judge) {
		body := noise(100, 8)
		j.stored("tagged", body)
		j.did(j.setTag(j.bucket, "tagged", "stage", "golden image"))
		got, err := j.tag(j.bucket, "tagged", "stage")
		j.did(err)
		if got != "golden image" {
			j.Errorf("tag %q", got)
		}
		j.holds("tagged", body)
	}},
	{"put if new", func(j *judge) {
		body := noise(100, 9)
		j.did(j.putNew(j.bucket, "new", body))
		j.refused(j.putNew(j.bucket, "new", []byte("other")), "PreconditionFailed")
		j.holds("new", body)
	}},
	{"bucket", func(j *judge) {
		j.bucket += "-too"
		j.did(j.makeBucket(j.bucket))
		j.stored("x", []byte("x"))
		j.refused(j.removeBucket(j.bucket), "BucketNotEmpty")
		j.did(j.delete(j.bucket, "x"))
		j.did(j.removeBucket(j.bucket))
		_, err := j.list(j.bucket, "", true)
		j.refused(err, "NoSuchBucket")
	}},
}

// fetch gets an address without credentials.
func (j *judge) fetch(method, address string, body []byte) (int, []byte) {
	j.Helper()
	r, err := http.NewRequest(method, address, bytes.NewReader(body))
	if err != nil {
		j.Fatal(err)
	}
	res, err := j.http.Do(r)
	if err != nil {
		j.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		j.Fatal(err)
	}
	return res.StatusCode, b
}

// TestWrongSecret uses clients with a wrong secret.
func TestWrongSecret(t *testing.T) {
	s := start(t, sandbox.Options{Bucket: "images"})
	for _, c := range clients[:4] {
		t.Run(c.name, func(t *testing.T) {
			a := c.at(s)
			a.secret = "wrong"
			j := &judge{T: t, client: c.make(t, a), access: a}
			j.refused(j.put("images", "x", []byte("x")), "SignatureDoesNotMatch")
		})
	}
}
