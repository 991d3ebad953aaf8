package vpc_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/luksimg/luksimg/ibm/vpc"
)

// TestBodies compares requests with the formats in the API documentation
// (ImagePrototypeImageByFile, InstancePrototypeInstanceByImage).
func TestBodies(t *testing.T) {
	w := newWorld(t)
	var got []byte
	w.fault = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == "GET" {
			io.WriteString(rw, `{"images":[],"instances":[]}`)
			return true
		}
		got, _ = io.ReadAll(r.Body)
		if r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%v", r.Header)
		}
		rw.WriteHeader(201)
		io.WriteString(rw, `{"id":"r006-1","name":"web","status":"pending","status_reasons":[]}`)
		return true
	}
	compare := func(want string) {
		t.Helper()
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, compact.Bytes()) {
			t.Errorf("sent %s\nwant %s", got, compact.Bytes())
		}
	}
	r := w.request("web.qcow2")
	r.ResourceGroup = "group"
	if _, err := w.client.CreateImage(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	compare(`{"name":"web","file":{"href":"cos://us-south/images/web.qcow2"},"operating_system":{"name":"ubuntu-22-04-amd64"},
		"encryption_key":{"crn":"` + rootCRN + `"},"encrypted_data_key":"wdek","resource_group":{"id":"group"}}`)
	r = vpc.ImageRequest{Name: "plain", URI: "cos://us-south/images/web.vhd", OperatingSystem: "ubuntu-22-04-amd64"}
	if _, err := w.client.CreateImage(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	compare(`{"name":"plain","file":{"href":"cos://us-south/images/web.vhd"},"operating_system":{"name":"ubuntu-22-04-amd64"}}`)
	if _, err := w.client.CreateInstance(t.Context(), vpc.InstanceRequest{
		Name: "web1", Image: "r006-1", Zone: "us-south-1", Profile: "bx2-2x8", VPC: "v", Subnet: "s", SSHKeys: []string{"k"}, BootKeyCRN: rootCRN,
	}); err != nil {
		t.Fatal(err)
	}
	compare(`{"name":"web1","image":{"id":"r006-1"},"zone":{"name":"us-south-1"},"profile":{"name":"bx2-2x8"},"vpc":{"id":"v"},
		"primary_network_interface":{"subnet":{"id":"s"}},"keys":[{"id":"k"}],"boot_volume_attachment":{"volume":{"encryption_key":{"crn":"` + rootCRN + `"}}}}`)
	if _, err := w.client.CreateInstance(t.Context(), vpc.InstanceRequest{
		Name: "web1", Image: "r006-1", Zone: "us-south-1", Profile: "bx2-2x8", VPC: "v", Subnet: "s", Attachment: true,
	}); err != nil {
		t.Fatal(err)
	}
	compare(`{"name":"web1","image":{"id":"r006-1"},"zone":{"name":"us-south-1"},"profile":{"name":"bx2-2x8"},"vpc":{"id":"v"},
		"primary_network_attachment":{"virtual_network_interface":{"subnet":{"id":"s"}}},"keys":[]}`)
}

// TestErrorShape parses an error from the API documentation, and one that repeats the token.
func TestErrorShape(t *testing.T) {
	w := newWorld(t)
	w.fault = func(rw http.ResponseWriter, r *http.Request) bool {
		rw.WriteHeader(403)
		io.WriteString(rw, `{"errors":[{"code":"not_authorized","message":"not with token-SECRET\u001b[2J","more_info":"https://example.com","target":{"name":"file","type":"field","value":"x"}}],"trace":"trace-1"}`)
		return true
	}
	_, err := w.client.Images(t.Context())
	var e *vpc.Error
	if !errors.As(err, &e) || e.Code != "not_authorized" || e.RequestID != "trace-1" || e.Field != "file" || e.Status != 403 || e.Hint() == "" {
		t.Fatal(err)
	}
	if want := "vpc: list images: not with [redacted][2J (not_authorized, field file, HTTP 403, request trace-1, correlation corr-1)"; err.Error() != want {
		t.Errorf("%q", err)
	}
}
