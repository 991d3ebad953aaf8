package s3

import (
	"net/http"
	"strings"
)

const (
	metaPrefix  = "X-Amz-Meta-"
	maxMetadata = 2 << 10 // bytes of names and values
)

// keptHeaders are stored with the object and returned with it, in addition to X-Amz-Meta-.
var keptHeaders = []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires"}

// kept returns the headers of a request that are stored with the object.
func kept(h http.Header) (http.Header, error) {
	k, size := http.Header{}, 0
	for name, v := range h {
		if meta, ok := strings.CutPrefix(name, metaPrefix); ok {
			k[name] = v
			size += len(meta) + len(strings.Join(v, ","))
		}
	}
	if size > maxMetadata {
		return nil, refusal("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size.")
	}
	for _, name := range keptHeaders {
		if v := h.Get(name); v != "" {
			k.Set(name, v)
		}
	}
	// aws-chunked describes the request, not the object.
	var codings []string
	for coding := range strings.SplitSeq(k.Get("Content-Encoding"), ",") {
		if coding = strings.TrimSpace(coding); coding != "" && coding != "aws-chunked" {
			codings = append(codings, coding)
		}
	}
	if k.Del("Content-Encoding"); codings != nil {
		k.Set("Content-Encoding", strings.Join(codings, ","))
	}
	return k, nil
}

// refusedHeaders request unsupported features. Ignoring them would store data differently from what the client
// expects. An empty list refuses all values except "".
var refusedHeaders = map[string][]string{
	"X-Amz-Acl":                                                   {"private", "bucket-owner-read", "bucket-owner-full-control"},
	"X-Amz-Bucket-Object-Lock-Enabled":                            {"false"},
	"X-Amz-Grant-Full-Control":                                    {},
	"X-Amz-Grant-Read":                                            {},
	"X-Amz-Grant-Read-Acp":                                        {},
	"X-Amz-Grant-Write":                                           {},
	"X-Amz-Grant-Write-Acp":                                       {},
	"X-Amz-Object-Lock-Legal-Hold":                                {"OFF"},
	"X-Amz-Object-Lock-Mode":                                      {},
	"X-Amz-Object-Lock-Retain-Until-Date":                         {},
	"X-Amz-Server-Side-Encryption":                                {"AES256"},
	"X-Amz-Server-Side-Encryption-Customer-Algorithm":             {},
	"X-Amz-Website-Redirect-Location":                             {},
	"X-Amz-Write-Offset-Bytes":                                    {},
	"Retention-Expiration-Date":                                   {},
	"Retention-Legal-Hold-Id":                                     {},
	"Retention-Period":                                            {},
	"X-Amz-Copy-Source-Server-Side-Encryption-Customer-Algorithm": {},
}

// refuseHeaders refuses requests for unsupported features.
func (c *call) refuseHeaders() error {
next:
	for name, allowed := range refusedHeaders {
		v := c.r.Header.Get(name)
		for _, a := range allowed {
			if v == a {
				continue next
			}
		}
		if v != "" {
			return notImplemented(c)
		}
	}
	return nil
}

// overrides sets the response headers that the query of a GET overrides.
func (c *call) overrides() {
	for _, name := range keptHeaders {
		if v := c.q.Get("response-" + strings.ToLower(name)); v != "" {
			c.w.Header().Set(name, v)
		}
	}
}
