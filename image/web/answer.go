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

// demand sets the headers that make a request fail with status 412 if the file has another version
// (RFC 9110, section 13.1).
func (v Version) demand(header http.Header) {
	switch {
	case v.strong():
		header.Set("If-Match", v.ETag)
	case v.LastModified != "":
		header.Set("If-Unmodified-Since", v.LastModified)
	}
}

// strong reports whether the server gives a strong ETag, which changes with every change of the
// file.
func (v Version) strong() bool { return v.ETag != "" && !strings.HasPrefix(v.ETag, "W/") }

// same reports whether a later response is of the same version. Not all servers honor the
// conditions of a request. A missing ETag or date is not a difference, but a response must have
// one of them if the first response had.
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

// A contentRange is a parsed Content-Range. size is negative if the server does not give it.
type contentRange struct{ first, last, size int64 }

// rangeOf parses the header of a 206 response (RFC 9110, section 14.4), which must have one range,
// as requested.
func (f *File) rangeOf(resp *http.Response) (contentRange, error) {
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "multipart/byteranges" {
		return contentRange{}, f.answer("several ranges in reply to a request for one")
	}
	text := resp.Header.Get("Content-Range")
	r, ok := parseRange(text)
	if !ok {
		return r, f.answer("status 206 with an invalid Content-Range %q", text)
	}
	if n := resp.ContentLength; n >= 0 && n != r.last-r.first+1 {
		return r, f.answer("Content-Length is %d for the Content-Range %q", n, text)
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

// number parses text that consists of decimal digits only.
func number(text string, n *int64) bool {
	u, err := strconv.ParseUint(text, 10, 63)
	*n = int64(u)
	return err == nil
}
