package kms

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	keyType       = "application/vnd.ibm.kms.key+json"
	maxStandard   = 7500 // bytes of a standard key's payload
	maxListed     = 5000
	defaultListed = 200
)

// keyJSON is a key in the format of the API.
type keyJSON struct {
	Type          string         `json:"type"`
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Aliases       []string       `json:"aliases,omitempty"`
	Description   string         `json:"description,omitempty"`
	State         int            `json:"state"`
	Extractable   bool           `json:"extractable"`
	CRN           string         `json:"crn"`
	Imported      bool           `json:"imported"`
	CreationDate  string         `json:"creationDate"`
	CreatedBy     string         `json:"createdBy"`
	AlgorithmType string         `json:"algorithmType"`
	Algorithm     algorithmJSON  `json:"algorithmMetadata"`
	Expiration    string         `json:"expirationDate,omitempty"`
	LastUpdate    string         `json:"lastUpdateDate"`
	LastRotate    string         `json:"lastRotateDate,omitempty"`
	KeyVersion    *versionJSON   `json:"keyVersion,omitempty"`
	KeyRing       string         `json:"keyRingID"`
	DualAuth      map[string]any `json:"dualAuthDelete"`
	Deleted       bool           `json:"deleted"`
	DeletionDate  string         `json:"deletionDate,omitempty"`
	DeletedBy     string         `json:"deletedBy,omitempty"`
	Payload       string         `json:"payload,omitempty"`
	*deletion
}

type algorithmJSON struct {
	BitLength string `json:"bitLength"`
	Mode      string `json:"mode"`
}

type versionJSON struct {
	ID           string `json:"id"`
	CreationDate string `json:"creationDate,omitempty"`
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func dateOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return date(*t)
}

func (s *Server) show(k *key, payload bool) keyJSON {
	j := keyJSON{
		Type: keyType, ID: k.ID, Name: k.Name, Aliases: k.Aliases, Description: k.Description, State: k.state(s.now()), Extractable: k.Extractable,
		CRN: s.st.instance(k.Instance).crn("key", k.ID), Imported: k.Imported, CreationDate: date(k.Created), CreatedBy: k.CreatedBy,
		AlgorithmType: "AES", Algorithm: algorithmJSON{"256", "CBC_PAD"}, Expiration: dateOf(k.Expires), LastUpdate: date(k.Updated),
		LastRotate: dateOf(k.Rotated), KeyRing: k.ring(), DualAuth: map[string]any{"enabled": k.dualAuth()},
		Deleted: k.Deleted != nil, DeletionDate: dateOf(k.Deleted), DeletedBy: k.DeletedBy, deletion: s.deletion(k),
	}
	if len(k.Versions) > 0 {
		v := k.latest()
		j.KeyVersion = &versionJSON{v.ID, date(v.Created)}
		j.Algorithm.BitLength = strconv.Itoa(8 * len(v.Material))
	}
	if payload {
		j.Payload = k.Payload
	}
	return j
}

func collection(keys ...keyJSON) map[string]any {
	if keys == nil {
		keys = []keyJSON{}
	}
	return map[string]any{"metadata": metadata{keyType, len(keys)}, "resources": keys}
}

// part returns the part of a list given by limit and offset.
func part[T any](all []T, limit, offset int) []T {
	offset = min(offset, len(all))
	return all[offset:min(offset+limit, len(all))]
}

// find returns the key of the request, by its ID or an alias, in the key ring of the
// request or in all of them.
func (s *Server) find(r *request) (*key, *Failure) {
	id, ring := r.PathValue("id"), r.Header.Get("X-Kms-Key-Ring")
	for _, k := range s.st.Keys {
		if k.Instance == r.instance.ID && (k.ID == id || slices.Contains(k.Aliases, id)) && (ring == "" || ring == k.ring()) && !s.purged(k) {
			r.key = k
			return k, nil
		}
	}
	return nil, failNotFound
}

