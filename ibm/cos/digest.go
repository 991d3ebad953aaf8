package cos

import (
	"bytes"
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
)

// What is sent and fetched is known by its MD5 sum, as ETags are made of MD5 sums, or by its SHA-256, if
// [Options.SHA256] is set: then ETags are not compared with anything, and count as those of a service
// whose ETags are no MD5 sums.

// useSHA256 reports whether there is to be no MD5.
func (o Options) useSHA256() bool { return o.SHA256 || fips140.Enforced() } // where MD5 panics

// newHash returns the hash of what is sent and fetched.
func (c *Client) newHash() hash.Hash {
	if c.sha256 {
		return sha256.New()
	}
	return md5.New()
}

// sumOf returns the sum of what is in memory.
func (c *Client) sumOf(b []byte) []byte {
	h := c.newHash()
	h.Write(b)
	return h.Sum(nil)
}

// small returns a body that is in memory.
func (c *Client) small(b []byte) *payload {
	s := sha256.Sum256(b)
	return &payload{src: bytes.NewReader(b), size: int64(len(b)), sum: c.sumOf(b), sha256: hex.EncodeToString(s[:])}
}

// setSum puts the sum of a body into the header of its request, which the service compares with it.
func setSum(h http.Header, sum []byte) {
	name := "Content-MD5"
	if len(sum) == sha256.Size {
		name = "X-Amz-Checksum-Sha256"
	}
	h.Set(name, base64.StdEncoding.EncodeToString(sum))
}

// metaMD5 and metaSHA256 are the headers that keep the sum of an object that was sent in one request, as its
// ETag may be another.
const (
	metaMD5    = "X-Amz-Meta-Luksimg-Md5"
	metaSHA256 = "X-Amz-Meta-Luksimg-Sha256"
)

// metaSum returns the header that keeps sums of this client.
func (c *Client) metaSum() string {
	if c.sha256 {
		return metaSHA256
	}
	return metaMD5
}

// readSum returns the sum that was kept with an object, or nil.
func (c *Client) readSum(h http.Header) []byte {
	sum, err := hex.DecodeString(h.Get(c.metaSum()))
	if err != nil || len(sum) != c.newHash().Size() {
		return nil
	}
	return sum
}

// wantETag returns the ETag that a part has whose ETag is its MD5 sum; "" if the sum is another one.
func (p sentPart) wantETag() string {
	if len(p.sum) != md5.Size {
		return ""
	}
	return hex.EncodeToString([]byte(p.sum))
}

// kept is the part in the state of its upload.
func (p sentPart) kept() keptPart {
	k := keptPart{ETag: p.etag}
	if sum := hex.EncodeToString([]byte(p.sum)); len(p.sum) == md5.Size {
		k.MD5 = sum
	} else {
		k.SHA256 = sum
	}
	return k
}
