// Package sigv4 implements Signature Version 4 of Amazon S3, which other S3 services such as IBM
// Cloud Object Storage also use. [Sign] is for clients, [Parse] and [Authorization.Verify] are for
// servers. See "Authenticating Requests (AWS Signature Version 4)" in the Amazon S3 API Reference.
package sigv4

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Values of the header X-Amz-Content-Sha256 that are not the hash of a body.
const (
	// UnsignedPayload excludes the body from the signature; use it over TLS only.
	UnsignedPayload = "UNSIGNED-PAYLOAD"
	// EmptyPayload is the SHA-256 sum of an empty body.
	EmptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

const (
	// TimeFormat is the layout of the header X-Amz-Date, in UTC.
	TimeFormat = "20060102T150405Z"

	algorithm = "AWS4-HMAC-SHA256"
	service   = "s3"
	request   = "aws4_request"
)

// Sign signs a request with its current headers: Host, Content-Type, Content-MD5,
// and all that begin with X-Amz- or Ibm-. It sets X-Amz-Date, X-Amz-Content-Sha256
// and Authorization. payload is the SHA-256 sum of the body in hexadecimal, or
// [UnsignedPayload].
func Sign(r *http.Request, accessKey string, secret []byte, region, payload string, now time.Time) {
	SignFor(service, r, accessKey, secret, region, payload, now)
}

// SignFor is [Sign] for AWS services other than S3, such as "kms". They require each path segment
// to be escaped twice, so the path of r must need no escaping.
func SignFor(service string, r *http.Request, accessKey string, secret []byte, region, payload string, now time.Time) {
	now = now.UTC()
	r.Header.Set("X-Amz-Date", now.Format(TimeFormat))
	r.Header.Set("X-Amz-Content-Sha256", payload)
	signed := []string{"host"}
	for name := range r.Header {
		name = strings.ToLower(name)
		if name == "content-md5" || name == "content-type" || strings.HasPrefix(name, "x-amz-") || strings.HasPrefix(name, "ibm-") {
			signed = append(signed, name)
		}
	}
	slices.Sort(signed)
	a := Authorization{service: service, AccessKey: accessKey, Date: now.Format("20060102"), Region: region, SignedHeaders: signed}
	a.Signature = a.sign(r, secret, payload)
	r.Header.Set("Authorization", algorithm+" Credential="+accessKey+"/"+a.Scope()+
		",SignedHeaders="+strings.Join(signed, ";")+",Signature="+hex.EncodeToString(a.Signature))
}

// An Authorization is a parsed Authorization header, or the equivalent query of a presigned URL.
type Authorization struct {
	service       string // "" means s3
	AccessKey     string
	Date          string // 20060102
	Region        string
	SignedHeaders []string // in lower case, sorted
	Signature     []byte   // 32 bytes

	Presigned bool          // it was in the query, with Expires
	Expires   time.Duration // its validity
}

var errMalformed = errors.New("malformed AWS4-HMAC-SHA256 authorization header")

// Parse parses an Authorization header.
func Parse(header string) (*Authorization, error) {
	rest, ok := strings.CutPrefix(header, algorithm)
	if !ok || len(header) > 8<<10 {
		return nil, errMalformed
	}
	a := new(Authorization)
	seen := map[string]bool{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || seen[name] {
			return nil, errMalformed
		}
		seen[name] = true
		if err := a.set(name, value); err != nil {
			return nil, err
		}
	}
	if len(seen) != 3 || !slices.Contains(a.SignedHeaders, "host") {
		return nil, errMalformed
	}
	return a, nil
}

// set sets one parameter of an authorization.
func (a *Authorization) set(name, value string) error {
	switch name {
	case "Credential":
		// The access key can contain slashes; the scope cannot.
		f := strings.Split(value, "/")
		n := len(f)
		if n < 5 || f[n-1] != request || f[n-2] != service {
			return errMalformed
		}
		a.AccessKey, a.Date, a.Region = strings.Join(f[:n-4], "/"), f[n-4], f[n-3]
		if _, err := time.Parse("20060102", a.Date); err != nil || a.AccessKey == "" || a.Region == "" {
			return errMalformed
		}
	case "SignedHeaders":
		a.SignedHeaders = strings.Split(value, ";")
		if !slices.IsSorted(a.SignedHeaders) || value != strings.ToLower(value) {
			return errMalformed
		}
	case "Signature":
		sig, err := hex.DecodeString(value)
		if err != nil || len(sig) != sha256.Size {
			return errMalformed
		}
		a.Signature = sig
	default:
		return errMalformed
	}
	return nil
}

// Scope returns date/region/service/aws4_request.
func (a *Authorization) Scope() string {
	return a.Date + "/" + a.Region + "/" + cmp.Or(a.service, service) + "/" + request
}

// Verify reports whether the signature of a received request is correct. The caller must check the
// body against the header X-Amz-Content-Sha256.
func (a *Authorization) Verify(r *http.Request, secret []byte) bool {
	if !strings.HasPrefix(a.date(r), a.Date+"T") {
		return false
	}
	// The signature must cover all headers that affect the meaning of a request.
	for name := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(a.SignedHeaders, name) {
			return false
		}
	}
	want := a.sign(r, secret, a.Payload(r))
	return subtle.ConstantTimeCompare(want, a.Signature) == 1
}

