package s3

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const maxBody = 5 << 30 // of a part, or of an object in one request

// sums are the checksums that a request may tell of its body, beside MD5 and the signed
// SHA-256: "Checking object integrity" in the Amazon S3 User Guide.
var sums = map[string]func() hash.Hash{
	"x-amz-checksum-crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"x-amz-checksum-crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"x-amz-checksum-crc64nvme": func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
	"x-amz-checksum-sha1":      sha1.New,
	"x-amz-checksum-sha256":    sha256.New,
}

// A check is a checksum that the body must have.
type check struct {
	name string
	h    hash.Hash
	want []byte // nil if it comes in a trailer
	code string
}

// body returns the content of a request, which ends with an error if it is not what its headers tell.
func (c *call) body() (io.Reader, error) {
	r := c.r
	length := r.ContentLength
	var in io.Reader = r.Body
	var checks []*check
	var trailer func() http.Header
	switch p := c.who.payload; p {
	case streamSigned, streamSignedTrailer, streamUnsignedTrailer:
		n, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
		if err != nil || n < 0 {
			return nil, refusal("MissingContentLength", "You must provide the x-amz-decoded-content-length header.")
		}
		length = n
		d := newChunks(r.Body, p)
		if p != streamUnsignedTrailer {
			if c.who.auth == nil {
				return nil, refusal("InvalidRequest", "Chunks are signed, and the request is not.")
			}
			d.sign(c.who.auth, c.who.key, r.Header.Get("X-Amz-Date"))
		}
		in, trailer = d, func() http.Header { return d.trailer }
	default:
		if want, err := hex.DecodeString(p); err == nil && len(want) == sha256.Size {
			checks = append(checks, &check{h: sha256.New(), want: want, code: "XAmzContentSHA256Mismatch"})
		}
	}
	switch {
	case length < 0:
		return nil, refusal("MissingContentLength", "You must provide the Content-Length HTTP header.")
	case length > maxBody:
		return nil, refusal("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.")
	}
	if v := r.Header.Get("Content-Md5"); v != "" {
		want, err := base64.StdEncoding.DecodeString(v)
		if err != nil || len(want) != md5.Size {
			return nil, refusal("InvalidDigest", "The Content-MD5 you specified is not valid.")
		}
		checks = append(checks, &check{h: md5.New(), want: want, code: "BadDigest"})
	}
	for name, make := range sums {
		announced := strings.EqualFold(strings.TrimSpace(r.Header.Get("X-Amz-Trailer")), name)
		v := r.Header.Get(name)
		if v == "" && !(announced && trailer != nil) {
			continue
		}
		k := &check{name: name, h: make(), code: "BadDigest"}
		if v != "" {
			want, err := base64.StdEncoding.DecodeString(v)
			if err != nil || len(want) != k.h.Size() {
				return nil, refusal("InvalidRequest", "Value for "+name+" header is invalid.")
			}
			k.want = want
		}
		checks = append(checks, k)
	}
	return &checkedBody{in: in, left: length, checks: checks, trailer: trailer}, nil
}

// A checkedBody compares a body with its length and its checksums when it ends.
type checkedBody struct {
	in      io.Reader
	left    int64
	checks  []*check
	trailer func() http.Header
	end     error // what to say from now on
}

func (b *checkedBody) Read(p []byte) (int, error) {
	if b.end != nil {
		return 0, b.end
	}
	n, err := b.in.Read(p)
	if int64(n) > b.left {
		b.end = refusal("IncompleteBody", "The body is longer than its length tells.")
		return 0, b.end
	}
	b.left -= int64(n)
	for _, c := range b.checks {
		c.h.Write(p[:n])
	}
	if err == io.EOF {
		err = b.verdict()
	}
	b.end = err
	return n, err
}

func (b *checkedBody) verdict() error {
	if b.left > 0 {
		return io.ErrUnexpectedEOF
	}
	for _, c := range b.checks {
		want := c.want
		if want == nil {
			v, err := base64.StdEncoding.DecodeString(b.trailer().Get(c.name))
			if err != nil || len(v) != c.h.Size() {
				return refusal("InvalidRequest", "Value for "+c.name+" trailing header is invalid.")
			}
			want = v
		}
		if subtle.ConstantTimeCompare(c.h.Sum(nil), want) != 1 {
			return refusal(c.code, "The content does not match the checksum that was specified.")
		}
	}
	return io.EOF
}

// text returns a body that must be small: XML.
func (c *call) text(limit int64) ([]byte, error) {
	in, err := c.body()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if n, err := io.Copy(&b, io.LimitReader(in, limit+1)); err != nil {
		return nil, err
	} else if n > limit {
		return nil, refusal("MaxMessageLengthExceeded", "Your request was too big.")
	}
	return b.Bytes(), nil
}
