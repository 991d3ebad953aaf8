package s3

import (
	"cmp"
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func (c *call) listParts() error {
	type entry struct {
		PartNumber         int
		LastModified, ETag string
		Size               int64
		Checksum           checksum
	}
	var x struct {
		XMLName               xml.Name `xml:"ListPartsResult"`
		NS                    string   `xml:"xmlns,attr"`
		Bucket, Key, UploadId string
		Initiator, Owner      owner
		StorageClass          string
		PartNumberMarker      int
		NextPartNumberMarker  int
		MaxParts              int
		EncodingType          string `xml:",omitempty"`
		IsTruncated           bool
		ChecksumAlgorithm     string `xml:",omitempty"`
		ChecksumType          string `xml:",omitempty"`
		Part                  []entry
	}
	kind, encode, err := c.encoding()
	if err != nil {
		return err
	}
	if x.MaxParts, err = c.limit("max-parts"); err != nil {
		return err
	}
	if v := c.q.Get("part-number-marker"); v != "" {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil {
			return refusal("InvalidArgument", "Provided part-number-marker not an integer or within integer range")
		}
		x.PartNumberMarker = int(n)
	}
	x.NS, x.Bucket, x.Key, x.EncodingType, x.UploadId = xmlns, c.bucket, encode(c.key), kind, c.q.Get("uploadId")
	x.Initiator, x.Owner, x.StorageClass = c.owner(), c.owner(), "STANDARD"
	err = c.withUpload(func(_ *bucket, u *upload) error {
		x.ChecksumAlgorithm, x.ChecksumType = u.plan.algorithm, u.plan.kind
		for _, number := range slices.Sorted(maps.Keys(u.parts)) {
			if number <= x.PartNumberMarker {
				continue
			}
			if len(x.Part) == x.MaxParts {
				x.IsTruncated = x.MaxParts > 0
				break
			}
			p := u.parts[number]
			x.Part = append(x.Part, entry{number, stamp(p.modified), p.etag(), p.size, p.sum})
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
	type entry struct {
		Key, UploadId    string
		Initiator, Owner owner
		StorageClass     string
		Initiated        string
	}
	var x struct {
		XMLName            xml.Name `xml:"ListMultipartUploadsResult"`
		NS                 string   `xml:"xmlns,attr"`
		Bucket             string
		Prefix             string
		Delimiter          string `xml:",omitempty"`
		KeyMarker          string
		UploadIdMarker     string
		NextKeyMarker      string `xml:",omitempty"`
		NextUploadIdMarker string `xml:",omitempty"`
		MaxUploads         int
		EncodingType       string `xml:",omitempty"`
		IsTruncated        bool
		Upload             []entry
		CommonPrefixes     []prefix
	}
	l, kind, encode, err := c.listing("max-uploads")
	if err != nil {
		return err
	}
	x.MaxUploads = l.max
	l.after = item{c.q.Get("key-marker"), c.q.Get("upload-id-marker")}
	x.KeyMarker, x.UploadIdMarker = encode(l.after.key), l.after.upload
	if l.after.key == "" {
		l.after.upload = ""
	} else if l.after.upload == "" {
		l.after.upload = "~" // sorts after all uploads of the key
	}
	x.NS, x.Bucket, x.Prefix, x.Delimiter, x.EncodingType = xmlns, c.bucket, encode(l.prefix), encode(l.delimiter), kind
	by := c.owner()
	err = c.withBucket(func(b *bucket) error {
		var all []item
		for id, u := range b.uploads {
			all = append(all, item{u.key, id})
		}
		slices.SortFunc(all, func(a, b item) int { return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.upload, b.upload)) })
		l.run(all)
		for _, i := range l.items {
			x.Upload = append(x.Upload, entry{encode(i.key), i.upload, by, by, "STANDARD", stamp(b.uploads[i.upload].begun)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range l.prefixes {
		x.CommonPrefixes = append(x.CommonPrefixes, prefix{encode(p)})
	}
	if x.IsTruncated = l.truncated; l.truncated {
		x.NextKeyMarker, x.NextUploadIdMarker = encode(l.last.key), l.last.upload
	}
	return answer(c.w, c.r, http.StatusOK, x)
}
