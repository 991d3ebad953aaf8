package s3

import (
	"net/http"
	"strings"
	"time"
)

var (
	errPrecondition = refusal("PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
	errNotModified  = refusal("NotModified", "Not Modified")
)

// preconditions checks the conditions of a request (RFC 9110, section 13.2.2), or with prefix "X-Amz-Copy-Source-"
// those for the source of a copy. o may be nil. For a request that reads, an unmodified object is
// errNotModified. The caller holds the lock if o can change.
func preconditions(h http.Header, prefix string, o *object, reads bool) error {
	get := func(name string) string { return h.Get(prefix + name) }
	since := func(name string) (modified, ok bool) {
		t, err := http.ParseTime(get(name))
		return err == nil && o != nil && o.modified.Truncate(time.Second).After(t), err == nil
	}
	unchanged := errPrecondition
	if reads {
		unchanged = errNotModified
	}
	if v := get("If-Match"); v != "" {
		if o == nil || !hasTag(v, o.etag) {
			return errPrecondition
		}
	} else if modified, ok := since("If-Unmodified-Since"); ok && modified {
		return errPrecondition
	}
	if v := get("If-None-Match"); v != "" {
		if o != nil && hasTag(v, o.etag) {
			return unchanged
		}
	} else if modified, ok := since("If-Modified-Since"); ok && !modified && (reads || prefix != "") {
		return unchanged
	}
	return nil
}

// hasTag reports whether a list of entity tags contains etag, or is "*".
func hasTag(list, etag string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" || strings.Trim(tag, `"`) == etag {
			return true
		}
	}
	return false
}
