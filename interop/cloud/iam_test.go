package cloud

import (
	"slices"
	"testing"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iamidentityv1"
	"github.com/IBM/platform-services-go-sdk/iampolicymanagementv1"

	"github.com/luksimg/luksimg/ibm/sandbox"
)

// by returns an authenticator of IBM's SDKs for an API key.
func by(at sandbox.Settings, key string) core.Authenticator {
	return &core.IamAuthenticator{ApiKey: key, URL: at.IAM}
}

// An account is a client of IAM from platform-services-go-sdk.
type account struct {
	t testing.TB
	sandbox.Settings
	identity *iamidentityv1.IamIdentityV1
	policies *iampolicymanagementv1.IamPolicyManagementV1
}

func newAccount(t testing.TB, s *sandbox.Sandbox) *account {
	t.Helper()
	a := &account{t: t, Settings: s.Settings()}
	var err error
	if a.identity, err = iamidentityv1.NewIamIdentityV1(&iamidentityv1.IamIdentityV1Options{URL: a.IAM, Authenticator: by(a.Settings, a.APIKey)}); err != nil {
		t.Fatal(err)
	}
	if a.policies, err = iampolicymanagementv1.NewIamPolicyManagementV1(&iampolicymanagementv1.IamPolicyManagementV1Options{URL: a.IAM, Authenticator: by(a.Settings, a.APIKey)}); err != nil {
		t.Fatal(err)
	}
	return a
}

const reader, writer = "crn:v1:bluemix:public:iam::::serviceRole:Reader", "crn:v1:bluemix:public:iam::::serviceRole:Writer"

// attributes returns the attributes of a policy: alternating names and values, and the account.
func (a *account) subject(pairs ...string) []iampolicymanagementv1.PolicySubject {
	s := iampolicymanagementv1.PolicySubject{}
	for pair := range slices.Chunk(pairs, 2) {
		s.Attributes = append(s.Attributes, iampolicymanagementv1.SubjectAttribute{Name: &pair[0], Value: &pair[1]})
	}
	return []iampolicymanagementv1.PolicySubject{s}
}

func (a *account) resource(pairs ...string) []iampolicymanagementv1.PolicyResource {
	r := iampolicymanagementv1.PolicyResource{}
	for pair := range slices.Chunk(append(pairs, "accountId", a.Account), 2) {
		r.Attributes = append(r.Attributes, iampolicymanagementv1.ResourceAttribute{Name: &pair[0], Value: &pair[1]})
	}
	return []iampolicymanagementv1.PolicyResource{r}
}

// authorize authorizes a service to use another one, and returns the policy. kind is the resource type of the
// source, or "".
func (a *account) authorize(source, kind, target, role string) *iampolicymanagementv1.Policy {
	a.t.Helper()
	from := []string{"serviceName", source, "accountId", a.Account}
	if kind != "" {
		from = append(from, "resourceType", kind)
	}
	p, _, err := a.policies.CreatePolicy(a.policies.NewCreatePolicyOptions("authorization", a.subject(from...),
		[]iampolicymanagementv1.PolicyRole{{RoleID: &role}}, a.resource("serviceName", target)))
	if err != nil {
		a.t.Fatal(err)
	}
	return p
}

// serviceID creates a service ID with an API key that may use the services, and returns the key.
func (a *account) serviceID(name string, services ...string) (id, key string) {
	a.t.Helper()
	s, _, err := a.identity.CreateServiceID(a.identity.NewCreateServiceIDOptions(a.Account, name))
	if err != nil {
		a.t.Fatal(err)
	}
	for _, service := range services {
		_, _, err := a.policies.CreatePolicy(a.policies.NewCreatePolicyOptions("access", a.subject("iam_id", *s.IamID),
			[]iampolicymanagementv1.PolicyRole{{RoleID: core.StringPtr(reader)}, {RoleID: core.StringPtr(writer)}}, a.resource("serviceName", service)))
		if err != nil {
			a.t.Fatal(err)
		}
	}
	k, _, err := a.identity.CreateAPIKey(a.identity.NewCreateAPIKeyOptions(name, *s.IamID))
	if err != nil {
		a.t.Fatal(err)
	}
	return *s.ID, *k.Apikey
}

// status returns the status of a refusal, or 0.
func status(r *core.DetailedResponse, err error) int {
	if err == nil || r == nil {
		return 0
	}
	return r.StatusCode
}

