package iam

import (
	"context"
	"net/http"
	"net/url"
	"slices"
)

// Service names in policies.
const (
	KeyProtect   = "kms"
	HyperCrypt   = "hs-crypto"
	COS          = "cloud-object-storage"
	BlockStorage = "server-protect" // Cloud Block Storage, which boots classic servers
)

// Roles in policies, as CRNs.
const (
	RoleReader = "crn:v1:bluemix:public:iam::::serviceRole:Reader"
	RoleWriter = "crn:v1:bluemix:public:iam::::serviceRole:Writer"
)

// A Policy grants a subject roles on a resource. The subject is an identity in a policy of type
// "access" and a service in one of type "authorization".
type Policy struct {
	ID          string       `json:"id,omitempty"`
	Type        string       `json:"type"`
	Description string       `json:"description,omitempty"`
	State       string       `json:"state,omitempty"`
	Subjects    []Attributes `json:"subjects"`
	Roles       []Role       `json:"roles"`
	Resources   []Attributes `json:"resources"`
}

// Attributes select the subjects or resources that have all of the attributes.
type Attributes struct {
	Attributes []Attribute `json:"attributes"`
}

// An Attribute is one condition.
type Attribute struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Operator string `json:"operator,omitempty"`
}

// A Role names the allowed actions.
type Role struct {
	ID          string `json:"role_id"`
	DisplayName string `json:"display_name,omitempty"`
}

// Access returns the policy that grants an identity a role on a service instance of an account,
// or on all instances if instance is "".
func Access(account, iamID, service, instance, role string) Policy {
	return Policy{
		Type:      "access",
		Subjects:  []Attributes{{[]Attribute{{Name: "iam_id", Value: iamID}}}},
		Roles:     []Role{{ID: role}},
		Resources: []Attributes{resource(account, service, instance)},
	}
}

// Authorization returns the policy that lets the service source read from target in the same
// account. Servers of an encrypted image start only if [BlockStorage] may read from [KeyProtect].
// An empty instance means all instances.
func Authorization(account, source, target, instance string) Policy {
	return Policy{
		Type:      "authorization",
		Subjects:  []Attributes{{[]Attribute{{Name: "serviceName", Value: source}, {Name: "accountId", Value: account}}}},
		Roles:     []Role{{ID: RoleReader}},
		Resources: []Attributes{resource(account, target, instance)},
	}
}

func resource(account, service, instance string) Attributes {
	a := []Attribute{{Name: "serviceName", Value: service}, {Name: "accountId", Value: account}}
	if instance != "" {
		a = append(a, Attribute{Name: "serviceInstance", Value: instance})
	}
	return Attributes{a}
}

// Covers reports whether p grants everything that want grants. Subject and role must be equal;
// the resource must be equal or wider.
func (p Policy) Covers(want Policy) bool {
	if p.Type != want.Type || p.State != "" && p.State != "active" {
		return false
	}
	for _, r := range want.Roles {
		if !slices.ContainsFunc(p.Roles, func(have Role) bool { return have.ID == r.ID }) {
			return false
		}
	}
	return covers(p.Subjects, want.Subjects) && covers(p.Resources, want.Resources)
}

// covers reports whether each element of want is selected by an element of have.
func covers(have, want []Attributes) bool {
	for _, w := range want {
		if !slices.ContainsFunc(have, func(h Attributes) bool {
			for _, a := range h.Attributes {
				if a.Operator != "" && a.Operator != "stringEquals" ||
					!slices.ContainsFunc(w.Attributes, func(b Attribute) bool { return a.Name == b.Name && a.Value == b.Value }) {
					return false
				}
			}
			return len(h.Attributes) > 0
		}) {
			return false
		}
	}
	return true
}

// CreatePolicy creates a policy and returns it with its ID.
func (c *Client) CreatePolicy(ctx context.Context, p Policy) (Policy, error) {
	p.ID, p.State = "", ""
	var made Policy
	err := c.do(ctx, call{op: "create policy", method: http.MethodPost, path: "/v1/policies", body: p}, &made)
	return made, err
}

// Policies lists the policies of an account. policyType is "access" or "authorization". If iamID is
// not "", only policies of that identity are listed.
func (c *Client) Policies(ctx context.Context, account, policyType, iamID string) ([]Policy, error) {
	query := url.Values{"account_id": {account}, "type": {policyType}}
	if iamID != "" {
		query.Set("iam_id", iamID)
	}
	var answer struct {
		Policies []Policy `json:"policies"`
	}
	err := c.do(ctx, call{op: "list policies", method: http.MethodGet, path: "/v1/policies", query: query, idempotent: true}, &answer)
	return answer.Policies, err
}

// FindPolicy returns a policy of the account that covers want. ok reports whether one exists.
func (c *Client) FindPolicy(ctx context.Context, account string, want Policy) (found Policy, ok bool, err error) {
	iamID := ""
	for _, s := range want.Subjects {
		for _, a := range s.Attributes {
			if a.Name == "iam_id" {
				iamID = a.Value
			}
		}
	}
	all, err := c.Policies(ctx, account, want.Type, iamID)
	if err != nil {
		return Policy{}, false, err
	}
	i := slices.IndexFunc(all, func(p Policy) bool { return p.Covers(want) })
	if i < 0 {
		return Policy{}, false, nil
	}
	return all[i], true, nil
}
