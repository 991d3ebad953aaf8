package s3

import (
	"crypto/md5"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxParts = 10_000

// An upload is a multipart upload that is under way.
type upload struct {
	key    string
	begun  time.Time
	header http.Header
	parts  map[int]storedPart
}

type storedPart struct {
	*blobFile
	modified time.Time
}

func (p storedPart) etag() string { return `"` + hexOf(p.md5[:]) + `"` }

var errNoUpload = refusal("NoSuchUpload", "The specified multipart upload does not exist. The upload ID might be invalid, or the upload might have been aborted or completed.")

// withUpload calls f with the bucket and the upload, under the lock.
func (c *call) withUpload(f func(*bucket, *upload) error) error {
	return c.withBucket(func(b *bucket) error {
		u := b.uploads[c.q.Get("uploadId")]
		if u == nil || u.key != c.key {
			return errNoUpload
		}
		return f(b, u)
	})
}

func (c *call) createUpload() error {
	var x struct {
		XMLName               xml.Name `xml:"InitiateMultipartUploadResult"`
		NS                    string   `xml:"xmlns,attr"`
		Bucket, Key, UploadId string
	}
	x.NS, x.Bucket, x.Key, x.UploadId = xmlns, c.bucket, c.key, newID()
	err := c.withBucket(func(b *bucket) error {
		b.uploads[x.UploadId] = &upload{key: c.key, begun: c.s.o.Now(), header: kept(c.r.Header), parts: map[int]storedPart{}}
		return nil
	})
	if err != nil {
		return err
	}
	return answer(c.w, c.r, http.StatusOK, x)
}

func (c *call) putPart() error {
	number, err := strconv.Atoi(c.q.Get("partNumber"))
	if err != nil || number < 1 || number > maxParts {
		return refusal("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive.")
	}
	if err := c.withUpload(func(*bucket, *upload) error { return nil }); err != nil {
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
	p := storedPart{blob, c.s.o.Now()}
	err = c.withUpload(func(_ *bucket, u *upload) error {
		if old, ok := u.parts[number]; ok {
			os.Remove(old.name)
		}
		u.parts[number] = p
		return nil
	})
	if err != nil { // aborted meanwhile
		os.Remove(blob.name)
		return err
	}
	c.w.Header().Set("Etag", p.etag())
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) listParts() error {
	type entry struct {
		PartNumber         int
		LastModified, ETag string
		Size               int64
	}
	var x struct {
		XMLName               xml.Name `xml:"ListPartsResult"`
		NS                    string   `xml:"xmlns,attr"`
		Bucket, Key, UploadId string
		PartNumberMarker      int
		NextPartNumberMarker  int
		MaxParts              int
		IsTruncated           bool
		Part                  []entry
	}
	x.NS, x.Bucket, x.Key, x.UploadId, x.MaxParts = xmlns, c.bucket, c.key, c.q.Get("uploadId"), c.limit("max-parts")
	x.PartNumberMarker, _ = strconv.Atoi(c.q.Get("part-number-marker"))
	err := c.withUpload(func(_ *bucket, u *upload) error {
		for _, number := range slices.Sorted(maps.Keys(u.parts)) {
			if number <= x.PartNumberMarker {
				continue
			}
			if len(x.Part) == x.MaxParts {
				x.IsTruncated = true
				break
			}
			p := u.parts[number]
			x.Part = append(x.Part, entry{number, stamp(p.modified), p.etag(), p.size})
			x.NextPartNumberMarker = number
		}
		return nil
	})
	if err != nil {
		return err
	}
	return answer(c.w, c.r, http.StatusOK, x)
}

func (c *call) listUploads() error {
	type entry struct{ Key, UploadId, Initiated string }
	var x struct {
		XMLName            xml.Name `xml:"ListMultipartUploadsResult"`
		NS                 string   `xml:"xmlns,attr"`
		Bucket             string
		Prefix             string
		KeyMarker          string
		UploadIdMarker     string
		NextKeyMarker      string `xml:",omitempty"`
		NextUploadIdMarker string `xml:",omitempty"`
		MaxUploads         int
		IsTruncated        bool
		Upload             []entry
	}
	x.NS, x.Bucket, x.Prefix, x.MaxUploads = xmlns, c.bucket, c.q.Get("prefix"), c.limit("max-uploads")
	x.KeyMarker, x.UploadIdMarker = c.q.Get("key-marker"), c.q.Get("upload-id-marker")
	err := c.withBucket(func(b *bucket) error {
		var all []entry
		for id, u := range b.uploads {
			after := u.key > x.KeyMarker || u.key == x.KeyMarker && x.UploadIdMarker != "" && id > x.UploadIdMarker
			if strings.HasPrefix(u.key, x.Prefix) && (x.KeyMarker == "" || after) {
				all = append(all, entry{u.key, id, stamp(u.begun)})
			}
		}
		slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.Key+"\x00"+a.UploadId, b.Key+"\x00"+b.UploadId) })
		if len(all) > x.MaxUploads {
			all, x.IsTruncated = all[:x.MaxUploads], true
			if n := len(all); n > 0 {
				x.NextKeyMarker, x.NextUploadIdMarker = all[n-1].Key, all[n-1].UploadId
			}
		}
		x.Upload = all
		return nil
	})
	if err != nil {
		return err
	}
	return answer(c.w, c.r, http.StatusOK, x)
}

