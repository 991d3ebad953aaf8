package kms

import (
	"cmp"
	"encoding/json"
	"net/http"
	"path"
	"slices"
	"strings"
)

// policy is an access policy or an authorization, of either API version.
type (
	policy struct {
		ID          string       `json:"id"`
		Type        string       `json:"type"`
		Description string       `json:"description,omitempty"`
		Subjects    []attributes `json:"subjects"`
		Roles       []grant      `json:"roles"`
		Resources   []attributes `json:"resources"`
		Href        string       `json:"href"`
		CreatedAt   string       `json:"created_at"`
		CreatedBy   string       `json:"created_by_id"`
		ModifiedAt  string       `json:"last_modified_at,omitempty"`
		ModifiedBy  string       `json:"last_modified_by_id,omitempty"`
		State       string       `json:"state"`
	}
	attributes struct {
		Attributes []attribute `json:"attributes"`
	}
	attribute struct {
		Name     string `json:"name"`
		Value    string `json:"value"`
		Operator string `json:"operator,omitempty"`
	}
	grant struct {
		ID          string `json:"role_id"`
		DisplayName string `json:"display_name,omitempty"`
	}
)

// tag returns the ETag of a policy.
func (p *policy) tag() string { return "1-" + cmp.Or(p.ModifiedAt, p.CreatedAt) + p.State }

// answer writes a policy in the format of the request's API version.
func (p *policy) answer(w http.ResponseWriter, r *http.Request, status int) {
	w.Header().Set("ETag", p.tag())
	if strings.HasPrefix(r.URL.Path, "/v2/") {
		writeJSON(w, status, p.v2())
		return
	}
	writeJSON(w, status, p)
}

// readPolicy decodes the policy in the body of a request. If it is invalid, readPolicy answers and
// returns false.
func readPolicy(w http.ResponseWriter, r *http.Request) (policy, bool) {
	var p policy
	var err error
	known := true
	if strings.HasPrefix(r.URL.Path, "/v2/") {
		var in policyV2
		err = json.NewDecoder(r.Body).Decode(&in)
		p, known = in.v1()
	} else {
		err = json.NewDecoder(r.Body).Decode(&p)
	}
	switch {
	case err != nil || p.Type != "access" && p.Type != "authorization" || len(p.Subjects) == 0 || len(p.Roles) == 0 || len(p.Resources) == 0:
		policyError(w, http.StatusBadRequest, "invalid_body", "The policy needs a type, subjects, roles and resources.")
		return p, false
	case !known:
		policyError(w, http.StatusNotImplemented, "not_implemented", "The sandbox knows no policies with conditions or with lists of values.")
		return p, false
	}
	for _, role := range p.Roles {
		if !strings.HasPrefix(role.ID, "crn:v1:") || !strings.Contains(role.ID, "ole:") {
			policyError(w, http.StatusBadRequest, "invalid_body", "Invalid role: "+role.ID)
			return p, false
		}
	}
	return p, true
}

const conflict = "The policy wasn't created because an access policy with identical attributes and roles already exists."

func (s *Server) createPolicy(w http.ResponseWriter, r *http.Request, id Identity) {
	p, ok := readPolicy(w, r)
	if !ok {
		return
	}
	if s.samePolicy(p) {
		policyError(w, http.StatusConflict, "policy_conflict_error", conflict)
		return
	}
	p.ID, p.CreatedAt, p.CreatedBy, p.State, p.ModifiedAt, p.ModifiedBy = newID(), s.moment(), id.IAMID, "active", "", ""
	p.Href = "https://iam.cloud.ibm.com/v1/policies/" + p.ID
	s.st.Policies = append(s.st.Policies, p)
	p.answer(w, r, http.StatusCreated)
}

func (s *Server) moment() string { return s.now().UTC().Format("2006-01-02T15:04:05.000Z") }

// samePolicy reports whether an active policy has the same attributes and roles.
func (s *Server) samePolicy(p policy) bool {
	return slices.ContainsFunc(s.st.Policies, func(have policy) bool {
		return have.ID != p.ID && have.State == "active" && have.Type == p.Type && same(have.Subjects, p.Subjects) && same(have.Roles, p.Roles) && same(have.Resources, p.Resources)
	})
}