// TestServiceID creates a service ID and an API key, reads both, and deletes them.
func TestServiceID(t *testing.T) {
	a := newAccount(t, start(t, sandbox.Options{}))
	id, key := a.serviceID("importer", "kms")
	got, _, err := a.identity.GetServiceID(a.identity.NewGetServiceIDOptions(id))
	if err != nil || *got.Name != "importer" || *got.AccountID != a.Account {
		t.Fatalf("%+v, %v", got, err)
	}
	list, _, err := a.identity.ListServiceIds(a.identity.NewListServiceIdsOptions().SetAccountID(a.Account).SetName("importer"))
	if err != nil || len(list.Serviceids) != 1 || *list.Serviceids[0].IamID != *got.IamID {
		t.Errorf("%+v, %v", list, err)
	}
	details, _, err := a.identity.GetAPIKeysDetails(a.identity.NewGetAPIKeysDetailsOptions().SetIamAPIKey(key))
	if err != nil || *details.IamID != *got.IamID {
		t.Errorf("%+v, %v", details, err)
	}
	keys, _, err := a.identity.ListAPIKeys(a.identity.NewListAPIKeysOptions().SetAccountID(a.Account).SetIamID(*got.IamID))
	if err != nil || len(keys.Apikeys) != 1 || *keys.Apikeys[0].ID != *details.ID {
		t.Errorf("%+v, %v", keys, err)
	}
	if _, err := by(a.Settings, key).(*core.IamAuthenticator).GetToken(); err != nil {
		t.Error(err)
	}
	if r, err := a.identity.DeleteAPIKey(a.identity.NewDeleteAPIKeyOptions(*details.ID)); err != nil || r.StatusCode != 204 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := by(a.Settings, key).(*core.IamAuthenticator).GetToken(); err == nil {
		t.Error("token issued for a deleted API key")
	}
	if _, err := a.identity.DeleteServiceID(a.identity.NewDeleteServiceIDOptions(id)); err != nil {
		t.Error(err)
	}
	if _, r, err := a.identity.GetServiceID(a.identity.NewGetServiceIDOptions(id)); status(r, err) != 404 {
		t.Errorf("deleted: %v", err)
	}
}

// TestPolicies creates a policy with either API version, reads it back like
// Terraform, and deletes it.
func TestPolicies(t *testing.T) {
	a := newAccount(t, start(t, sandbox.Options{}))
	p := a.authorize("server-protect", "", "kms", reader)
	got, _, err := a.policies.GetPolicy(a.policies.NewGetPolicyOptions(*p.ID))
	if err != nil || *got.Type != "authorization" || *got.Roles[0].RoleID != reader || *got.State != "active" {
		t.Fatalf("%+v, %v", got, err)
	}
	list, _, err := a.policies.ListPolicies(a.policies.NewListPoliciesOptions(a.Account).SetType("authorization"))
	if err != nil || len(list.Policies) != 1 || *list.Policies[0].ID != *p.ID {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := a.policies.DeletePolicy(a.policies.NewDeletePolicyOptions(*p.ID)); err != nil {
		t.Error(err)
	}
	// A deleted policy remains visible with its new state.
	if got, _, err := a.policies.GetPolicy(a.policies.NewGetPolicyOptions(*p.ID)); err != nil || *got.State != "deleted" {
		t.Errorf("deleted: %+v, %v", got, err)
	}

	equals := core.StringPtr("stringEquals")
	v2 := a.policies.NewCreateV2PolicyOptions(
		&iampolicymanagementv1.Control{Grant: &iampolicymanagementv1.Grant{Roles: []iampolicymanagementv1.Roles{{RoleID: core.StringPtr(reader)}}}}, "authorization")
	v2.SetSubject(&iampolicymanagementv1.V2PolicySubject{Attributes: []iampolicymanagementv1.V2PolicySubjectAttribute{
		{Key: core.StringPtr("serviceName"), Operator: equals, Value: "is"}, {Key: core.StringPtr("resourceType"), Operator: equals, Value: "image"}, {Key: core.StringPtr("accountId"), Operator: equals, Value: a.Account},
	}})
	v2.SetResource(&iampolicymanagementv1.V2PolicyResource{Attributes: []iampolicymanagementv1.V2PolicyResourceAttribute{
		{Key: core.StringPtr("serviceName"), Operator: equals, Value: "cloud-object-storage"}, {Key: core.StringPtr("accountId"), Operator: equals, Value: a.Account},
	}})
	made, _, err := a.policies.CreateV2Policy(v2)
	if err != nil {
		t.Fatal(err)
	}
	read, _, err := a.policies.GetV2Policy(a.policies.NewGetV2PolicyOptions(*made.ID))
	if err != nil || *read.Type != "authorization" || len(read.Subject.Attributes) != 3 {
		t.Errorf("%+v, %v", read, err)
	}
	if all, _, err := a.policies.ListV2Policies(a.policies.NewListV2PoliciesOptions(a.Account)); err != nil || len(all.Policies) == 0 {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := a.policies.DeleteV2Policy(a.policies.NewDeleteV2PolicyOptions(*made.ID)); err != nil {
		t.Error(err)
	}

	roles, _, err := a.policies.ListRoles(a.policies.NewListRolesOptions().SetServiceName("kms"))
	if err != nil || !slices.ContainsFunc(roles.ServiceRoles, func(r iampolicymanagementv1.Role) bool { return *r.CRN == reader }) {
		t.Errorf("%+v, %v", roles, err)
	}
}