// findPresent is find for requests that refuse a deleted key.
func (s *Server) findPresent(r *request) (*key, *Failure) {
	k, f := s.find(r)
	if f == nil && k.State == destroyed {
		f = failDeleted
	}
	return k, f
}

// findDeleted is find for requests that require a deleted key.
func (s *Server) findDeleted(r *request) (*key, *Failure) {
	k, f := s.find(r)
	if f == nil && k.State != destroyed {
		f = failState
	}
	return k, f
}

func (s *Server) createKey(r *request) (int, any, *Failure) {
	var body struct {
		Metadata  metadata `json:"metadata"`
		Resources []struct {
			Type           string     `json:"type"`
			Name           string     `json:"name"`
			Description    string     `json:"description"`
			Aliases        []string   `json:"aliases"`
			Extractable    *bool      `json:"extractable"`
			Expiration     *time.Time `json:"expirationDate"`
			Payload        string     `json:"payload"`
			EncryptedNonce string     `json:"encryptedNonce"`
			IV             string     `json:"iv"`
			Algorithm      string     `json:"encryptionAlgorithm"`

			Rotation *rotationJSON `json:"rotation"` // for keys_with_policy_overrides
			DualAuth *dualAuthJSON `json:"dualAuthDelete"`
		} `json:"resources"`
	}
	if f := r.decode(&body, true); f != nil {
		return 0, nil, f
	}
	switch {
	case body.Metadata.Type != keyType:
		return 0, nil, badBody("CollectionMetadata is empty")
	case len(body.Resources) != 1:
		return 0, nil, badBody("Only creation of one key per request is supported")
	case body.Metadata.Total != 1:
		return 0, nil, failTotal
	}
	in := body.Resources[0]
	now := s.now()
	switch n := len(in.Name); {
	case n < 2 || n > 90:
		return 0, nil, badBody("the field `name` must have 2 to 90 characters")
	case in.Type != keyType:
		return 0, nil, badBody("the field `type` is wrong")
	case len(in.Aliases) > 5:
		return 0, nil, badBody("the field `aliases` may have 5 entries")
	case in.Expiration != nil && !in.Expiration.After(now):
		return 0, nil, badBody("the field `expirationDate` must be in the future")
	}
	for _, a := range in.Aliases {
		if f := s.checkAlias(r.instance, a); f != nil {
			return 0, nil, f
		}
	}
	ring := r.Header.Get("X-Kms-Key-Ring")
	if ring == defaultRing {
		ring = ""
	} else if ring != "" && r.instance.ring(ring) == nil {
		return 0, nil, failNoRing
	}
	if f := r.instance.mayCreate(in.Extractable == nil || *in.Extractable, in.Payload != "", in.EncryptedNonce != ""); f != nil {
		return 0, nil, f
	}
	k := &key{ID: newID(), Instance: r.instance.ID, Name: in.Name, Description: in.Description, Aliases: in.Aliases, Imported: in.Payload != "",
		State: active, Created: now, Updated: now, CreatedBy: r.who.IAMID, Expires: in.Expiration, Ring: ring, Extractable: in.Extractable == nil || *in.Extractable}
	if k.Extractable {
		k.Payload = in.Payload
		if k.Payload == "" {
			k.Payload = base64.StdEncoding.EncodeToString(random(32))
		}
		b, err := base64.StdEncoding.DecodeString(k.Payload)
		if err != nil || len(b) == 0 || len(b) > maxStandard {
			return 0, nil, badBody("the field `payload` must be base64 text of 1 to %d bytes", maxStandard)
		}
	} else {
		material, f := s.material(r, in.Payload, in.EncryptedNonce, in.IV, in.Algorithm)
		if f != nil {
			return 0, nil, f
		}
		k.Versions = []version{{newID(), now, material}}
		r.version = k.Versions[0].ID
	}
	for _, p := range []keyPolicyJSON{{Rotation: in.Rotation}, {DualAuth: in.DualAuth}} {
		if p.Rotation == nil && p.DualAuth == nil {
			continue
		}
		p.Type = policyType
		if f := s.setKeyPolicy(r, k, "", p); f != nil {
			return 0, nil, f
		}
	}
	s.st.Keys = append(s.st.Keys, k)
	r.key = k
	return http.StatusCreated, collection(s.show(k, false)), nil
}

