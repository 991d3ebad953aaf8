package cos

import (
	"context"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/luksimg/luksimg/internal/fetch"
	"github.com/luksimg/luksimg/internal/rest"
)

// Info is the description of an object from the service.
type Info struct {
	Size     int64  // in bytes
	ETag     string // without quotes
	Modified time.Time
	// PartSize is the size in bytes of the parts that the object was uploaded in, if this package
	// uploaded it; otherwise 0.
	PartSize int64

	checksum checksum
	md5      []byte // metaMD5
	opaque   bool   // the ETag is known not to be an MD5 sum
}

// metaPartSize is the metadata header that stores the part size of an object, so that a
// download can compute its ETag.
const metaPartSize = "X-Amz-Meta-Luksimg-Part-Size"

// Head returns the description of an object. If there is no such object, the error is [ErrNotFound].
func (c *Client) Head(ctx context.Context, o Object) (Info, error) {
	if err := o.Check(); err != nil {
		return Info{}, err
	}
	h, _, err := c.do(ctx, &request{method: http.MethodHead, at: o, header: http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}}})
	if err != nil {
		return Info{}, err
	}
	return readInfo(o, h)
}

func readInfo(o Object, h http.Header) (Info, error) {
	size, err := strconv.ParseUint(h.Get("Content-Length"), 10, 63)
	if err != nil {
		return Info{}, fmt.Errorf("%v: the response has no valid Content-Length", o)
	}
	i := Info{Size: int64(size), ETag: unquote(h.Get("Etag")), checksum: readChecksum(h), md5: readMD5(h), opaque: opaque(h)}
	i.Modified, _ = http.ParseTime(h.Get("Last-Modified"))
	if n, err := strconv.ParseUint(h.Get(metaPartSize), 10, 63); err == nil {
		i.PartSize = int64(n)
	}
	return i, nil
}

func unquote(etag string) string { return strings.Trim(etag, `"`) }

// Delete removes an object. A missing object is not an error.
func (c *Client) Delete(ctx context.Context, o Object) error {
	if err := o.Check(); err != nil {
		return err
	}
	_, _, err := c.do(ctx, &request{method: http.MethodDelete, at: o})
	return err
}

// put stores an object in one request.
func (c *Client) put(ctx context.Context, o Object, p *payload) (http.Header, error) {
	h, _, err := c.do(ctx, &request{method: http.MethodPut, at: o, body: p, header: http.Header{metaMD5: {hex.EncodeToString(p.md5)}}})
	return h, err
}

// createUpload starts a multipart upload. It must not be retried blindly: each call starts another.
// marked records with the object that its ETag is not an MD5 sum.
func (c *Client) createUpload(ctx context.Context, o Object, partSize int64, marked bool) (string, error) {
	h := http.Header{}
	if marked {
		h.Set(metaETag, "opaque")
	}
	if partSize > 0 {
		h.Set(metaPartSize, strconv.FormatInt(partSize, 10))
	}
	_, b, err := c.do(ctx, &request{method: http.MethodPost, at: o, query: url.Values{"uploads": {""}}, header: h, once: true})
	if err != nil {
		return "", err
	}
	var x struct {
		XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
		UploadId string
	}
	if err := xml.Unmarshal(b, &x); err != nil || x.UploadId == "" || len(x.UploadId) > 1024 {
		return "", fetch.Final(fmt.Errorf("%v: the service started an upload but returned no upload ID", o))
	}
	return x.UploadId, nil
}

// putPart sends a part.
func (c *Client) putPart(ctx context.Context, o Object, id string, number int, p *payload) (http.Header, error) {
	q := url.Values{"uploadId": {id}, "partNumber": {strconv.Itoa(number)}}
	h, _, err := c.do(ctx, &request{method: http.MethodPut, at: o, query: q, body: p})
	return h, err
}

// A part is the service's record of a part.
type part struct {
	number int
	etag   string
	size   int64
}

// listParts returns the stored parts of an upload, by number.
func (c *Client) listParts(ctx context.Context, o Object, id string) (map[int]part, error) {
	parts := map[int]part{}
	for marker := 0; ; {
		q := url.Values{"uploadId": {id}, "max-parts": {"1000"}}
		if marker > 0 {
			q.Set("part-number-marker", strconv.Itoa(marker))
		}
		_, b, err := c.do(ctx, &request{method: http.MethodGet, at: o, query: q})
		if err != nil {
			return nil, err
		}
		page, next, err := parseParts(b)
		if err != nil {
			return nil, fmt.Errorf("%v: list of parts: %w", o, err)
		}
		for _, p := range page {
			parts[p.number] = p
		}
		if next == 0 {
			return parts, nil
		}
		if next <= marker {
			return nil, fmt.Errorf("%v: list of parts: page after part %d leads back to part %d", o, marker, next)
		}
		marker = next
	}
}

