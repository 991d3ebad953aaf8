package cos_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/rest/resttest"
)

func TestParseURI(t *testing.T) {
	for uri, want := range map[string]cos.Object{
		"cos://us-south/images/disk.vhd":        {Region: "us-south", Bucket: "images", Key: "disk.vhd"},
		"cos://eu-de/my.bucket-1/a/b c%20d?#.x": {Region: "eu-de", Bucket: "my.bucket-1", Key: "a/b c%20d?#.x"},
		"cos://us-geo/images//x/":               {Region: "us-geo", Bucket: "images", Key: "/x/"},
	} {
		o, err := cos.ParseURI(uri)
		if err != nil || o != want || o.String() != uri {
			t.Errorf("parsed %s as %+v (%v), %v", uri, o, o, err)
		}
	}
	for _, uri := range []string{
		"", "cos:", "cos://", "s3://us-south/b/k", "COS://us-south/images/x", "cos://us-south", "cos://us-south/", "cos://us-south/images", "cos://us-south/images/",
		"cos:///images/x", "cos://US/images/x", "cos://us_south/images/x", "cos://us-south.evil.example/images/x", "cos://u@h/images/x", "cos://us-/images/x",
		"cos://us-south/ab/x", "cos://us-south/Images/x", "cos://us-south/-images/x", "cos://us-south/a..b/x", "cos://us-south/127.0.0.1/x", "cos://us-south/im?ages/x",
		"cos://us-south/images/../x", "cos://us-south/images/a/.", "cos://us-south/images/a\nb", "cos://us-south/images/a\x00", "cos://us-south/images/\xff",
		"cos://us-south/images/" + strings.Repeat("k", 1025), "cos://us-south/" + strings.Repeat("b", 64) + "/x", "cos://" + strings.Repeat("r", 33) + "/images/x",
	} {
		if o, err := cos.ParseURI(uri); !errors.Is(err, cos.ErrURI) {
			t.Errorf("parsed %q as %+v, %v", uri, o, err)
		}
	}
}

