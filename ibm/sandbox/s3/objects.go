package s3

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// kept are the headers of a request that are kept with the object.
func kept(h http.Header) http.Header {
	k := http.Header{}
	for name, v := range h {
		if strings.HasPrefix(name, "X-Amz-Meta-") || name == "Content-Type" {
			k[name] = v
		}
	}
	return k
}

func (c *call) putObject() error {
	if c.r.Header.Get("X-Amz-Copy-Source") != "" {
		return refusal("NotImplemented", "Copying is not served here.")
	}
	if err := c.mayUse(); err != nil {
		return err
	}
	in, err := c.body()
	if err != nil {
		return err
	}
	blob, err := c.s.receive(in)
	if err != nil {
		return err
	}
	o := &object{blobs: []*blobFile{blob}, size: blob.size, etag: hexOf(blob.md5[:]), modified: c.s.o.Now(), header: kept(c.r.Header)}
	if err := c.s.store(c.who.account, c.bucket, c.key, o); err != nil {
		return err
	}
	c.w.Header().Set("Etag", `"`+o.etag+`"`)
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// mayUse says why the bucket may not be used, before a body is read.
func (c *call) mayUse() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	_, err := c.s.bucketOf(c.who.account, c.bucket)
	return err
}

// getObject serves GET and HEAD.
func (c *call) getObject() error {
	o, err := c.s.Open(c.who.account, c.bucket, c.key)
	if err != nil {
		return err
	}
	defer o.Close()
	h := c.w.Header()
	for name, v := range o.o.header {
		h[name] = v
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "binary/octet-stream")
	}
	h.Set("Etag", `"`+o.o.etag+`"`)
	h.Set("Last-Modified", o.o.modified.UTC().Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	if v := c.r.Header.Get("If-Match"); v != "" && v != "*" && !hasTag(v, o.o.etag) {
		return refusal("PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
	}
	if v := c.r.Header.Get("If-None-Match"); v != "" && (v == "*" || hasTag(v, o.o.etag)) {
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	from, to, partial, err := parseRange(c.r.Header.Get("Range"), o.Size())
	if err != nil {
		return err
	}
	h.Set("Content-Length", strconv.FormatInt(to-from, 10))
	status := http.StatusOK
	if partial {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, o.Size()))
		status = http.StatusPartialContent
	}
	c.w.WriteHeader(status)
	if c.r.Method == http.MethodGet {
		// The status is sent: what fails now can only end the connection, which it does
		// as bytes are missing.
		io.CopyBuffer(struct{ io.Writer }{c.w}, struct{ io.Reader }{io.NewSectionReader(o, from, to-from)}, make([]byte, 256<<10))
	}
	return nil
}

func hasTag(list, etag string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		if strings.Trim(strings.TrimSpace(tag), `"`) == etag {
			return true
		}
	}
	return false
}

// parseRange reads a Range header. What is not one range of bytes means all, as with S3.
func parseRange(v string, size int64) (from, to int64, partial bool, err error) {
	spec, ok := strings.CutPrefix(v, "bytes=")
	a, b, ok2 := strings.Cut(spec, "-")
	if !ok || !ok2 || strings.Contains(b, ",") {
		return 0, size, false, nil
	}
	unsatisfiable := refusal("InvalidRange", "The requested range is not satisfiable.")
	if a == "" {
		n, err := strconv.ParseUint(b, 10, 63)
		if err != nil {
			return 0, size, false, nil
		}
		if n == 0 || size == 0 {
			return 0, 0, false, unsatisfiable
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
		return 0, 0, false, unsatisfiable
	}
	return int64(first), int64(last) + 1, true, nil
}

func (c *call) deleteObject() error {
	c.s.mu.Lock()
	b, err := c.s.bucketOf(c.who.account, c.bucket)
	if err == nil {
		b.objects[c.key].remove()
		delete(b.objects, c.key)
	}
	c.s.mu.Unlock()
	if err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
