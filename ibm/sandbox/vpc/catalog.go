package vpc

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A systemName is an operating system. The list is a subset of that of the service
// (GET /operating_systems).
type systemName struct{ name, display, family, vendor, version string }

var systems = []systemName{
	{"centos-stream-9-amd64", "CentOS Stream 9.x - Minimal Install (amd64)", "CentOS", "CentOS", "9.x - Minimal Install"},
	{"debian-11-amd64", "Debian GNU/Linux 11.x Bullseye/Stable - Minimal Install (amd64)", "Debian GNU/Linux", "Debian", "11.x Bullseye/Stable - Minimal Install"},
	{"debian-12-amd64", "Debian GNU/Linux 12.x Bookworm/Stable - Minimal Install (amd64)", "Debian GNU/Linux", "Debian", "12.x Bookworm/Stable - Minimal Install"},
	{"red-8-amd64", "Red Hat Enterprise Linux 8.x - Minimal Install (amd64)", "Red Hat Enterprise Linux", "Red Hat", "8.x - Minimal Install"},
	{"red-8-amd64-byol", "Red Hat Enterprise Linux 8.x - Minimal Install (amd64) BYOL", "Red Hat Enterprise Linux", "Red Hat", "8.x - Minimal Install"},
	{"red-9-amd64", "Red Hat Enterprise Linux 9.x - Minimal Install (amd64)", "Red Hat Enterprise Linux", "Red Hat", "9.x - Minimal Install"},
	{"red-9-amd64-byol", "Red Hat Enterprise Linux 9.x - Minimal Install (amd64) BYOL", "Red Hat Enterprise Linux", "Red Hat", "9.x - Minimal Install"},
	{"rocky-linux-8-amd64", "Rocky Linux 8.x - Minimal Install (amd64)", "Rocky Linux", "Rocky Linux", "8.x - Minimal Install"},
	{"rocky-linux-9-amd64", "Rocky Linux 9.x - Minimal Install (amd64)", "Rocky Linux", "Rocky Linux", "9.x - Minimal Install"},
	{"sles-15-amd64", "SUSE Linux Enterprise Server 15.x (amd64)", "SUSE Linux Enterprise Server", "SUSE", "15.x"},
	{"ubuntu-20-04-amd64", "Ubuntu Linux 20.04 LTS Focal Fossa Minimal Install (amd64)", "Ubuntu Linux", "Canonical", "20.04 LTS Focal Fossa Minimal Install"},
	{"ubuntu-22-04-amd64", "Ubuntu Linux 22.04 LTS Jammy Jellyfish Minimal Install (amd64)", "Ubuntu Linux", "Canonical", "22.04 LTS Jammy Jellyfish Minimal Install"},
	{"ubuntu-24-04-amd64", "Ubuntu Linux 24.04 LTS Noble Numbat Minimal Install (amd64)", "Ubuntu Linux", "Canonical", "24.04 LTS Noble Numbat Minimal Install"},
	{"windows-2019-amd64", "Windows Server 2019 Standard Edition (amd64)", "Windows Server", "Microsoft", "2019 Standard Edition"},
	{"windows-2019-amd64-byol", "Windows Server 2019 Standard Edition (amd64) BYOL", "Windows Server", "Microsoft", "2019 Standard Edition"},
	{"windows-2022-amd64", "Windows Server 2022 Standard Edition (amd64)", "Windows Server", "Microsoft", "2022 Standard Edition"},
	{"windows-2022-amd64-byol", "Windows Server 2022 Standard Edition (amd64) BYOL", "Windows Server", "Microsoft", "2022 Standard Edition"},
}

func importable(name string) bool {
	return slices.ContainsFunc(systems, func(s systemName) bool { return s.name == name })
}

// system returns an operating system in the format of the API.
func (s *Server) system(name string) map[string]any {
	for _, x := range systems {
		if x.name == name {
			return map[string]any{
				"name": x.name, "display_name": x.display, "family": x.family, "vendor": x.vendor, "version": x.version, "architecture": "amd64",
				"allow_user_image_creation": true, "dedicated_host_only": false, "user_data_format": "cloud_init", "href": s.href("operating_systems", x.name),
			}
		}
	}
	return map[string]any{"name": name}
}

// profiles are instance profiles with virtual CPUs, and memory in GiB: a subset of those of the
// service.
var profiles = []struct {
	name, family string
	cpus, memory int
}{
	{"bx2-2x8", "balanced", 2, 8}, {"bx2-4x16", "balanced", 4, 16}, {"bx2-8x32", "balanced", 8, 32}, {"cx2-2x4", "compute", 2, 4}, {"cx2-4x8", "compute", 4, 8},
	{"mx2-2x16", "memory", 2, 16}, {"bx3d-2x10", "balanced", 2, 10}, {"cx3d-2x5", "compute", 2, 5},
}

func fixed(n int) map[string]any { return map[string]any{"type": "fixed", "value": n} }

func (s *Server) profile(name string) map[string]any {
	for _, p := range profiles {
		if p.name == name {
			return map[string]any{
				"name": p.name, "family": p.family, "href": s.href("instance/profiles", p.name), "resource_type": "instance_profile", "status": "current",
				"vcpu_count": fixed(p.cpus), "memory": fixed(p.memory), "disks": []any{}, "bandwidth": fixed(p.cpus * 2000), "port_speed": fixed(16000),
				"vcpu_architecture": map[string]any{"type": "fixed", "value": "amd64"}, "os_architecture": map[string]any{"type": "enum", "default": "amd64", "values": []string{"amd64"}},
			}
		}
	}
	return nil
}

