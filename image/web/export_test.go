package web

// ParseRange parses the header Content-Range.
func ParseRange(text string) (first, last, size int64, ok bool) {
	r, ok := parseRange(text)
	return r.first, r.last, r.size, ok
}
