package vpc_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/ibm/vpc"
)

// TestNames checks that the client refuses the names that the service would refuse, without a request.
func TestNames(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct{ image, server bool }{
		"a": {true, true}, "web-1": {true, true}, "a--b": {true, true}, strings.Repeat("a", 63): {true, true},
		"ibm-web": {false, true}, "ibm": {true, true},
		"": {}, "Web": {}, "web.1": {}, "web_1": {}, "1web": {}, "-web": {}, "web-": {}, "wéb": {}, "we b": {}, strings.Repeat("a", 64): {},
	} {
		if err := vpc.CheckImageName(name); (err == nil) != c.image || err != nil && (!errors.Is(err, vpc.ErrName) || hint(err) == "") {
			t.Errorf("image %q: %v", name, err)
		}
		if err := vpc.CheckName(name); (err == nil) != c.server || err != nil && !errors.Is(err, vpc.ErrName) {
			t.Errorf("server %q: %v", name, err)
		}
		if name == "" {
			continue
		}
		r := w.request("none.qcow2")
		r.Name = name
		if _, err := w.client.CreateImage(t.Context(), r); errors.Is(err, vpc.ErrName) == c.image {
			t.Errorf("image %q: %v", name, err)
		}
		_, err := w.client.CreateInstance(t.Context(), vpc.InstanceRequest{Name: name, Image: "i", Zone: "us-south-1", Profile: "p", VPC: "v", Subnet: "s"})
		if errors.Is(err, vpc.ErrName) == c.server {
			t.Errorf("server %q: %v", name, err)
		}
	}
	for key, c := range map[string]struct{ plain, encrypted bool }{
		"a.qcow2": {true, true}, "a/b.c.qcow2": {true, true}, "a.vhd": {true, false},
		"a.QCOW2": {}, "a.Qcow2": {}, "a.VHD": {}, "a": {}, "qcow2": {}, "a.raw": {}, "a.qcow2.gz": {},
	} {
		if err := vpc.CheckObject(key, false); (err == nil) != c.plain || err != nil && (!errors.Is(err, vpc.ErrName) || hint(err) == "") {
			t.Errorf("%s: %v", key, err)
		}
		if err := vpc.CheckObject(key, true); (err == nil) != c.encrypted || err != nil && !errors.Is(err, vpc.ErrName) {
			t.Errorf("%s, encrypted: %v", key, err)
		}
	}
}
