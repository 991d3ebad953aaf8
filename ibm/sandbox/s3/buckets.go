package s3

import (
	"encoding/xml"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/luksimg/luksimg/ibm/crn"
)

const xmlns = "http://s3.amazonaws.com/doc/2006-03-01/"

// stamp formats a time for XML.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// An owner is the owner of a bucket or an upload, in XML.
type owner struct{ ID, DisplayName string }

func (c *call) owner() owner { return owner{c.who.account, c.who.account} }

func (c *call) createBucket() error {
	if err := errors.Join(c.instance(), c.refuseHeaders()); err != nil {
		return err
	}
	rootKey, err := c.rootKey()
	if err != nil {
		return err
	}
	b, err := c.text(64 << 10)
	if err != nil {
		return err
	}
	var x struct {
		XMLName            xml.Name `xml:"CreateBucketConfiguration"`
		LocationConstraint string
	}
	if len(b) > 0 && xml.Unmarshal(b, &x) != nil {
		return errXML
	}
	if err := checkBucketName(c.bucket); err != nil {
		return err
	}
	location := strings.TrimSpace(x.LocationConstraint)
	m := endpoint.FindStringSubmatch(c.r.Host)
	if location == "" && m != nil {
		location = m[2]
	}
	if location != "" {
		if location, err = parseLocation(location); err != nil {
			return err
		}
	}
	if m != nil && (&bucket{location: location}).region() != m[2] {
		return refusal("InvalidLocationConstraint", "The specified location constraint is not one of this endpoint.")
	}
	if err := c.s.createBucket(c.who.account, c.bucket, location, rootKey); errors.Is(err, ErrExists) {
		if c.mayUse() == nil {
			return refusal("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
		}
		return refusal("BucketAlreadyExists", "The requested bucket name is not available.")
	} else if err != nil {
		return err
	}
	c.protected(rootKey, true)
	c.w.Header().Set("Location", "/"+c.bucket)
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// rootKey returns the root key for the encryption of a bucket, or "". Object Storage must be able to use it.
func (c *call) rootKey() (string, error) {
	algorithm, name := c.r.Header.Get("Ibm-Sse-Kp-Encryption-Algorithm"), c.r.Header.Get("Ibm-Sse-Kp-Customer-Root-Key-Crn")
	if algorithm == "" && name == "" {
		return "", nil
	}
	if _, err := crn.ParseRootKey(name); err != nil || algorithm != "AES256" {
		return "", refusal("InvalidArgument", "The ibm-sse-kp headers must name AES256 and the CRN of a root key.")
	}
	if c.s.o.RootKey == nil {
		return name, nil
	}
	err := c.s.o.RootKey(c.r.Context(), name)
	switch {
	case errors.Is(err, ErrNotAuthorized):
		return "", refusal("ServiceNotAuthorized", "The service instance is not authorized to use the root key: "+name)
	case err != nil:
		return "", refusal("InvalidArgument", "The root key cannot be used: "+err.Error())
	}
	return name, nil
}

// protected reports that a root key starts or stops protecting the bucket.
func (c *call) protected(rootKey string, now bool) {
	if rootKey != "" && c.s.o.Protected != nil {
		c.s.o.Protected(c.bucket, rootKey, now)
	}
}

// withBucket calls f with the bucket while it holds the lock. f must not wait for the client.
func (c *call) withBucket(f func(*bucket) error) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	b, err := c.s.bucketOf(c.who.account, c.bucket)
	if err != nil {
		return err
	}
	return f(b)
}

// mayUse returns an error if the caller may not use the bucket, before a body is read.
func (c *call) mayUse() error { return c.withBucket(func(*bucket) error { return nil }) }

func (c *call) headBucket() error {
	err := c.withBucket(func(b *bucket) error {
		c.w.Header().Set("X-Amz-Bucket-Region", b.region())
		if b.rootKey != "" {
			c.w.Header().Set("Ibm-Sse-Kp-Enabled", "true")
			c.w.Header().Set("Ibm-Sse-Kp-Crk-Id", b.rootKey)                // in IBM's API reference
			c.w.Header().Set("Ibm-Sse-Kp-Customer-Root-Key-Crn", b.rootKey) // in ibm-cos-sdk-go
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
	rootKey := ""
	err := c.withBucket(func(b *bucket) error {
		if len(b.objects)+len(b.uploads) > 0 {
			return refusal("BucketNotEmpty", "The bucket you tried to delete is not empty.")
		}
		delete(c.s.buckets, c.bucket)
		rootKey = b.rootKey
		return nil
	})
	if err != nil {
		return err
	}
	c.protected(rootKey, false)
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

// listBuckets lists all buckets. With "extended" it lists a page of them with their locations.
func (c *call) listBuckets() error {
	if err := c.instance(); err != nil {
		return err
	}
	type entry struct {
		Name, CreationDate string
		LocationConstraint string `xml:",omitempty"`
	}
	type page struct {
		IsTruncated    bool
		MaxKeys        int
		Prefix, Marker string
	}
	var x struct {
		XMLName xml.Name `xml:"ListAllMyBucketsResult"`
		NS      string   `xml:"xmlns,attr"`
		Owner   owner
		*page
		Buckets struct{ Bucket []entry }
	}
	x.NS, x.Owner = xmlns, c.owner()
	if c.q.Has("extended") {
		limit, err := c.limit("max-keys")
		if err != nil {
			return err
		}
		x.page = &page{MaxKeys: limit, Prefix: c.q.Get("prefix"), Marker: c.q.Get("marker")}
	}
	c.s.mu.Lock()
	for _, name := range slices.Sorted(maps.Keys(c.s.buckets)) {
		b := c.s.buckets[name]
		if b.owner != c.who.account {
			continue
		}
		e := entry{Name: name, CreationDate: stamp(b.created)}
		if x.page != nil {
			if name <= x.Marker || !strings.HasPrefix(name, x.Prefix) {
				continue
			}
			if x.IsTruncated = len(x.Buckets.Bucket) == x.MaxKeys; x.IsTruncated {
				break
			}
			e.LocationConstraint = b.location
		}
		x.Buckets.Bucket = append(x.Buckets.Bucket, e)
	}
	c.s.mu.Unlock()
	return answer(c.w, c.r, http.StatusOK, x)
}