func FuzzParseURI(f *testing.F) {
	f.Add("cos://us-south/images/disk.vhd")
	f.Add("cos://us-south/images/a/../b")
	f.Add("cos://eu-de/a.b/%2e%2e/\xff")
	f.Fuzz(func(t *testing.T, uri string) {
		o, err := cos.ParseURI(uri)
		if err != nil {
			if !errors.Is(err, cos.ErrURI) || len(err.Error()) > 1500 {
				t.Errorf("%q: %v", uri, err)
			}
			return
		}
		if o.String() != uri || o.Check() != nil {
			t.Errorf("parsed %q, String returns %q", uri, o)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	ts := &tokenSource{}
	for name, o := range map[string]cos.Options{
		"no credentials":      {},
		"both":                {Tokens: ts, HMAC: hmacKey()},
		"no secret":           {HMAC: &cos.HMAC{AccessKeyID: "x"}},
		"no access key":       {HMAC: &cos.HMAC{SecretAccessKey: []byte("x")}},
		"network":             {Tokens: ts, Network: "secret"},
		"HMAC over http":      {HMAC: hmacKey(), Endpoint: "http://s3.example.com"},
		"token over http":     {Tokens: ts, Endpoint: "http://s3.example.com"},
		"endpoint":            {Tokens: ts, Endpoint: "s3.example.com"},
		"endpoint of ftp":     {Tokens: ts, Endpoint: "ftp://s3.example.com"},
		"endpoint with path":  {Tokens: ts, Endpoint: "https://s3.example.com/path"},
		"endpoint with query": {Tokens: ts, Endpoint: "https://s3.example.com?x"},
		"endpoint with user":  {Tokens: ts, Endpoint: "https://user:hunter2@s3.example.com"},
		"broken endpoint":     {Tokens: ts, Endpoint: "https://user:hunter2@s3.example.com:port"},
	} {
		if _, err := cos.New(o); err == nil {
			t.Errorf("%s accepted", name)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error contains the password: %v", name, err)
		}
	}
	for _, o := range []cos.Options{
		{Tokens: ts, Endpoint: "http://127.0.0.1:9000"}, {Tokens: ts, Endpoint: "http://[::1]:9000/"}, {Tokens: ts, Endpoint: "https://s3.example.com"},
		{HMAC: hmacKey(), Endpoint: "http://127.0.0.1:9000"},
	} {
		if _, err := cos.New(o); err != nil {
			t.Errorf("%s: %v", o.Endpoint, err)
		}
	}
}

func TestEndpoint(t *testing.T) {
	for network, want := range map[string]string{
		"":        "https://s3.eu-de.cloud-object-storage.appdomain.cloud",
		"public":  "https://s3.eu-de.cloud-object-storage.appdomain.cloud",
		"private": "https://s3.private.eu-de.cloud-object-storage.appdomain.cloud",
		"direct":  "https://s3.direct.eu-de.cloud-object-storage.appdomain.cloud",
	} {
		if got := client(t, cos.Options{HMAC: hmacKey(), Network: network}).Endpoint("eu-de"); got != want {
			t.Errorf("%q: %s, want %s", network, got, want)
		}
	}
}

func TestBuckets(t *testing.T) {
	both(t, func(t *testing.T, s *service, c *cos.Client) {
		crn := "crn:v1:bluemix:public:kms:eu-de:a/1:2:key:3"
		if err := c.CreateBucket(ctx, "eu-de", "new-bucket", cos.BucketOptions{Class: "smart", RootKeyCRN: crn}); err != nil {
			t.Fatal(err)
		}
		b, err := c.Bucket(ctx, "eu-de", "new-bucket")
		if want := (cos.Bucket{Name: "new-bucket", Location: "eu-de-smart", Region: "eu-de", Class: "smart"}); err != nil || b != want {
			t.Errorf("%+v, %v", b, err)
		}
		if err := b.CheckImages("eu-de"); err != nil {
			t.Error(err)
		}
		err = b.CheckImages("us-south")
		if !errors.Is(err, cos.ErrBucketRegion) || !strings.Contains(err.Error(), "eu-de") || !strings.Contains(err.Error(), "us-south") {
			t.Errorf("key elsewhere: %v", err)
		}
		if err := (cos.Bucket{Name: "x", Region: "us-geo"}).CheckImages(""); !errors.Is(err, cos.ErrBucketRegion) {
			t.Errorf("cross-region: %v", err)
		}
		if err := c.CreateBucket(ctx, "eu-de", "new-bucket", cos.BucketOptions{}); !errors.Is(err, cos.ErrExists) {
			t.Errorf("again: %v", err)
		}
		for _, region := range []string{"us", "eu-geo"} {
			if err := c.CreateBucket(ctx, region, "other-bucket", cos.BucketOptions{}); !errors.Is(err, cos.ErrBucketRegion) {
				t.Errorf("%s: %v", region, err)
			}
		}
		if err := c.CreateBucket(ctx, "eu-de", "other-bucket", cos.BucketOptions{Class: "frozen"}); err == nil {
			t.Error("unknown storage class accepted")
		}
		if _, err := c.Bucket(ctx, "eu-de", "no-such-bucket"); !errors.Is(err, cos.ErrNotFound) {
			t.Errorf("no bucket: %v", err)
		}
	})
	s := newService(t)
	if err := client(t, cos.Options{Endpoint: s.URL, Tokens: &tokenSource{s: s}}).CreateBucket(ctx, "eu-de", "bucket", cos.BucketOptions{}); err == nil {
		t.Error("token without service instance ID accepted")
	}
}

// TestRegions uses IBM's host names, which all lead to the sandbox.
func TestRegions(t *testing.T) {
	s := newService(t)
	srv := httptest.NewTLSServer(s)
	defer srv.Close()
	tr := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		// Wait for a refusal before the body: otherwise the connection could break first.
		ExpectContinueTimeout: time.Minute,
	}
	defer tr.CloseIdleConnections()
	for name, o := range map[string]cos.Options{"bearer": {Tokens: &tokenSource{s: s}, Transport: tr}, "hmac": {HMAC: hmacKey(), Transport: tr}} {
		c := client(t, o)
		b := noise(6*mib, 30) // bodies are not signed over TLS
		if _, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib}); err != nil || !bytes.Equal(s.stored(t, "x"), b) {
			t.Errorf("%s: %v", name, err)
		}
		_, err := c.Upload(ctx, cos.Object{Region: "eu-de", Bucket: "images", Key: "x"}, bytes.NewReader(b), int64(len(b)), cos.UploadOptions{})
		var e *cos.Error
		if !errors.As(err, &e) || !errors.Is(err, cos.ErrBucketRegion) || e.Region != "eu-de" || e.BucketRegion != "us-south" || errors.Is(err, cos.ErrAccess) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.Contains(err.Error(), "the bucket is in us-south, not in eu-de") || !strings.Contains(e.Hint(), "cos://us-south/") {
			t.Errorf("%s: %v; hint: %s", name, err, e.Hint())
		}
	}
}

