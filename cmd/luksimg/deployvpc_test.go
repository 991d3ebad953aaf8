package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/ibm/account"
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

// oneVPC checks that there is one image, one object, one wrapped key and the given number of servers.
func (c *cloud) oneVPC(out string, servers int) deploy.Result {
	c.t.Helper()
	var r deploy.Result
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
	cl, err := vpc.New(vpc.Options{Endpoint: c.VPC, Tokens: c.owner()})
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
			if at == "between" && step != deploy.StepImport && step != deploy.StepOrder { // other steps save nothing
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
	c.fails(4, "luksimg setup --target vpc creates it", c.deployVPC()...)
	c.ok("setup", "--target", "vpc", "--root-key-crn", c.RootKey, "--cos-instance-crn", c.COSInstance)
	code, _, errs := c.run("luksimg-killed", append([]string{deploy.StepImport, "begun"}, c.deployVPC()...)...)
	if code >= 0 {
		t.Fatal(errs)
	}
	c.suspend()
	c.fails(4, "wait for import: ", c.deployVPC()...)
	c.resume()
	c.oneVPC(c.ok(c.deployVPC()...), 0)
	// Another deployment with the same name.
	c.fails(4, "a resource with this name exists", c.deployVPC("--state", "2", "--envelope", "3", "--object", "cos://us-south/"+testBucket+"/2.qcow2")...)
}

// TestSetupVPC checks that setup grants exactly the two authorizations that IBM documents. deploy must check each of
// them, and none with --skip-authorization-check.
func TestSetupVPC(t *testing.T) {
	c := newCloud(t, sandbox.Options{Bucket: testBucket})
	c.ok("setup", "--root-key-crn", c.RootKey)
	c.fails(4, "authorization-policy-create is cloud-object-storage Reader --source-resource-type image", c.deployVPC()...)
	errs := c.fails(4, "wait for import: ", c.deployVPC("--skip-authorization-check")...)
	for _, want := range []string{"the image service has no permission to read the file", `"hint":"luksimg setup --target vpc lets the image service read Object Storage`} {
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in %s", want, errs)
		}
	}
	c.ok("setup", "--target", "vpc", "--root-key-crn", c.RootKey, "--cos-instance-crn", c.COSInstance)
	granted, err := c.owner().Policies(t.Context(), c.Account, "authorization", "")
	if err != nil || len(granted) != 2 {
		t.Errorf("%+v, %v; want 2 authorizations", granted, err)
	}
	c.oneVPC(c.ok(c.deployVPC()...), 0)
}

