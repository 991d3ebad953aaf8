package sandbox_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/account"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/ibm/vpc"
)

// authorizations are those that IBM's documentation requires: Cloud Block Storage -> Key Protect
// (vpc-create-encrypted-custom-image), and the image service of VPC -> Object Storage
// (vpc-object-storage-prereq).
func (w *world) authorizations() []account.Authorization {
	return account.Authorizations(w.Account, w.kp.CRN(), true, "")
}

func (w *world) grant(p iam.Policy) {
	w.t.Helper()
	if _, err := w.iam.CreatePolicy(w.t.Context(), p); err != nil {
		w.t.Fatal(err)
	}
}

// TestTruthVPCAuthorizations imports with each subset of the documented authorizations. Only with
// both of them the import works and a server starts.
func TestTruthVPCAuthorizations(t *testing.T) {
	for _, c := range []struct {
		granted []int
		code    string // status code; "" for success
		words   string
		hint    string
	}{
		{nil, "image_data_corrupted", "VPC Infrastructure Services (is) for Cloud Object Storage: grant it the role Reader", "read Object Storage"},
		{[]int{0}, "image_data_corrupted", "VPC Infrastructure Services (is) for Cloud Object Storage: grant it the role Reader", "read Object Storage"},
		{[]int{1}, "encrypted_data_key_invalid", "Cloud Block Storage (server-protect) for instance", "use the root key"},
		{[]int{0, 1}, "", "", ""},
	} {
		w := start(t, sandbox.Options{Bucket: bucket})
		for _, n := range c.granted {
			w.grant(w.authorizations()[n].Policy)
		}
		image, err := w.vpcImage(w.upload("web.qcow2", w.encrypt(luksimg.VPCQCOW2)))
		if c.code != "" {
			var e *vpc.StatusError
			if !errors.As(err, &e) || len(e.Reasons) != 1 || e.Reasons[0].Code != c.code || !strings.Contains(err.Error(), c.words) || !strings.Contains(err.Error(), " has no permission to ") || !strings.Contains(e.Hint(), c.hint) {
				t.Errorf("with %v: %v (hint: %s), want %s %q", c.granted, err, e.Hint(), c.code, c.words)
			}
			continue
		}
		if err != nil {
			t.Errorf("with %v: %v", c.granted, err)
			continue
		}
		if _, err := w.vpcServer(image, "web1"); err != nil {
			t.Error(err)
		}
	}
}

// vpcServer orders a server, and returns the error.
func (w *world) vpcServer(image *vpc.Image, name string) (*vpc.Instance, error) {
	w.t.Helper()
	i, err := w.vpc.CreateInstance(w.t.Context(), vpc.InstanceRequest{Name: name, Image: image.ID, Zone: "us-south-1", Profile: "bx2-2x8", VPC: "v", Subnet: "s"})
	if err != nil {
		return nil, err
	}
	return w.vpc.WaitInstance(w.t.Context(), i.ID, vpc.WaitOptions{})
}

// TestTruthVPCServerAuthorization orders a server after the authorization of Cloud Block Storage was removed. The
// service then reports that the CRN of the boot volume is invalid (terraform-provider-ibm#1177, #4522).
func TestTruthVPCServerAuthorization(t *testing.T) {
	w := ready(t)
	image, err := w.vpcImage(w.upload("web.qcow2", w.encrypt(luksimg.VPCQCOW2)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.vpcServer(image, "web1"); err != nil {
		t.Fatal(err)
	}
	w.Sandbox.KMS().Revoke("server-protect", "kms")
	var e *vpc.Error
	if _, err := w.vpcServer(image, "web2"); !errors.As(err, &e) || e.Status != 400 || e.Code != "volume_crn_invalid" ||
		!strings.Contains(e.Hint(), "Cloud Block Storage (server-protect)") {
		t.Errorf("%v, want volume_crn_invalid", err)
	}
	if all, err := w.vpc.Instances(t.Context()); err != nil || slices.ContainsFunc(all, func(i vpc.Instance) bool { return i.Name == "web2" }) {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestTruthVPCExport exports an image to a bucket, which requires the role Writer for Object Storage
// (vpc-object-storage-prereq; vpc-go-sdk, CreateImageExportJobOptions).
func TestTruthVPCExport(t *testing.T) {
	w := start(t, sandbox.Options{Bucket: bucket})
	for _, a := range w.authorizations() {
		w.grant(a.Policy)
	}
	file := w.encrypt(luksimg.VPCQCOW2)
	image, err := w.vpcImage(w.upload("web.qcow2", file))
	if err != nil {
		t.Fatal(err)
	}
	export := func(name, to string) (*vpc.ExportJob, error) {
		job, err := w.vpc.CreateExport(t.Context(), vpc.ExportRequest{Image: image.ID, Bucket: to, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return w.vpc.WaitExport(t.Context(), image.ID, job.ID, vpc.WaitOptions{})
	}
	if _, err := export("one", bucket); !errors.Is(err, vpc.ErrFailed) || !strings.Contains(err.Error(), "cannot_access_storage_bucket") || !strings.Contains(err.Error(), "the role Writer") {
		t.Errorf("with Reader: %v", err)
	}
	w.grant(account.ExportAuthorization(w.Account, "").Policy)
	if _, err := export("two", "nowhere"); !errors.Is(err, vpc.ErrFailed) {
		t.Errorf("to no bucket: %v", err)
	}
	job, err := export("three", bucket)
	if err != nil || job.WrappedDEK != w.wdek {
		t.Fatalf("%+v, %v", job, err)
	}
	o, err := w.Objects().Open(w.Account, bucket, job.StorageObject.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	got := make([]byte, o.Size())
	if _, err := o.ReadAt(got, 0); err != nil && err != io.EOF || !bytes.Equal(got, file) {
		t.Errorf("%d bytes, want %d: %v", len(got), len(file), err)
	}
}
