package s3

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const maxBody = 5 << 30 // limit of a part, or of an object in one request

// A check is an expected checksum of the body.
type check struct {
	algorithm string // "" for MD5 and the signed SHA-256
	h         hash.Hash
	want      []byte // nil if it is in a trailer
	code      string
}

// body returns the content of a request. Reading ends with an error if the content does not match the headers.
func (c *call) body() (*checkedBody, error) {
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
	algorithm, value, err := claimed(r.Header)
	if err != nil {
		return nil, err
	}
	if trailer != nil && algorithm == "" {
		if algorithm, err = announced(r.Header); err != nil {
			return nil, err
		}
	}
	if algorithm != "" {
		k := &check{algorithm: algorithm, h: algorithms[algorithm](), code: "BadDigest"}
		if value != "" {
			if k.want, err = base64.StdEncoding.DecodeString(value); err != nil || len(k.want) != k.h.Size() {
				return nil, errSum(algorithm)
			}
		}
		checks = append(checks, k)
	}
	return &checkedBody{in: in, left: length, checks: checks, trailer: trailer}, nil
}

// announced returns the checksum algorithm that the headers announce for the trailer, or "".
func announced(h http.Header) (algorithm string, err error) {
	for name := range strings.SplitSeq(h.Get("X-Amz-Trailer"), ",") {
		name, sum := strings.CutPrefix(strings.ToUpper(strings.TrimSpace(name)), strings.ToUpper(sumHeader("")))
		switch {
		case name == "":
		case !sum || algorithms[name] == nil || algorithm != "":
			return "", refusal("InvalidRequest", "The value specified in the x-amz-trailer header is not supported")
		default:
			algorithm = name
		}
	}
	return algorithm, nil
}

// digested refuses a request that must have a checksum of its body and has none.
func (c *call) digested() error {
	head, _, err := claimed(c.r.Header)
	if err != nil {
		return err
	}
	trailer, err := announced(c.r.Header)
	if err == nil && head == "" && trailer == "" && c.r.Header.Get("Content-Md5") == "" {
		return refusal("InvalidRequest", "Missing required header for this request: Content-MD5")
	}
	return err
}

// A checkedBody checks the length and the checksums of a body at its end.
type checkedBody struct {
	in      io.Reader
	left    int64
	checks  []*check
	trailer func() http.Header
	end     error // sticky result
	sum     checksum
}

func (b *checkedBody) Read(p []byte) (int, error) {
	if b.end != nil {
		return 0, b.end
	}
	n, err := b.in.Read(p)
	if int64(n) > b.left {
		b.end = refusal("IncompleteBody", "The body is longer than the specified length.")
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
			v, err := base64.StdEncoding.DecodeString(b.trailer().Get(sumHeader(c.algorithm)))
			if err != nil || len(v) != c.h.Size() {
				return errSum(c.algorithm)
			}
			want = v
		}
		if subtle.ConstantTimeCompare(c.h.Sum(nil), want) != 1 {
			return refusal(c.code, "The content does not match the checksum that was specified.")
		}
		if c.algorithm != "" {
			b.sum = checksum{algorithm: c.algorithm, value: want}
		}
	}
	return io.EOF
}

var errXML = refusal("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema.")

// text reads a small XML body.
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
