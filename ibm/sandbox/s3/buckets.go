package s3

import (
	"encoding/xml"
	"errors"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const xmlns = "http://s3.amazonaws.com/doc/2006-03-01/"

// stamp is how times are written in XML.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

var locationName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

func (c *call) createBucket() error {
	h := c.r.Header
	if c.who.bearer && h.Get("Ibm-Service-Instance-Id") == "" {
		return refusal("InvalidRequest", "The header ibm-service-instance-id is required to create a bucket with a token.")
	}
	algorithm, crn := h.Get("Ibm-Sse-Kp-Encryption-Algorithm"), h.Get("Ibm-Sse-Kp-Customer-Root-Key-Crn")
	if (algorithm == "") != (crn == "") || algorithm != "" && (algorithm != "AES256" || !strings.HasPrefix(crn, "crn:")) {
		return refusal("InvalidArgument", "The ibm-sse-kp headers must name AES256 and the CRN of a root key.")
	}
	b, err := c.text(64 << 10)
	if err != nil {
		return err
	}
	var x struct {
		XMLName            xml.Name `xml:"CreateBucketConfiguration"`
		LocationConstraint string
	}
	if len(b) > 0 {
		if xml.Unmarshal(b, &x) != nil {
			return refusal("MalformedXML", "The XML you provided was not well-formed.")
		}
		if x.LocationConstraint != "" && !locationName.MatchString(x.LocationConstraint) {
			return refusal("InvalidLocationConstraint", "The specified location constraint is not valid.")
		}
	}
	if !bucketName.MatchString(c.bucket) {
		return refusal("InvalidBucketName", "The specified bucket is not valid.")
	}
	location := x.LocationConstraint
	if m := endpointHost.FindStringSubmatch(c.r.Host); m != nil {
		if location == "" {
			location = m[1] + "-standard"
		} else if !strings.HasPrefix(location+"-", m[1]+"-") {
			return refusal("InvalidLocationConstraint", "The specified location constraint is not one of this endpoint.")
		}
	}
	if err := c.s.createBucket(c.who.account, c.bucket, location, crn); errors.Is(err, ErrExists) {
		if c.mayUse() == nil {
			return refusal("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
		}
		return refusal("BucketAlreadyExists", "The requested bucket name is not available.")
	} else if err != nil {
		return err
	}
	c.w.Header().Set("Location", "/"+c.bucket)
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// withBucket calls f with the bucket, under the lock. f must not wait for the client.
func (c *call) withBucket(f func(*bucket) error) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	b, err := c.s.bucketOf(c.who.account, c.bucket)
	if err != nil {
		return err
	}
	return f(b)
}

func (c *call) headBucket() error {
	err := c.withBucket(func(b *bucket) error {
		c.w.Header().Set("X-Amz-Bucket-Region", b.region())
		if b.rootKey != "" {
			c.w.Header().Set("Ibm-Sse-Kp-Enabled", "true")
			c.w.Header().Set("Ibm-Sse-Kp-Crk-Id", b.rootKey)
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) deleteBucket() error {
	err := c.withBucket(func(b *bucket) error {
		if len(b.objects)+len(b.uploads) > 0 {
			return refusal("BucketNotEmpty", "The bucket you tried to delete is not empty.")
		}
		delete(c.s.buckets, c.bucket)
		return nil
	})
	if err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (c *call) location() error {
	var x struct {
		XMLName  xml.Name `xml:"LocationConstraint"`
		NS       string   `xml:"xmlns,attr"`
		Location string   `xml:",chardata"`
	}
	x.NS = xmlns
	if err := c.withBucket(func(b *bucket) error { x.Location = b.location; return nil }); err != nil {
		return err
	}
	return answer(c.w, c.r, http.StatusOK, x)
}

func (c *call) listBuckets() error {
	if c.who.bearer && c.r.Header.Get("Ibm-Service-Instance-Id") == "" {
		return refusal("InvalidRequest", "The header ibm-service-instance-id is required to list buckets with a token.")
	}
	type entry struct{ Name, CreationDate string }
	var x struct {
		XMLName xml.Name `xml:"ListAllMyBucketsResult"`
		NS      string   `xml:"xmlns,attr"`
		Owner   struct{ ID string }
		Buckets struct{ Bucket []entry }
	}
	x.NS, x.Owner.ID = xmlns, c.who.account
	c.s.mu.Lock()
	for _, name := range slices.Sorted(maps.Keys(c.s.buckets)) {
		if b := c.s.buckets[name]; b.owner == c.who.account {
			x.Buckets.Bucket = append(x.Buckets.Bucket, entry{name, stamp(b.created)})
		}
	}
	c.s.mu.Unlock()
	return answer(c.w, c.r, http.StatusOK, x)
}

// limit reads the size of a page from the query: 1000 at most.
func (c *call) limit(name string) int {
	if n, err := strconv.Atoi(c.q.Get(name)); err == nil && n >= 0 && n < 1000 {
		return n
	}
	return 1000
}

// listObjects serves both versions of the call.
func (c *call) listObjects() error {
	type entry struct {
		Key, LastModified, ETag string
		Size                    int64
		StorageClass            string
	}
	type prefix struct{ Prefix string }
	var x struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		NS                    string   `xml:"xmlns,attr"`
		Name                  string
		Prefix                string
		Delimiter             string `xml:",omitempty"`
		KeyCount              int
		MaxKeys               int
		IsTruncated           bool
		NextMarker            string `xml:",omitempty"`
		NextContinuationToken string `xml:",omitempty"`
		Contents              []entry
		CommonPrefixes        []prefix
	}
	after := max(c.q.Get("marker"), c.q.Get("continuation-token"), c.q.Get("start-after"))
	x.NS, x.Name, x.Prefix, x.Delimiter, x.MaxKeys = xmlns, c.bucket, c.q.Get("prefix"), c.q.Get("delimiter"), c.limit("max-keys")
	err := c.withBucket(func(b *bucket) error {
		last := ""
		for _, key := range slices.Sorted(maps.Keys(b.objects)) {
			if key <= after || !strings.HasPrefix(key, x.Prefix) {
				continue
			}
			common := ""
			if x.Delimiter != "" {
				if i := strings.Index(key[len(x.Prefix):], x.Delimiter); i >= 0 {
					common = key[:len(x.Prefix)+i+len(x.Delimiter)]
				}
			}
			n := len(x.CommonPrefixes)
			if common != "" && (n > 0 && x.CommonPrefixes[n-1].Prefix == common || strings.HasPrefix(after, common)) {
				last = key
				continue
			}
			if x.KeyCount == x.MaxKeys {
				x.IsTruncated = true
				x.NextMarker, x.NextContinuationToken = last, last
				break
			}
			x.KeyCount++
			last = key
			if common != "" {
				x.CommonPrefixes = append(x.CommonPrefixes, prefix{common})
				continue
			}
			o := b.objects[key]
			x.Contents = append(x.Contents, entry{key, stamp(o.modified), `"` + o.etag + `"`, o.size, "STANDARD"})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return answer(c.w, c.r, http.StatusOK, x)
}
