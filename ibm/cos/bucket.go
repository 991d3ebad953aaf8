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

// BucketOptions say what [Client.CreateBucket] makes. The zero value is a bucket of the
// class standard, encrypted by the service.
type BucketOptions struct {
	// Class is "standard" (the default), "vault", "cold" or "smart".
	Class string
	// RootKeyCRN, if not "", is the Key Protect root key that protects the bucket (SSE-KP).
	RootKeyCRN string
}

// CreateBucket makes a regional bucket. A location that is several regions or a single site is
// refused, with [ErrBucketRegion]: images are not imported from those. With a token it needs
// Options.ServiceInstanceID. If the bucket is there already, the error matches [ErrExists].
func (c *Client) CreateBucket(ctx context.Context, region, bucket string, o BucketOptions) error {
	if err := checkBucket(region, bucket); err != nil {
		return err
	}
	if err := regional(region, bucket); err != nil {
		return err
	}
	if c.o.Tokens != nil && c.o.ServiceInstanceID == "" {
		return errors.New("cos: making a bucket with a token needs the ID of the service instance")
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

// small returns a body that is in memory.
func small(b []byte) *payload {
	m, s := md5.Sum(b), sha256.Sum256(b)
	return &payload{src: bytes.NewReader(b), size: int64(len(b)), md5: m[:], sha256: hex.EncodeToString(s[:])}
}

// A Bucket is what the service says of one.
type Bucket struct {
	Name     string
	Location string // the constraint it was made with: "us-south-standard"
	Region   string // "us-south", or "" if the location does not tell
	Class    string // "standard"
}

// Bucket asks where a bucket is. If it is not in that region, the error matches
// [ErrBucketRegion] or [ErrNotFound], as the server likes.
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
		return "", fmt.Errorf("%q is none", rest.Clean(location))
	}
	return location, nil
}

// CheckImages says why images in the bucket could not be imported, if so: the bucket is not
// regional, or the root key that their data keys are wrapped with is in another region. The error
// matches [ErrBucketRegion]. keyRegion may be "".
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
