package s3_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/sandbox/s3"
	"github.com/luksimg/luksimg/internal/sigv4"
)

const (
	secret   = "the secret of the key"
	instance = "e8a8c6f0-3f4b-4d53-8a3c-0a2b6f2f6f11"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func server(t testing.TB, o s3.Options) *s3.Server {
	t.Helper()
	o.Dir = t.TempDir()
	o.Now = func() time.Time { return now }
	o.Token = func(_ context.Context, bearer string) (string, bool) {
		account, ok := strings.CutPrefix(bearer, "token-of-")
		return account, ok
	}
	o.HMAC = func(key string) ([]byte, string, bool) { return []byte(secret), "alice", key == "key-of-alice" }
	s, err := s3.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(o.Dir); len(left) > 0 {
			t.Errorf("remaining files: %v", left)
		}
	})
	for bucket, account := range map[string]string{"images": "alice", "other": "bob"} {
		if err := s.CreateBucket(account, bucket, ""); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// ask sends a request with a token, and returns the answer with its error code, if any.
func ask(s http.Handler, method, url, body string, header ...string) (*httptest.ResponseRecorder, string) {
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer token-of-alice")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			r.Header.Del(header[i])
		}
	}
	return serve(s, r)
}

// metaA returns the metadata "a" of an answer. Its name is in lower case, as in the service.
func metaA(w *httptest.ResponseRecorder) string {
	var values []string
	for name, v := range w.Header() {
		if name == "x-amz-meta-a" {
			values = append(values, v...)
		}
	}
	return strings.Join(values, ",")
}

func serve(s http.Handler, r *http.Request) (*httptest.ResponseRecorder, string) {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var x struct {
		XMLName                  xml.Name `xml:"Error"`
		Code, Message, RequestId string
	}
	if xml.Unmarshal(w.Body.Bytes(), &x) == nil && (x.Message == "" || x.RequestId != w.Header().Get("X-Amz-Request-Id")) {
		return w, "incomplete error " + x.Code
	}
	return w, x.Code
}

