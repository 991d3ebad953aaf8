package vpc_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/ibm/vpc"
)

// available creates an available image.
func (w *world) available() *vpc.Image {
	w.t.Helper()
	w.encrypted("web.qcow2", "abc123", disk())
	w.wrap("wdek", b64("abc123"))
	img, err := w.client.CreateImage(w.t.Context(), w.request("web.qcow2"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.srv.Wait()
	return img
}

// TestExport exports an image. The object must equal the imported file, and the job have its wrapped key.
func TestExport(t *testing.T) {
	w := newWorld(t)
	img := w.available()
	r := vpc.ExportRequest{Image: img.ID, Bucket: "images", Name: "copy"}
	job, err := w.client.CreateExport(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if job, err = w.client.WaitExport(t.Context(), img.ID, job.ID, vpc.WaitOptions{}); err != nil {
		t.Fatal(err)
	}
	if !job.Done() || job.StorageHref != "cos://us-south/images/copy.qcow2" || job.WrappedDEK != "wdek" || job.StorageObject.Name != "copy.qcow2" || job.CreatedAt.IsZero() {
		t.Errorf("%+v", job)
	}
	a, errA := os.ReadFile(filepath.Join(w.dir, "web.qcow2"))
	b, errB := os.ReadFile(filepath.Join(w.dir, "copy.qcow2"))
	if err := errors.Join(errA, errB); err != nil || string(a) != string(b) {
		t.Errorf("%d and %d bytes, %v", len(a), len(b), err)
	}
	if _, err := w.client.CreateExport(t.Context(), r); !errors.Is(err, vpc.ErrExists) {
		t.Error(err)
	}
	all, err := w.client.ExportJobs(t.Context(), img.ID)
	if err != nil || len(all) != 1 || all[0].ID != job.ID {
		t.Errorf("%+v, %v", all, err)
	}
	if err := w.client.DeleteExport(t.Context(), img.ID, job.ID); err != nil {
		t.Error(err)
	}
	if _, err := w.client.ExportJob(t.Context(), img.ID, job.ID); !errors.Is(err, vpc.ErrNotFound) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "copy.qcow2")); err != nil { // the object remains
		t.Error(err)
	}
	// The name of an existing object is not reused.
	if job, err = w.client.CreateExport(t.Context(), r); err != nil || job.StorageObject.Name == "copy.qcow2" {
		t.Errorf("%+v, %v", job, err)
	}
	w.srv.Wait()
}

// TestExportLost checks that a job whose reply was lost is found and created once.
func TestExportLost(t *testing.T) {
	w := newWorld(t)
	img := w.available()
	lost := false
	w.after = func(rw http.ResponseWriter, r *http.Request) bool {
		if lost || r.Method != http.MethodPost {
			return false
		}
		lost = true
		rw.WriteHeader(503)
		return true
	}
	job, err := w.client.CreateExport(t.Context(), vpc.ExportRequest{Image: img.ID, Bucket: "images", Name: "copy"})
	if err != nil || !lost || job.Name != "copy" {
		t.Fatalf("%+v, %v", job, err)
	}
	if all, err := w.client.ExportJobs(t.Context(), img.ID); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	w.srv.Wait()
}

func TestExportRefused(t *testing.T) {
	w := newWorld(t)
	img := w.available()
	for name, c := range map[string]struct {
		r    vpc.ExportRequest
		kind error  // expected error of this package
		code string // expected code of the service
	}{
		"name":      {vpc.ExportRequest{Image: img.ID, Bucket: "images", Name: "Copy"}, vpc.ErrName, ""},
		"format":    {vpc.ExportRequest{Image: img.ID, Bucket: "images", Name: "copy", Format: "vhd"}, nil, "bad_field"}, // the image is encrypted
		"no image":  {vpc.ExportRequest{Image: "none", Bucket: "images", Name: "copy"}, vpc.ErrNotFound, "not_found"},
		"no format": {vpc.ExportRequest{Image: img.ID, Bucket: "images", Name: "copy", Format: "raw"}, nil, ""},
	} {
		_, err := w.client.CreateExport(t.Context(), c.r)
		var e *vpc.Error
		if err == nil || c.kind != nil && !errors.Is(err, c.kind) || errors.As(err, &e) != (c.code != "") || e != nil && e.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	job, err := w.client.CreateExport(t.Context(), vpc.ExportRequest{Image: img.ID, Bucket: "elsewhere", Name: "copy"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.client.WaitExport(t.Context(), img.ID, job.ID, vpc.WaitOptions{})
	if !errors.Is(err, vpc.ErrFailed) || !strings.Contains(err.Error(), "cannot_access_storage_bucket") || !strings.Contains(hint(err), "is cloud-object-storage Writer") {
		t.Error(err)
	}
	if _, err := w.client.WaitExport(t.Context(), img.ID, "none", vpc.WaitOptions{}); !errors.Is(err, vpc.ErrNotFound) {
		t.Error(err)
	}
}

// TestLists reads the lists for an order.
func TestLists(t *testing.T) {
	w := newWorld(t)
	vpcs, err := w.client.VPCs(t.Context())
	if err != nil || len(vpcs) != 1 || vpcs[0].Name != "sandbox" {
		t.Errorf("%+v, %v", vpcs, err)
	}
	subnets, err := w.client.Subnets(t.Context())
	if err != nil || len(subnets) != 3 || subnets[0].Zone.Name != "us-south-1" || subnets[0].VPC.ID != vpcs[0].ID {
		t.Errorf("%+v, %v", subnets, err)
	}
	if keys, err := w.client.SSHKeys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("%+v, %v", keys, err)
	}
	if profiles, err := w.client.Profiles(t.Context()); err != nil || len(profiles) == 0 || profiles[0].Name == "" || profiles[0].Family == "" {
		t.Errorf("%+v, %v", profiles, err)
	}
	systems, err := w.client.OperatingSystems(t.Context())
	if err != nil || len(systems) == 0 || !systems[0].Importable || systems[0].Name == "" {
		t.Errorf("%+v, %v", systems, err)
	}
	for name, want := range map[string]error{"ubuntu-22-04-amd64": nil, "beos-5-amd64": vpc.ErrSystem, "../images": vpc.ErrSystem} {
		if err := w.client.CheckOperatingSystem(t.Context(), name); !errors.Is(err, want) || want != nil && hint(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
