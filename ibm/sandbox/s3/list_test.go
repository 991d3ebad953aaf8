package s3_test

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/ibm/sandbox/s3"
)

type listed struct {
	Name, Prefix, Delimiter, Marker, NextMarker, ContinuationToken, NextContinuationToken, StartAfter, EncodingType string

	KeyCount, MaxKeys *int
	IsTruncated       bool
	Contents          []struct {
		Key, ETag string
		Owner     *struct{ ID string }
	}
	CommonPrefixes []struct{ Prefix string }

	Upload                            []struct{ Key, UploadId string }
	NextKeyMarker, NextUploadIdMarker string
}

func list(t testing.TB, s *s3.Server, query url.Values) (l listed) {
	t.Helper()
	w, code := ask(s, "GET", "/images?"+query.Encode(), "")
	if err := xml.Unmarshal(w.Body.Bytes(), &l); err != nil || w.Code != 200 {
		t.Fatalf("%v: %d %s %v", query, w.Code, code, err)
	}
	return l
}

// names returns the keys and prefixes of a page.
func (l listed) names() (all []string) {
	for _, c := range l.Contents {
		all = append(all, c.Key)
	}
	for _, u := range l.Upload {
		all = append(all, u.Key)
	}
	for _, p := range l.CommonPrefixes {
		all = append(all, p.Prefix)
	}
	return all
}

// TestListObjects lists in pages of all sizes with both versions. Each page must lead to the next, and all pages together
// must list everything once.
func TestListObjects(t *testing.T) {
	s := server(t, s3.Options{})
	keys := []string{"a", "b/1", "b/2", "b/3/x", "c", "d/1", "e f+g", "ü"}
	for _, key := range keys {
		if err := s.Put("alice", "images", key, strings.NewReader(key)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		prefix, delimiter string
		want              []string
	}{
		{"", "", keys},
		{"", "/", []string{"a", "b/", "c", "d/", "e f+g", "ü"}},
		{"b/", "/", []string{"b/1", "b/2", "b/3/"}},
		{"b", "", []string{"b/1", "b/2", "b/3/x"}},
		{"none", "/", nil},
	} {
		for size := 1; size <= len(keys)+1; size++ {
			for _, version := range []string{"1", "2"} {
				q := url.Values{"prefix": {c.prefix}, "delimiter": {c.delimiter}, "max-keys": {fmt.Sprint(size)}, "list-type": {version}}
				var got []string
				for {
					l := list(t, s, q)
					page := l.names()
					if got = append(got, page...); !l.IsTruncated || len(page) != size {
						if l.IsTruncated || l.NextContinuationToken != "" || l.NextMarker != "" {
							t.Errorf("%v: the last page is %+v", q, l)
						}
						break
					}
					if version == "2" {
						if q.Set("continuation-token", l.NextContinuationToken); *l.KeyCount != size {
							t.Errorf("%v: %d keys of %d", q, *l.KeyCount, size)
						}
					} else if q.Set("marker", page[len(page)-1]); c.delimiter != "" {
						q.Set("marker", l.NextMarker)
					}
				}
				slices.Sort(got)
				if !slices.Equal(got, c.want) {
					t.Errorf("%q %q in pages of %d, version %s: %q", c.prefix, c.delimiter, size, version, got)
				}
			}
		}
	}
	l := list(t, s, url.Values{"list-type": {"2"}, "start-after": {"b/1"}, "delimiter": {"/"}, "encoding-type": {"url"}, "fetch-owner": {"true"}})
	if got := l.names(); !slices.Equal(got, []string{"c", "e%20f%2Bg", "%C3%BC", "b/", "d/"}) || l.EncodingType != "url" || l.StartAfter != "b/1" || l.Contents[0].Owner.ID != "alice" {
		t.Errorf("%+v", l)
	}
	if l := list(t, s, url.Values{"list-type": {"2"}, "max-keys": {"0"}}); l.IsTruncated || len(l.names()) > 0 {
		t.Errorf("empty page: %+v", l)
	}
	if l := list(t, s, url.Values{"list-type": {"2"}, "max-keys": {"5000"}}); *l.MaxKeys != 1000 || l.Contents[0].Owner != nil {
		t.Errorf("page over the limit: %+v", l)
	}
}

// TestListUploads lists unfinished uploads, two of them with the same key.
func TestListUploads(t *testing.T) {
	s := server(t, s3.Options{})
	for _, key := range []string{"a", "b", "b", "dir/1", "dir/2"} {
		begin(t, s, "/images/"+key)
	}
	for size := 1; size < 7; size++ {
		for delimiter, want := range map[string][]string{"": {"a", "b", "b", "dir/1", "dir/2"}, "/": {"a", "b", "b", "dir/"}} {
			q := url.Values{"uploads": {""}, "max-uploads": {fmt.Sprint(size)}, "delimiter": {delimiter}}
			var got []string
			for range 10 {
				l := list(t, s, q)
				if got = append(got, l.names()...); !l.IsTruncated {
					break
				}
				q.Set("key-marker", l.NextKeyMarker)
				q.Set("upload-id-marker", l.NextUploadIdMarker)
			}
			if !slices.Equal(got, want) {
				t.Errorf("in pages of %d with %q: %q", size, delimiter, got)
			}
		}
	}
	if l := list(t, s, url.Values{"uploads": {""}, "key-marker": {"b"}}); !slices.Equal(l.names(), []string{"dir/1", "dir/2"}) {
		t.Errorf("after a key: %+v", l)
	}
	at := begin(t, s, "/images/parts")
	for i := range 5 {
		put(t, s, fmt.Sprintf("%s&partNumber=%d", at, i+1), "text")
	}
	var got []int
	for marker := 0; ; {
		w, _ := ask(s, "GET", fmt.Sprintf("%s&max-parts=2&part-number-marker=%d", at, marker), "")
		var x struct {
			NextPartNumberMarker int
			IsTruncated          bool
			Part                 []struct{ PartNumber int }
		}
		if err := xml.Unmarshal(w.Body.Bytes(), &x); err != nil {
			t.Fatal(err)
		}
		for _, p := range x.Part {
			got = append(got, p.PartNumber)
		}
		if marker = x.NextPartNumberMarker; !x.IsTruncated {
			break
		}
	}
	if !slices.Equal(got, []int{1, 2, 3, 4, 5}) {
		t.Errorf("parts: %v", got)
	}
}
