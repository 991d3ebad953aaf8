package vpc

import (
	"fmt"
	"strings"
	"testing"
)

// field returns the field of a refusal.
func field(m map[string]any) string {
	list, _ := m["errors"].([]any)
	if len(list) == 0 {
		return ""
	}
	target, _ := list[0].(map[string]any)["target"].(map[string]any)
	name, _ := target["name"].(string)
	return name
}

// TestTruthNames tests image names (vpc-go-sdk v0.80.0, ImagePrototypeImageByFile),
// extensions (ImageFilePrototype), and an unknown operating system.
func TestTruthNames(t *testing.T) {
	call := newServer(t, Options{})
	for n, c := range []struct{ name, system, file, field string }{
		{"web", "debian-12-amd64", "a.qcow2", ""},
		{strings.Repeat("a", 63), "debian-12-amd64", "a/b.vhd", ""},
		{"ibm-web", "debian-12-amd64", "a.qcow2", "name"},
		{"Web", "debian-12-amd64", "a.qcow2", "name"},
		{"web.1", "debian-12-amd64", "a.qcow2", "name"},
		{"1web", "debian-12-amd64", "a.qcow2", "name"},
		{"-web", "debian-12-amd64", "a.qcow2", "name"},
		{"web-", "debian-12-amd64", "a.qcow2", "name"},
		{strings.Repeat("a", 64), "debian-12-amd64", "a.qcow2", "name"},
		{"x", "beos-5-amd64", "a.qcow2", "operating_system"},
		{"x", "", "a.qcow2", "operating_system"},
		{"x", "debian-12-amd64", "a.QCOW2", "file.href"},
		{"x", "debian-12-amd64", "a.VHD", "file.href"},
		{"x", "debian-12-amd64", "a.raw", "file.href"},
	} {
		status, m := call("POST", "/v1/images"+v, fmt.Sprintf(`{"name":%q,"operating_system":{"name":%q},"file":{"href":"cos://us-south/b/%s"}}`, c.name, c.system, c.file))
		if (status == 201) != (c.field == "") || field(m) != c.field {
			t.Errorf("%d: %+v: %d %v", n, c, status, m)
		}
	}
}

// TestTruthNetworkAttachment orders with a network interface, with a network attachment, with both and with neither.
func TestTruthNetworkAttachment(t *testing.T) {
	disk := make([]byte, 1<<20)
	disk[510], disk[511] = 0x55, 0xaa
	call := newServerOf(t, Options{}, fixedVHD(t, disk))
	_, m := call("POST", "/v1/images"+v, `{"name":"web","operating_system":{"name":"debian-12-amd64"},"file":{"href":"cos://us-south/b/k.vhd"}}`)
	image := m["id"].(string)
	if _, m = call("GET", "/v1/images/"+image+v, ""); m["status"] != "available" {
		t.Fatal(m)
	}
	const face, attachment = `"primary_network_interface":{"subnet":{"id":"s"}}`, `"primary_network_attachment":{"name":"a","virtual_network_interface":{"subnet":{"id":"s"}}}`
	for n, c := range []struct{ network, field string }{
		{face, ""},
		{attachment, ""},
		{face + "," + attachment, "primary_network_attachment"},
		{`"x":0`, "primary_network_interface.subnet.id"},
		{`"primary_network_attachment":{}`, "primary_network_attachment.virtual_network_interface.subnet.id"},
	} {
		status, m := call("POST", "/v1/instances"+v, fmt.Sprintf(`{"name":"web%d","image":{"id":%q},"zone":{"name":"us-south-1"},"profile":{"name":"bx2-2x8"},"vpc":{"id":"v"},%s}`, n, image, c.network))
		if (status == 201) != (c.field == "") || field(m) != c.field {
			t.Errorf("%s: %d %v", c.network, status, m)
		}
		if c.field != "" {
			continue
		}
		_, m = call("GET", "/v1/instances/"+m["id"].(string)+v, "")
		subnet := m["primary_network_interface"].(map[string]any)["subnet"].(map[string]any)["id"]
		_, attached := m["primary_network_attachment"]
		if m["status"] != "running" || subnet != "s" || attached != (n == 1) || len(m["network_interfaces"].([]any)) != 1 {
			t.Errorf("%s: %v", c.network, m)
		}
	}
}

// TestTruthLists reads the lists that clients use for lookups, in pages and complete.
func TestTruthLists(t *testing.T) {
	call := newServer(t, Options{})
	const ed25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me"
	for n := range 3 {
		status, m := call("POST", "/v1/keys"+v, fmt.Sprintf(`{"name":"key%d","public_key":%q}`, n, ed25519))
		if status != 201 || m["type"] != "ed25519" || !strings.HasPrefix(m["fingerprint"].(string), "SHA256:") {
			t.Errorf("%d %v", status, m)
		}
	}
	for _, bad := range []string{`{"name":"key0","public_key":"` + ed25519 + `"}`, `{"name":"x","public_key":"no key"}`, `{"name":"X","public_key":"` + ed25519 + `"}`} {
		if status, m := call("POST", "/v1/keys"+v, bad); status != 400 {
			t.Errorf("%s: %v", bad, m)
		}
	}
	for path, want := range map[string]int{"vpcs": 1, "subnets": 3, "keys": 3, "operating_systems": len(systems), "images": 0, "instances": 0} {
		seen, start, pages := map[string]bool{}, "", 0
		for {
			_, m := call("GET", "/v1/"+path+v+"&limit=2"+start, "")
			for _, x := range m[path].([]any) {
				x := x.(map[string]any)
				id, ok := x["id"].(string)
				if !ok {
					id = x["name"].(string)
				}
				seen[id] = true
				if status, one := call("GET", "/v1/"+path+"/"+id+v, ""); status != 200 || one["name"] != x["name"] {
					t.Errorf("%s: %d %v", path, status, one)
				}
			}
			pages++
			next, more := m["next"].(map[string]any)
			if m["first"] == nil || m["total_count"] != float64(want) {
				t.Errorf("%s: %v", path, m)
			}
			if !more {
				break
			}
			start = "&" + next["href"].(string)[strings.Index(next["href"].(string), "start="):]
		}
		if len(seen) != want || pages != max(1, (want+1)/2) {
			t.Errorf("%s: %d in %d pages, want %d", path, len(seen), pages, want)
		}
		if status, _ := call("GET", "/v1/"+path+"/none"+v, ""); status != 404 {
			t.Errorf("%s/none: %d", path, status)
		}
	}
	if _, m := call("GET", "/v1/instance/profiles"+v, ""); len(m["profiles"].([]any)) != len(profiles) || m["next"] != nil {
		t.Error(m)
	}
	if _, m := call("GET", "/v1/instance/profiles/bx2-2x8"+v, ""); m["memory"].(map[string]any)["value"] != 8.0 {
		t.Error(m)
	}
	if _, m := call("GET", "/v1/regions/us-south/zones"+v, ""); len(m["zones"].([]any)) != 3 {
		t.Error(m)
	}
	_, m := call("GET", "/v1/keys"+v+"&name=key1", "")
	id := m["keys"].([]any)[0].(map[string]any)["id"].(string)
	if status, _ := call("DELETE", "/v1/keys/"+id+v, ""); status != 204 {
		t.Error(status)
	}
	if status, _ := call("GET", "/v1/keys/"+id+v, ""); status != 404 {
		t.Error(status)
	}
}
