package s3

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/ibm/crn"
)

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// checkBucketName refuses invalid bucket names: "Create a bucket" in IBM's API reference.
func checkBucketName(name string) error {
	bad := !bucketName.MatchString(name)
	for _, part := range []string{"..", "--", ".-", "-."} {
		bad = bad || strings.Contains(name, part)
	}
	for _, reserved := range []string{"cosv1-", "account-"} {
		bad = bad || strings.HasPrefix(name, reserved)
	}
	if _, err := netip.ParseAddr(name); bad || err == nil {
		return refusal("InvalidBucketName", "The specified bucket is not valid.")
	}
	return nil
}

// A location code consists of a place and a storage class: "Using storage classes" in IBM's documentation. The class
// flex is not available for new buckets.
var (
	places = []string{
		"us", "eu", "ap", // cross-region
		"us-south", "us-east", "eu-de", "eu-es", "eu-gb", "jp-osa", "jp-tok", "au-syd", "ca-mon", "ca-tor", "br-sao", // regional
		"ams03", "che01", "mil01", "mon01", "par01", "sjc04", "sng01", // single data center
	}
	classes = []string{"standard", "vault", "cold", "smart", "onerate_active"}
)

// parseLocation returns a complete location code. A place alone, which the aws command sends as
// region, gets the class standard.
func parseLocation(code string) (string, error) {
	if slices.Contains(places, code) {
		return code + "-" + classes[0], nil
	}
	for _, class := range classes {
		if place, ok := strings.CutSuffix(code, "-"+class); ok && slices.Contains(places, place) {
			return code, nil
		}
	}
	return "", refusal("InvalidLocationConstraint", "Container storage location with specified provisioning code not available")
}

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// instance parses the header that identifies the service instance by CRN or GUID. It is required to create and
// list buckets with a token.
func (c *call) instance() error {
	id := c.r.Header.Get("Ibm-Service-Instance-Id")
	if id == "" && !c.who.bearer {
		return nil
	}
	if id == "" {
		return refusal("InvalidRequest", "The header ibm-service-instance-id is required with a token.")
	}
	if n, err := crn.Parse(id); err == nil && n.Service == "cloud-object-storage" {
		id = n.Instance
	}
	if !guid.MatchString(id) {
		return refusal("InvalidArgument", "The header ibm-service-instance-id is no CRN and no GUID of an instance of Object Storage.")
	}
	if c.s.o.Instance != "" && !strings.EqualFold(id, c.s.o.Instance) {
		return refusal("AccessDenied", "Access Denied")
	}
	return nil
}
