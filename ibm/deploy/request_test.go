package deploy_test

import (
	"strings"
	"testing"

	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
)

const rootKey = "crn:v1:bluemix:public:kms:us-south:a/1:2:key:3"

// fails checks that an error contains words, or is nil if words is "".
func fails(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

func TestTakeKey(t *testing.T) {
	for _, c := range []struct {
		object     string
		convention wrap.Convention
		want       string
	}{
		{"a.raw", wrap.ClassicLUKS, ""}, {"A.RAW", wrap.ClassicLUKS, ""}, {"a.vhd-0.vhd", wrap.ClassicVHD, ""}, {"b/a.qcow2", wrap.VPCQCOW2, ""},
		{"a", wrap.ClassicLUKS, ""}, {"a.img", wrap.VPCQCOW2, ""}, // names without a known format
		{"a.raw", wrap.None, "the name a.raw indicates an image for classic-luks"},
		{"a.vhd", wrap.ClassicLUKS, "image for classic-vhd"}, {"a.qcow2", wrap.ClassicLUKS, "image for vpc-qcow2"},
	} {
		r := deploy.ImageRequest{URI: "cos://us-south/images/" + c.object}
		err := r.TakeKey(&wrap.Envelope{WDEK: "wdek", RootKeyCRN: rootKey, Convention: c.convention})
		fails(t, c.object, err, c.want)
		if err == nil && (r.WrappedDEK != "wdek" || r.RootKeyCRN != rootKey) || err != nil && rest.Hint(err) == "" {
			t.Errorf("%s: %+v, hint %q", c.object, r, rest.Hint(err))
		}
	}
	r := deploy.ImageRequest{URI: "cos://us-south/images/a.raw"}
	fails(t, "a root key in a file", r.TakeKey(&wrap.Envelope{WDEK: "wdek", KMS: "local:0123456789abcdef", Convention: wrap.ClassicLUKS}), "which IBM Cloud cannot use")
}

func TestCompleteRequest(t *testing.T) {
	const uri = "cos://us-south/images/folder/web.raw"
	r, err := deploy.ImageRequest{URI: uri, WrappedDEK: "wdek", RootKeyCRN: rootKey}.Complete()
	if err != nil || r.Name != "web" || !r.Encrypted || r.URI != uri {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := (deploy.ImageRequest{URI: uri, Name: "n"}).Complete(); err != nil || r.Name != "n" || r.Encrypted {
		t.Errorf("%+v, %v", r, err)
	}
	for _, r := range []deploy.ImageRequest{{URI: uri, WrappedDEK: "wdek"}, {URI: uri, RootKeyCRN: rootKey}, {URI: uri, Encrypted: true}} {
		_, err := r.Complete()
		fails(t, "half a key", err, "an encrypted image requires its wrapped data key and root key")
	}
	_, err = deploy.ImageRequest{URI: "web.raw"}.Complete()
	fails(t, "no object", err, "cos://")
}

func TestCheckServer(t *testing.T) {
	classic := deploy.Server{Hostname: "web1", Domain: "example.com", CPUs: 2, MemoryMB: 4096, Datacenter: "dal13"}
	vpc := deploy.Server{Hostname: "web1", Zone: "us-south-1", Profile: "bx2-2x8", VPC: "r006-1", Subnet: "0717-1"}
	change := func(s deploy.Server, f func(*deploy.Server)) deploy.Server { f(&s); return s }
	for _, c := range []struct {
		target string
		s      deploy.Server
		want   string
	}{
		{deploy.Classic, classic, ""}, {deploy.VPC, vpc, ""},
		{deploy.Classic, vpc, "a server needs --hostname, --domain"}, {deploy.VPC, classic, "a server in VPC needs --hostname, --zone"},
		{deploy.Classic, change(classic, func(s *deploy.Server) { s.Billing = "daily" }), "--billing daily: want hourly or monthly"},
		{deploy.Classic, change(classic, func(s *deploy.Server) { s.Disk = "tape" }), "--disk tape: want san or local"},
		{deploy.Classic, change(classic, func(s *deploy.Server) { s.SSHKeys = []string{"1", "x"} }), "--ssh-key x: want a key number"},
		{deploy.VPC, change(vpc, func(s *deploy.Server) { s.SSHKeys, s.Billing = []string{"x"}, "daily" }), ""},
	} {
		fails(t, c.target, c.s.Check(c.target), c.want)
	}
	fails(t, "target", deploy.CheckTarget("moon"), "--target moon: want classic or vpc")
}
