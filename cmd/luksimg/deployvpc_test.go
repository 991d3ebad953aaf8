package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/ibm/sandbox/fault"
	"github.com/luksimg/luksimg/ibm/vpc"
)

func (c *cloud) deployVPC(more ...string) []string {
	return append([]string{"deploy", "--json", "--profile", "vpc-qcow2", "--name", "web", "--os-code", "ubuntu-22-04-amd64", "--root-key-crn", c.RootKey,
		"--object", "cos://us-south/" + testBucket + "/", "--poll", "20ms", "--settle", "300ms", "--jobs", "1", "disk.raw"}, more...)
}

var instance = []string{"--order", "--hostname", "web1", "--zone", "us-south-1", "--vpc-profile", "bx2-2x8", "--vpc", "r006-1", "--subnet", "0717-1"}

// oneVPC checks that there is one image, one object, one wrapped key and so many servers.
func (c *cloud) oneVPC(out string, servers int) deploy.Result {
	c.t.Helper()
	var r deploy.Result
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
	identity, err := iam.New(iam.Options{URL: c.IAM, APIKey: []byte(c.APIKey)})
	if err != nil {
		c.t.Fatal(err)
	}
	cl, err := vpc.New(vpc.Options{Endpoint: c.VPC, Tokens: identity})
	if err != nil {
		c.t.Fatal(err)
	}
	images, err := cl.Images(c.t.Context())
	if err != nil || len(images) != 1 || images[0].ID != r.ImageID || images[0].Status != "available" || images[0].Encryption != "user_managed" {
		c.t.Errorf("images: %+v, %v; want one, %s", images, err, r.ImageID)
	}
	all, err := cl.Instances(c.t.Context())
	if err != nil || len(all) != servers || servers == 1 && (all[0].ID != r.InstanceID || all[0].Status != "running") {
		c.t.Errorf("servers: %+v, %v; want %d", all, err, servers)
	}
	if n := c.called("/actions/wrap"); n != 1 {
		c.t.Errorf("wrapped %d times", n)
	}
	if e, err := readEnvelope(c.t.Context(), filepath.Join(c.dir, r.Envelope)); err != nil || e.ImageUUID != r.ImageUUID {
		c.t.Errorf("envelope: %+v, %v", e, err)
	}
	if got := names(c.t, c.dir); !slices.Equal(got, []string{"disk.raw", "web.deploy.json", "web.envelope.json"}) {
		c.t.Errorf("files: %q", got)
	}
	return r
}

func TestDeployVPC(t *testing.T) {
	c := ready(t)
	args := c.deployVPC(instance...)
	out := c.ok(args...)
	c.oneVPC(out, 1)
	if again := c.ok(args...); again != out {
		t.Errorf("the second run says %s, the first %s", again, out)
	}
}

func TestDeployVPCKilled(t *testing.T) {
	for _, step := range []string{deploy.StepEncrypt, deploy.StepImport, deploy.StepWaitImport, deploy.StepOrder, deploy.StepWaitOrder} {
		for _, at := range []string{"begun", "between", "unsaved", "done"} {
			if at == "between" && step != deploy.StepImport && step != deploy.StepOrder { // which save nothing
				continue
			}
			t.Run(step+" "+at, func(t *testing.T) {
				c := ready(t)
				args := c.deployVPC(instance...)
				code, _, errs := c.run("luksimg-killed", append([]string{step, at}, args...)...)
				if code >= 0 {
					t.Fatalf("exit code %d\n%s", code, errs)
				}
				c.oneVPC(c.ok(args...), 1)
			})
		}
	}
}

func TestDeployVPCLost(t *testing.T) {
	for _, path := range []string{"/v1/images", "/v1/instances"} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			c := ready(t)
			if err := c.Faults().Arm(fault.Fault{Method: http.MethodPost, Path: path, DropAfter: true}); err != nil {
				t.Fatal(err)
			}
			c.oneVPC(c.ok(c.deployVPC(instance...)...), 1)
			if c.Faults().Hits() != 1 {
				t.Errorf("the fault happened %d times", c.Faults().Hits())
			}
		})
	}
}

func TestDeployVPCFails(t *testing.T) {
	c := newCloud(t, sandbox.Options{Bucket: testBucket})
	c.fails(4, "luksimg setup --target vpc makes it", c.deployVPC()...)
	c.ok("setup", "--target", "vpc", "--root-key-crn", c.RootKey, "--cos-instance-crn", c.COSInstance)
	code, _, errs := c.run("luksimg-killed", append([]string{deploy.StepImport, "begun"}, c.deployVPC()...)...)
	if code >= 0 {
		t.Fatal(errs)
	}
	c.suspend()
	c.fails(4, "wait for import: ", c.deployVPC()...)
	c.resume()
	c.oneVPC(c.ok(c.deployVPC()...), 0)
	// Another deployment of the same name.
	c.fails(4, "there is one of this name", c.deployVPC("--state", "2", "--envelope", "3", "--object", "cos://us-south/"+testBucket+"/2.qcow2")...)
}

// TestSetupVPC: setup grants the two authorizations that IBM documents and no more, deploy asks for
// each of them, and --skip-authorization-check for none.
func TestSetupVPC(t *testing.T) {
	c := newCloud(t, sandbox.Options{Bucket: testBucket})
	c.ok("setup", "--root-key-crn", c.RootKey)
	c.fails(4, "authorization-policy-create is cloud-object-storage Reader --source-resource-type image", c.deployVPC()...)
	c.fails(4, "wait for import: ", c.deployVPC("--skip-authorization-check")...)
	c.ok("setup", "--target", "vpc", "--root-key-crn", c.RootKey, "--cos-instance-crn", c.COSInstance)
	identity, err := iam.New(iam.Options{URL: c.IAM, APIKey: []byte(c.APIKey)})
	if err != nil {
		t.Fatal(err)
	}
	granted, err := identity.Policies(t.Context(), c.Account, "authorization", "")
	if err != nil || len(granted) != 2 {
		t.Errorf("%+v, %v; want 2 authorizations", granted, err)
	}
	c.oneVPC(c.ok(c.deployVPC()...), 0)
}

// TestDeployVHD is the other profile of classic infrastructure, with a key that is kept.
func TestDeployVHD(t *testing.T) {
	c := ready(t)
	args := append(c.deploy(server...), "--profile", "classic-vhd", "--keep-key", "dek", "--keep-image")
	code, _, errs := c.run("luksimg-killed", append([]string{deploy.StepKey, "unsaved"}, args...)...)
	if code >= 0 {
		t.Fatal(errs)
	}
	var r deploy.Result
	if err := json.Unmarshal([]byte(c.ok(args...)), &r); err != nil || r.ServerID == 0 || r.Image == "" || r.KeyFile != "dek" {
		t.Errorf("%+v, %v", r, err)
	}
	if n := c.called("/actions/wrap"); n != 1 {
		t.Errorf("wrapped %d times", n)
	}
	c.ok("verify", "--key-file", "dek", "disk.raw", r.Image)
}
