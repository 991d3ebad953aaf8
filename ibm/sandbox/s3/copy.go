package s3

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// A copyResult is the response to a copy: CopyObjectResult or CopyPartResult.
type copyResult struct {
	XMLName            xml.Name
	NS                 string `xml:"xmlns,attr"`
	LastModified, ETag string
	Checksum           checksum
	ChecksumType       string `xml:",omitempty"`
}

// source opens the source object of a copy. The client must have read access, and the conditions must hold.
func (c *call) source() (o *Object, itself bool, err error) {
	name, query, _ := strings.Cut(c.r.Header.Get("X-Amz-Copy-Source"), "?")
	name, err = url.PathUnescape(name)
	bucket, key, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if err != nil || !ok || key == "" {
		return nil, false, refusal("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	if v := strings.TrimPrefix(query, "versionId="); v != "" && v != "null" {
		return nil, false, refusal("NoSuchVersion", "The specified version does not exist.")
	}
	if !c.s.mayAccess(c.r, c.who, false) {
		return nil, false, refusal("AccessDenied", "Access Denied")
	}
	if o, err = c.s.Open(c.who.account, bucket, key); err != nil {
		return nil, false, err
	}
	if err := preconditions(c.r.Header, "X-Amz-Copy-Source-", o.o, false); err != nil {
		o.Close()
		return nil, false, err
	}
	return o, bucket == c.bucket && key == c.key, nil
}

var errCopySize = refusal("InvalidRequest", "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")

// directive parses a header with the value COPY (the default) or REPLACE.
func (c *call) directive(name string) (replace bool, err error) {
	switch v := c.r.Header.Get(name); v {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	}
	return false, refusal("InvalidArgument", "Unknown "+strings.ToLower(name)+".")
}

func (c *call) copyObject() error {
	replace, err := c.directive("X-Amz-Metadata-Directive")
	if err != nil {
		return err
	}
	replaceTags, err := c.directive("X-Amz-Tagging-Directive")
	if err != nil {
		return err
	}
	header, err := kept(c.r.Header)
	if err != nil {
		return err
	}
	tags, err := tagsOf(c.r.Header)
	if err != nil {
		return err
	}
	plan, err := parsePlan(c.r.Header)
	if err != nil {
		return err
	}
	from, itself, err := c.source()
	if err != nil {
		return err
	}
	defer from.Close()
	switch {
	case itself && !replace && !replaceTags && c.r.Header.Get("X-Amz-Storage-Class") == "":
		return refusal("InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	case from.Size() > maxBody:
		return errCopySize
	}
	if !replace {
		header = from.o.header
	}
	if !replaceTags {
		tags = from.tags()
	}
	blob, err := c.s.receive(io.NewSectionReader(from, 0, from.Size()))
	if err != nil {
		return err
	}
	if plan.algorithm == "" {
		plan.algorithm = from.o.sum.algorithm
	}
	if plan.algorithm != "" {
		value, err := blob.checksum(plan.algorithm)
		if err != nil {
			os.Remove(blob.name)
			return err
		}
		blob.sum = checksum{algorithm: plan.algorithm, value: value}
	}
	o := newObject(c.s.o.Now(), header, "", blob)
	o.tags = tags
	if err := c.s.store(c.who.account, c.bucket, c.key, o, c.r.Header); err != nil {
		return err
	}
	x := copyResult{XMLName: xml.Name{Local: "CopyObjectResult"}, NS: xmlns, LastModified: stamp(o.modified), ETag: `"` + o.etag + `"`, Checksum: o.sum}
	if o.sum.algorithm != "" {
		x.ChecksumType = o.sum.kind()
	}
	return answer(c.w, c.r, http.StatusOK, x)
}

// copyPart creates a part of an upload from an object or a range of it.
func (c *call) copyPart(number int) error {
	from, _, err := c.source()
	if err != nil {
		return err
	}
	defer from.Close()
	first, end := int64(0), from.Size()
	if v := c.r.Header.Get("X-Amz-Copy-Source-Range"); v != "" {
		if first, end, err = parseCopyRange(v, from.Size()); err != nil {
			return err
		}
	}
	if end-first > maxBody {
		return errCopySize
	}
	blob, err := c.s.receive(io.NewSectionReader(from, first, end-first))
	if err != nil {
		return err
	}
	p, err := c.addPart(number, blob)
	if err != nil {
		return err
	}
	return answer(c.w, c.r, http.StatusOK, copyResult{
		XMLName: xml.Name{Local: "CopyPartResult"}, NS: xmlns, LastModified: stamp(p.modified), ETag: p.etag(), Checksum: p.sum})
}

// parseCopyRange parses the range of a copy. It has both ends and must lie within the source.
func parseCopyRange(v string, size int64) (first, end int64, err error) {
	spec, ok := strings.CutPrefix(v, "bytes=")
	a, b, ok2 := strings.Cut(spec, "-")
	from, err1 := strconv.ParseUint(a, 10, 62)
	last, err2 := strconv.ParseUint(b, 10, 62)
	if !ok || !ok2 || err1 != nil || err2 != nil || from > last {
		return 0, 0, refusal("InvalidArgument", "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
	}
	if last >= uint64(size) {
		return 0, 0, refusal("InvalidArgument", "Range specified is not valid for source object of size: "+strconv.FormatInt(size, 10))
	}
	return int64(from), int64(last) + 1, nil
}
