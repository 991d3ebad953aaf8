package web

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

func versionOf(resp *http.Response) Version {
	return Version{resp.Header.Get("Etag"), resp.Header.Get("Last-Modified")}
}

// demand has a request fail with status 412 if the file has another version (RFC 9110, section 13.1).
func (v Version) demand(header http.Header) {
	switch {
	case v.strong():
		header.Set("If-Match", v.ETag)
	case v.LastModified != "":
		header.Set("If-Unmodified-Since", v.LastModified)
	}
}

// strong reports whether the ETag differs for any two versions that differ in a byte.
func (v Version) strong() bool { return v.ETag != "" && !strings.HasPrefix(v.ETag, "W/") }

// same reports whether a later answer is of the same version. Not all servers look at what a
// request demands. What an answer leaves out says nothing, but it must say something, if the
// first one did.
func (v Version) same(w Version) bool {
	known := false
	for _, p := range [][2]string{{v.ETag, w.ETag}, {v.LastModified, w.LastModified}} {
		if p[0] != "" && p[1] != "" {
			if p[0] != p[1] {
				return false
			}
			known = true
		}
	}
	return known || v == Version{}
}

// A contentRange is what an answer has of a file. size is negative if it does not tell.
type contentRange struct{ first, last, size int64 }

// rangeOf reads the header of an answer 206 (RFC 9110, section 14.4): one range, as was asked for.
func (f *File) rangeOf(resp *http.Response) (contentRange, error) {
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "multipart/byteranges" {
		return contentRange{}, f.answer("it was asked for one range, and answers with several")
	}
	text := resp.Header.Get("Content-Range")
	r, ok := parseRange(text)
	if !ok {
		return r, f.answer("status 206 with the range %q", text)
	}
	if n := resp.ContentLength; n >= 0 && n != r.last-r.first+1 {
		return r, f.answer("it has %d bytes of the range %q", n, text)
	}
	return r, nil
}

func parseRange(text string) (r contentRange, ok bool) {
	unit, text, _ := strings.Cut(text, " ")
	part, size, ok1 := strings.Cut(strings.TrimSpace(text), "/")
	first, last, ok2 := strings.Cut(part, "-")
	if !strings.EqualFold(unit, "bytes") || !ok1 || !ok2 {
		return r, false
	}
	ok = number(first, &r.first) && number(last, &r.last) && r.first <= r.last
	if size == "*" {
		r.size = -1
		return r, ok
	}
	return r, ok && number(size, &r.size) && r.last < r.size
}

// number reads decimal digits, and nothing else.
func number(text string, n *int64) bool {
	u, err := strconv.ParseUint(text, 10, 63)
	*n = int64(u)
	return err == nil
}
