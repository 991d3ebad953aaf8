package kms_test

import (
	"strings"
	"testing"

	"github.com/luksimg/luksimg/ibm/sandbox/kms"
)

// TestServiceIDs uses the paths of IBM's SDK, with a trailing slash.
func TestServiceIDs(t *testing.T) {
	w := newWorld(t)
	var made struct {
		ID     string `json:"id"`
		IAMID  string `json:"iam_id"`
		Tag    string `json:"entity_tag"`
		Name   string `json:"name"`
		APIKey struct {
			ID    string `json:"id"`
			Value string `json:"apikey"`
		} `json:"apikey"`
	}
	w.ask(t, 201, "POST", "/v1/serviceids/", `{"account_id":"`+w.Account()+`","name":"importer","apikey":{"name":"key"}}`, &made)
	if _, err := w.Exchange(made.APIKey.Value); err != nil {
		t.Error(err)
	}
	var list struct {
		All []struct {
			ID string `json:"id"`
		} `json:"serviceids"`
	}
	for _, path := range []string{"/v1/serviceids", "/v1/serviceids/"} {
		if w.ask(t, 200, "GET", path+"?account_id="+w.Account(), "", &list); len(list.All) != 1 || list.All[0].ID != made.ID {
			t.Errorf("%s: %+v", path, list)
		}
	}
	one := "/v1/serviceids/" + made.ID
	tag := made.Tag
	w.ask(t, 409, "PUT", one, `{"name":"other"}`, nil, "If-Match", "1-old")
	w.ask(t, 200, "PUT", one, `{"name":"other"}`, &made, "If-Match", tag)
	if made.Name != "other" || made.Tag == tag {
		t.Errorf("%+v", made)
	}
	w.ask(t, 200, "POST", one+"/lock", "", nil)
	w.ask(t, 409, "DELETE", one, "", nil)
	w.ask(t, 200, "DELETE", one+"/lock", "", nil)

	key := "/v1/apikeys/" + made.APIKey.ID
	var shown struct {
		Value string `json:"apikey"`
	}
	if w.ask(t, 200, "GET", key, "", &shown); shown.Value != "" {
		t.Error("API key value shown again")
	}
	w.ask(t, 204, "POST", key+"/disable", "", nil)
	if _, err := w.Exchange(made.APIKey.Value); err != kms.ErrAPIKey {
		t.Errorf("disabled: %v", err)
	}
	w.ask(t, 204, "DELETE", key+"/disable", "", nil)
	w.ask(t, 204, "DELETE", one, "", nil)
	w.ask(t, 404, "GET", one, "", nil)
	w.ask(t, 404, "GET", key, "", nil)
	if _, err := w.Exchange(made.APIKey.Value); err != kms.ErrAPIKey {
		t.Errorf("key of a deleted service id: %v", err)
	}
}

func TestPolicyVersions(t *testing.T) {
	w := newWorld(t)
	body := `{"type":"authorization","subjects":[{"attributes":[{"name":"serviceName","value":"server-protect"},{"name":"accountId","value":"ACC"}]}],"resources":[{"attributes":[{"name":"serviceName","value":"kms"},{"name":"accountId","value":"ACC"}]}],"roles":[{"role_id":"crn:v1:bluemix:public:iam::::serviceRole:Reader"}]}`
	body = strings.ReplaceAll(body, "ACC", w.Account())
	authorized := func() bool { return w.Authorized("server-protect", w.Account(), "kms", "i") }
	id := w.policy(t, "/v1/policies", body)
	if !authorized() {
		t.Error("the policy has no effect")
	}

	// Both API versions return it.
	var p struct {
		ID      string `json:"id"`
		State   string `json:"state"`
		Subject struct {
			Attributes []struct{ Key, Operator, Value string } `json:"attributes"`
		} `json:"subject"`
		Control struct {
			Grant struct {
				Roles []struct {
					ID string `json:"role_id"`
				} `json:"roles"`
			} `json:"grant"`
		} `json:"control"`
	}
	w.ask(t, 200, "GET", "/v1/policies/"+id, "", &p)
	tag := w.ask(t, 200, "GET", "/v2/policies/"+id, "", &p).Get("ETag")
	if p.ID != id || p.State != "active" || len(p.Subject.Attributes) != 2 || p.Subject.Attributes[0].Operator != "stringEquals" || p.Subject.Attributes[0].Value != "server-protect" || len(p.Control.Grant.Roles) != 1 || tag == "" {
		t.Errorf("%+v, %q", p, tag)
	}
	w.ask(t, 412, "PUT", "/v1/policies/"+id, body, nil, "If-Match", "x")
	w.ask(t, 200, "PUT", "/v1/policies/"+id, strings.Replace(body, "Reader", "Writer", 1), nil, "If-Match", tag)

	// A deleted policy has no effect, is shown as deleted, and can be created again or restored.
	w.ask(t, 204, "DELETE", "/v1/policies/"+id, "", nil)
	if authorized() {
		t.Error("a deleted policy has effect")
	}
	if w.ask(t, 200, "GET", "/v1/policies/"+id, "", &p); p.State != "deleted" {
		t.Errorf("%+v", p)
	}
	var list struct {
		Policies []struct {
			ID string `json:"id"`
		} `json:"policies"`
	}
	if w.ask(t, 200, "GET", "/v2/policies?account_id="+w.Account(), "", &list); len(list.Policies) != 0 {
		t.Errorf("%+v", list)
	}
	w.ask(t, 404, "DELETE", "/v1/policies/"+id, "", nil)
	w.ask(t, 200, "PATCH", "/v1/policies/"+id, `{"state":"active"}`, nil, "If-Match", "*")
	if w.ask(t, 200, "GET", "/v1/policies?account_id="+w.Account()+"&service_name=kms", "", &list); len(list.Policies) != 1 || !authorized() {
		t.Errorf("%+v", list)
	}
	w.ask(t, 404, "GET", "/v1/policies/none", "", nil)
	w.ask(t, 400, "GET", "/v1/policies", "", nil)

	v2 := `{"type":"access","subject":{"attributes":[{"key":"iam_id","operator":"stringEquals","value":"iam-x"}]},"resource":{"attributes":[{"key":"serviceName","operator":"stringMatch","value":"k*"}]},"control":{"grant":{"roles":[{"role_id":"ROLE"}]}}RULE}`
	fill := func(role, rule string) string { return strings.NewReplacer("ROLE", role, "RULE", rule).Replace(v2) }
	reader := "crn:v1:bluemix:public:iam::::serviceRole:Reader"
	w.policy(t, "/v2/policies", fill(reader, ""))
	w.ask(t, 409, "POST", "/v2/policies", fill(reader, ""), nil)
	w.ask(t, 400, "POST", "/v2/policies", fill("Reader", ""), nil)
	w.ask(t, 501, "POST", "/v2/policies", fill(reader, `,"rule":{"key":"{{environment.attributes.day_of_week}}"}`), nil)

	var roles struct {
		Service []struct {
			Name string `json:"display_name"`
			CRN  string `json:"crn"`
		} `json:"service_roles"`
	}
	if w.ask(t, 200, "GET", "/v2/roles?service_name=kms&account_id="+w.Account(), "", &roles); len(roles.Service) != 5 || roles.Service[0].CRN != reader {
		t.Errorf("%+v", roles)
	}
}