// answering is a transport that gives the same answer to all requests.
type answering struct {
	status int
	header http.Header
	body   string
	mu     sync.Mutex
	n      int
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.n++
	a.mu.Unlock()
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	h := a.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	body := strings.ReplaceAll(a.body, "{token}", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if h.Get("X-Amz-Request-Id") == "{token}" {
		h.Set("X-Amz-Request-Id", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r, ContentLength: int64(len(body))}, nil
}

func TestErrors(t *testing.T) {
	xml := func(code, more string) string {
		return "<?xml version='1.0'?><Error><Code>" + code + "</Code><Message>words</Message>" + more + "<RequestId>r-1</RequestId></Error>"
	}
	kinds := []error{cos.ErrNotFound, cos.ErrAccess, cos.ErrBucketRegion, cos.ErrExists, cos.ErrChanged}
	for _, c := range []struct {
		a    *answering
		want error
		text string // expected in the error or the hint
	}{
		{&answering{status: 404, body: xml("NoSuchKey", "")}, cos.ErrNotFound, "check the names"},
		{&answering{status: 404, body: xml("NoSuchBucket", "")}, cos.ErrNotFound, "region"},
		{&answering{status: 404}, cos.ErrNotFound, "Not Found (status 404"},
		{&answering{status: 403, body: xml("AccessDenied", "")}, cos.ErrAccess, "Writer"},
		{&answering{status: 403, body: xml("SignatureDoesNotMatch", "")}, cos.ErrAccess, "HMAC"},
		{&answering{status: 403, body: xml("RequestTimeTooSkewed", "")}, cos.ErrAccess, "clock"},
		{&answering{status: 401, body: xml("Unauthorized", "")}, cos.ErrAccess, "API key"},
		{&answering{status: 409, body: xml("BucketAlreadyExists", "")}, cos.ErrExists, "another one"},
		{&answering{status: 412, body: xml("PreconditionFailed", "")}, cos.ErrChanged, "start again"},
		{&answering{status: 301, body: xml("PermanentRedirect", "<Endpoint>s3.eu-gb.cloud-object-storage.appdomain.cloud</Endpoint>")}, cos.ErrBucketRegion, "the bucket is in eu-gb, not in us-south"},
		{&answering{status: 301, header: http.Header{"Location": {"https://evil.example"}}}, cos.ErrBucketRegion, "is not in us-south"},
		{&answering{status: 400, body: xml("AuthorizationHeaderMalformed", "<Region>jp-tok</Region>")}, cos.ErrBucketRegion, "jp-tok"},
		{&answering{status: 400, header: http.Header{"X-Amz-Bucket-Region": {"au-syd"}}, body: xml("IllegalLocationConstraintException", "")}, cos.ErrBucketRegion, "au-syd"},
		{&answering{status: 500, body: xml("InternalError", "")}, nil, "try again later"},
		{&answering{status: 503, body: "<html>" + strings.Repeat("x", 100_000)}, nil, "Service Unavailable"},
		{&answering{status: 400, body: xml("Broken\x01", "")}, nil, "Bad Request"},
	} {
		cl := client(t, cos.Options{HMAC: hmacKey(), Transport: c.a})
		_, err := cl.Bucket(ctx, "us-south", "images")
		var e *cos.Error
		if !errors.As(err, &e) {
			t.Errorf("%d %s: %v", c.a.status, c.a.body, err)
			continue
		}
		for _, kind := range kinds {
			if errors.Is(err, kind) != (kind == c.want) {
				t.Errorf("%v: is %v: %v", err, kind, errors.Is(err, kind))
			}
		}
		if !strings.Contains(err.Error()+e.Hint(), c.text) {
			t.Errorf("%v; hint: %s: want %q", err, e.Hint(), c.text)
		}
		if !strings.HasPrefix(err.Error(), "GET https://s3.us-south.cloud-object-storage.appdomain.cloud/images?location: ") || len(err.Error()) > 600 {
			t.Errorf("text: %v", err)
		}
		if wantN := map[bool]int{true: 10, false: 1}[c.a.status >= 500]; c.a.n != wantN {
			t.Errorf("%v: %d attempts, want %d", err, c.a.n, wantN)
		}
	}
}

// TestBackoff checks that the pauses between attempts grow, are bounded, and respect Retry-After.
func TestBackoff(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		after    string
		min, max time.Duration
	}{
		{"", 0, 20 * time.Second},
		{"30", 30 * time.Second, 30 * time.Second},
		{"100000", 2 * time.Minute, 2 * time.Minute},
		{now.Add(40 * time.Second).Format(http.TimeFormat), 40 * time.Second, 40 * time.Second},
		{"-5", 0, 20 * time.Second},
	} {
		clock := resttest.Still(now)
		a := &answering{status: 429, header: http.Header{"Retry-After": {c.after}}}
		cl := client(t, cos.Options{HMAC: hmacKey(), Transport: a, Clock: clock, Attempts: 12})
		if _, err := cl.Bucket(ctx, "us-south", "images"); err == nil {
			t.Fatal("no error")
		}
		pauses := clock.Waits()
		if a.n != 12 || len(pauses) != 11 {
			t.Errorf("%d attempts, %d pauses", a.n, len(pauses))
		}
		for i, d := range pauses {
			low, high := c.min, c.max
			if c.min == 0 {
				high = min(200*time.Millisecond<<i, c.max)
				low = high / 2
			}
			if d < low || d > high {
				t.Errorf("Retry-After %q: pause %d is %v, want %v to %v", c.after, i, d, low, high)
			}
		}
	}
	enough := errors.New("enough")
	stopped, cancel := context.WithCancelCause(ctx)
	cancel(enough)
	cl := client(t, cos.Options{HMAC: hmacKey(), Transport: &answering{status: 500}})
	if _, err := cl.Bucket(stopped, "us-south", "images"); err != enough {
		t.Errorf("%v", err)
	}
}

// TestForbiddenToken checks that a 403 renews a token once, and not each time.
func TestForbiddenToken(t *testing.T) {
	s := newService(t)
	ts := &tokenSource{s: s}
	a := &answering{status: 403}
	c := client(t, cos.Options{Tokens: ts, Transport: a})
	for range 5 {
		if _, err := c.Head(ctx, object("x")); !errors.Is(err, cos.ErrAccess) {
			t.Error(err)
		}
	}
	if ts.n != 2 || a.n != 6 {
		t.Errorf("%d tokens, %d requests", ts.n, a.n)
	}
	broken := errors.New("no IAM")
	c = client(t, cos.Options{Tokens: tokenFunc(func() (string, error) { return "", broken }), Transport: a})
	a.n = 0
	if _, err := c.Head(ctx, object("x")); !errors.Is(err, broken) || a.n != 0 {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", "a\nb", "a b"} {
		c = client(t, cos.Options{Tokens: tokenFunc(func() (string, error) { return bad, nil }), Transport: a})
		if _, err := c.Head(ctx, object("x")); err == nil || bad != "" && strings.Contains(err.Error(), bad) || a.n != 0 {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

type tokenFunc func() (string, error)

func (f tokenFunc) Token(context.Context) (rest.Token, error) {
	t, err := f()
	return rest.NewToken(t, time.Time{}), err
}

// TestSlowToken checks that the stall timeout of a request excludes the time to get
// a token.
func TestSlowToken(t *testing.T) {
	slow := tokenFunc(func() (string, error) {
		<-time.After(60 * time.Millisecond)
		return "token", nil
	})
	a := &answering{status: 404}
	c := client(t, cos.Options{Tokens: slow, Transport: a, Stall: 20 * time.Millisecond})
	if _, err := c.Head(ctx, object("x")); !errors.Is(err, cos.ErrNotFound) || a.n != 1 {
		t.Errorf("%v after %d requests", err, a.n)
	}
}

// TestSecrets looks for the credentials in errors and in the formatted options, even if the service
// repeats them.
func TestSecrets(t *testing.T) {
	s := newService(t)
	ts := &tokenSource{s: s}
	ts.Token(ctx)
	for _, o := range []cos.Options{{HMAC: hmacKey()}, {Tokens: ts}} {
		var texts []string
		for _, status := range []int{200, 400, 403, 500} {
			o.Transport = &answering{status: status, header: http.Header{"X-Amz-Request-Id": {"{token}"}}, body: "<Error><Code>{token}" + secretKey +
				"</Code><Message>Bearer {token} " + secretKey + "</Message></Error>"}
			c := client(t, o)
			_, err := c.Upload(ctx, object("x"), bytes.NewReader(noise(11*mib, 31)), 11*mib, cos.UploadOptions{PartSize: 5 * mib})
			texts = append(texts, fmt.Sprintf("%v %+v %#v", err, err, err))
			_, err = c.Bucket(ctx, "us-south", "images")
			texts = append(texts, fmt.Sprintf("%v %+v %#v", err, err, err))
		}
		o.Transport = nil
		o.Endpoint = "http://127.0.0.1:1" // refuses
		c := client(t, o)
		_, err := c.Head(ctx, object("x"))
		texts = append(texts, fmt.Sprintf("%v %+v %#v", err, err, err), fmt.Sprintf("%v %+v %#v", o, o, o))
		if o.HMAC != nil {
			texts = append(texts, fmt.Sprintf("%v %+v %#v", *o.HMAC, o.HMAC, o.HMAC))
			if b, err := json.Marshal(o.HMAC); err == nil {
				t.Errorf("credentials were marshaled: %s", b)
			}
		}
		for _, text := range texts {
			if strings.Contains(text, secretKey) && o.HMAC != nil || strings.Contains(text, "bearer-secret") && o.Tokens != nil {
				t.Errorf("secret in: %s", text)
			}
		}
	}
}

// TestAbsurdAnswers checks that oversized and malformed answers are errors.
func TestAbsurdAnswers(t *testing.T) {
	for _, body := range []string{
		"", "x", "<a/>", strings.Repeat("<a>", 100_000), strings.Repeat("x", 10<<20),
		"<InitiateMultipartUploadResult/>", "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker></ListMultipartUploadsResult>",
		"<ListMultipartUploadsResult><Upload><Key>x</Key></Upload></ListMultipartUploadsResult>",
	} {
		c := client(t, cos.Options{HMAC: hmacKey(), Transport: &answering{status: 200, body: body}})
		if _, err := c.Uploads(ctx, "us-south", "images", ""); err == nil {
			t.Errorf("uploads of %.50q", body)
		}
		if _, err := c.Upload(ctx, object("x"), bytes.NewReader(make([]byte, 6*mib)), 6*mib, cos.UploadOptions{PartSize: 5 * mib}); err == nil {
			t.Errorf("upload with %.50q", body)
		}
		if _, err := c.Bucket(ctx, "us-south", "images"); err == nil {
			t.Errorf("bucket of %.50q", body)
		}
	}
}

// TestPages reads lists of several pages.
func TestPages(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	s.breaks(func(w http.ResponseWriter, r *http.Request) bool { // pages of two
		q := r.URL.Query()
		for _, name := range []string{"max-uploads", "max-parts"} {
			if q.Has(name) {
				q.Set(name, "2")
				u := *r.URL
				u.RawQuery = q.Encode()
				resign(r, &u)
			}
		}
		return false
	})
	var want []string
	for i := range 5 {
		m := &memory{fail: func(n int) error {
			if n == 2 {
				return errors.New("crash")
			}
			return nil
		}}
		key := fmt.Sprint("k", i/2)
		want = append(want, key)
		c.Upload(ctx, object(key), bytes.NewReader(make([]byte, 6*mib)), 6*mib, cos.UploadOptions{PartSize: 5 * mib, State: m})
	}
	all, err := c.Uploads(ctx, "us-south", "images", "k")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	ids := map[string]bool{}
	for _, u := range all {
		got = append(got, u.Key)
		ids[u.UploadID] = true
		if u.Initiated.IsZero() {
			t.Errorf("no time in %+v", u)
		}
	}
	if !slices.Equal(got, want) || len(ids) != 5 {
		t.Errorf("%v, want %v", all, want)
	}
	for _, u := range all {
		if err := c.Abort(ctx, object(u.Key), u.UploadID); err != nil {
			t.Error(err)
		}
	}
	clean(t, c)

	b := noise(31*mib, 32)
	stop, cancel := context.WithCancel(ctx)
	m := &memory{}
	_, err = c.Upload(stop, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib, Jobs: 1, State: m, Progress: func(n int64) {
		if s.count("PUT uploadId partNumber") == 6 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if r, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{State: m}); err != nil || r.Found != 5 {
		t.Errorf("%+v, %v", r, err)
	}
}
