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
	Interface struct {
		Subnet struct {
			ID string `json:"id"`
		} `json:"subnet"`
	} `json:"primary_network_interface"`
	Boot struct {
		Volume struct {
			EncryptionKey struct {
				CRN string `json:"crn"`
			} `json:"encryption_key"`
		} `json:"volume"`
	} `json:"boot_volume_attachment"`
}

// bootKey is the root key of the boot volume: that of the image, if no other is named.
func (p *instanceParameters) bootKey(img *image) string {
	return cmp.Or(p.Boot.Volume.EncryptionKey.CRN, img.RootKeyCRN)
}

// errCRN is what the service says of a volume whose root key it may not use: it takes the
// CRN for a wrong one (terraform-provider-ibm#1177, #4522).
var errCRN = &apiError{http.StatusBadRequest, "volume_crn_invalid", "The CRN specified in the request is not valid.", "boot_volume_attachment.volume.encryption_key.crn"}

func (s *Server) createInstance(r *http.Request, who string) (int, any, error) {
	var p instanceParameters
	if err := decode(r, &p); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	img := s.image(p.Image.ID)
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
	case p.Interface.Subnet.ID == "":
		return 0, nil, invalid("primary_network_interface.subnet.id", "The subnet must be given.")
	case p.bootKey(img) != "" && !s.mayUse(r.Context(), p.bootKey(img)):
		return 0, nil, errCRN
	}
	i := &instance{
		ID: "0717_" + uuid.NewString(), Name: p.Name, ImageID: img.ID, Zone: p.Zone.Name, Profile: p.Profile.Name, VPC: p.VPC.ID,
		Status: "starting", Reasons: []reason{}, Created: s.opts.Clock.Now(),
	}
	s.state.Instances = append(s.state.Instances, i)
	s.work.Go(func() {
		failed := &reason{"cannot_start", "The emulator was stopped."}
		if s.pause() == nil {
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

func (s *Server) instanceJSON(i *instance) map[string]any {
	return map[string]any{
		"id": i.ID, "crn": s.crn("instance", i.ID), "href": "/v1/instances/" + i.ID, "name": i.Name, "status": i.Status,
		"status_reasons": slices.Clone(i.Reasons), "image": map[string]any{"id": i.ImageID}, "zone": map[string]any{"name": i.Zone},
		"profile": map[string]any{"name": i.Profile}, "vpc": map[string]any{"id": i.VPC}, "resource_type": "instance",
		"created_at": i.Created.UTC().Format("2006-01-02T15:04:05.000Z"),
	}
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

// page returns the part of a list that start and limit of the query ask for, in the
// order of ids.
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
	body := map[string]any{name: list, "limit": limit, "total_count": len(ids)}
	if to < len(ids) {
		body["next"] = map[string]any{"href": "/v1/" + name + "?" + url.Values{"start": {ids[to]}}.Encode()}
	}
	return http.StatusOK, body, nil
}