// material returns the material of a root key: generated, given, or encrypted with an import token.
func (s *Server) material(r *request, payload, nonce, iv, algorithm string) ([]byte, *Failure) {
	if payload == "" {
		if nonce != "" || iv != "" {
			return nil, badBody("the field `payload` is missing")
		}
		return random(32), nil
	}
	material, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		return nil, badBody("the field `payload` must be a base64 encoded string")
	}
	if nonce != "" || iv != "" {
		if nonce == "" || iv == "" {
			return nil, failNonceIV
		}
		var f *Failure
		if material, f = s.imported(r.instance, material, nonce, iv, algorithm); f != nil {
			return nil, f
		}
	}
	switch len(material) {
	case 16, 24, 32:
		return material, nil
	}
	return nil, badBody("the key material of a root key must have 16, 24 or 32 bytes")
}

// page returns the requested part of a list.
func (r *request) page() (limit, offset int, f *Failure) {
	q := r.URL.Query()
	number := func(name string, unset, least, most int) int {
		if q.Get(name) == "" {
			return unset
		}
		n, err := strconv.Atoi(q.Get(name))
		if err != nil || n < least || n > most {
			f = &Failure{400, "INVALID_QUERY_PARAM_ERR", fmt.Sprintf("The query_param `%s` must be: an integer between %d and %d (inclusive)", name, least, most)}
		}
		return n
	}
	return number("limit", defaultListed, 1, maxListed), number("offset", 0, 0, 1<<30), f
}

func (s *Server) listKeys(r *request) (int, any, *Failure) {
	q := r.URL.Query()
	limit, offset, f := r.page()
	if f != nil {
		return 0, nil, f
	}
	states := strings.Split(q.Get("state"), ",")
	if q.Get("state") == "" {
		states = []string{"0", "1", "2", "3"}
	}
	var shown []keyJSON
	for _, k := range s.st.Keys {
		if k.Instance != r.instance.ID || s.purged(k) || !slices.Contains(states, strconv.Itoa(k.state(s.now()))) {
			continue
		}
		if ring := r.Header.Get("X-Kms-Key-Ring"); ring != "" && ring != k.ring() {
			continue
		}
		if e := q.Get("extractable"); e != "" && e != strconv.FormatBool(k.Extractable) {
			continue
		}
		shown = append(shown, s.show(k, false))
	}
	return http.StatusOK, collection(part(shown, limit, offset)...), nil
}

func (s *Server) getKey(r *request) (int, any, *Failure) {
	k, f := s.find(r)
	if f != nil {
		return 0, nil, f
	}
	if k.State == destroyed {
		return 0, nil, failDeleted
	}
	return http.StatusOK, collection(s.show(k, true)), nil
}

func (s *Server) getMetadata(r *request) (int, any, *Failure) {
	k, f := s.find(r)
	if f != nil {
		return 0, nil, f
	}
	return http.StatusOK, collection(s.show(k, false)), nil
}

func (s *Server) listVersions(r *request) (int, any, *Failure) {
	k, f := s.find(r)
	if f != nil {
		return 0, nil, f
	}
	limit, offset, f := r.page()
	switch {
	case f != nil:
		return 0, nil, f
	case k.Extractable:
		return 0, nil, failRootOnly
	case k.State == destroyed && r.URL.Query().Get("allKeyStates") != "true":
		return 0, nil, failDeleted
	}
	all := make([]versionJSON, len(k.Versions))
	for i, v := range k.Versions {
		all[len(all)-1-i] = versionJSON{v.ID, date(v.Created)} // newest first
	}
	page := part(all, limit, offset)
	meta := map[string]any{"collectionType": keyType, "collectionTotal": len(page)}
	if r.URL.Query().Get("totalCount") == "true" {
		meta["totalCount"] = len(all)
	}
	return http.StatusOK, map[string]any{"metadata": meta, "resources": page}, nil
}
