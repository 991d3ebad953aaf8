package vpc

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

type instanceParameters struct {
	Name  string `json:"name"`
	Image struct {
		ID string `json:"id"`
	} `json:"image"`
	Zone struct {
		Name string `json:"name"`
	} `json:"zone"`
	Profile struct {
		Name string `json:"name"`
	} `json:"profile"`
	VPC struct {
		ID string `json:"id"`
	} `json:"vpc"`
	Interface *struct {
		Subnet identity `json:"subnet"`
	} `json:"primary_network_interface"`
	Attachment *struct {
		Name    string `json:"name"`
		Virtual struct {
			Subnet identity `json:"subnet"`
		} `json:"virtual_network_interface"`
	} `json:"primary_network_attachment"`
	Boot struct {
		Volume struct {
			EncryptionKey struct {
				CRN string `json:"crn"`
			} `json:"encryption_key"`
		} `json:"volume"`
	} `json:"boot_volume_attachment"`
}

type identity struct {
	ID string `json:"id"`
}

// subnet returns the subnet of the single primary network of an instance, defined by an interface or an attachment
// with a virtual network interface.
func (p *instanceParameters) subnet() (string, error) {
	switch {
	case p.Interface != nil && p.Attachment != nil:
		return "", invalid("primary_network_attachment", "primary_network_attachment and primary_network_interface exclude each other.")
	case p.Attachment != nil && p.Attachment.Virtual.Subnet.ID != "":
		return p.Attachment.Virtual.Subnet.ID, nil
	case p.Attachment != nil:
		return "", invalid("primary_network_attachment.virtual_network_interface.subnet.id", "The subnet must be given.")
	case p.Interface != nil && p.Interface.Subnet.ID != "":
		return p.Interface.Subnet.ID, nil
	}
	return "", invalid("primary_network_interface.subnet.id", "The subnet must be given.")
}

// bootKey returns the root key of the boot volume; the default is that of the image.
func (p *instanceParameters) bootKey(img *image) string {
	return cmp.Or(p.Boot.Volume.EncryptionKey.CRN, img.RootKeyCRN)
}

// errCRN is the error of the service for a volume with a root key that it may not use: it reports
// an invalid CRN (terraform-provider-ibm#1177, #4522).
var errCRN = &apiError{http.StatusBadRequest, "volume_crn_invalid", "The CRN specified in the request is not valid.", "boot_volume_attachment.volume.encryption_key.crn"}

func (s *Server) createInstance(r *http.Request, who string) (int, any, error) {
	var p instanceParameters
	if err := decode(r, &p); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	img := s.image(p.Image.ID)
	subnet, noSubnet := p.subnet()
	switch {
	case !validName.MatchString(p.Name):
		return 0, nil, invalid("name", "The name must be 1 to 63 lower case letters, digits and hyphens.")
	case slices.ContainsFunc(s.state.Instances, func(i *instance) bool { return i.Name == p.Name }):
		return 0, nil, &apiError{http.StatusBadRequest, "validation_unique_failed", "An instance of this name exists.", "name"}
	case img == nil:
		return 0, nil, invalid("image.id", "The image was not found.")
	case img.Status != "available":
		return 0, nil, invalid("image.id", "The image is %s.", img.Status)
	case !strings.HasPrefix(p.Zone.Name, s.opts.Region+"-"):
		return 0, nil, invalid("zone.name", "The zone is not in the region %s.", s.opts.Region)
	case p.Profile.Name == "":
		return 0, nil, invalid("profile.name", "The profile must be given.")
	case p.VPC.ID == "":
		return 0, nil, invalid("vpc.id", "The VPC must be given.")
	case noSubnet != nil:
		return 0, nil, noSubnet
	case p.bootKey(img) != "" && !s.mayUse(r.Context(), p.bootKey(img)):
		return 0, nil, errCRN
	}
	i := &instance{
		ID: "0717_" + uuid.NewString(), Name: p.Name, ImageID: img.ID, Zone: p.Zone.Name, Profile: p.Profile.Name, VPC: p.VPC.ID,
		Subnet: subnet, Status: "starting", Reasons: []reason{}, Created: s.opts.Clock.Now(),
	}
	if p.Attachment != nil {
		i.Network = "0717-" + uuid.NewString()
	}
	s.state.Instances = append(s.state.Instances, i)
	s.work.Go(func() {
		failed := &reason{"cannot_start", "The emulator was stopped."}
		if s.pause(s.ctx) == nil {
			failed = s.openImage(s.ctx, img)
		}
		why := ""
		s.mu.Lock()
		defer s.mu.Unlock()
		i.Status = "running"
		if failed != nil {
			i.Status, i.Reasons, why = "failed", []reason{*failed}, failed.Code
		}
		s.event("is.instance.instance.create", who, s.crn("instance", i.ID), i.Name, why, map[string]any{"image": map[string]any{"id": img.ID}})
	})
	return http.StatusCreated, s.instanceJSON(i), nil
}

