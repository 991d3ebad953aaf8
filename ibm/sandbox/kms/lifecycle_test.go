package kms_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	kp "github.com/IBM/keyprotect-go-client"

	"github.com/luksimg/luksimg/ibm/sandbox/event"
	"github.com/luksimg/luksimg/ibm/sandbox/kms"
)

// A world is a server with its own clock, and its owner with IBM's client.
type world struct {
	*kms.Server
	*kp.Client
	now      time.Time
	owner    kms.Identity
	instance string // its CRN
	events   []event.Event
}

func newWorld(t *testing.T) *world {
	w := &world{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	w.Server = kms.New(kms.Options{Now: func() time.Time { return w.now }, TokenLife: 1e5 * time.Hour, Events: func(e event.Event) { w.events = append(w.events, e) }})
	var apiKey string
	w.owner, apiKey = w.AddUser("owner")
	w.instance = w.AddInstance("kms", "us-south")
	w.Client = realClient(t, w.Server, apiKey, w.instance, "/identity/token")
	return w
}

func (w *world) root(t *testing.T, o ...kp.CreateKeyOption) *kp.Key {
	t.Helper()
	k, err := w.CreateKeyWithOptions(context.Background(), "root", false, o...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// in returns the client for a key ring.
func (w *world) in(ring string) *kp.Client {
	c := *w.Client
	c.Config.KeyRing = ring
	return &c
}

func TestDeleteRestorePurge(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	root := w.root(t)
	ct, err := w.Wrap(root.CRN, []byte("abc123"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.RestoreKey(ctx, root.ID); code(err) != "KEY_ACTION_INVALID_STATE_ERR" {
		t.Errorf("restoring a key that is not deleted: %v", err)
	}
	k, err := w.DeleteKey(ctx, root.ID, kp.ReturnRepresentation)
	if err != nil || k.PurgeAllowed == nil || *k.PurgeAllowed || k.PurgeAllowedFrom == nil || !k.PurgeAllowedFrom.Equal(w.now.Add(4*time.Hour)) || !k.PurgeScheduledOn.Equal(w.now.Add(90*24*time.Hour)) {
		t.Fatalf("%+v, %v", k, err)
	}
	if _, err := w.RestoreKey(ctx, root.ID); code(err) != "REQ_TOO_EARLY_ERR" {
		t.Errorf("at once: %v", err)
	}
	w.now = w.now.Add(30*24*time.Hour - time.Second)
	if k, err := w.RestoreKey(ctx, root.ID); err != nil || k.State != int(kp.Active) || k.Deleted == nil || *k.Deleted {
		t.Errorf("%+v, %v", k, err)
	}
	if plain, err := w.UnwrapV2text(ctx, root.ID, ct); err != nil || plain != "abc123" {
		t.Errorf("%q, %v", plain, err)
	}
	if _, err := w.DeleteKey(ctx, root.ID, kp.ReturnMinimal); err != nil {
		t.Fatal(err)
	}
	if _, err := w.PurgeKey(ctx, root.ID, kp.ReturnMinimal); code(err) != "UNAUTHORIZED_ERR" {
		t.Errorf("even the owner needs KeyPurge: %v", err)
	}
	w.policy(t, "/v1/policies", `{"type":"access","subjects":[{"attributes":[{"name":"iam_id","value":"`+w.owner.IAMID+`"}]}],"resources":[{"attributes":[{"name":"serviceName","value":"kms"},{"name":"accountId","value":"`+w.Account()+`"}]}],"roles":[{"role_id":"crn:v1:bluemix:public:kms::::serviceRole:KeyPurge"}]}`)
	w.now = w.now.Add(4*time.Hour - time.Second)
	if _, err := w.PurgeKey(ctx, root.ID, kp.ReturnMinimal); code(err) != "REQ_TOO_EARLY_ERR" {
		t.Errorf("before four hours: %v", err)
	}
	other := w.root(t)
	if _, err := w.PurgeKey(ctx, other.ID, kp.ReturnMinimal); code(err) != "KEY_ACTION_INVALID_STATE_ERR" {
		t.Errorf("deleting a key in use: %v", err)
	}
	w.now = w.now.Add(time.Second)
	if k, err := w.PurgeKey(ctx, root.ID, kp.ReturnRepresentation); err != nil || k.ID != root.ID || !*k.PurgeAllowed {
		t.Errorf("%+v, %v", k, err)
	}
	for name, err := range map[string]error{"get": one(w.GetKeyMetadata(ctx, root.ID)), "purge": one(w.PurgeKey(ctx, root.ID, kp.ReturnMinimal))} {
		if code(err) != "KEY_NOT_FOUND_ERR" {
			t.Errorf("%s of a purged key: %v", name, err)
		}
	}
	if _, err := w.DeleteKey(ctx, other.ID, kp.ReturnMinimal); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(30 * 24 * time.Hour)
	if _, err := w.RestoreKey(ctx, other.ID); code(err) != "KEY_RESTORE_EXPIRED" {
		t.Errorf("after 30 days: %v", err)
	}
	w.now = w.now.Add(60 * 24 * time.Hour)
	if _, err := w.GetKeyMetadata(ctx, other.ID); code(err) != "KEY_NOT_FOUND_ERR" {
		t.Errorf("after 90 days: %v", err)
	}
}

// UnwrapV2text unwraps a text.
func (w *world) UnwrapV2text(ctx context.Context, id, wdek string) (string, error) {
	plain, err := w.Unwrap(ctx, id, []byte(wdek), nil)
	if err != nil {
		return "", err
	}
	text, err := base64.StdEncoding.DecodeString(string(plain))
	return string(text), err
}

// Wrap calls the method of the server, which Client has too.
func (w *world) Wrap(crn string, plain []byte) (string, error) { return w.Server.Wrap(crn, plain) }

// Unwrap calls the method of the client.
func (w *world) Unwrap(ctx context.Context, id string, wdek []byte, aad *[]string) ([]byte, error) {
	return w.Client.Unwrap(ctx, id, wdek, aad)
}

func TestKeyRings(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	if _, err := w.in("prod").CreateRootKey(ctx, "k1", nil); code(err) != "KEY_RING_NOT_FOUND_ERR" {
		t.Errorf("key in a missing ring: %v", err)
	}
	if err := w.CreateKeyRing(ctx, "prod"); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"prod", "default"} {
		if err := w.CreateKeyRing(ctx, bad); code(err) != "KEY_RING_NOT_UNIQUE_ERR" {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := w.CreateKeyRing(ctx, "a.b"); code(err) != "INVALID_FIELD_ERR" {
		t.Error(err)
	}
	rings, err := w.GetKeyRings(ctx)
	if err != nil || len(rings.KeyRings) != 2 || rings.KeyRings[0].ID != "default" || rings.KeyRings[1].ID != "prod" || rings.KeyRings[1].CreationDate == nil {
		t.Errorf("%+v, %v", rings, err)
	}
	k, err := w.in("prod").CreateRootKey(ctx, "k1", nil)
	if err != nil || k.KeyRingID != "prod" {
		t.Fatalf("%+v, %v", k, err)
	}
	if m, err := w.GetKeyMetadata(ctx, k.ID); err != nil || m.KeyRingID != "prod" {
		t.Errorf("without a ring, all rings are searched: %+v, %v", m, err)
	}
	for ring, want := range map[string]int{"prod": 1, "default": 0, "": 1} {
		if list, err := w.in(ring).GetKeys(ctx, 0, 0); err != nil || len(list.Keys) != want {
			t.Errorf("%q: %+v, %v", ring, list, err)
		}
	}
	if _, err := w.in("default").Wrap(ctx, k.ID, []byte("YWJj"), nil); code(err) != "KEY_NOT_FOUND_ERR" {
		t.Errorf("in another ring: %v", err)
	}
	if _, err := w.in("prod").Wrap(ctx, k.ID, []byte("YWJj"), nil); err != nil {
		t.Error(err)
	}
	if _, err := w.SetKeyRing(ctx, k.ID, "none"); code(err) != "KEY_RING_NOT_FOUND_ERR" {
		t.Error(err)
	}
	if m, err := w.SetKeyRing(ctx, k.ID, "default"); err != nil || m.KeyRingID != "default" {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := w.SetKeyRing(ctx, k.ID, "prod"); err != nil || m.KeyRingID != "prod" {
		t.Errorf("%+v, %v", m, err)
	}
	if err := w.DeleteKeyRing(ctx, "prod", kp.WithForce(true)); code(err) != "KEY_RING_NOT_EMPTY_ERR" {
		t.Errorf("with a key in use: %v", err)
	}
	if _, err := w.DeleteKey(ctx, k.ID, kp.ReturnMinimal); err != nil {
		t.Fatal(err)
	}
	if err := w.DeleteKeyRing(ctx, "prod"); code(err) != "KEY_RING_NOT_EMPTY_ERR" {
		t.Errorf("with a deleted key, without force: %v", err)
	}
	if err := w.DeleteKeyRing(ctx, "prod", kp.WithForce(true)); err != nil {
		t.Error(err)
	}
	if m, err := w.GetKeyMetadata(ctx, k.ID); err != nil || m.KeyRingID != "default" {
		t.Errorf("deleted keys go to the default ring: %+v, %v", m, err)
	}
	if err := w.DeleteKeyRing(ctx, "prod"); code(err) != "KEY_RING_NOT_FOUND_ERR" {
		t.Error(err)
	}
}

// TestRingAccess grants a service ID access to one key ring only.
func TestRingAccess(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	if err := w.CreateKeyRing(ctx, "prod"); err != nil {
		t.Fatal(err)
	}
	inside, err := w.in("prod").CreateRootKey(ctx, "inside", nil)
	if err != nil {
		t.Fatal(err)
	}
	outside := w.root(t)
	var id struct {
		IAMID string `json:"iam_id"`
	}
	w.ask(t, 201, "POST", "/v1/serviceids", `{"account_id":"`+w.Account()+`","name":"ringer"}`, &id)
	w.policy(t, "/v2/policies", `{"type":"access","subject":{"attributes":[{"key":"iam_id","operator":"stringEquals","value":"`+id.IAMID+`"}]},"resource":{"attributes":[{"key":"serviceName","operator":"stringEquals","value":"kms"},{"key":"accountId","operator":"stringEquals","value":"`+w.Account()+`"},{"key":"keyRing","operator":"stringEquals","value":"prod"}]},"control":{"grant":{"roles":[{"role_id":"crn:v1:bluemix:public:iam::::serviceRole:Reader"}]}}}`)
	who, _ := w.Lookup(id.IAMID)
	as := kp.NewContextWithAuth(ctx, "Bearer "+w.Token(who, time.Hour))
	if _, err := w.Client.Wrap(as, inside.ID, []byte("YWJj"), nil); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{"outside": one(w.Client.Wrap(as, outside.ID, []byte("YWJj"), nil)), "rotate": w.Rotate(as, inside.ID, ""), "rings": one(w.GetKeyRings(as))} {
		if code(err) != "UNAUTHORIZED_ERR" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAliasesVersions(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	k, other := w.root(t), w.root(t)
	for _, a := range []string{"a-1", "a-2", "a-3", "a-4", "a-5"} {
		if made, err := w.CreateKeyAlias(ctx, a, k.ID); err != nil || made.KeyID != k.ID || made.Alias != a || made.CreationDate == nil {
			t.Fatalf("%+v, %v", made, err)
		}
	}
	if _, err := w.CreateKeyAlias(ctx, "a-6", k.ID); code(err) != "KEY_ALIAS_QUOTA_ERR" {
		t.Error(err)
	}
	if _, err := w.CreateKeyAlias(ctx, "a-1", other.ID); code(err) != "KEY_ALIAS_NOT_UNIQUE_ERR" {
		t.Error(err)
	}
	for _, bad := range []string{"x", "a.b", "wrap", other.ID} {
		if _, err := w.CreateKeyAlias(ctx, bad, other.ID); code(err) != "INVALID_FIELD_ERR" {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := w.DeleteKeyAlias(ctx, "a-1", "a-2"); err != nil {
		t.Error(err)
	}
	if err := w.DeleteKeyAlias(ctx, "a-1", k.ID); code(err) != "KEY_ALIAS_NOT_FOUND_ERR" {
		t.Error(err)
	}
	if m, err := w.GetKeyMetadata(ctx, "a-2"); err != nil || m.ID != k.ID || len(m.Aliases) != 4 {
		t.Errorf("%+v, %v", m, err)
	}

	if err := w.Rotate(ctx, k.ID, ""); err != nil {
		t.Fatal(err)
	}
	limit, offset, yes := uint32(1), uint32(1), true
	v, err := w.ListKeyVersions(ctx, k.ID, &kp.ListKeyVersionsOptions{Limit: &limit, Offset: &offset, TotalCount: &yes})
	if err != nil || *v.Metadata.TotalCount != 2 || len(v.KeyVersion) != 1 || v.KeyVersion[0].ID != k.KeyVersion.ID {
		t.Errorf("the newest is first: %+v, %v", v, err)
	}
	limit = 0
	if _, err := w.ListKeyVersions(ctx, k.ID, &kp.ListKeyVersionsOptions{Limit: &limit}); code(err) != "INVALID_QUERY_PARAM_ERR" {
		t.Error(err)
	}
}

func TestPolicies(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	k := w.root(t)
	if _, err := w.SetRotationPolicy(ctx, k.ID, 13); code(err) != "INVALID_FIELD_ERR" {
		t.Error(err)
	}
	p, err := w.SetRotationPolicy(ctx, k.ID, 3)
	if err != nil || p.Rotation.Interval != 3 || !*p.Rotation.Enabled || p.CRN == "" {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := w.DisableRotationPolicy(ctx, k.ID); err != nil || p.Rotation.Interval != 3 || *p.Rotation.Enabled {
		t.Errorf("%+v, %v", p, err)
	}
	if all, err := w.SetPolicies(ctx, k.ID, true, 2, true, true); err != nil || len(all) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	if p, err := w.GetDualAuthDeletePolicy(ctx, k.ID); err != nil || !*p.DualAuth.Enabled {
		t.Errorf("%+v, %v", p, err)
	}

	// Two people must approve the deletion.
	if _, err := w.DeleteKey(ctx, k.ID, kp.ReturnMinimal); code(err) != "AUTHORIZATIONS_NOT_MET" {
		t.Error(err)
	}
	if err := w.InitiateDualAuthDelete(ctx, k.ID); err != nil {
		t.Error(err)
	}
	if _, err := w.DeleteKey(ctx, k.ID, kp.ReturnMinimal); code(err) != "AUTHORIZATIONS_NOT_MET" {
		t.Errorf("same person twice: %v", err)
	}
	second, _ := w.AddUser("second")
	as := kp.NewContextWithAuth(ctx, "Bearer "+w.Token(second, time.Hour))
	if _, err := w.DeleteKey(as, k.ID, kp.ReturnMinimal); err != nil {
		t.Error(err)
	}
	if err := w.InitiateDualAuthDelete(ctx, w.root(t).ID); code(err) != "NOT_DUAL_AUTH_ERR" {
		t.Error(err)
	}

	// Policies of the instance.
	if err := w.SetDualAuthInstancePolicy(ctx, true); err != nil {
		t.Error(err)
	}
	if p, err := w.GetDualAuthInstancePolicy(ctx); err != nil || !*p.PolicyData.Enabled || p.CreatedBy == "" {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := w.GetMetricsInstancePolicy(ctx); err != nil || p != nil {
		t.Errorf("%+v, %v", p, err)
	}
	if err := w.SetKeyCreateImportAccessInstancePolicy(ctx, true, map[string]bool{kp.CreateRootKey: true, kp.CreateStandardKey: false, kp.ImportRootKey: true, kp.EnforceToken: true}); err != nil {
		t.Fatal(err)
	}
	if all, err := w.GetInstancePolicies(ctx); err != nil || len(all) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	material := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for name, err := range map[string]error{"standard": one(w.CreateStandardKey(ctx, "s1", nil)), "import without a token": one(w.CreateImportedRootKey(ctx, "i1", nil, material, "", ""))} {
		if code(err) != "KEY_CREATE_IMPORT_ACCESS_ERR" {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.root(t)
	interval := 4
	over, err := w.CreateRootKeyWithPolicyOverrides(ctx, "o1", nil, nil, kp.Policy{Rotation: &kp.Rotation{Interval: interval}})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := w.GetRotationPolicy(ctx, over.ID); err != nil || p == nil || p.Rotation.Interval != interval {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestRegistrations(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	k, other := w.root(t), w.root(t)
	const bucket = "crn:v1:bluemix:public:cloud-object-storage:global:a/1:2:bucket:images"
	for _, x := range []*kp.Key{k, other} {
		if err := w.Register(x.CRN, bucket, "cloud-object-storage", false); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := w.ListRegistrations(ctx, "", ""); err != nil || len(list.Registrations) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := w.ListRegistrations(ctx, k.ID, ""); err != nil || len(list.Registrations) != 1 || list.Registrations[0].ResourceCrn != bucket || list.Registrations[0].KeyVersion.ID != k.KeyVersion.ID {
		t.Errorf("%+v, %v", list, err)
	}
	for query, want := range map[string]int{bucket: 2, bucket[:50] + "*": 2, bucket[:50]: 0} {
		if list, err := w.ListRegistrations(ctx, "", query); err != nil || len(list.Registrations) != want {
			t.Errorf("%s: %+v, %v", query, list, err)
		}
	}
	if _, err := w.DeleteKey(ctx, k.ID, kp.ReturnMinimal); code(err) != "PROTECTED_RESOURCE_ERR" {
		t.Error(err)
	}
	if _, err := w.DeleteKey(ctx, k.ID, kp.ReturnMinimal, kp.ForceOpt{Force: true}); err != nil {
		t.Error(err)
	}
	if err := w.Register(other.CRN, bucket, "cloud-object-storage", true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DeleteKey(ctx, other.ID, kp.ReturnMinimal, kp.ForceOpt{Force: true}); code(err) != "PREV_KEY_DEL_ERR" {
		t.Error(err)
	}
	w.Unregister(bucket)
	if _, err := w.DeleteKey(ctx, other.ID, kp.ReturnMinimal); err != nil {
		t.Error(err)
	}
}

// TestEventNames uses the names of at-events.md, "Current event names".
func TestEventNames(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	k := w.root(t)
	w.CreateImportToken(ctx, 300, 1)
	w.GetImportTokenTransportKey(ctx)
	w.GetKeyMetadata(ctx, k.ID)
	w.ListKeyVersions(ctx, k.ID, nil)
	w.CreateKeyRing(ctx, "prod")
	w.GetKeyRings(ctx)
	w.SetKeyRing(ctx, k.ID, "prod")
	w.CreateKeyAlias(ctx, "nick", k.ID)
	w.DeleteKeyAlias(ctx, "nick", k.ID)
	w.GetPolicies(ctx, k.ID)
	w.GetInstancePolicies(ctx)
	w.ListRegistrations(ctx, "", "")
	w.Rotate(ctx, k.ID, "")
	w.DeleteKey(ctx, k.ID, kp.ReturnMinimal)
	w.RestoreKey(ctx, k.ID)
	w.PurgeKey(ctx, k.ID, kp.ReturnMinimal)
	var got []string
	for _, e := range w.events {
		got = append(got, e.Action)
	}
	want := strings.Fields(`kms.secrets.create kms.import-token.create kms.import-token.read kms.secrets-metadata.read kms.secrets-key-versions.list
		kms.key-rings.create kms.key-rings.list kms.secrets.patch kms.secrets-alias.create kms.secrets-alias.delete kms.policies.read
		kms.instance-policies.read kms.registrations.list kms.secrets.rotate kms.secrets.delete kms.secrets.restore kms.secrets.purge`)
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	hyper := w.AddInstance("hs-crypto", "us-south")
	c := *w.Client
	c.Config.InstanceID = strings.Split(hyper, ":")[7]
	if _, err := c.CreateRootKey(ctx, "k1", nil); err != nil {
		t.Fatal(err)
	}
	if e := w.events[len(w.events)-1]; e.Action != "hs-crypto.secrets.create" || e.LogSourceCRN != hyper {
		t.Errorf("%+v", e)
	}
}

// TestKeptState tests that all state is in the file.
func TestKeptState(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	if err := w.CreateKeyRing(ctx, "prod"); err != nil {
		t.Fatal(err)
	}
	k, err := w.in("prod").CreateKeyWithAliases(ctx, "k1", nil, false, []string{"nick"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.SetDualAuthDeletePolicy(ctx, k.ID, true); err != nil {
		t.Fatal(err)
	}
	if err := w.SetMetricsInstancePolicy(ctx, true); err != nil {
		t.Fatal(err)
	}
	if err := w.Register(k.CRN, "crn:v1:bluemix:public:cloud-object-storage:global:a/1:2:bucket:b", "cloud-object-storage", false); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := w.Save(dir); err != nil {
		t.Fatal(err)
	}
	again := kms.New(kms.Options{})
	if err := again.Load(dir); err != nil {
		t.Fatal(err)
	}
	_, apiKey := again.AddUser("another")
	c := realClient(t, again, apiKey, w.instance, "/identity/token")
	c.Config.KeyRing = "prod"
	if m, err := c.GetKeyMetadata(ctx, "nick"); err != nil || m.ID != k.ID || m.DualAuthDelete == nil || !*m.DualAuthDelete.Enabled {
		t.Errorf("%+v, %v", m, err)
	}
	if p, err := c.GetMetricsInstancePolicy(ctx); err != nil || p == nil {
		t.Errorf("%+v, %v", p, err)
	}
	if list, err := c.ListRegistrations(ctx, k.ID, ""); err != nil || len(list.Registrations) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

// ask sends a request to IAM as the owner, and decodes the answer into v unless that is nil.
func (w *world) ask(t *testing.T, status int, method, path, body string, v any, header ...string) http.Header {
	t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+w.Token(w.owner, time.Hour))
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.IAM().ServeHTTP(rec, req)
	text, _ := io.ReadAll(rec.Body)
	if rec.Code != status {
		t.Errorf("%s %s: %d %s", method, path, rec.Code, text)
	}
	if v != nil {
		if err := json.Unmarshal(text, v); err != nil {
			t.Errorf("%s %s: %v", method, path, err)
		}
	}
	return rec.Header()
}

func (w *world) policy(t *testing.T, path, body string) (id string) {
	t.Helper()
	var p struct {
		ID string `json:"id"`
	}
	w.ask(t, 201, "POST", path, body, &p)
	return p.ID
}