// zones returns the zones of the region.
func (s *Server) zones() []string {
	return []string{s.opts.Region + "-1", s.opts.Region + "-2", s.opts.Region + "-3"}
}

// VPC is the ID of the only VPC.
const VPC = "r006-00000000-0000-4000-8000-000000000001"

// Subnet returns the ID of the subnet of [VPC] in a zone such as "us-south-1".
func Subnet(zone string) string {
	return "0717-00000000-0000-4000-8000-00000000001" + zone[len(zone)-1:]
}

func (s *Server) reference(kind, id, name string) map[string]any {
	return map[string]any{"id": id, "crn": s.crn(kind, id), "href": s.href(kind+"s", id), "name": name, "resource_type": kind}
}

func (s *Server) group() map[string]any {
	return map[string]any{"id": "default", "name": "Default", "href": "https://resource-controller.cloud.ibm.com/v2/resource_groups/default"}
}

func (s *Server) vpcs() []map[string]any {
	v := s.reference("vpc", VPC, "sandbox")
	v["status"], v["classic_access"], v["created_at"], v["resource_group"] = "available", false, stamp(s.started), s.group()
	v["health_state"], v["health_reasons"] = "ok", []any{}
	return []map[string]any{v}
}

func (s *Server) subnets() []map[string]any {
	var all []map[string]any
	for n, zone := range s.zones() {
		v := s.reference("subnet", Subnet(zone), "sandbox-"+zone[len(zone)-1:])
		v["status"], v["ip_version"], v["created_at"], v["resource_group"] = "available", "ipv4", stamp(s.started), s.group()
		v["ipv4_cidr_block"], v["available_ipv4_address_count"], v["total_ipv4_address_count"] = fmt.Sprintf("10.240.%d.0/24", n), 251, 256
		v["zone"], v["vpc"] = s.zone(zone), s.reference("vpc", VPC, "sandbox")
		all = append(all, v)
	}
	return all
}

func (s *Server) zone(name string) map[string]any {
	return map[string]any{"name": name, "href": s.href("regions/"+s.opts.Region+"/zones", name)}
}

// whole answers with a complete list, paged with a page of a list.
func whole(name string, list []map[string]any) (int, any, error) {
	return http.StatusOK, map[string]any{name: list}, nil
}

func paged(r *http.Request, name, id string, list []map[string]any) (int, any, error) {
	var ids []string
	all := make(map[string]any)
	for _, v := range list {
		if want := r.URL.Query().Get("name"); want == "" || want == v["name"] {
			ids = append(ids, v[id].(string))
			all[v[id].(string)] = v
		}
	}
	return page(r, name, ids, all)
}

// one answers with the element of a list that a request names.
func one(r *http.Request, id string, list []map[string]any) (int, any, error) {
	for _, v := range list {
		if v[id] == r.PathValue("id") {
			return http.StatusOK, v, nil
		}
	}
	return 0, nil, errNotFound
}

func (s *Server) allSystems() []map[string]any {
	var all []map[string]any
	for _, x := range systems {
		all = append(all, s.system(x.name))
	}
	return all
}

func (s *Server) allProfiles() []map[string]any {
	var all []map[string]any
	for _, p := range profiles {
		all = append(all, s.profile(p.name))
	}
	return all
}

func (s *Server) listSystems(r *http.Request, _ string) (int, any, error) {
	return paged(r, "operating_systems", "name", s.allSystems())
}

func (s *Server) getSystem(r *http.Request, _ string) (int, any, error) {
	return one(r, "name", s.allSystems())
}

func (s *Server) listProfiles(*http.Request, string) (int, any, error) {
	return whole("profiles", s.allProfiles())
}

func (s *Server) getProfile(r *http.Request, _ string) (int, any, error) {
	return one(r, "name", s.allProfiles())
}

func (s *Server) listRegions(r *http.Request, _ string) (int, any, error) {
	return whole("regions", []map[string]any{{"name": s.opts.Region, "status": "available", "href": s.href("regions", s.opts.Region), "endpoint": strings.TrimSuffix(s.href("", ""), "/v1//")}})
}

func (s *Server) listZones(r *http.Request, _ string) (int, any, error) {
	if r.PathValue("region") != s.opts.Region {
		return 0, nil, errNotFound
	}
	var all []map[string]any
	for _, z := range s.zones() {
		all = append(all, s.zone(z))
	}
	return whole("zones", all)
}

func (s *Server) listVPCs(r *http.Request, _ string) (int, any, error) {
	return paged(r, "vpcs", "id", s.vpcs())
}
func (s *Server) getVPC(r *http.Request, _ string) (int, any, error) { return one(r, "id", s.vpcs()) }

func (s *Server) listSubnets(r *http.Request, _ string) (int, any, error) {
	return paged(r, "subnets", "id", s.subnets())
}

func (s *Server) getSubnet(r *http.Request, _ string) (int, any, error) {
	return one(r, "id", s.subnets())
}

// stamp formats a time for the API.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