// TestExportVPC copies an image of VPC to an object that the same key opens. After a failure and its repair, the same
// command follows the job of the earlier run.
func TestExportVPC(t *testing.T) {
	c := newCloud(t, sandbox.Options{Bucket: testBucket})
	c.ok("setup", "--target", "vpc", "--root-key-crn", c.RootKey, "--cos-instance-crn", c.COSInstance)
	c.ok(c.deployVPC()...)
	export := []string{"export", "--json", "--target", "vpc", "--poll", "20ms", "web", "cos://us-south/" + testBucket + "/copy.qcow2"}
	c.fails(4, "authorization-policy-create is cloud-object-storage Writer", export...) // setup grants Reader
	if _, err := c.owner().CreatePolicy(t.Context(), account.ExportAuthorization(c.Account, "").Policy); err != nil {
		t.Fatal(err)
	}
	if err := c.Faults().Arm(fault.Fault{Method: http.MethodPost, Path: "/v1/images/*/export_jobs", DropAfter: true}); err != nil {
		t.Fatal(err)
	}
	var r deploy.ExportedImage
	if err := json.Unmarshal([]byte(c.ok(export...)), &r); err != nil {
		t.Fatal(err)
	}
	e, err := readEnvelope(t.Context(), filepath.Join(c.dir, "web.envelope.json"))
	if err != nil || !r.Ready || r.Object != export[len(export)-1] || r.WrappedDEK != e.WDEK || r.RootKeyCRN != c.RootKey {
		t.Errorf("%+v, %v", r, err)
	}
	var again deploy.ExportedImage
	if err := json.Unmarshal([]byte(c.ok(export...)), &again); err != nil || again != r {
		t.Errorf("%+v, %v; want %+v", again, err, r)
	}
	o, err := c.Objects().Open(c.Account, testBucket, "copy.qcow2")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	first, err := c.Objects().Open(c.Account, testBucket, "web.qcow2")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if o.Size() != first.Size() {
		t.Errorf("%d bytes, want %d", o.Size(), first.Size())
	}
	at := func(name string) []string {
		return []string{"export", "--target", "vpc", "web", "cos://us-south/" + testBucket + "/" + name}
	}
	for name, want := range map[string]string{
		"Copy.qcow2": "NAME.qcow2 or NAME.vhd", "folder/copy.qcow2": "without a folder", "copy.QCOW2": "NAME.qcow2 or NAME.vhd", "copy.vhd": "as qcow2 only",
	} {
		c.fails(1, want, at(name)...)
	}
	if code, _, errs := c.run("luksimg", at("copy.qcow2")...); code != 0 || !strings.Contains(errs, "started by an earlier run") || strings.Contains(errs, "accepted") {
		t.Errorf("the same export again: exit code %d\n%s", code, errs)
	}
	c.fails(4, "ibmcloud is images", "export", "--target", "vpc", "none", "cos://us-south/"+testBucket+"/x.qcow2")
}

// TestNamesVPC checks that names that VPC would refuse are refused before a key is wrapped or anything is uploaded.
func TestNamesVPC(t *testing.T) {
	c := ready(t)
	for _, name := range []string{"ibm-web", "Web", "web.1", "1web", "web-"} {
		c.fails(1, "VPC does not accept this name", c.deployVPC("--name", name)...)
		c.fails(1, "VPC does not accept this name", "import", "--target", "vpc", "--name", name, "--os-code", "debian-12-amd64", "cos://us-south/"+testBucket+"/x.qcow2")
	}
	c.fails(1, "VPC does not accept this name", "import", "--target", "vpc", "--os-code", "debian-12-amd64", "cos://us-south/"+testBucket+"/x.QCOW2")
	for object, want := range map[string]string{"x.raw": "hint: .raw is for encrypted images (LUKS): give --envelope", "x.qcow2": "give --target vpc"} {
		c.fails(1, want, "import", "--os-code", "UBUNTU_22_64", "cos://us-south/"+testBucket+"/"+object)
	}
	c.fails(1, "--hostname: VPC does not accept this name", c.deployVPC(append(instance, "--hostname", "web.example")...)...)
	c.fails(1, "import --target vpc --list-os-codes", c.deployVPC("--os-code", "beos-5-amd64")...)
	c.fails(1, "classic infrastructure does not accept this name", c.deploy("--profile", "classic-vhd", "--object", "cos://us-south/"+testBucket+"/web.vhd")...)
	c.fails(1, "classic infrastructure does not accept this name", c.deploy(append(server, "--hostname", "web_1")...)...)
	c.fails(1, "import --list-os-codes", c.deploy("--os-code", "BEOS_5_64")...)
	if n := c.called("/actions/wrap") + c.called("/v1/images") + c.called("/"+testBucket+"/"); n != 0 {
		t.Errorf("%d calls", n)
	}
	if out := c.ok("import", "--list-os-codes", "--target", "vpc", "--region", "us-south"); !strings.Contains(out, "ubuntu-22-04-amd64") {
		t.Error(out)
	}
}

// owner returns an IAM client with all permissions.
func (c *cloud) owner() *iam.Client {
	c.t.Helper()
	identity, err := iam.New(iam.Options{URL: c.IAM, APIKey: []byte(c.APIKey)})
	if err != nil {
		c.t.Fatal(err)
	}
	return identity
}

// TestDeployVHD deploys with the other profile of classic infrastructure, and keeps the key.
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
