package s3

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	maxParts  = 10_000
	maxObject = 10 << 40
)

// An upload is an unfinished multipart upload.
type upload struct {
	key    string
	begun  time.Time
	header http.Header
	tags   []tag
	plan   sumPlan
	parts  map[int]storedPart
}

type storedPart struct {
	*blobFile
	modified time.Time
}

func (p storedPart) etag() string { return `"` + hexOf(p.md5[:]) + `"` }

var (
	errNoUpload   = refusal("NoSuchUpload", "The specified multipart upload does not exist. The upload ID might be invalid, or the upload might have been aborted or completed.")
	errPartNumber = refusal("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive.")
)

// withUpload calls f with the bucket and the upload while it holds the lock.
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
	if err := c.refuseHeaders(); err != nil {
		return err
	}
	u := &upload{key: c.key, begun: c.s.o.Now(), parts: map[int]storedPart{}}
	var err error
	if u.header, err = kept(c.r.Header); err != nil {
		return err
	}
	if u.tags, err = tagsOf(c.r.Header); err != nil {
		return err
	}
	if u.plan, err = parsePlan(c.r.Header); err != nil {
		return err
	}
	var x struct {
		XMLName               xml.Name `xml:"InitiateMultipartUploadResult"`
		NS                    string   `xml:"xmlns,attr"`
		Bucket, Key, UploadId string
	}
	x.NS, x.Bucket, x.Key, x.UploadId = xmlns, c.bucket, c.key, newID()
	if err := c.withBucket(func(b *bucket) error { b.uploads[x.UploadId] = u; return nil }); err != nil {
		return err
	}
	if u.plan.algorithm != "" {
		c.w.Header().Set("X-Amz-Checksum-Algorithm", u.plan.algorithm)
		c.w.Header().Set("X-Amz-Checksum-Type", u.plan.kind)
	}
	return answer(c.w, c.r, http.StatusOK, x)
}

func (c *call) putPart() error {
	number, err := strconv.Atoi(c.q.Get("partNumber"))
	if err != nil || number < 1 || number > maxParts {
		return errPartNumber
	}
	if err := errors.Join(c.refuseHeaders(), c.withUpload(func(*bucket, *upload) error { return nil })); err != nil {
		return err
	}
	if c.r.Header.Get("X-Amz-Copy-Source") != "" {
		return c.copyPart(number)
	}
	blob, err := c.receiveBody()
	if err != nil {
		return err
	}
	p, err := c.addPart(number, blob)
	if err != nil {
		return err
	}
	c.w.Header().Set("Etag", p.etag())
	p.sum.set(c.w.Header(), false)
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// addPart adds a part to the upload, and replaces an older part with that number.
func (c *call) addPart(number int, blob *blobFile) (p storedPart, err error) {
	defer func() {
		if err != nil {
			os.Remove(blob.name)
		}
	}()
	var plan sumPlan
	if err := c.withUpload(func(_ *bucket, u *upload) error { plan = u.plan; return nil }); err != nil {
		return p, err
	}
	switch have := blob.sum.algorithm; {
	case plan.algorithm == "" || plan.algorithm == have:
	case have != "":
		return p, refusal("InvalidRequest", fmt.Sprintf("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
			strings.ToLower(plan.algorithm), strings.ToLower(have)))
	default:
		value, err := blob.checksum(plan.algorithm)
		if err != nil {
			return p, err
		}
		blob.sum = checksum{algorithm: plan.algorithm, value: value}
	}
	p = storedPart{blob, c.s.o.Now()}
	return p, c.withUpload(func(_ *bucket, u *upload) error {
		if old, ok := u.parts[number]; ok {
			os.Remove(old.name)
		}
		u.parts[number] = p
		return nil
	})
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
