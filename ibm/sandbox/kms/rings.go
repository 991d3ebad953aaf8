package kms

import (
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"
)

const (
	defaultRing = "default" // which each instance has
	maxRings    = 50        // besides it
	maxAliases  = 5         // of a key
)

// keyRing is a group of the keys of an instance.
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

var name = regexp.MustCompile(`^[A-Za-z0-9_-]{2,100}$`)

func (s *Server) createRing(r *request) (int, any, *Failure) {
	id := r.PathValue("ring")
	switch {
	case !name.MatchString(id):
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

// deleteRing deletes an empty key ring; by force one with deleted keys, which go to the
// default one.
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

// moveKey puts a key into another key ring.
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

// reserved are names that no alias may have (create-key-alias.md).
var reserved = []string{"allowed_ip", "key", "keys", "metadata", "policy", "policies", "registration", "registrations", "ring", "rings", "rotate", "wrap", "unwrap", "rewrap", "version", "versions"}

// checkAlias says why an alias may not be given to a key of the instance.
func (s *Server) checkAlias(i *instance, alias string) *Failure {
	if _, err := uuid.Parse(alias); err == nil || !name.MatchString(alias) || len(alias) > 90 || slices.Contains(reserved, alias) {
		return &Failure{400, "INVALID_FIELD_ERR", "The field `alias` must be: 2 to 90 letters, digits, hyphens and underscores, and neither a UUID nor a reserved word"}
	}
	for _, k := range s.st.Keys {
		if k.Instance == i.ID && slices.Contains(k.Aliases, alias) {
			return failAliasTaken
		}
	}
	return nil
}

func (s *Server) createAlias(r *request) (int, any, *Failure) {
	k, f := s.find(r)
	switch {
	case f != nil:
		return 0, nil, f
	case k.State == destroyed:
		return 0, nil, failDeleted
	case len(k.Aliases) >= maxAliases:
		return 0, nil, &Failure{409, "KEY_ALIAS_QUOTA_ERR", "A key may have 5 aliases"}
	}
	alias := r.PathValue("alias")
	if f := s.checkAlias(r.instance, alias); f != nil {
		return 0, nil, f
	}
	k.Aliases = append(k.Aliases, alias)
	return http.StatusCreated, map[string]any{"metadata": metadata{"application/vnd.ibm.kms.alias+json", 1}, "resources": []any{map[string]string{
		"keyId": k.ID, "alias": alias, "createdBy": r.who.IAMID, "creationDate": date(s.now()),
	}}}, nil
}

func (s *Server) deleteAlias(r *request) (int, any, *Failure) {
	k, f := s.find(r)
	if f != nil {
		return 0, nil, f
	}
	alias := r.PathValue("alias")
	if !slices.Contains(k.Aliases, alias) {
		return 0, nil, &Failure{404, "KEY_ALIAS_NOT_FOUND_ERR", "Key alias does not exist"}
	}
	k.Aliases = without(k.Aliases, func(x string) bool { return x == alias })
	return http.StatusNoContent, nil, nil
}
