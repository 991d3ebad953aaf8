package sandbox_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
)

// whole fails unless the events contain the complete chain of an image without
// refusals.
func (w *world) whole(image, server string) {
	w.t.Helper()
	if r := w.told(image, server); len(r.Refusals) != 0 {
		w.t.Errorf("refusals %+v", r.Refusals)
	}
}

// told fails unless the events contain the complete chain of an image.
func (w *world) told(image, server string) *audit.Report {
	w.t.Helper()
	r := audit.Chain(w.events(), audit.Query{RootKeyCRN: w.RootKey, ImageID: image, ServerID: server})
	if len(r.Gaps) != 0 {
		w.t.Errorf("gaps %+v", r.Gaps)
	}
	for _, stage := range audit.Stages {
		if !slices.ContainsFunc(r.Steps, func(s audit.Step) bool { return s.Stage == stage && !s.Own && (stage != audit.Unwrap || s.ByService) }) {
			w.t.Errorf("no %s in %+v", stage, r.Steps)
		}
	}
	return r
}

// TestClassic runs the whole workflow from a disk to a server, in both formats of classic
// infrastructure.
func TestClassic(t *testing.T) {
	for _, c := range []struct {
		profile luksimg.Profile
		file    string
	}{
		{luksimg.ClassicLUKS, "web.raw"},
		{luksimg.ClassicVHD, "web.vhd-0.vhd"},
	} {
		t.Run(string(c.profile), func(t *testing.T) {
			w := ready(t)
			uri := w.upload(c.file, w.encrypt(c.profile))
			template, err := w.classic(w.request(uri))
			if err != nil {
				t.Fatal(err)
			}
			if template.DiskSpace < int64(len(w.plain)) {
				t.Errorf("the disk has %d bytes, want at least %d", template.DiskSpace, len(w.plain))
			}
			if _, err := w.order(template); err != nil {
				t.Fatal(err)
			}
			w.whole(template.GlobalIdentifier, "")

			// The same events as JSON lines.
			events, skipped, err := audit.Read(bytes.NewReader(get(t, w.Control+"/events")), audit.ReadOptions{})
			if err != nil || skipped.Records != 0 || len(events) != len(w.events()) {
				t.Errorf("%d events, %+v, %v", len(events), skipped, err)
			}
		})
	}
}

// TestVPC runs the whole workflow with a qcow2 image.
func TestVPC(t *testing.T) {
	w := ready(t)
	image, err := w.vpcImage(w.upload("web.qcow2", w.encrypt(luksimg.VPCQCOW2)))
	if err != nil {
		t.Fatal(err)
	}
	i, err := w.vpc.CreateInstance(t.Context(), vpc.InstanceRequest{Name: "web1", Image: image.ID, Zone: "us-south-1", Profile: "bx2-2x8", VPC: "v", Subnet: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if i, err = w.vpc.WaitInstance(t.Context(), i.ID, vpc.WaitOptions{}); err != nil {
		t.Fatal(err)
	}
	w.whole(image.ID, i.ID)
}

// TestHMAC uploads in parts with HMAC credentials, and creates a server from the
// image.
func TestHMAC(t *testing.T) {
	w := ready(t)
	w.plain = disk(24 << 20)
	var err error
	if w.cos, err = cos.New(cos.Options{Endpoint: w.COS, HMAC: &cos.HMAC{AccessKeyID: w.AccessKeyID, SecretAccessKey: []byte(w.SecretAccessKey)}}); err != nil {
		t.Fatal(err)
	}
	template, err := w.classic(w.request(w.upload("web.raw", w.encrypt(luksimg.ClassicLUKS))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.order(template); err != nil {
		t.Error(err)
	}
}

// TestIAMUser signs in to classic infrastructure with an IAM API key.
func TestIAMUser(t *testing.T) {
	w := ready(t)
	for key, ok := range map[string]bool{w.APIKey: true, w.UserKey: false} {
		c, err := softlayer.New(softlayer.Options{Endpoint: w.Settings.SoftLayer, User: "apikey", APIKey: key})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.OSCodes(t.Context()); (err == nil) != ok {
			t.Errorf("%v, want success: %v", err, ok)
		}
	}
}

// TestSettings checks that the settings are sufficient and that String shows no secret.
func TestSettings(t *testing.T) {
	w := start(t, sandbox.Options{})
	env := w.Settings.Env()
	for _, want := range []string{"IBMCLOUD_API_KEY=" + w.APIKey, "LUKSIMG_ROOT_KEY_CRN=" + w.RootKey, "SL_ENDPOINT_URL=" + w.Settings.SoftLayer} {
		if !slices.Contains(env, want) {
			t.Errorf("no %s", want)
		}
	}
	if n := len(env); n != 17 { // all except the bucket
		t.Errorf("%d variables", n)
	}
	if s := w.Settings.String(); s != "sandbox at "+w.Control {
		t.Error(s)
	}
}
