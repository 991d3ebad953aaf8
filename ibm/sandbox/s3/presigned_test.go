package s3_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/sandbox/s3"
)

// presign returns a request with a signature in its query, created by the steps of "Using Query Parameters (AWS Signature
// Version 4)" in the Amazon S3 API Reference. The path must need no escaping.
func presign(method, host, path string, extra url.Values, expires time.Duration, when time.Time, body string) *http.Request {
	day, scope := when.Format("20060102"), when.Format("20060102")+"/us-south/s3/aws4_request"
	q := url.Values{"X-Amz-Algorithm": {"AWS4-HMAC-SHA256"}, "X-Amz-Credential": {"key-of-alice/" + scope}, "X-Amz-Date": {when.Format("20060102T150405Z")},
		"X-Amz-Expires": {fmt.Sprint(int(expires.Seconds()))}, "X-Amz-SignedHeaders": {"host"}}
	for name, v := range extra {
		q[name] = v
	}
	var pairs []string
	for name, v := range q {
		pairs = append(pairs, url.QueryEscape(name)+"="+strings.ReplaceAll(url.QueryEscape(v[0]), "+", "%20"))
	}
	slices.Sort(pairs)
	query := strings.Join(pairs, "&")
	sum := sha256.Sum256([]byte(method + "\n" + path + "\n" + query + "\nhost:" + host + "\n\nhost\nUNSIGNED-PAYLOAD"))
	key := []byte("AWS4" + secret)
	for _, text := range []string{day, "us-south", "s3", "aws4_request", "AWS4-HMAC-SHA256\n" + when.Format("20060102T150405Z") + "\n" + scope + "\n" + hex.EncodeToString(sum[:])} {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		key = m.Sum(nil)
	}
	return httptest.NewRequest(method, "http://"+host+path+"?"+query+"&X-Amz-Signature="+hex.EncodeToString(key), strings.NewReader(body))
}

// TestPresigned uses presigned URLs for all supported operations.
func TestPresigned(t *testing.T) {
	s := server(t, s3.Options{MinPart: 1})
	const host, hour = "127.0.0.1:9000", time.Hour
	w, code := serve(s, presign("PUT", host, "/images/x", nil, hour, now, "text"))
	if w.Code != 200 {
		t.Fatal(code)
	}
	if w, code := serve(s, presign("GET", host, "/images/x", url.Values{"response-content-type": {"text/a b"}}, hour, now.Add(-59*time.Minute), "")); w.Body.String() != "text" || w.Header().Get("Content-Type") != "text/a b" {
		t.Errorf("get: %d %s %v", w.Code, code, w.Header())
	}
	if w, code := serve(s, presign("HEAD", "images.localhost", "/x", nil, 30*24*hour, now, "")); w.Code != 200 || w.Header().Get("Content-Length") != "4" {
		t.Errorf("head, by the host: %d %s", w.Code, code)
	}
	at := begin(t, s, "/images/y")
	_, id, _ := strings.Cut(at, "=")
	if w, code := serve(s, presign("PUT", host, "/images/y", url.Values{"uploadId": {id}, "partNumber": {"1"}}, hour, now, "part")); w.Code != 200 || w.Header().Get("Etag") == "" {
		t.Errorf("part: %d %s", w.Code, code)
	}
	// Clients put headers into the query.
	if _, code := serve(s, presign("PUT", host, "/images/z", url.Values{"x-amz-checksum-crc32": {crc32Of("other")}}, hour, now, "text")); code != "BadDigest" {
		t.Errorf("a checksum in the query: %s", code)
	}
	serve(s, presign("PUT", host, "/images/z", url.Values{"X-Amz-Meta-A": {"b c"}}, hour, now, "text"))
	if w, _ := ask(s, "HEAD", "/images/z", ""); metaA(w) != "b c" {
		t.Errorf("metadata in the query: %v", w.Header())
	}
	for name, c := range map[string]struct {
		r    *http.Request
		code string
	}{
		"expired":   {presign("GET", host, "/images/x", nil, hour, now.Add(-61*time.Minute), ""), "AccessDenied"},
		"early":     {presign("GET", host, "/images/x", nil, hour, now.Add(16*time.Minute), ""), "AccessDenied"},
		"no time":   {presign("GET", host, "/images/x", nil, 0, now, ""), "AuthorizationQueryParametersError"},
		"a key":     {presign("GET", host, "/images/x", url.Values{"X-Amz-Credential": {"mallory/20260304/us-south/s3/aws4_request"}}, hour, now, ""), "InvalidAccessKeyId"},
		"no scope":  {presign("GET", host, "/images/x", url.Values{"X-Amz-Credential": {"key-of-alice"}}, hour, now, ""), "AuthorizationQueryParametersError"},
		"algorithm": {presign("GET", host, "/images/x", url.Values{"X-Amz-Algorithm": {"AWS4"}}, hour, now, ""), "AuthorizationQueryParametersError"},
	} {
		if w, code := serve(s, c.r); code != c.code {
			t.Errorf("%s: %d %s, want %s", name, w.Code, code, c.code)
		}
	}
	for name, change := range map[string]func(*http.Request){
		"method": func(r *http.Request) { r.Method = "DELETE" },
		"path":   func(r *http.Request) { r.URL.Path = "/images/y" },
		"query": func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "Expires=3600", "Expires=7200", 1)
		},
		"more":    func(r *http.Request) { r.URL.RawQuery += "&tagging" },
		"host":    func(r *http.Request) { r.Host = "images.localhost" },
		"headers": func(r *http.Request) { r.Header.Set("X-Amz-Copy-Source", "/images/z") },
	} {
		r := presign("GET", host, "/images/x", nil, hour, now, "")
		change(r)
		if w, code := serve(s, r); code != "SignatureDoesNotMatch" {
			t.Errorf("another %s: %d %s", name, w.Code, code)
		}
	}
	r := presign("GET", host, "/images/x", nil, hour, now, "")
	r.Header.Set("Authorization", "Bearer token-of-alice")
	if _, code := serve(s, r); code != "InvalidArgument" {
		t.Errorf("two signatures: %s", code)
	}
}
