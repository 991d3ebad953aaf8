package cos

import (
	"fmt"
	"regexp"
	"strings"
)

// splitLocation splits a location constraint, "us-south-standard", into the place and the storage
// class. A place alone has the class "".
func splitLocation(location string) (place, class string) {
	if i := strings.LastIndexByte(location, '-'); i > 0 {
		switch class := location[i+1:]; class {
		case "standard", "vault", "cold", "smart", "flex", "onerate_active":
			return location[:i], class
		}
	}
	return location, ""
}

// singleSite is the name of one data center, "ams03".
var singleSite = regexp.MustCompile(`^[a-z]{3}[0-9]{2}$`)

// regional refuses a place that is no region: images are imported from regional buckets only.
// The place may have a storage class behind it. Places that IBM does not have are allowed, as
// other servers have them. See "Endpoints and storage locations" in IBM's documentation.
func regional(place, bucket string) error {
	place, _ = splitLocation(place)
	var what string
	switch {
	case place == "us", place == "eu", place == "ap", strings.HasSuffix(place, "-geo"):
		what = "several regions"
	case singleSite.MatchString(place):
		what = "a single data center"
	default:
		return nil
	}
	return fmt.Errorf("bucket %s: %w: %s is %s, and images need a regional bucket", bucket, ErrBucketRegion, place, what)
}

// CheckImages says why an image could not be imported from there, by the name of the region alone:
// an error that matches [ErrBucketRegion]. It asks no server.
func (o Object) CheckImages() error { return regional(o.Region, o.Bucket) }
