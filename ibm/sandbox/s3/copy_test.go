package s3_test

import (
	"crypto/md5"
	"fmt"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/ibm/sandbox/s3"
)

// TestCopyObject copies within a bucket and to another one, with the original or new metadata and tags.
func TestCopyObject(t *testing.T) {
	s := server(t, s3.Options{})
	if err := s.CreateBucket("alice", "second", "eu-de-standard"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "/images/a%20b/%2B", "content", "X-Amz-Meta-A", "old", "X-Amz-Tagging", "t=old", "Content-Type", "text/old")
	etag := fmt.Sprintf(`"%x"`, md5.Sum([]byte("content")))
	for _, c := range []struct {
		to           string
		header       []string
		meta, tagged string
	}{
		{"/images/copy", nil, "old", "old"},
		{"/second/copy", []string{"X-Amz-Metadata-Directive", "COPY", "X-Amz-Meta-A", "new"}, "old", "old"},
		{"/second/copy", []string{"X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-A", "new"}, "new", "old"},
		{"/second/copy", []string{"X-Amz-Tagging-Directive", "REPLACE", "X-Amz-Tagging", "t=new"}, "old", "new"},
		{"/images/a%20b/%2B", []string{"X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-A", "own"}, "own", "old"},
	} {
		w := put(t, s, c.to, "", append(c.header, "X-Amz-Copy-Source", "/images/a%20b/%2B")...)
		if x := w.Body.String(); !strings.Contains(x, "<CopyObjectResult") || !strings.Contains(x, strings.Trim(etag, `"`)) || !strings.Contains(x, "<LastModified>2026-03-04T05:06:07.000Z<") {
			t.Errorf("%v: %s", c, x)
		}
		got, _ := ask(s, "GET", c.to, "")
		tags, _ := ask(s, "GET", c.to+"?tagging", "")
		if got.Body.String() != "content" || got.Header().Get("Etag") != etag || metaA(got) != c.meta || !strings.Contains(tags.Body.String(), "<Value>"+c.tagged+"<") {
			t.Errorf("%v: %q %v %s", c, got.Body, got.Header(), tags.Body)
		}
	}
	for _, c := range []struct {
		source, header, value string
		code                  string
	}{
		{"/images/none", "", "", "NoSuchKey"},
		{"none/x", "", "", "NoSuchBucket"},
		{"/other/x", "", "", "AccessDenied"}, // bucket of bob
		{"images", "", "", "InvalidArgument"},
		{"/images/%zz", "", "", "InvalidArgument"},
		{"/images/copy?versionId=3", "", "", "NoSuchVersion"},
		{"/images/copy", "X-Amz-Metadata-Directive", "MERGE", "InvalidArgument"},
		{"/images/copy", "X-Amz-Copy-Source-If-Match", `"other"`, "PreconditionFailed"},
		{"/images/copy", "If-None-Match", "*", "PreconditionFailed"},
		{"/second/copy", "", "", "InvalidRequest"}, // onto itself without changes
	} {
		header := []string{"X-Amz-Copy-Source", c.source}
		if c.header != "" {
			header = append(header, c.header, c.value)
		}
		if w, code := ask(s, "PUT", "/second/copy", "", header...); code != c.code {
			t.Errorf("%+v: %d %s", c, w.Code, code)
		}
	}
}

// TestUploadPartCopy creates an object from copied parts, complete and by range.
func TestUploadPartCopy(t *testing.T) {
	s := server(t, s3.Options{MinPart: 1})
	put(t, s, "/images/x", "0123456789")
	at := begin(t, s, "/images/y")
	list := ""
	for i, c := range []struct{ spec, want string }{{"bytes=2-4", "234"}, {"", "0123456789"}, {"bytes=9-9", "9"}} {
		header := []string{"X-Amz-Copy-Source", "/images/x"}
		if c.spec != "" {
			header = append(header, "X-Amz-Copy-Source-Range", c.spec)
		}
		w := put(t, s, fmt.Sprintf("%s&partNumber=%d", at, i+1), "", header...)
		etag := fmt.Sprintf("%x", md5.Sum([]byte(c.want)))
		if !strings.Contains(w.Body.String(), "<CopyPartResult") || !strings.Contains(w.Body.String(), etag) {
			t.Errorf("%q: %s", c.spec, w.Body)
		}
		list += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, etag)
	}
	for _, c := range []struct{ source, spec, code string }{
		{"/images/x", "bytes=5-10", "InvalidArgument"}, {"/images/x", "bytes=5-", "InvalidArgument"}, {"/images/x", "bytes=-5", "InvalidArgument"},
		{"/images/x", "bytes=4-3", "InvalidArgument"}, {"/images/x", "0-3", "InvalidArgument"}, {"/images/none", "bytes=0-1", "NoSuchKey"}, {"/other/x", "bytes=0-1", "AccessDenied"},
	} {
		if w, code := ask(s, "PUT", at+"&partNumber=9", "", "X-Amz-Copy-Source", c.source, "X-Amz-Copy-Source-Range", c.spec); code != c.code {
			t.Errorf("%+v: %d %s", c, w.Code, code)
		}
	}
	if w, code := ask(s, "POST", at, "<CompleteMultipartUpload>"+list+"</CompleteMultipartUpload>"); w.Code != 200 {
		t.Fatal(code)
	}
	if w, _ := ask(s, "GET", "/images/y", ""); w.Body.String() != "23401234567899" {
		t.Errorf("it is %q", w.Body)
	}
	for part, want := range map[string]string{"1": "234", "3": "9"} {
		if w, _ := ask(s, "GET", "/images/y?partNumber="+part, ""); w.Code != 206 || w.Body.String() != want || w.Header().Get("X-Amz-Mp-Parts-Count") != "3" {
			t.Errorf("part %s: %d %q %v", part, w.Code, w.Body, w.Header())
		}
	}
	if _, code := ask(s, "GET", "/images/y?partNumber=4", ""); code != "InvalidPartNumber" {
		t.Errorf("missing part: %s", code)
	}
}