// sign computes the signature of a request.
func (a *Authorization) sign(r *http.Request, secret []byte, payload string) []byte {
	sum := sha256.Sum256([]byte(a.canonical(r, payload)))
	text := algorithm + "\n" + a.date(r) + "\n" + a.Scope() + "\n" + hex.EncodeToString(sum[:])
	key := a.Key(secret)
	defer clear(key)
	return mac(key, text)
}

// Key derives the signing key for the scope. The caller should clear it.
func (a *Authorization) Key(secret []byte) []byte {
	first := append([]byte("AWS4"), secret...)
	defer clear(first)
	date := mac(first, a.Date)
	defer clear(date)
	region := mac(date, a.Region)
	defer clear(region)
	svc := mac(region, cmp.Or(a.service, service))
	defer clear(svc)
	return mac(svc, request)
}

// Chunk returns the signature of one chunk of a body that is sent in signed chunks
// ("Signature Calculations ... Transferring Payload in Multiple Chunks"). kind is
// PAYLOAD or TRAILER. previous is the preceding signature. sum is the SHA-256 sum of
// the chunk or of the trailing headers.
func (a *Authorization) Chunk(key []byte, kind, amzDate, previous string, sum [32]byte) string {
	text := algorithm + "-" + kind + "\n" + amzDate + "\n" + a.Scope() + "\n" + previous + "\n"
	if kind == "PAYLOAD" {
		text += EmptyPayload + "\n"
	}
	return hex.EncodeToString(mac(key, text+hex.EncodeToString(sum[:])))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// canonical returns the canonical request.
func (a *Authorization) canonical(r *http.Request, payload string) string {
	var b strings.Builder
	q := r.URL.Query()
	if a.Presigned {
		q.Del(querySignature)
	}
	b.WriteString(r.Method + "\n" + Escape(r.URL.Path, true) + "\n" + Query(q) + "\n")
	for _, name := range a.SignedHeaders {
		var values []string
		switch name {
		case "host":
			host := r.Host
			if host == "" {
				host = r.URL.Host
			}
			values = []string{host}
		case "content-length":
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		default:
			for _, v := range r.Header.Values(name) {
				values = append(values, strings.Join(strings.Fields(v), " "))
			}
		}
		b.WriteString(name + ":" + strings.Join(values, ",") + "\n")
	}
	b.WriteString("\n" + strings.Join(a.SignedHeaders, ";") + "\n" + payload)
	return b.String()
}

// Query returns the canonical query string: sorted, and escaped as by [Escape].
func Query(q url.Values) string {
	var pairs []string
	for name, values := range q {
		for _, v := range values {
			pairs = append(pairs, Escape(name, false)+"="+Escape(v, false))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// Escape returns s with all bytes except letters, digits and -._~ escaped as %XX. In a
// path it also keeps slashes.
func Escape(s string, path bool) string {
	const hexDigits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+8)
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~', c == '/' && path:
			b = append(b, c)
		default:
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}
