package cos

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/luksimg/luksimg/internal/advice"
)

// An Object names an object. Its text form is cos://region/bucket/key, which SoftLayer and VPC
// also use.
type Object struct {
	Region string // of the bucket, such as "us-south"
	Bucket string
	Key    string
}

const scheme = "cos://"

const noName = "the object name is missing"

// ParseURI parses cos://region/bucket/key. The key is the whole rest, including slashes and
// percent signs; ParseURI does not decode it. Errors match [ErrURI].
func ParseURI(uri string) (Object, error) {
	rest, ok := strings.CutPrefix(uri, scheme)
	if !ok {
		return Object{}, uriError(uri, "it must begin with "+scheme)
	}
	var o Object
	o.Region, rest, _ = strings.Cut(rest, "/")
	o.Bucket, o.Key, _ = strings.Cut(rest, "/")
	err := o.Check()
	if o.Key == "" && checkBucket(o.Region, o.Bucket) == nil {
		err = uriError(uri, noName)
	}
	return o, err
}

// String returns the cos:// URI.
func (o Object) String() string { return scheme + o.Region + "/" + o.Bucket + "/" + o.Key }

// Check validates the names. Errors match [ErrURI]. Check sends no request.
func (o Object) Check() error {
	if err := checkBucket(o.Region, o.Bucket); err != nil {
		return err
	}
	switch {
	case o.Key == "":
		return uriError(o.String(), noName)
	case len(o.Key) > 1024:
		return uriError(o.String(), "the object name is longer than 1024 bytes")
	case !utf8.ValidString(o.Key):
		return uriError(o.String(), "the object name is not UTF-8")
	case strings.ContainsFunc(o.Key, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return uriError(o.String(), "the object name has control characters")
	}
	for segment := range strings.SplitSeq(o.Key, "/") {
		// A proxy or the server could resolve these.
		if segment == "." || segment == ".." {
			return uriError(o.String(), "the object name has a segment . or ..")
		}
	}
	return nil
}

var (
	regionName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*[a-z0-9]$`)
)

func checkBucket(region, bucket string) error {
	uri := scheme + region + "/" + bucket
	switch {
	case region == "":
		return uriError(uri, "the region is missing")
	case len(region) > 32 || !regionName.MatchString(region):
		return uriError(uri, "the region is not a name such as us-south")
	case bucket == "":
		return uriError(uri, "the bucket is missing")
	case len(bucket) < 3 || len(bucket) > 63 || !bucketName.MatchString(bucket) || strings.Contains(bucket, ".."):
		return uriError(uri, "a bucket's name is 3 to 63 lower-case letters, digits, dots and hyphens")
	}
	if _, err := netip.ParseAddr(bucket); err == nil {
		return uriError(uri, "a bucket's name is not an IP address")
	}
	return nil
}

func uriError(uri, what string) error {
	if len(uri) > 200 {
		uri = strings.ToValidUTF8(uri[:200], "") + "..."
	}
	err := fmt.Errorf("%w %q: %s", ErrURI, uri, what)
	if strings.HasSuffix(what, "is missing") || strings.HasPrefix(what, "it must begin") {
		return advice.With(err, "an object is named cos://REGION/BUCKET/OBJECT")
	}
	return err
}