// parseParts parses a page of parts. next is the marker of the next page, or 0 after the last one.
func parseParts(b []byte) (parts []part, next int, err error) {
	var x struct {
		XMLName              xml.Name `xml:"ListPartsResult"`
		IsTruncated          bool
		NextPartNumberMarker int
		Part                 []struct {
			PartNumber int
			ETag       string
			Size       int64
		}
	}
	if err := xml.Unmarshal(b, &x); err != nil {
		return nil, 0, err
	}
	for _, p := range x.Part {
		if p.PartNumber < 1 || p.PartNumber > MaxParts || p.Size < 0 {
			return nil, 0, fmt.Errorf("invalid part: number %d, %d bytes", p.PartNumber, p.Size)
		}
		parts = append(parts, part{p.PartNumber, unquote(p.ETag), p.Size})
	}
	if x.IsTruncated {
		if x.NextPartNumberMarker < 1 || x.NextPartNumberMarker > MaxParts {
			return nil, 0, fmt.Errorf("invalid next part number %d", x.NextPartNumberMarker)
		}
		next = x.NextPartNumberMarker
	}
	return parts, next, nil
}

// An Unfinished is a multipart upload that was neither completed nor aborted. The service
// keeps its parts and charges for them.
type Unfinished struct {
	Key, UploadID string
	Initiated     time.Time
}

// Uploads returns the unfinished uploads of all clients in a bucket whose keys begin with prefix. It
// returns at most ten thousand.
func (c *Client) Uploads(ctx context.Context, region, bucket, prefix string) ([]Unfinished, error) {
	if err := checkBucket(region, bucket); err != nil {
		return nil, err
	}
	var all []Unfinished
	key, id := "", ""
	for {
		q := url.Values{"uploads": {""}, "max-uploads": {"1000"}}
		if prefix != "" {
			q.Set("prefix", prefix)
		}
		if key != "" {
			q.Set("key-marker", key)
			q.Set("upload-id-marker", id)
		}
		_, b, err := c.do(ctx, &request{method: http.MethodGet, at: Object{Region: region, Bucket: bucket}, query: q})
		if err != nil {
			return nil, err
		}
		page, nextKey, nextID, err := parseUploads(b)
		if err != nil {
			return nil, fmt.Errorf("cos://%s/%s: list of uploads: %w", region, bucket, err)
		}
		all = append(all, page...)
		if nextKey == "" || len(all) >= 10_000 {
			return all, nil
		}
		if len(page) == 0 || nextKey == key && nextID == id {
			return nil, fmt.Errorf("cos://%s/%s: list of uploads: the next-page marker repeats", region, bucket)
		}
		key, id = nextKey, nextID
	}
}

func parseUploads(b []byte) (uploads []Unfinished, nextKey, nextID string, err error) {
	var x struct {
		XMLName                           xml.Name `xml:"ListMultipartUploadsResult"`
		IsTruncated                       bool
		NextKeyMarker, NextUploadIdMarker string
		Upload                            []struct {
			Key, UploadId string
			Initiated     string
		}
	}
	if err := xml.Unmarshal(b, &x); err != nil {
		return nil, "", "", err
	}
	for _, u := range x.Upload {
		if u.UploadId == "" {
			return nil, "", "", fmt.Errorf("an upload of %q has no id", u.Key)
		}
		t, _ := time.Parse(time.RFC3339, u.Initiated)
		uploads = append(uploads, Unfinished{u.Key, u.UploadId, t})
	}
	if x.IsTruncated {
		nextKey, nextID = x.NextKeyMarker, x.NextUploadIdMarker
	}
	return uploads, nextKey, nextID, nil
}

// Abort aborts a multipart upload, and the service deletes its parts. A missing upload is not an error.
func (c *Client) Abort(ctx context.Context, o Object, uploadID string) error {
	if err := o.Check(); err != nil {
		return err
	}
	_, _, err := c.do(ctx, &request{method: http.MethodDelete, at: o, query: url.Values{"uploadId": {uploadID}}})
	if isNoSuchUpload(err) {
		return nil
	}
	return err
}

// get requests the bytes of an object from off to end, on condition that its ETag is etag. It
// makes one attempt. The caller closes the body.
func (c *Client) get(ctx context.Context, o Object, etag string, off, end, size int64) (io.ReadCloser, error) {
	h := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", off, end-1)}}
	if etag != "" {
		h.Set("If-Match", `"`+etag+`"`)
	}
	r := &request{method: http.MethodGet, at: o, header: h}
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	// Report a changed object first: its range also differs if the size does. A service that replaces an
	// object while it responds can name the old ETag with the new size.
	got := unquote(resp.Header.Get("Etag"))
	if etag != "" && got != "" && got != etag || resp.StatusCode == http.StatusPartialContent && otherSize(resp.Header.Get("Content-Range"), size) {
		resp.Body.Close()
		return nil, fetch.Final(rest.WithHint(fmt.Errorf("%v: %w", o, ErrChanged), hintReplaced))
	}
	whole := off == 0 && end == size
	switch {
	case resp.StatusCode == http.StatusOK && whole && resp.ContentLength == size:
	case resp.StatusCode == http.StatusPartialContent && resp.Header.Get("Content-Range") == fmt.Sprintf("bytes %d-%d/%d", off, end-1, size):
	default:
		resp.Body.Close()
		return nil, fetch.Final(fmt.Errorf("%v: requested bytes %d to %d of %d, got status %d, range %q, length %d", o, off, end-1, size,
			resp.StatusCode, rest.Clean(resp.Header.Get("Content-Range")), resp.ContentLength))
	}
	return resp.Body, nil
}

// otherSize reports whether a Content-Range names a size of the object other than size (RFC 9110, section 14.4).
func otherSize(contentRange string, size int64) bool {
	_, after, _ := strings.Cut(contentRange, "/")
	total, err := strconv.ParseInt(after, 10, 64)
	return err == nil && total != size
}
