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

// Info is what the service says of an object.
type Info struct {
	Size     int64  // in bytes
	ETag     string // without quotes
	Modified time.Time
	// PartSize is the length in bytes of the parts it was uploaded in, if this package
	// did that; else 0.
	PartSize int64

	checksum checksum
	md5      []byte // metaMD5
	opaque   bool   // the service says that the ETag is no MD5 sum
}

// metaPartSize is the header that keeps the size of the parts with an object, so that a
// download can compute its ETag.
const metaPartSize = "X-Amz-Meta-Luksimg-Part-Size"

// Head asks for an object.
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
		return Info{}, fmt.Errorf("%v: the service does not say how long it is", o)
	}
	i := Info{Size: int64(size), ETag: unquote(h.Get("Etag")), checksum: readChecksum(h), md5: readMD5(h), opaque: opaque(h)}
	i.Modified, _ = http.ParseTime(h.Get("Last-Modified"))
	if n, err := strconv.ParseUint(h.Get(metaPartSize), 10, 63); err == nil {
		i.PartSize = int64(n)
	}
	return i, nil
}

func unquote(etag string) string { return strings.Trim(etag, `"`) }

// Delete removes an object. One that is not there is no error.
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

// createUpload begins a multipart upload. It must not be repeated blindly: each call makes one.
// marked tells that ETags are no MD5 sums.
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
		return "", fetch.Final(fmt.Errorf("%v: the service began an upload and did not say its id", o))
	}
	return x.UploadId, nil
}

// putPart sends a part.
func (c *Client) putPart(ctx context.Context, o Object, id string, number int, p *payload) (http.Header, error) {
	q := url.Values{"uploadId": {id}, "partNumber": {strconv.Itoa(number)}}
	h, _, err := c.do(ctx, &request{method: http.MethodPut, at: o, query: q, body: p})
	return h, err
}

// A part is one that the service has.
type part struct {
	number int
	etag   string
	size   int64
}

// listParts returns the parts of an upload that the service has, by number.
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

// parseParts reads a page of parts, and the number of the last one if there are more pages.
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
			return nil, 0, fmt.Errorf("part %d of %d bytes", p.PartNumber, p.Size)
		}
		parts = append(parts, part{p.PartNumber, unquote(p.ETag), p.Size})
	}
	if x.IsTruncated {
		if x.NextPartNumberMarker < 1 || x.NextPartNumberMarker > MaxParts {
			return nil, 0, fmt.Errorf("next part number %d", x.NextPartNumberMarker)
		}
		next = x.NextPartNumberMarker
	}
	return parts, next, nil
}

// An Unfinished is a multipart upload that was begun and neither completed nor aborted. The service
// keeps its parts, and charges for them.
type Unfinished struct {
	Key, UploadID string
	Initiated     time.Time
}

// Uploads returns the unfinished uploads of a bucket whose keys begin with prefix, of all
// clients: at most ten thousand.
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
			return nil, fmt.Errorf("cos://%s/%s: list of uploads: a page leads to itself", region, bucket)
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

// Abort gives up an unfinished upload, so that nothing of it is kept. One that is not
// there is no error.
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

// get asks for the bytes of an object from off to end, as long as it has this ETag. It
// makes one attempt; the caller closes the body.
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
	// Another version is told first: its range is that of another length.
	if got := unquote(resp.Header.Get("Etag")); etag != "" && got != "" && got != etag {
		resp.Body.Close()
		return nil, fetch.Final(rest.WithHint(fmt.Errorf("%v: %w", o, ErrChanged), hintReplaced))
	}
	whole := off == 0 && end == size
	switch {
	case resp.StatusCode == http.StatusOK && whole && resp.ContentLength == size:
	case resp.StatusCode == http.StatusPartialContent && resp.Header.Get("Content-Range") == fmt.Sprintf("bytes %d-%d/%d", off, end-1, size):
	default:
		resp.Body.Close()
		return nil, fetch.Final(fmt.Errorf("%v: asked for bytes %d to %d of %d and got status %d, range %q, length %d", o, off, end-1, size,
			resp.StatusCode, rest.Clean(resp.Header.Get("Content-Range")), resp.ContentLength))
	}
	return resp.Body, nil
}
