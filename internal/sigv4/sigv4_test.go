package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Key and time of the examples in the Amazon S3 API Reference.
const (
	accessKey = "AKIAIOSFODNN7EXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

var when = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

// TestVectors uses "Examples: Signature Calculations" of "Authorization Header: Transferring
// Payload in a Single Chunk", and the first example of "in Multiple Chunks".
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		name, method, url, payload, want string
		header                           map[string]string
	}{
		{"get object", "GET", "https://examplebucket.s3.amazonaws.com/test.txt", EmptyPayload,
			"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
			map[string]string{"Range": "bytes=0-9"}},
		{"put object", "PUT", "https://examplebucket.s3.amazonaws.com/test%24file.text",
			"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
			"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
			map[string]string{"Date": "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Storage-Class": "REDUCED_REDUNDANCY"}},
		{"lifecycle", "GET", "https://examplebucket.s3.amazonaws.com/?lifecycle", EmptyPayload,
			"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", nil},
		{"list", "GET", "https://examplebucket.s3.amazonaws.com/?prefix=J&max-keys=2", EmptyPayload,
			"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", nil},
		{"chunks", "PUT", "https://s3.amazonaws.com/examplebucket/chunkObject.txt", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
			"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
			map[string]string{"X-Amz-Storage-Class": "REDUCED_REDUNDANCY", "X-Amz-Decoded-Content-Length": "66560", "Content-Encoding": "aws-chunked"}},
	} {
		r, err := http.NewRequest(c.method, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range c.header {
			r.Header.Set(k, v)
		}
		// The examples sign more headers than Sign does.
		a := Authorization{AccessKey: accessKey, Date: "20130524", Region: "us-east-1"}
		r.Header.Set("X-Amz-Date", when.Format(TimeFormat))
		r.Header.Set("X-Amz-Content-Sha256", c.payload)
		a.SignedHeaders = []string{"host"}
		switch c.name {
		case "get object":
			a.SignedHeaders = append(a.SignedHeaders, "range")
		case "put object":
			a.SignedHeaders = append([]string{"date"}, a.SignedHeaders...)
		case "chunks":
			a.SignedHeaders = []string{"content-encoding", "content-length", "host"}
			r.ContentLength = 66824
		}
		a.SignedHeaders = append(a.SignedHeaders, "x-amz-content-sha256", "x-amz-date")
		if c.name == "chunks" {
			a.SignedHeaders = append(a.SignedHeaders, "x-amz-decoded-content-length")
		}
		if r.Header.Get("X-Amz-Storage-Class") != "" {
			a.SignedHeaders = append(a.SignedHeaders, "x-amz-storage-class")
		}
		a.Signature = a.sign(r, []byte(secretKey), c.payload)
		if got := hex.EncodeToString(a.Signature); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if !a.Verify(r, []byte(secretKey)) {
			t.Errorf("%s: not verified", c.name)
		}
		if a.Verify(r, []byte(secretKey+"x")) {
			t.Errorf("%s: verified with another secret", c.name)
		}
	}
}

// TestPresigned uses the example of "Authenticating Requests: Using Query Parameters".
func TestPresigned(t *testing.T) {
	const url = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
		"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ParseQuery(r.URL.Query())
	if err != nil || !Presigned(r.URL.Query()) {
		t.Fatal(err)
	}
	at, err := a.Time(r)
	if err != nil || !at.Equal(when) || a.Expires != 24*time.Hour || a.AccessKey != accessKey || a.Payload(r) != UnsignedPayload {
		t.Errorf("got %+v, time error %v", a, err)
	}
	if !a.Verify(r, []byte(secretKey)) || a.Verify(r, []byte(secretKey+"x")) {
		t.Error("signature not verified, or verified with a wrong secret")
	}
	q := r.URL.Query()
	q.Set("X-Amz-Expires", "86401")
	if r.URL.RawQuery = q.Encode(); a.Verify(r, []byte(secretKey)) {
		t.Error("verified with a longer validity")
	}
	for name, value := range map[string]string{"X-Amz-Expires": "0", "X-Amz-Algorithm": "AWS4", "X-Amz-Credential": "a", "X-Amz-SignedHeaders": "range", "X-Amz-Signature": "00"} {
		q := r.URL.Query()
		q.Set(name, value)
		if _, err := ParseQuery(q); err == nil {
			t.Errorf("%s %s is read", name, value)
		}
	}
}

// TestChunks uses the chunks of the last example: 64 KiB and 1 KiB of "a".
func TestChunks(t *testing.T) {
	a := Authorization{AccessKey: accessKey, Date: "20130524", Region: "us-east-1"}
	key := a.Key([]byte(secretKey))
	previous := "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
	for _, c := range []struct {
		size int
		want string
	}{
		{65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"},
		{1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"},
		{0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"},
	} {
		previous = a.Chunk(key, "PAYLOAD", when.Format(TimeFormat), previous, sha256.Sum256(bytes.Repeat([]byte("a"), c.size)))
		if previous != c.want {
			t.Fatalf("chunk of %d bytes: %s, want %s", c.size, previous, c.want)
		}
	}
}

// TestSignParse checks that a signed request parses and verifies, and that any later change is detected.
func TestSignParse(t *testing.T) {
	sign := func() *http.Request {
		r, _ := http.NewRequest("PUT", "http://127.0.0.1:1/b/a%20key/%2B+?partNumber=3&uploadId=a/b", nil)
		r.Header.Set("X-Amz-Meta-A", " two  spaces ")
		Sign(r, "key/id", []byte("secret"), "us-south", EmptyPayload, when)
		return r
	}
	r := sign()
	a, err := Parse(r.Header.Get("Authorization"))
	if err != nil {
		t.Fatal(err)
	}
	if a.AccessKey != "key/id" || a.Region != "us-south" || !a.Verify(r, []byte("secret")) {
		t.Errorf("%+v not verified", a)
	}
	if strings.Contains(r.Header.Get("Authorization"), "secret") {
		t.Error("the header contains the secret")
	}
	for name, change := range map[string]func(*http.Request){
		"path":   func(r *http.Request) { r.URL.Path = "/b/other" },
		"query":  func(r *http.Request) { r.URL.RawQuery = "partNumber=4&uploadId=a/b" },
		"method": func(r *http.Request) { r.Method = "DELETE" },
		"host":   func(r *http.Request) { r.Host = "elsewhere" },
		"header": func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "x") },
		"more":   func(r *http.Request) { r.Header.Set("X-Amz-Copy-Source", "x") },
		"date":   func(r *http.Request) { r.Header.Set("X-Amz-Date", "20130525T000000Z") },
		"hash":   func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", UnsignedPayload) },
	} {
		r := sign()
		change(r)
		if a.Verify(r, []byte("secret")) {
			t.Errorf("verified although the %s was changed", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=A/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + EmptyPayload)
	f.Add("AWS4-HMAC-SHA256 Credential=////,SignedHeaders=;,Signature=")
	f.Add("Bearer x")
	f.Fuzz(func(t *testing.T, header string) {
		a, err := Parse(header)
		if err != nil {
			return
		}
		if a.AccessKey == "" || a.Region == "" || len(a.Signature) != 32 || len(a.SignedHeaders) == 0 {
			t.Errorf("%q gives %+v", header, a)
		}
		r, _ := http.NewRequest("GET", "http://127.0.0.1/", nil)
		r.Header.Set("X-Amz-Date", a.Date+"T000000Z")
		if a.Verify(r, []byte("no such secret")) {
			t.Errorf("%q is verified", header)
		}
	})
}
