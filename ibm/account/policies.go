package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/internal/rest"
)

const (
	serviceIDText = "reads encrypted images and their root key when they are imported"
	apiKeyText    = "made by luksimg setup"
)

// post formats a POST request as text.
func (r *Report) post(path string, body any) string {
	b, err := json.Marshal(body)
	if err != nil {
		return err.Error() // unreachable: body always marshals
	}
	return "POST " + r.o.IAMURL + path + " " + string(b)
}

// serviceID looks up the service ID.
func (r *Report) serviceID(ctx context.Context) error {
	all, err := r.o.Identity.ServiceIDs(ctx, r.Account, r.o.ServiceID)
	if err != nil {
		return err
	}
	if len(all) > 1 {
		return rest.WithHint(fmt.Errorf("%d service IDs are named %s", len(all), r.o.ServiceID), "choose another name with --service-id")
	}
	x := Thing{
		What: "service id", Name: r.o.ServiceID, Exists: len(all) == 1,
		Request: r.post("/v1/serviceids", map[string]string{"account_id": r.Account, "name": r.o.ServiceID, "description": serviceIDText}),
		Command: fmt.Sprintf("ibmcloud iam service-id-create %s --description %q", r.o.ServiceID, serviceIDText),
		make: func(ctx context.Context) error {
			made, err := r.o.Identity.CreateServiceID(ctx, r.Account, r.o.ServiceID, serviceIDText)
			r.ServiceID = made.IAMID
			return r.o.Log.Did("luksimg.service-id.create", made.IAMID, map[string]any{"name": r.o.ServiceID}, err)
		},
	}
	if x.Exists {
		r.ServiceID, x.Request, x.Command = all[0].IAMID, "", ""
	}
	r.add(x)
	return nil
}

// policies looks up the policies of the service ID and the authorization of Cloud Block
// Storage.
func (r *Report) policies(ctx context.Context) error {
	for _, p := range []struct{ service, instance, name string }{
		{iam.COS, r.cosID, "of the service id to read Object Storage"},
		{r.instance.Service, r.instance.Instance, "of the service id to use the root key"},
	} {
		if p.instance == "" { // "" would grant all instances of the account
			r.Notes = append(r.Notes, "no --cos-instance-crn: the service id gets no policy to read Object Storage")
			continue
		}
		command := fmt.Sprintf("ibmcloud iam service-policy-create %s --roles Reader --service-name %s", r.o.ServiceID, p.service)
		command += " --service-instance " + p.instance
		// The ID is unknown until the service ID is created.
		want := func() iam.Policy {
			return iam.Access(r.Account, r.known(r.ServiceID, "IAM_ID"), p.service, p.instance, iam.RoleReader)
		}
		if err := r.laterPolicy(ctx, want, "policy", p.name, command, r.ServiceID != ""); err != nil {
			return err
		}
	}
	for _, a := range Authorizations(r.Account, r.instance, r.o.VPC, r.cosID) {
		if err := r.authorization(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

func (r *Report) authorization(ctx context.Context, a Authorization) error {
	return r.laterPolicy(ctx, func() iam.Policy { return a.Policy }, "authorization", a.Name, a.Command, true)
}

// laterPolicy looks up a policy, unless its subject does not exist yet.
func (r *Report) laterPolicy(ctx context.Context, want func() iam.Policy, what, name, command string, look bool) error {
	x := Thing{What: what, Name: name, Request: r.post("/v1/policies", want()), Command: command, make: func(ctx context.Context) error {
		made, err := r.o.Identity.CreatePolicy(ctx, want())
		return r.o.Log.Did("luksimg.policy.create", made.ID, map[string]any{"name": name}, err)
	}}
	if look {
		_, ok, err := r.o.Identity.FindPolicy(ctx, r.Account, want())
		if err != nil {
			return err
		}
		if ok {
			x.Exists, x.Request, x.Command = true, "", ""
		}
	}
	r.add(x)
	return nil
}

// apiKey looks up the API key and its file. IAM shows a key only once, so a key without
// its file is useless.
func (r *Report) apiKey(ctx context.Context) error {
	f := r.o.APIKey
	if f == nil {
		return nil
	}
	there, file := false, f.There
	if r.ServiceID != "" {
		all, err := r.o.Identity.APIKeys(ctx, r.Account, r.ServiceID)
		if err != nil {
			return err
		}
		there = slices.ContainsFunc(all, func(k iam.APIKey) bool { return k.Name == r.o.APIKeyName })
	}
	switch {
	case there && !file:
		return rest.WithHint(fmt.Errorf("API key %s exists, but file %s does not: IAM shows a key only when it is created", r.o.APIKeyName, f.Name),
			"find the file, create another key with --api-key-name, or delete the old one: ibmcloud iam service-api-key-delete "+r.o.APIKeyName+" "+r.o.ServiceID)
	case file && !there:
		return rest.WithHint(fmt.Errorf("file %s exists, but API key %s does not", f.Name, r.o.APIKeyName), "a key file is never replaced: choose another name")
	}
	x := Thing{
		What: "API key", Name: r.o.APIKeyName, Exists: there,
		Request: r.post("/v1/apikeys", map[string]any{"account_id": r.Account, "iam_id": r.known(r.ServiceID, "IAM_ID"), "name": r.o.APIKeyName, "description": apiKeyText}),
		Command: fmt.Sprintf("ibmcloud iam service-api-key-create %s %s --file %s", r.o.APIKeyName, r.o.ServiceID, f.Name),
		make:    r.makeAPIKey,
	}
	if there {
		x.Request, x.Command = "", ""
	}
	r.add(x)
	return nil
}

// makeAPIKey creates the API key and its file.
func (r *Report) makeAPIKey(ctx context.Context) error {
	f, err := r.o.APIKey.Create() // first, so that a file error does not lose a created key
	if err != nil {
		return err
	}
	defer f.Abort()
	made, err := r.o.Identity.CreateAPIKey(ctx, r.Account, r.ServiceID, r.o.APIKeyName, apiKeyText)
	if err := r.o.Log.Did("luksimg.api-key.create", made.ID, map[string]any{"name": r.o.APIKeyName}, err); err != nil {
		return err
	}
	defer clear(made.Value)
	_, err = f.Write(made.Value)
	return errors.Join(err, f.Commit())
}