func same(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// policies serves one policy by its ID. A deleted policy is still shown, in state deleted.
func (s *Server) policies(w http.ResponseWriter, r *http.Request, id Identity) {
	i := slices.IndexFunc(s.st.Policies, func(p policy) bool { return p.ID == r.PathValue("id") })
	if i < 0 {
		policyError(w, http.StatusNotFound, "policy_not_found", "Policy with the id "+r.PathValue("id")+" not found.")
		return
	}
	p := &s.st.Policies[i]
	switch r.Method {
	case http.MethodGet:
		p.answer(w, r, http.StatusOK)
		return
	case http.MethodDelete:
		if p.State == "deleted" {
			policyError(w, http.StatusNotFound, "policy_not_found", "Policy with the id "+p.ID+" not found.")
			return
		}
		p.State, p.ModifiedAt, p.ModifiedBy = "deleted", s.moment(), id.IAMID
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if match := r.Header.Get("If-Match"); match != "*" && match != p.tag() {
		policyError(w, http.StatusPreconditionFailed, "policy_conflict_error", "The policy was changed since it was read.")
		return
	}
	next := *p
	if r.Method == http.MethodPatch { // changes only the state
		var in struct {
			State string `json:"state"`
		}
		if json.NewDecoder(r.Body).Decode(&in) != nil || in.State != "active" {
			policyError(w, http.StatusBadRequest, "invalid_body", "The state can only become active.")
			return
		}
		next.State = in.State
	} else {
		in, ok := readPolicy(w, r)
		if !ok {
			return
		}
		next.Type, next.Description, next.Subjects, next.Roles, next.Resources = in.Type, in.Description, in.Subjects, in.Roles, in.Resources
	}
	if s.samePolicy(next) {
		policyError(w, http.StatusConflict, "policy_conflict_error", conflict)
		return
	}
	next.ModifiedAt, next.ModifiedBy = s.moment(), id.IAMID
	*p = next
	p.answer(w, r, http.StatusOK)
}

func (s *Server) listPolicies(w http.ResponseWriter, r *http.Request, _ Identity) {
	q := r.URL.Query()
	if q.Get("account_id") == "" {
		policyError(w, http.StatusBadRequest, "invalid_query", "The query parameter account_id is missing.")
		return
	}
	list, listV2 := []policy{}, []policyV2{}
	for _, p := range s.st.Policies {
		if (q.Get("type") == "" || p.Type == q.Get("type")) && q.Get("account_id") == s.st.Account && p.State == cmp.Or(q.Get("state"), "active") &&
			(q.Get("iam_id") == "" || selects(p.Subjects, map[string]string{"iam_id": q.Get("iam_id")})) &&
			(q.Get("service_name") == "" || slices.ContainsFunc(p.Resources, func(a attributes) bool { return a.has("serviceName", q.Get("service_name")) })) {
			list, listV2 = append(list, p), append(listV2, p.v2())
		}
	}
	if strings.HasPrefix(r.URL.Path, "/v2/") {
		writeJSON(w, http.StatusOK, map[string]any{"policies": listV2})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"policies": list})
}

func (a attributes) has(name, value string) bool {
	return slices.ContainsFunc(a.Attributes, func(x attribute) bool { return x.Name == name && x.Value == value })
}

// selects reports whether an element of list matches what in all its attributes.
func selects(list []attributes, what map[string]string) bool {
	return slices.ContainsFunc(list, func(a attributes) bool {
		return len(a.Attributes) > 0 && !slices.ContainsFunc(a.Attributes, func(x attribute) bool {
			value, there := what[x.Name]
			switch x.Operator {
			case "", "stringEquals":
				return value != x.Value
			case "stringMatch":
				ok, err := path.Match(x.Value, value)
				return err != nil || !there || !ok
			case "stringExists":
				return there != (x.Value == "true")
			}
			return true
		})
	})
}

type role struct {
	Name        string   `json:"display_name"`
	Description string   `json:"description"`
	Actions     []string `json:"actions"`
	CRN         string   `json:"crn"`
}

// listRoles lists the roles of a service: all roles of Key Protect, and the three common
// roles of the others.
func (s *Server) listRoles(w http.ResponseWriter, r *http.Request, _ Identity) {
	service := r.URL.Query().Get("service_name")
	roles := func(kind, of string, names ...string) []role {
		list := []role{}
		for _, n := range names {
			list = append(list, role{n, "", []string{}, "crn:v1:bluemix:public:" + of + "::::" + kind + ":" + n})
		}
		return list
	}
	of := roles("serviceRole", "iam", Reader, Writer, Manager)
	if service == "kms" || service == "hs-crypto" {
		of = append(of, roles("serviceRole", service, ReaderPlus, KeyPurge)...)
	}
	writeJSON(w, http.StatusOK, map[string]any{"custom_roles": []role{}, "service_roles": of, "system_roles": roles("role", "iam", "Viewer", "Operator", "Editor", "Administrator")})
}
