package kms

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
)

// Formats of API version 2, which has one subject and one resource (platform-services-go-sdk
// v0.90.0, iampolicymanagementv1, V2Policy).
type (
	policyV2 struct {
		ID          string          `json:"id"`
		Type        string          `json:"type"`
		Description string          `json:"description,omitempty"`
		Subject     *attributesV2   `json:"subject,omitempty"`
		Resource    *attributesV2   `json:"resource,omitempty"`
		Control     controlV2       `json:"control"`
		Rule        json.RawMessage `json:"rule,omitempty"`
		Pattern     string          `json:"pattern,omitempty"`
		Href        string          `json:"href"`
		CreatedAt   string          `json:"created_at"`
		CreatedBy   string          `json:"created_by_id"`
		ModifiedAt  string          `json:"last_modified_at,omitempty"`
		ModifiedBy  string          `json:"last_modified_by_id,omitempty"`
		State       string          `json:"state"`
	}
	attributesV2 struct {
		Attributes []attributeV2 `json:"attributes"`
	}
	attributeV2 struct {
		Key      string `json:"key"`
		Operator string `json:"operator"`
		Value    any    `json:"value"`
	}
	controlV2 struct {
		Grant struct {
			Roles []grant `json:"roles"`
		} `json:"grant"`
	}
)

// v2 returns the policy in the format of version 2.
func (p *policy) v2() policyV2 {
	out := policyV2{ID: p.ID, Type: p.Type, Description: p.Description, Href: strings.Replace(p.Href, "/v1/", "/v2/", 1), CreatedAt: p.CreatedAt, CreatedBy: p.CreatedBy,
		ModifiedAt: p.ModifiedAt, ModifiedBy: p.ModifiedBy, State: p.State}
	convert := func(list []attributes) *attributesV2 {
		if len(list) == 0 {
			return nil
		}
		a := &attributesV2{Attributes: []attributeV2{}}
		for _, x := range list[0].Attributes {
			v := attributeV2{x.Name, cmp.Or(x.Operator, "stringEquals"), x.Value}
			if v.Operator == "stringExists" {
				v.Value = x.Value == "true"
			}
			a.Attributes = append(a.Attributes, v)
		}
		return a
	}
	out.Subject, out.Resource, out.Control.Grant.Roles = convert(p.Subjects), convert(p.Resources), p.Roles
	return out
}

// v1 returns a version 2 policy in the format of version 1. It returns false if the policy has conditions
// or lists of values, which the sandbox does not support.
func (p policyV2) v1() (policy, bool) {
	out := policy{Type: p.Type, Description: p.Description, Roles: p.Control.Grant.Roles}
	ok := len(p.Rule) == 0 && p.Pattern == ""
	convert := func(a *attributesV2) []attributes {
		if a == nil {
			return nil
		}
		var list attributes
		for _, x := range a.Attributes {
			v := attribute{Name: x.Key, Operator: x.Operator}
			switch value := x.Value.(type) {
			case string:
				v.Value = value
			case bool:
				v.Value = strconv.FormatBool(value)
			default:
				ok = false
			}
			list.Attributes = append(list.Attributes, v)
		}
		return []attributes{list}
	}
	out.Subjects, out.Resources = convert(p.Subject), convert(p.Resource)
	return out, ok
}
