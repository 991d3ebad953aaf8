package kms

import (
	"net/http"
	"regexp"
	"time"
)

const (
	defaultRing = "default" // exists in each instance
	maxRings    = 50        // in addition to the default
)

// keyRing is a group of keys in an instance.
type keyRing struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	By      string    `json:"created_by"`
}

func (i *instance) ring(id string) *keyRing {
	for n := range i.Rings {
		if i.Rings[n].ID == id {
			return &i.Rings[n]
		}
	}
	return nil
}

// idPattern matches valid IDs of key rings, and aliases.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{2,100}$`)

func (s *Server) createRing(r *request) (int, any, *Failure) {
	id := r.PathValue("ring")
	switch {
	case !idPattern.MatchString(id):
		return 0, nil, &Failure{400, "INVALID_FIELD_ERR", "The field `key ring id` must be: 2 to 100 letters, digits, hyphens and underscores"}
	case id == defaultRing, r.instance.ring(id) != nil:
		return 0, nil, &Failure{409, "KEY_RING_NOT_UNIQUE_ERR", "A key ring of this id already exists in the instance"}
	case len(r.instance.Rings) >= maxRings:
		return 0, nil, &Failure{409, "KEY_RING_QUOTA_ERR", "The instance has as many key rings as it may"}
	}
	r.instance.Rings = append(r.instance.Rings, keyRing{id, s.now(), r.who.IAMID})
	return http.StatusCreated, nil, nil
}

func (s *Server) listRings(r *request) (int, any, *Failure) {
	type ring struct {
		ID      string `json:"id"`
		Created string `json:"creationDate,omitempty"`
		By      string `json:"createdBy,omitempty"`
	}
	limit, offset, f := r.page()
	if f != nil {
		return 0, nil, f
	}
	all := []ring{{ID: defaultRing}}
	for _, x := range r.instance.Rings {
		all = append(all, ring{x.ID, date(x.Created), x.By})
	}
	page := part(all, limit, offset)
	return http.StatusOK, map[string]any{"metadata": metadata{"application/vnd.ibm.kms.key_ring+json", len(page)}, "resources": page}, nil
}

// deleteRing deletes an empty key ring. With force, it also deletes a ring with deleted keys, and moves
// them to the default ring.
func (s *Server) deleteRing(r *request) (int, any, *Failure) {
	id := r.PathValue("ring")
	if r.instance.ring(id) == nil {
		return 0, nil, failNoRing
	}
	var moved []*key
	for _, k := range s.st.Keys {
		if k.Instance != r.instance.ID || k.Ring != id {
			continue
		}
		if k.State != destroyed || r.URL.Query().Get("force") != "true" {
			return 0, nil, failRingUsed
		}
		moved = append(moved, k)
	}
	for _, k := range moved {
		k.Ring = ""
	}
	r.instance.Rings = without(r.instance.Rings, func(x keyRing) bool { return x.ID == id })
	return http.StatusNoContent, nil, nil
}

// moveKey moves a key to another key ring.
func (s *Server) moveKey(r *request) (int, any, *Failure) {
	k, f := s.find(r)
	if f != nil {
		return 0, nil, f
	}
	var in struct {
		Ring string `json:"keyRingID"`
	}
	if f := r.decode(&in, true); f != nil {
		return 0, nil, f
	}
	switch {
	case k.State == destroyed:
		return 0, nil, failDeleted
	case in.Ring != defaultRing && r.instance.ring(in.Ring) == nil:
		return 0, nil, failNoRing
	}
	k.Ring, k.Updated = in.Ring, s.now()
	if in.Ring == defaultRing {
		k.Ring = ""
	}
	return http.StatusOK, collection(s.show(k, false)), nil
}
