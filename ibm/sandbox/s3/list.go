package s3

import (
	"encoding/base64"
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/luksimg/luksimg/internal/sigv4"
)

// limit parses the page size in the query: at most 1000.
func (c *call) limit(name string) (int, error) {
	v := c.q.Get(name)
	if v == "" {
		return 1000, nil
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 0 {
		return 0, refusal("InvalidArgument", "Provided "+name+" not an integer or within integer range")
	}
	return min(int(n), 1000), nil
}

// encoding returns the encoding type of names in a response, and the function that encodes them.
func (c *call) encoding() (kind string, encode func(string) string, err error) {
	switch kind = c.q.Get("encoding-type"); kind {
	case "":
		return kind, func(s string) string { return s }, nil
	case "url":
		return kind, func(s string) string { return sigv4.Escape(s, true) }, nil
	}
	return "", nil, refusal("InvalidArgument", "Invalid Encoding Method specified in Request")
}

// listing parses the parameters common to all lists. limit is the parameter that limits the items.
func (c *call) listing(limit string) (l listing, kind string, encode func(string) string, err error) {
	l = listing{prefix: c.q.Get("prefix"), delimiter: c.q.Get("delimiter")}
	if kind, encode, err = c.encoding(); err == nil {
		l.max, err = c.limit(limit)
	}
	return l, kind, encode, err
}

type prefix struct{ Prefix string }

// An item is a listed object, or an upload of that key.
type item struct{ key, upload string }

// A listing selects a page of the sorted items of a bucket: items, and common prefixes of their keys up to
// a delimiter.
type listing struct {
	prefix, delimiter string
	after             item // the last item or common prefix of the previous page
	max               int

	items     []item
	prefixes  []string
	last      item // the last item or common prefix
	truncated bool
}

func (l *listing) run(all []item) {
	for _, i := range all {
		if i.key < l.after.key || i.key == l.after.key && i.upload <= l.after.upload || !strings.HasPrefix(i.key, l.prefix) {
			continue
		}
		common := ""
		if l.delimiter != "" {
			if head, _, ok := strings.Cut(i.key[len(l.prefix):], l.delimiter); ok {
				common = l.prefix + head + l.delimiter
			}
		}
		if common != "" && (common == l.after.key || common == l.last.key) {
			continue
		}
		if len(l.items)+len(l.prefixes) == l.max {
			l.truncated = l.max > 0
			return
		}
		if common != "" {
			l.prefixes, l.last = append(l.prefixes, common), item{key: common}
		} else {
			l.items, l.last = append(l.items, i), i
		}
	}
}

// token returns the continuation token of a name. Clients treat it as opaque.
func token(name string) string { return base64.RawURLEncoding.EncodeToString([]byte("after " + name)) }

func parseToken(token string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	name, ok := strings.CutPrefix(string(b), "after ")
	if err != nil || !ok {
		return "", refusal("InvalidArgument", "The continuation token provided is incorrect")
	}
	return name, nil
}

// listObjects serves both versions of ListObjects.
func (c *call) listObjects() error {
	type entry struct {
		Key, LastModified, ETag string
		Size                    int64
		Owner                   *owner
		StorageClass            string
	}
	type first struct {
		Marker     string
		NextMarker string `xml:",omitempty"`
	}
	type second struct {
		KeyCount              int
		ContinuationToken     string `xml:",omitempty"`
		NextContinuationToken string `xml:",omitempty"`
		StartAfter            string `xml:",omitempty"`
	}
	var x struct {
		XMLName   xml.Name `xml:"ListBucketResult"`
		NS        string   `xml:"xmlns,attr"`
		Name      string
		Prefix    string
		Delimiter string `xml:",omitempty"`
		MaxKeys   int
		*first
		*second
		EncodingType   string `xml:",omitempty"`
		IsTruncated    bool
		Contents       []entry
		CommonPrefixes []prefix
	}
	l, kind, encode, err := c.listing("max-keys")
	if err != nil {
		return err
	}
	var by *owner
	switch version := c.q.Get("list-type"); version {
	case "2":
		x.second = &second{ContinuationToken: c.q.Get("continuation-token"), StartAfter: encode(c.q.Get("start-after"))}
		l.after.key = c.q.Get("start-after")
		if c.q.Has("continuation-token") {
			if l.after.key, err = parseToken(x.ContinuationToken); err != nil {
				return err
			}
		}
		if c.q.Get("fetch-owner") == "true" {
			by = new(owner)
		}
	case "", "1":
		l.after.key, by = c.q.Get("marker"), new(owner)
		x.first = &first{Marker: encode(l.after.key)}
	default:
		return refusal("InvalidArgument", "Invalid List Type specified in Request")
	}
	if by != nil {
		*by = c.owner()
	}
	x.NS, x.Name, x.Prefix, x.Delimiter, x.MaxKeys, x.EncodingType = xmlns, c.bucket, encode(l.prefix), encode(l.delimiter), l.max, kind
	err = c.withBucket(func(b *bucket) error {
		var all []item
		for _, key := range slices.Sorted(maps.Keys(b.objects)) {
			all = append(all, item{key: key})
		}
		l.run(all)
		for _, i := range l.items {
			o := b.objects[i.key]
			x.Contents = append(x.Contents, entry{encode(i.key), stamp(o.modified), `"` + o.etag + `"`, o.size, by, "STANDARD"})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range l.prefixes {
		x.CommonPrefixes = append(x.CommonPrefixes, prefix{encode(p)})
	}
	x.IsTruncated = l.truncated
	if x.second != nil {
		x.KeyCount = len(l.items) + len(l.prefixes)
		if l.truncated {
			x.NextContinuationToken = token(l.last.key)
		}
	} else if l.truncated && l.delimiter != "" {
		x.NextMarker = encode(l.last.key)
	}
	return answer(c.w, c.r, http.StatusOK, x)
}
