package cos

import (
	"fmt"
	"regexp"
	"strings"
)

// splitLocation splits a location constraint such as "us-south-standard" into place and storage
// class. The class is "" for a place alone.
func splitLocation(location string) (place, class string) {
	if i := strings.LastIndexByte(location, '-'); i > 0 {
		switch class := location[i+1:]; class {
		case "standard", "vault", "cold", "smart", "flex", "onerate_active":
			return location[:i], class
		}
	}
	return location, ""
}

// singleSite matches the name of a data center, such as "ams03".
var singleSite = regexp.MustCompile(`^[a-z]{3}[0-9]{2}$`)

// regional returns an error for a cross-region or single-site place, with or without a storage class.
// Images are imported from regional buckets only. Unknown places are allowed, since other servers
// have them. See "Endpoints and storage locations" in IBM's documentation.
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
	return fmt.Errorf("bucket %s: %w: %s is %s, but images need a regional bucket", bucket, ErrBucketRegion, place, what)
}

// CheckImages returns an error that matches [ErrBucketRegion] if the region name shows that
// images cannot be imported from there. It sends no request.
func (o Object) CheckImages() error { return regional(o.Region, o.Bucket) }
