package kms

import (
	"net/http"
	"strings"
	"time"

	"github.com/luksimg/luksimg/ibm/crn"
)

// registration records that a root key protects a resource of another service, such as a
// bucket. Only services create registrations.
type registration struct {
	KeyID    string    `json:"key_id"`
	Instance string    `json:"instance"`
	Resource string    `json:"resource"` // its CRN
	Version  string    `json:"version"`
	Prevent  bool      `json:"prevent_deletion,omitempty"`
	By       string    `json:"by"`
	Created  time.Time `json:"created"`
}

type registrationJSON struct {
	KeyID       string       `json:"keyId"`
	Resource    string       `json:"resourceCrn"`
	By          string       `json:"createdBy"`
	Created     string       `json:"creationDate"`
	Updated     string       `json:"lastUpdated"`
	Description string       `json:"description"`
	Prevent     bool         `json:"preventKeyDeletion"`
	Version     *versionJSON `json:"keyVersion"`
}

// Register records on behalf of a service that a root key protects a resource. Then the
// key can be deleted only by force, or not at all with prevent. The same resource can be
// registered again.
func (s *Server) Register(rootKeyCRN, resourceCRN, service string, prevent bool) error {
	c, err := crn.ParseRootKey(rootKeyCRN)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.st.key(c.Instance, c.Resource)
	if k == nil {
		return failNotFound
	}
	if f := s.register(k, resourceCRN, service, prevent); f != nil {
		return f
	}
	return nil
}

// Unregister removes the registration of a deleted resource.
func (s *Server) Unregister(resourceCRN string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.st.Registrations = without(s.st.Registrations, func(x registration) bool { return x.Resource == resourceCRN })
}

func (s *Server) register(k *key, resource, by string, prevent bool) *Failure {
	if k.Extractable {
		return &Failure{422, "KEY_ROOT_REQ_REG_ERR", failRootOnly.Message}
	}
	if k.State == destroyed {
		return failDeleted
	}
	s.st.Registrations = append(without(s.st.Registrations, func(x registration) bool { return x.KeyID == k.ID && x.Resource == resource }),
		registration{KeyID: k.ID, Instance: k.Instance, Resource: resource, Version: k.latest().ID, Prevent: prevent, By: by, Created: s.now()})
	return nil
}

// released returns a failure if a resource still needs a key that is to be deleted.
func (s *Server) released(k *key, force bool) *Failure {
	var f *Failure
	for _, x := range s.st.Registrations {
		switch {
		case x.KeyID != k.ID:
		case x.Prevent:
			return failRetention
		case !force:
			f = failProtected
		}
	}
	return f
}

// findForService is find for requests that only services may make.
func (s *Server) findForService(r *request) (*key, *Failure) {
	k, f := s.find(r)
	if f == nil && r.who.Kind != KindService {
		f = failServiceOnly
	}
	return k, f
}

func (s *Server) createRegistration(r *request) (int, any, *Failure) {
	k, f := s.findForService(r)
	if f != nil {
		return 0, nil, f
	}
	var in struct {
		Resources []struct {
			Prevent bool `json:"preventKeyDeletion"`
		} `json:"resources"`
	}
	if f := r.decode(&in, false); f != nil {
		return 0, nil, f
	}
	resource := r.PathValue("crn")
	if f := s.register(k, resource, r.who.IAMID, len(in.Resources) > 0 && in.Resources[0].Prevent); f != nil {
		return 0, nil, f
	}
	return http.StatusCreated, s.registrations(func(x registration) bool { return x.KeyID == k.ID && x.Resource == resource }), nil
}

func (s *Server) deleteRegistration(r *request) (int, any, *Failure) {
	k, f := s.findForService(r)
	if f != nil {
		return 0, nil, f
	}
	s.st.Registrations = without(s.st.Registrations, func(x registration) bool { return x.KeyID == k.ID && x.Resource == r.PathValue("crn") })
	return http.StatusNoContent, nil, nil
}

// listRegistrations lists the registrations of a key or of the instance. The query can restrict them to
// resources by a CRN prefix that ends in "*".
func (s *Server) listRegistrations(r *request) (int, any, *Failure) {
	only := ""
	if r.PathValue("id") != "" {
		k, f := s.find(r)
		if f != nil {
			return 0, nil, f
		}
		only = k.ID
	}
	prefix, open := strings.CutSuffix(r.URL.Query().Get("urlEncodedResourceCRNQuery"), "*")
	return http.StatusOK, s.registrations(func(x registration) bool {
		return x.Instance == r.instance.ID && (only == "" || x.KeyID == only) && strings.HasPrefix(x.Resource, prefix) && (open || prefix == "" || x.Resource == prefix)
	}), nil
}

func (s *Server) registrations(is func(registration) bool) map[string]any {
	list := []registrationJSON{}
	for _, x := range s.st.Registrations {
		if !is(x) {
			continue
		}
		j := registrationJSON{KeyID: x.KeyID, Resource: x.Resource, By: x.By, Created: date(x.Created), Updated: date(x.Created), Prevent: x.Prevent, Version: &versionJSON{ID: x.Version}}
		if k := s.st.key(x.Instance, x.KeyID); k != nil {
			for _, v := range k.Versions {
				if v.ID == x.Version {
					j.Version.CreationDate = date(v.Created)
				}
			}
		}
		list = append(list, j)
	}
	return map[string]any{"metadata": metadata{"application/vnd.ibm.kms.registration+json", len(list)}, "resources": list}
}