// TestRefusals checks the answers to all callers.
func TestRefusals(t *testing.T) {
	s := server(t, s3.Options{})
	if err := s.Put("alice", "images", "x", strings.NewReader("0123456789")); err != nil {
		t.Fatal(err)
	}
	sum := func(s string) string {
		m := md5.Sum([]byte(s))
		return base64.StdEncoding.EncodeToString(m[:])
	}
	hash := sha256.Sum256([]byte("body"))
	for _, c := range []struct {
		method, url, body string
		header            []string
		status            int
		code              string
	}{
		{"GET", "/images/x", "", []string{"Authorization", ""}, 403, "AccessDenied"},
		{"GET", "/images/x", "", []string{"Authorization", "Bearer nonsense"}, 401, "Unauthorized"},
		{"GET", "/images/x", "", []string{"Authorization", "Basic YTpi"}, 400, "AuthorizationHeaderMalformed"},
		{"GET", "/images/x", "", []string{"Authorization", "AWS key-of-alice:c2lnbmF0dXJl"}, 400, "InvalidRequest"},
		{"GET", "/images/x?AWSAccessKeyId=key-of-alice&Expires=1&Signature=x", "", []string{"Authorization", ""}, 400, "InvalidRequest"},
		{"GET", "/images/x", "", []string{"Authorization", "Bearer token-of-bob"}, 403, "AccessDenied"},
		{"PUT", "/images/x", "y", []string{"Authorization", "Bearer token-of-bob"}, 403, "AccessDenied"},
		{"GET", "/other?location", "", nil, 403, "AccessDenied"},
		{"GET", "/images/x", "", []string{"X-Amz-Content-Sha256", "nonsense"}, 400, "InvalidArgument"},
		{"GET", "/images/none", "", nil, 404, "NoSuchKey"},
		{"GET", "/none/x", "", nil, 404, "NoSuchBucket"},
		{"PUT", "/none/x", "y", nil, 404, "NoSuchBucket"},
		{"PATCH", "/images/x", "y", nil, 405, "MethodNotAllowed"},
		{"PUT", "/images/" + strings.Repeat("k", 1025), "y", nil, 400, "KeyTooLongError"},
		{"PUT", "/images/y", "body", []string{"Content-MD5", sum("other")}, 400, "BadDigest"},
		{"PUT", "/images/y", "body", []string{"Content-MD5", "nonsense"}, 400, "InvalidDigest"},
		{"PUT", "/images/y", "other", []string{"X-Amz-Content-Sha256", hex.EncodeToString(hash[:])}, 400, "XAmzContentSHA256Mismatch"},
		{"PUT", "/images/y", "body", []string{"X-Amz-Checksum-Crc32", "AAAAAA=="}, 400, "BadDigest"},
		{"PUT", "/images/y", "body", []string{"X-Amz-Checksum-Sha1", "AAAAAA=="}, 400, "InvalidRequest"},
		{"PUT", "/images/y", "body", []string{"X-Amz-Copy-Source", "/other/x"}, 403, "AccessDenied"},
		{"PUT", "/images/%ff", "body", nil, 400, "InvalidURI"},
		{"PUT", "/images/y", "body", []string{"X-Amz-Checksum-Crc32", "AAAAAA==", "X-Amz-Checksum-Crc32c", "AAAAAA=="}, 400, "InvalidRequest"},
		{"PUT", "/images/y", "body", []string{"X-Amz-Checksum-Sha3", "AAAAAA=="}, 501, "NotImplemented"},
		{"PUT", "/images/y", "4\r\nbody\r\n0\r\nx-amz-checksum-sha3:AAAA\r\n\r\n", []string{"X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Decoded-Content-Length", "4",
			"X-Amz-Trailer", "x-amz-checksum-sha3"}, 400, "InvalidRequest"},
		{"PUT", "/images/y", "body", []string{"X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256"}, 501, "NotImplemented"},
		{"PUT", "/images/y", "body", []string{"X-Amz-Acl", "public-read"}, 501, "NotImplemented"},
		{"PUT", "/images/y", "body", []string{"X-Amz-Meta-A", strings.Repeat("a", 2048)}, 400, "MetadataTooLarge"},
		{"GET", "/images/x?versionId=3", "", nil, 404, "NoSuchVersion"},
		{"GET", "/images?max-keys=-1", "", nil, 400, "InvalidArgument"},
		{"GET", "/images?encoding-type=base64", "", nil, 400, "InvalidArgument"},
		{"GET", "/images?list-type=2&continuation-token=nonsense", "", nil, 400, "InvalidArgument"},
		{"PUT", "/images/y", "body", []string{"X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "X-Amz-Decoded-Content-Length", "4"}, 400, "InvalidRequest"},
		{"PUT", "/images/y", "4\r\nbody\r\n0\r\n\r\n", []string{"X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, 411, "MissingContentLength"},
		{"PUT", "/images/y", "5\r\nbody\r\n0\r\n\r\n", []string{"X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Decoded-Content-Length", "4"}, 400, "IncompleteBody"},
		{"PUT", "/images/y?partNumber=1&uploadId=none", "y", nil, 404, "NoSuchUpload"},
		{"PUT", "/images/y?partNumber=0&uploadId=none", "y", nil, 400, "InvalidArgument"},
		{"PUT", "/images/y?partNumber=10001&uploadId=none", "y", nil, 400, "InvalidArgument"},
		{"POST", "/images/y?uploadId=none", "<CompleteMultipartUpload/>", nil, 400, "MalformedXML"},
		{"GET", "/images/y?uploadId=none", "", nil, 404, "NoSuchUpload"},
		{"DELETE", "/images/y?uploadId=none", "", nil, 404, "NoSuchUpload"},
		{"DELETE", "/images", "", nil, 409, "BucketNotEmpty"},
		{"PUT", "/fresh", "", nil, 400, "InvalidRequest"}, // without service instance
		{"PUT", "/Fresh", "", []string{"Ibm-Service-Instance-Id", instance}, 400, "InvalidBucketName"},
		{"PUT", "/fresh", "<nonsense", []string{"Ibm-Service-Instance-Id", instance}, 400, "MalformedXML"},
		{"PUT", "/fresh", "", []string{"Ibm-Service-Instance-Id", instance, "Ibm-Sse-Kp-Encryption-Algorithm", "AES256"}, 400, "InvalidArgument"},
		{"PUT", "/images", "", []string{"Ibm-Service-Instance-Id", instance}, 409, "BucketAlreadyOwnedByYou"},
		{"PUT", "/other", "", []string{"Ibm-Service-Instance-Id", instance}, 409, "BucketAlreadyExists"},
		{"GET", "/", "", nil, 400, "InvalidRequest"},
		{"GET", "/images/x", "", []string{"If-Match", `"other"`}, 412, "PreconditionFailed"},
		{"GET", "/images/x", "", []string{"Range", "bytes=10-"}, 416, "InvalidRange"},
		{"GET", "/images/x", "", []string{"Range", "bytes=-0"}, 416, "InvalidRange"},
		{"GET", "http://s3.eu-de.cloud-object-storage.appdomain.cloud/images/x", "", nil, 301, "PermanentRedirect"},
	} {
		w, code := ask(s, c.method, c.url, c.body, c.header...)
		if w.Code != c.status || code != c.code {
			t.Errorf("%s %.80s %.80s: %d %s, want %d %s: %s", c.method, c.url, c.header, w.Code, code, c.status, c.code, w.Body)
		}
	}
	if _, code := ask(s, "GET", "/images/y", ""); code != "NoSuchKey" {
		t.Errorf("refused body stored: %s", code)
	}
	none, err := s3.New(s3.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	if w, code := ask(none, "GET", "/images/x", ""); w.Code != 401 {
		t.Errorf("a server without accounts: %d %s", w.Code, code)
	}
}

func TestRanges(t *testing.T) {
	s := server(t, s3.Options{})
	if err := s.Put("alice", "images", "x", strings.NewReader("0123456789")); err != nil {
		t.Fatal(err)
	}
	for spec, want := range map[string]string{
		"": "0123456789", "bytes=0-": "0123456789", "bytes=2-4": "234", "bytes=9-9": "9", "bytes=8-100": "89", "bytes=-3": "789", "bytes=-100": "0123456789",
		"bytes=4-2": "0123456789", "bytes=0-1,3-4": "0123456789", "lines=1-2": "0123456789", "bytes=a-b": "0123456789", "bytes=-": "0123456789", "bytes=9223372036854775807-": "",
	} {
		w, code := ask(s, "GET", "/images/x", "", "Range", spec)
		if want == "" {
			if code != "InvalidRange" {
				t.Errorf("%q: %d", spec, w.Code)
			}
			continue
		}
		if w.Body.String() != want || (w.Code == 206) != (w.Header().Get("Content-Range") != "") || w.Header().Get("Content-Length") != fmt.Sprint(len(want)) {
			t.Errorf("%q: %d %q %v", spec, w.Code, w.Body, w.Header())
		}
	}
	w, _ := ask(s, "HEAD", "/images/x", "")
	if w.Body.Len() > 0 || w.Header().Get("Content-Length") != "10" || w.Header().Get("Etag") != fmt.Sprintf(`"%x"`, md5.Sum([]byte("0123456789"))) {
		t.Errorf("head: %v %q", w.Header(), w.Body)
	}
	for value, want := range map[string]string{w.Header().Get("Etag"): "23", w.Header().Get("Last-Modified"): "23", `"other"`: "0123456789", "Wed, 04 Mar 2026 05:06:06 GMT": "0123456789"} {
		if w, _ := ask(s, "GET", "/images/x", "", "Range", "bytes=2-3", "If-Range", value); w.Body.String() != want {
			t.Errorf("If-Range %s: %q", value, w.Body)
		}
	}
	if w, _ := ask(s, "GET", "/images/x", "", "If-None-Match", w.Header().Get("Etag")); w.Code != 304 {
		t.Errorf("not modified: %d", w.Code)
	}
}

// TestGo uses the Go API of the server.
func TestGo(t *testing.T) {
	s := server(t, s3.Options{})
	if err := s.Put("alice", "images", "x", strings.NewReader("first")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		account, bucket, key string
		want                 error
	}{{"bob", "images", "x", s3.ErrDenied}, {"alice", "none", "x", s3.ErrNoBucket}, {"alice", "images", "y", s3.ErrNoKey}} {
		if _, err := s.Open(c.account, c.bucket, c.key); !errors.Is(err, c.want) {
			t.Errorf("%v: %v", c, err)
		}
	}
	if err := s.Put("bob", "images", "x", strings.NewReader("theirs")); !errors.Is(err, s3.ErrDenied) {
		t.Errorf("put by another account: %v", err)
	}
	if err := s.CreateBucket("bob", "images", ""); !errors.Is(err, s3.ErrExists) {
		t.Errorf("existing bucket: %v", err)
	}
	if err := s.CreateBucket("bob", "../images", ""); err == nil {
		t.Error("bucket name with a path accepted")
	}
	// An open object remains readable after its replacement or deletion.
	old, err := s.Open("alice", "images", "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put("alice", "images", "x", strings.NewReader("second")); err != nil {
		t.Fatal(err)
	}
	if w, _ := ask(s, "DELETE", "/images/x", ""); w.Code != 204 {
		t.Errorf("delete: %d", w.Code)
	}
	b, err := io.ReadAll(io.NewSectionReader(old, 0, old.Size()))
	if err != nil || string(b) != "first" {
		t.Errorf("%q, %v", b, err)
	}
	if err := old.Close(); err != nil {
		t.Error(err)
	}
	if err := old.Close(); err == nil {
		t.Error("closed twice")
	}
	if region, err := s.Region("bob", "other"); err != nil || region != "us-south" {
		t.Errorf("%s, %v", region, err)
	}
}

// TestMultipart uploads parts of all sizes, sent twice, in any order, some of them unused.
func TestMultipart(t *testing.T) {
	s := server(t, s3.Options{MinPart: 10})
	w, _ := ask(s, "POST", "/images/x?uploads", "", "X-Amz-Meta-A", "b", "Content-Type", "text/x")
	var begun struct{ UploadId string }
	if err := xml.Unmarshal(w.Body.Bytes(), &begun); err != nil || begun.UploadId == "" {
		t.Fatal(w.Body)
	}
	etags := map[int]string{}
	for _, p := range []struct {
		n    int
		text string
	}{{7, "the last"}, {3, "to be replaced"}, {1, "first part."}, {3, "third part."}, {5, "not wanted"}} {
		w, _ := ask(s, "PUT", fmt.Sprintf("/images/x?partNumber=%d&uploadId=%s", p.n, begun.UploadId), p.text)
		etags[p.n] = w.Header().Get("Etag")
	}
	complete := func(parts ...int) (*httptest.ResponseRecorder, string) {
		text := "<CompleteMultipartUpload>"
		for _, n := range parts {
			text += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", n, etags[n])
		}
		return ask(s, "POST", "/images/x?uploadId="+begun.UploadId, text+"</CompleteMultipartUpload>")
	}
	for code, parts := range map[string][]int{"InvalidPartOrder": {3, 1}, "EntityTooSmall": {1, 3, 7, 8}, "InvalidPart": {1, 2}} {
		if code == "EntityTooSmall" {
			w, _ := ask(s, "PUT", "/images/x?partNumber=8&uploadId="+begun.UploadId, "more")
			etags[8] = w.Header().Get("Etag")
		}
		if _, got := complete(parts...); got != code {
			t.Errorf("%v: %s, want %s", parts, got, code)
		}
	}
	if w, code := complete(1, 3, 7); w.Code != 200 {
		t.Fatal(code)
	}
	w, _ = ask(s, "GET", "/images/x", "")
	h := md5.New()
	for _, text := range []string{"first part.", "third part.", "the last"} {
		sum := md5.Sum([]byte(text))
		h.Write(sum[:])
	}
	if w.Body.String() != "first part.third part.the last" || w.Header().Get("Etag") != fmt.Sprintf(`"%x-3"`, h.Sum(nil)) ||
		metaA(w) != "b" || w.Header().Get("Content-Type") != "text/x" {
		t.Errorf("%q, %v", w.Body, w.Header())
	}
	if w, _ := ask(s, "GET", "/images/x", "", "Range", "bytes=9-23"); w.Body.String() != "t.third part.th" {
		t.Errorf("range across parts: %q", w.Body)
	}
	if _, code := complete(1, 3, 7); code != "NoSuchUpload" {
		t.Errorf("twice: %s", code)
	}
}

// signed returns a PUT with signed chunks.
func signed(chunks []string, change func(body string) string) *http.Request {
	length := 0
	for _, c := range chunks {
		length += len(c)
	}
	r := httptest.NewRequest("PUT", "http://127.0.0.1/images/chunks", nil)
	r.Header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(length))
	sigv4.Sign(r, "key-of-alice", []byte(secret), "us-south", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", now)
	a, err := sigv4.Parse(r.Header.Get("Authorization"))
	if err != nil {
		panic(err)
	}
	key, previous := a.Key([]byte(secret)), hex.EncodeToString(a.Signature)
	var b strings.Builder
	for _, c := range append(chunks, "") {
		previous = a.Chunk(key, "PAYLOAD", now.Format(sigv4.TimeFormat), previous, sha256.Sum256([]byte(c)))
		fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n%s\r\n", len(c), previous, c)
	}
	r.Body = io.NopCloser(strings.NewReader(change(b.String())))
	return r
}

func TestSignedChunks(t *testing.T) {
	s := server(t, s3.Options{})
	chunks := []string{"first chunk", strings.Repeat("a longer one ", 10_000), "x"}
	same := func(b string) string { return b }
	if w, code := serve(s, signed(chunks, same)); w.Code != 200 {
		t.Fatal(code)
	}
	if w, _ := ask(s, "GET", "/images/chunks", ""); w.Body.String() != strings.Join(chunks, "") {
		t.Errorf("%d bytes are stored", w.Body.Len())
	}
	for name, change := range map[string]func(string) string{
		"a bit":       func(b string) string { return strings.Replace(b, "first", "fIrst", 1) },
		"a signature": func(b string) string { return strings.Replace(b, "chunk-signature=", "chunk-signature=0", 1) },
		"the end":     func(b string) string { return b[:strings.LastIndex(b, "0;chunk")] },
		"cut":         func(b string) string { return b[:len(b)/2] },
		"order":       func(b string) string { i := strings.Index(b, "1fbd0"); return b[i:] + b[:i] },
		"size":        func(b string) string { return strings.Replace(b, "b;", "c;", 1) },
		"huge size":   func(b string) string { return "fffffffffffffff" + b },
		"no lines":    func(string) string { return strings.Repeat("a", 100_000) },
		"nothing":     func(string) string { return "" },
	} {
		if w, code := serve(s, signed(chunks, change)); w.Code == 200 {
			t.Errorf("changed %s stored", name)
		} else if code == "" || code == "InternalError" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestSignatures(t *testing.T) {
	s := server(t, s3.Options{})
	if err := s.Put("alice", "images", "x", strings.NewReader("data")); err != nil {
		t.Fatal(err)
	}
	request := func(key, secret string, when time.Time) *http.Request {
		r := httptest.NewRequest("GET", "http://127.0.0.1/images/x", nil)
		sigv4.Sign(r, key, []byte(secret), "any-region", sigv4.EmptyPayload, when)
		return r
	}
	for _, c := range []struct {
		key, secret string
		when        time.Time
		code        string
	}{
		{"key-of-alice", secret, now, ""},
		{"key-of-alice", secret, now.Add(14 * time.Minute), ""},
		{"key-of-alice", secret, now.Add(16 * time.Minute), "RequestTimeTooSkewed"},
		{"key-of-alice", secret, now.Add(-16 * time.Minute), "RequestTimeTooSkewed"},
		{"key-of-alice", "wrong", now, "SignatureDoesNotMatch"},
		{"key-of-mallory", secret, now, "InvalidAccessKeyId"},
	} {
		if _, code := serve(s, request(c.key, c.secret, c.when)); code != c.code {
			t.Errorf("%+v: %s", c, code)
		}
	}
	r := request("key-of-alice", secret, now)
	r.Header.Del("X-Amz-Content-Sha256")
	if _, code := serve(s, r); code != "MissingSecurityHeader" {
		t.Errorf("no hash: %s", code)
	}
	r = request("key-of-alice", secret, now)
	r.URL.Path = "/images/y"
	if _, code := serve(s, r); code != "SignatureDoesNotMatch" {
		t.Errorf("another path: %s", code)
	}
}

// FuzzServer sends arbitrary chunked bodies, signed headers, ranges and XML.
func FuzzServer(f *testing.F) {
	f.Add("PUT", "/images/x", "Bearer token-of-alice", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "bytes=0-1", []byte("4\r\nbody\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"))
	f.Add("GET", "/images/x", "AWS4-HMAC-SHA256 Credential=key-of-alice/20260304/us-south/s3/aws4_request,SignedHeaders=host,Signature="+sigv4.EmptyPayload, "UNSIGNED-PAYLOAD", "bytes=-1", []byte{})
	f.Add("POST", "/images/x?uploadId=1", "Bearer token-of-alice", "", "bytes=1-", []byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>"))
	f.Add("PUT", "/fresh", "Bearer token-of-alice", "", "", []byte("<CreateBucketConfiguration><LocationConstraint>eu-de</LocationConstraint></CreateBucketConfiguration>"))
	f.Add("PUT", "/images/x?tagging", "Bearer token-of-alice", "", "", []byte("<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>"))
	f.Add("PUT", "/images?acl", "Bearer token-of-alice", "", "", []byte("<AccessControlPolicy/>"))
	f.Add("GET", "/images?list-type=2&continuation-token=x&max-keys=1&encoding-type=url", "Bearer token-of-alice", "", "", []byte{})
	f.Add("GET", "/images/x?partNumber=1&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=key-of-alice/20260304/us-south/s3/aws4_request&X-Amz-Date=20260304T050607Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature="+sigv4.EmptyPayload, "", "", "", []byte{})
	s := server(f, s3.Options{})
	if err := s.Put("alice", "images", "x", strings.NewReader("0123456789")); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, url, authorization, hash, ranges string, body []byte) {
		r, err := http.NewRequest(method, "http://127.0.0.1"+url, bytes.NewReader(body))
		if err != nil || r.URL.Host != "127.0.0.1" {
			return
		}
		r.Header.Set("Authorization", authorization)
		r.Header.Set("X-Amz-Content-Sha256", hash)
		r.Header.Set("X-Amz-Date", now.Format(sigv4.TimeFormat))
		r.Header.Set("X-Amz-Decoded-Content-Length", "4")
		r.Header.Set("Range", ranges)
		r.Header.Set("Ibm-Service-Instance-Id", instance)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code == 500 {
			t.Errorf("%s %s: %s", method, url, w.Body)
		}
		if !strings.EqualFold(authorization[:min(7, len(authorization))], "bearer ") && w.Code/100 == 2 {
			t.Errorf("%q got %d", authorization, w.Code)
		}
	})
}
