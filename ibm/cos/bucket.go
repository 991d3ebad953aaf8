package cos

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/luksimg/luksimg/internal/rest"
)

// BucketOptions are the properties of a bucket that [Client.CreateBucket] creates. The zero value
// means storage class standard and encryption by the service.
type BucketOptions struct {
	// Class is "standard" (also ""), "vault", "cold" or "smart".
	Class string
	// RootKeyCRN, if not "", is the Key Protect root key that encrypts the bucket (SSE-KP).
	RootKeyCRN string
}

// CreateBucket creates a regional bucket. It refuses a cross-region or single-site location with
// [ErrBucketRegion], since images cannot be imported from there. With a token it needs
// Options.ServiceInstanceID. If the bucket exists, the error matches [ErrExists].
func (c *Client) CreateBucket(ctx context.Context, region, bucket string, o BucketOptions) error {
	if err := checkBucket(region, bucket); err != nil {
		return err
	}
	if err := regional(region, bucket); err != nil {
		return err
	}
	if c.o.Tokens != nil && c.o.ServiceInstanceID == "" {
		return errors.New("cos: creating a bucket with a token requires the service instance ID")
	}
	class := o.Class
	switch class {
	case "":
		class = "standard"
	case "standard", "vault", "cold", "smart":
	default:
		return fmt.Errorf("cos: storage class %q is not standard, vault, cold or smart", class)
	}
	h := http.Header{"Content-Type": {"application/xml"}}
	if c.o.ServiceInstanceID != "" {
		h.Set("Ibm-Service-Instance-Id", c.o.ServiceInstanceID)
	}
	if o.RootKeyCRN != "" {
		// Object API of IBM COS, "Create a bucket with Key Protect".
		h.Set("Ibm-Sse-Kp-Encryption-Algorithm", "AES256")
		h.Set("Ibm-Sse-Kp-Customer-Root-Key-Crn", o.RootKeyCRN)
	}
	body := []byte("<CreateBucketConfiguration><LocationConstraint>" + region + "-" + class + "</LocationConstraint></CreateBucketConfiguration>")
	_, _, err := c.do(ctx, &request{method: http.MethodPut, at: Object{Region: region, Bucket: bucket}, header: h, body: small(body)})
	return err
}

// small returns a request body held in memory.
func small(b []byte) *payload {
	m, s := md5.Sum(b), sha256.Sum256(b)
	return &payload{src: bytes.NewReader(b), size: int64(len(b)), md5: m[:], sha256: hex.EncodeToString(s[:])}
}

// A Bucket is the description of a bucket from the service.
type Bucket struct {
	Name     string
	Location string // its location constraint: "us-south-standard"
	Region   string // "us-south", or "" if Location has no region
	Class    string // "standard"
}

// Bucket returns the description of a bucket. If the bucket is not in that region, the error matches
// [ErrBucketRegion] or [ErrNotFound], depending on the server.
func (c *Client) Bucket(ctx context.Context, region, bucket string) (Bucket, error) {
	if err := checkBucket(region, bucket); err != nil {
		return Bucket{}, err
	}
	_, body, err := c.do(ctx, &request{method: http.MethodGet, at: Object{Region: region, Bucket: bucket}, query: url.Values{"location": {""}}})
	if err != nil {
		return Bucket{}, err
	}
	location, err := parseLocation(body)
	if err != nil {
		return Bucket{}, fmt.Errorf("bucket %s: location: %w", bucket, err)
	}
	b := Bucket{Name: bucket, Location: location}
	b.Region, b.Class = splitLocation(location)
	return b, nil
}

func parseLocation(b []byte) (string, error) {
	var x struct {
		XMLName  xml.Name `xml:"LocationConstraint"`
		Location string   `xml:",chardata"`
		Inner    string   `xml:"LocationConstraint"`
	}
	if err := xml.Unmarshal(b, &x); err != nil {
		return "", err
	}
	location := strings.TrimSpace(x.Location)
	if location == "" {
		location = strings.TrimSpace(x.Inner)
	}
	if location != "" && (len(location) > 64 || !regionName.MatchString(strings.ReplaceAll(location, "_", "-"))) {
		return "", fmt.Errorf("%q is not a location constraint", rest.Clean(location))
	}
	return location, nil
}

// CheckImages returns an error that matches [ErrBucketRegion] if images in the bucket cannot be
// imported. The bucket must be regional and in keyRegion, the region of the root key that wrapped
// their data keys. If keyRegion is "", CheckImages does not compare the regions.
func (b Bucket) CheckImages(keyRegion string) error {
	if b.Region == "" {
		return nil
	}
	if err := regional(b.Region, b.Name); err != nil {
		return err
	}
	if keyRegion != "" && keyRegion != b.Region {
		return fmt.Errorf("%w: bucket %s is in %s and the root key in %s: they must be in one region", ErrBucketRegion, b.Name, b.Region, keyRegion)
	}
	return nil
}