// instanceJSON returns an instance in the format of the API. An instance with a network attachment also has an interface
// with the same ID, as in the service.
func (s *Server) instanceJSON(i *instance) map[string]any {
	m := map[string]any{
		"id": i.ID, "crn": s.crn("instance", i.ID), "href": s.href("instances", i.ID), "name": i.Name, "status": i.Status,
		"status_reasons": slices.Clone(i.Reasons), "zone": s.zone(i.Zone), "resource_type": "instance", "resource_group": s.group(),
		"profile": map[string]any{"name": i.Profile, "href": s.href("instance/profiles", i.Profile), "resource_type": "instance_profile"},
		"vpc":     s.reference("vpc", i.VPC, "sandbox"), "created_at": stamp(i.Created), "startable": true, "health_state": "ok", "health_reasons": []any{},
		"lifecycle_state": "stable", "lifecycle_reasons": []any{}, "disks": []any{}, "volume_attachments": []any{}, "network_attachments": []any{},
	}
	m["image"] = map[string]any{"id": i.ImageID}
	if img := s.image(i.ImageID); img != nil {
		m["image"] = s.reference("image", img.ID, img.Name)
	}
	if p := s.profile(i.Profile); p != nil {
		m["memory"], m["bandwidth"] = p["memory"].(map[string]any)["value"], p["bandwidth"].(map[string]any)["value"]
		m["vcpu"] = map[string]any{"architecture": "amd64", "manufacturer": "intel", "count": p["vcpu_count"].(map[string]any)["value"], "percentage": 100}
	}
	network := func(id, kind string) map[string]any {
		return map[string]any{
			"id": id, "name": "eth0", "href": s.href("instances/"+i.ID+"/"+kind+"s", id), "resource_type": kind,
			"primary_ip": map[string]any{"address": "10.240.0.4", "id": id, "name": "eth0", "resource_type": "subnet_reserved_ip", "href": s.href("subnets/"+i.Subnet+"/reserved_ips", id)},
			"subnet":     s.reference("subnet", i.Subnet, "sandbox"),
		}
	}
	id := cmp.Or(i.Network, i.ID)
	m["primary_network_interface"] = network(id, "network_interface")
	m["network_interfaces"] = []any{m["primary_network_interface"]}
	if i.Network != "" {
		a := network(id, "instance_network_attachment")
		a["virtual_network_interface"] = s.reference("virtual-network-interface", id, "eth0")
		m["primary_network_attachment"], m["network_attachments"] = a, []any{a}
	}
	return m
}

func (s *Server) listInstances(r *http.Request, _ string) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	all := make(map[string]any)
	for _, i := range s.state.Instances {
		if name := r.URL.Query().Get("name"); name == "" || name == i.Name {
			ids = append(ids, i.ID)
			all[i.ID] = s.instanceJSON(i)
		}
	}
	return page(r, "instances", ids, all)
}

func (s *Server) getInstance(r *http.Request, _ string) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.instance(r.PathValue("id"))
	if i == nil {
		return 0, nil, errNotFound
	}
	return http.StatusOK, s.instanceJSON(i), nil
}

func (s *Server) deleteInstance(r *http.Request, _ string) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.instance(r.PathValue("id"))
	if i == nil {
		return 0, nil, errNotFound
	}
	s.state.Instances = slices.DeleteFunc(s.state.Instances, func(x *instance) bool { return x == i })
	return http.StatusNoContent, nil, nil
}

// page returns the part of a list that the query selects with start and limit, in the
// order of IDs.
func page(r *http.Request, name string, ids []string, all map[string]any) (int, any, error) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 || limit > 100 {
		limit = 50
	}
	from := 0
	if start := q.Get("start"); start != "" {
		if from = slices.Index(ids, start); from < 0 {
			return 0, nil, invalid("start", "The page was not found.")
		}
	}
	to := min(from+limit, len(ids))
	list := []any{}
	for _, id := range ids[from:to] {
		list = append(list, all[id])
	}
	address := func(start string) map[string]any {
		v := url.Values{"limit": {strconv.Itoa(limit)}}
		if start != "" {
			v.Set("start", start)
		}
		return map[string]any{"href": "http://" + r.Host + r.URL.Path + "?" + v.Encode()}
	}
	body := map[string]any{name: list, "limit": limit, "total_count": len(ids), "first": address("")}
	if to < len(ids) {
		body["next"] = address(ids[to])
	}
	return http.StatusOK, body, nil
}