func (c *call) abort() error {
	err := c.withUpload(func(b *bucket, u *upload) error {
		for _, p := range u.parts {
			os.Remove(p.name)
		}
		delete(b.uploads, c.q.Get("uploadId"))
		return nil
	})
	if err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (c *call) complete() error {
	body, err := c.text(4 << 20)
	if err != nil {
		return err
	}
	var list struct {
		XMLName xml.Name `xml:"CompleteMultipartUpload"`
		Part    []struct {
			PartNumber int
			ETag       string
		}
	}
	if xml.Unmarshal(body, &list) != nil || len(list.Part) == 0 || len(list.Part) > maxParts {
		return refusal("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema.")
	}
	for i := range list.Part[1:] {
		if list.Part[i].PartNumber >= list.Part[i+1].PartNumber {
			return refusal("InvalidPartOrder", "The list of parts was not in ascending order.")
		}
	}
	var x struct {
		XMLName                     xml.Name `xml:"CompleteMultipartUploadResult"`
		NS                          string   `xml:"xmlns,attr"`
		Location, Bucket, Key, ETag string
	}
	err = c.withUpload(func(b *bucket, u *upload) error {
		o := &object{modified: c.s.o.Now(), header: u.header}
		h := md5.New()
		for i, l := range list.Part {
			p, ok := u.parts[l.PartNumber]
			switch {
			case !ok || strings.Trim(l.ETag, `"`) != hexOf(p.md5[:]):
				return refusal("InvalidPart", "One or more of the specified parts could not be found, or its entity tag did not match.")
			case p.size < c.s.o.MinPart && i < len(list.Part)-1:
				return refusal("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed object size.")
			}
			h.Write(p.md5[:])
			o.size += p.size
			o.blobs = append(o.blobs, p.blobFile)
			o.ends = append(o.ends, o.size)
		}
		for _, l := range list.Part {
			delete(u.parts, l.PartNumber)
		}
		for _, p := range u.parts { // not wanted
			os.Remove(p.name)
		}
		delete(b.uploads, c.q.Get("uploadId"))
		o.etag = fmt.Sprintf("%x-%d", h.Sum(nil), len(list.Part))
		b.objects[c.key].remove()
		b.objects[c.key] = o
		x.NS, x.Location, x.Bucket, x.Key, x.ETag = xmlns, "http://"+c.r.Host+c.r.URL.Path, c.bucket, c.key, `"`+o.etag+`"`
		return nil
	})
	if err != nil {
		return err
	}
	return answer(c.w, c.r, http.StatusOK, x)
}
