package s3

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// receiveBody stores the body of a request.
func (c *call) receiveBody() (*blobFile, error) {
	in, err := c.body()
	if err != nil {
		return nil, err
	}
	b, err := c.s.receive(in)
	if err != nil {
		return nil, err
	}
	b.sum = in.sum
	return b, nil
}

// mayPut returns an error if the caller may not write an object, before a body is read.
func (c *call) mayPut() error {
	return c.withBucket(func(b *bucket) error { return preconditions(c.r.Header, "", b.objects[c.key], false) })
}

func (c *call) putObject() error {
	if err := errors.Join(c.refuseHeaders(), c.mayPut()); err != nil {
		return err
	}
	if c.r.Header.Get("X-Amz-Copy-Source") != "" {
		return c.copyObject()
	}
	header, err := kept(c.r.Header)
	if err != nil {
		return err
	}
	tags, err := tagsOf(c.r.Header)
	if err != nil {
		return err
	}
	blob, err := c.receiveBody()
	if err != nil {
		return err
	}
	o := newObject(c.s.o.Now(), header, "", blob)
	o.tags = tags
	if err := c.s.store(c.who.account, c.bucket, c.key, o, c.r.Header); err != nil {
		return err
	}
	c.w.Header().Set("Etag", `"`+o.etag+`"`)
	o.sum.set(c.w.Header(), true)
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// getObject serves GET and HEAD.
func (c *call) getObject() error {
	if err := c.refuseHeaders(); err != nil {
		return err
	}
	o, err := c.s.Open(c.who.account, c.bucket, c.key)
	if err != nil {
		return err
	}
	defer o.Close()
	h := c.w.Header()
	h.Set("Etag", `"`+o.o.etag+`"`)
	h.Set("Last-Modified", o.o.modified.UTC().Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	if err := preconditions(c.r.Header, "", o.o, true); errors.Is(err, errNotModified) {
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	} else if err != nil {
		return err
	}
	from, to, partial, err := c.span(o.o)
	if err != nil {
		return err
	}
	for name, v := range o.o.header {
		if strings.HasPrefix(name, metaPrefix) {
			name = strings.ToLower(name) // in the spelling of the service, which some clients display
		}
		h[name] = v
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "binary/octet-stream")
	}
	if n := len(o.tags()); n > 0 {
		h.Set("X-Amz-Tagging-Count", strconv.Itoa(n))
	}
	c.overrides()
	h.Set("Content-Length", strconv.FormatInt(to-from, 10))
	status := http.StatusOK
	if partial {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, o.Size()))
		status = http.StatusPartialContent
	} else if strings.EqualFold(c.r.Header.Get("X-Amz-Checksum-Mode"), "ENABLED") {
		o.o.sum.set(h, true)
	}
	c.w.WriteHeader(status)
	if c.r.Method == http.MethodGet {
		// The status is already sent. A failure can only end the connection, which
		// happens because bytes are missing.
		io.CopyBuffer(struct{ io.Writer }{c.w}, struct{ io.Reader }{io.NewSectionReader(o, from, to-from)}, make([]byte, 256<<10))
	}
	return nil
}

// span returns the requested bytes of an object, selected by a range or a part number.
func (c *call) span(o *object) (from, to int64, partial bool, err error) {
	if !c.q.Has("partNumber") {
		spec := c.r.Header.Get("Range")
		if v := c.r.Header.Get("If-Range"); v != "" && strings.Trim(v, `"`) != o.etag && v != c.w.Header().Get("Last-Modified") {
			spec = "" // the range belonged to other content
		}
		return parseRange(spec, o.size)
	}
	n, err := strconv.Atoi(c.q.Get("partNumber"))
	switch {
	case err != nil || n < 1 || n > maxParts:
		return 0, 0, false, errPartNumber
	case c.r.Header.Get("Range") != "":
		return 0, 0, false, refusal("InvalidRequest", "Cannot specify both Range header and partNumber query parameter.")
	case n > len(o.blobs):
		return 0, 0, false, refusal("InvalidPartNumber", "The requested partnumber is not satisfiable")
	}
	if strings.Contains(o.etag, "-") {
		c.w.Header().Set("X-Amz-Mp-Parts-Count", strconv.Itoa(len(o.blobs)))
	}
	to = o.ends[n-1]
	return to - o.blobs[n-1].size, to, o.size > 0, nil
}

var errRange = refusal("InvalidRange", "The requested range is not satisfiable.")

// parseRange parses a Range header. Anything but a single byte range means the whole object, as in S3.
func parseRange(v string, size int64) (from, to int64, partial bool, err error) {
	spec, ok := strings.CutPrefix(v, "bytes=")
	a, b, ok2 := strings.Cut(spec, "-")
	if !ok || !ok2 || strings.Contains(b, ",") {
		return 0, size, false, nil
	}
	if a == "" {
		n, err := strconv.ParseUint(b, 10, 63)
		if err != nil {
			return 0, size, false, nil
		}
		if n == 0 || size == 0 {
			return 0, 0, false, errRange
		}
		return max(0, size-int64(n)), size, true, nil
	}
	first, err := strconv.ParseUint(a, 10, 63)
	if err != nil {
		return 0, size, false, nil
	}
	last := uint64(size) - 1
	if b != "" {
		n, err := strconv.ParseUint(b, 10, 62)
		if err != nil || n < first {
			return 0, size, false, nil
		}
		last = min(n, last)
	}
	if first >= uint64(size) {
		return 0, 0, false, errRange
	}
	return int64(first), int64(last) + 1, true, nil
}

func (c *call) deleteObject() error {
	err := c.withBucket(func(b *bucket) error {
		if err := preconditions(c.r.Header, "", b.objects[c.key], false); err != nil {
			return err
		}
		b.objects[c.key].remove()
		delete(b.objects, c.key)
		return nil
	})
	if err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
