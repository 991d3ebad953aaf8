package kms

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

const policyType = "application/vnd.ibm.kms.policy+json"

// Types of policies.
const (
	dualAuthDelete = "dualAuthDelete"
	rotationPolicy = "rotation"
	createImport   = "keyCreateImportAccess"
)

var (
	keyPolicyTypes      = []string{rotationPolicy, dualAuthDelete}
	instancePolicyTypes = []string{dualAuthDelete, "allowedNetwork", "allowedIP", createImport, "metrics", rotationPolicy}
)

// keyPolicy is a policy of one key: a rotation interval, or dual authorization for
// deletion. The sandbox stores the former and enforces the latter.
type keyPolicy struct {
	ID      string    `json:"id"`
	Enabled bool      `json:"enabled"`
	Months  int       `json:"months,omitempty"`
	By      string    `json:"by"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	Changed string    `json:"changed_by"`
}

func (k *key) dualAuth() bool {
	p := k.Policies[dualAuthDelete]
	return p != nil && p.Enabled
}

type rotationJSON struct {
	Enabled *bool `json:"enabled,omitempty"`
	Months  *int  `json:"interval_month,omitempty"`
}

type dualAuthJSON struct {
	Enabled *bool `json:"enabled"`
}

type keyPolicyJSON struct {
	Type     string        `json:"type"`
	ID       string        `json:"id,omitempty"`
	CRN      string        `json:"crn,omitempty"`
	By       string        `json:"createdBy,omitempty"`
	Created  string        `json:"creationDate,omitempty"`
	Changed  string        `json:"updatedBy,omitempty"`
	Updated  string        `json:"lastUpdateDate,omitempty"`
	Rotation *rotationJSON `json:"rotation,omitempty"`
	DualAuth *dualAuthJSON `json:"dualAuthDelete,omitempty"`
}

func (s *Server) keyPolicies(r *request) (int, any, *Failure) {
	k, f := s.find(r)
	if f != nil {
		return 0, nil, f
	}
	return http.StatusOK, s.policiesOf(k, r.URL.Query().Get("policy")), nil
}

// policiesOf returns the policies of a key with the type only, or all.
func (s *Server) policiesOf(k *key, only string) map[string]any {
	list := []keyPolicyJSON{}
	for _, t := range keyPolicyTypes {
		p := k.Policies[t]
		if p == nil || only != "" && only != t {
			continue
		}
		j := keyPolicyJSON{Type: policyType, ID: p.ID, CRN: s.st.instance(k.Instance).crn("policy", p.ID), By: p.By, Created: date(p.Created), Changed: p.Changed, Updated: date(p.Updated)}
		if t == rotationPolicy {
			j.Rotation = &rotationJSON{&p.Enabled, &p.Months}
		} else {
			j.DualAuth = &dualAuthJSON{&p.Enabled}
		}
		list = append(list, j)
	}
	return map[string]any{"metadata": metadata{policyType, len(list)}, "resources": list}
}

func (s *Server) setKeyPolicies(r *request) (int, any, *Failure) {
	k, f := s.find(r)
	if f != nil {
		return 0, nil, f
	}
	if k.State == destroyed {
		return 0, nil, failDeleted
	}
	var in struct {
		Metadata  metadata        `json:"metadata"`
		Resources []keyPolicyJSON `json:"resources"`
	}
	if f := r.decode(&in, true); f != nil {
		return 0, nil, f
	}
	if in.Metadata.Total != len(in.Resources) || len(in.Resources) == 0 {
		return 0, nil, failTotal
	}
	only := r.URL.Query().Get("policy")
	for _, p := range in.Resources {
		if f := s.setKeyPolicy(r, k, only, p); f != nil {
			return 0, nil, f
		}
	}
	return http.StatusOK, s.policiesOf(k, only), nil
}

// setKeyPolicy sets the single policy in p.
func (s *Server) setKeyPolicy(r *request, k *key, only string, p keyPolicyJSON) *Failure {
	name := dualAuthDelete
	if p.Rotation != nil {
		name = rotationPolicy
	}
	have := k.Policies[name]
	next := keyPolicy{ID: newID(), By: r.who.IAMID, Created: s.now(), Enabled: true}
	if have != nil {
		next = *have
	}
	switch {
	case p.Type != policyType, (p.Rotation == nil) == (p.DualAuth == nil):
		return badBody("one policy of a key is a rotation or dualAuthDelete")
	case only != "" && only != name:
		return failOtherPolicy
	case name == dualAuthDelete && p.DualAuth.Enabled == nil:
		return badBody("the field `enabled` is missing")
	case name == dualAuthDelete:
		next.Enabled = *p.DualAuth.Enabled
	case k.Extractable || k.Imported:
		return &Failure{400, "KEY_ROTATION_POLICY_ERR", "A rotation policy is for root keys that the service made"}
	default:
		if p.Rotation.Months != nil {
			next.Months = *p.Rotation.Months
		}
		if p.Rotation.Enabled != nil {
			next.Enabled = *p.Rotation.Enabled
		}
		if next.Months < 1 || next.Months > 12 {
			return &Failure{400, "INVALID_FIELD_ERR", "The field `interval_month` must be: an integer between 1 and 12"}
		}
	}
	next.Updated, next.Changed = s.now(), r.who.IAMID
	if k.Policies == nil {
		k.Policies = map[string]*keyPolicy{}
	}
	k.Policies[name] = &next
	return nil
}

// instancePolicy is a policy of an instance. The sandbox enforces keyCreateImportAccess
// and only stores the others.
type instancePolicy struct {
	Type    string             `json:"policy_type"`
	Data    instancePolicyData `json:"policy_data"`
	By      string             `json:"createdBy,omitempty"`
	Created string             `json:"creationDate,omitempty"`
	Changed string             `json:"updatedBy,omitempty"`
	Updated string             `json:"lastUpdated,omitempty"`
}

type instancePolicyData struct {
	Enabled    *bool                      `json:"enabled"`
	Attributes map[string]json.RawMessage `json:"attributes,omitempty"`
}

func (s *Server) instancePolicies(r *request) (int, any, *Failure) {
	only := r.URL.Query().Get("policy")
	list := []instancePolicy{}
	for _, t := range instancePolicyTypes {
		if p, ok := r.instance.Policies[t]; ok && (only == "" || only == t) {
			list = append(list, p)
		}
	}
	return http.StatusOK, map[string]any{"metadata": metadata{policyType, len(list)}, "resources": list}, nil
}

func (s *Server) setInstancePolicies(r *request) (int, any, *Failure) {
	var in struct {
		Metadata  metadata         `json:"metadata"`
		Resources []instancePolicy `json:"resources"`
	}
	if f := r.decode(&in, true); f != nil {
		return 0, nil, f
	}
	only := r.URL.Query().Get("policy")
	switch {
	case len(in.Resources) == 0, in.Metadata.Total != len(in.Resources):
		return 0, nil, failTotal
	case only != "" && len(in.Resources) > 1:
		return 0, nil, &Failure{400, "NUM_COLLECTION_RESOURCE_ERR", "Only a single instance policy may be created per query parameter. Please pass single resource object"}
	}
	for _, p := range in.Resources {
		switch {
		case only != "" && p.Type != only:
			return 0, nil, failOtherPolicy
		case !slices.Contains(instancePolicyTypes, p.Type):
			return 0, nil, badBody("the field `policy_type` is unknown")
		case p.Data.Enabled == nil:
			return 0, nil, badBody("the field `enabled` is missing")
		}
	}
	for _, p := range in.Resources {
		have, ok := r.instance.Policies[p.Type]
		p.By, p.Created = r.who.IAMID, date(s.now())
		if ok {
			p.By, p.Created = have.By, have.Created
		}
		p.Changed, p.Updated = r.who.IAMID, date(s.now())
		if r.instance.Policies == nil {
			r.instance.Policies = map[string]instancePolicy{}
		}
		r.instance.Policies[p.Type] = p
	}
	return http.StatusNoContent, nil, nil
}

// mayCreate returns a failure if the policy keyCreateImportAccess forbids creating a key.
func (i *instance) mayCreate(extractable, imported, token bool) *Failure {
	p, ok := i.Policies[createImport]
	if !ok || p.Data.Enabled == nil || !*p.Data.Enabled {
		return nil
	}
	allows := func(name string, unset bool) bool {
		v := unset
		if raw, ok := p.Data.Attributes[name]; ok && json.Unmarshal(raw, &v) != nil {
			return unset
		}
		return v
	}
	what := map[[2]bool]string{{false, false}: "create_root_key", {true, false}: "create_standard_key", {false, true}: "import_root_key", {true, true}: "import_standard_key"}
	if !allows(what[[2]bool{extractable, imported}], true) || imported && !token && allows("enforce_token", false) {
		return failCreateBan
	}
	return nil
}
