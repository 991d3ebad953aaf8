package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/internal/output"
)

const (
	serviceIDText = "reads encrypted images and their root key when they are imported"
	apiKeyText    = "made by luksimg setup"
)

func (s *setting) iamURL() string {
	if u := s.cloud.url(serviceIAM); u != "" {
		return u
	}
	return iam.DefaultURL
}

// post is a request as text.
func (s *setting) post(path string, body any) string {
	b, err := json.Marshal(body)
	if err != nil {
		return err.Error() // of types that always marshal
	}
	return "POST " + s.iamURL() + path + " " + string(b)
}

// serviceIDThing looks for the service id.
func (s *setting) serviceIDThing(ctx context.Context) error {
	all, err := s.identity.ServiceIDs(ctx, s.account, s.serviceID)
	if err != nil {
		return err
	}
	if len(all) > 1 {
		return withHint(fmt.Errorf("there are %d service ids %s", len(all), s.serviceID), "name another one with --service-id")
	}
	x := thing{
		What: "service id", Name: s.serviceID, Exists: len(all) == 1,
		Request: s.post("/v1/serviceids", map[string]string{"account_id": s.account, "name": s.serviceID, "description": serviceIDText}),
		Command: fmt.Sprintf("ibmcloud iam service-id-create %s --description %q", s.serviceID, serviceIDText),
		make: func(ctx context.Context) error {
			made, err := s.identity.CreateServiceID(ctx, s.account, s.serviceID, serviceIDText)
			s.iamID = made.IAMID
			return s.log.did("luksimg.service-id.create", made.IAMID, map[string]any{"name": s.serviceID}, err)
		},
	}
	if x.Exists {
		s.iamID, x.Request, x.Command = all[0].IAMID, "", ""
	}
	s.add(x)
	return nil
}

// policyThings looks for the policies of the service id, and for the authorization of Cloud
// Block Storage.
func (s *setting) policyThings(ctx context.Context) error {
	for _, p := range []struct{ service, instance, name string }{
		{iam.COS, s.cosID, "of the service id to read Object Storage"},
		{s.instance.Service, s.instance.Instance, "of the service id to use the root key"},
	} {
		if p.instance == "" { // which would be all instances of the account
			s.t.say("no --cos-instance-crn: the service id is not allowed to read Object Storage")
			continue
		}
		command := fmt.Sprintf("ibmcloud iam service-policy-create %s --roles Reader --service-name %s", s.serviceID, p.service)
		command += " --service-instance " + p.instance
		// The service id may not be known before it was made.
		want := func() iam.Policy {
			return iam.Access(s.account, s.known(s.iamID, "IAM_ID"), p.service, p.instance, iam.RoleReader)
		}
		if err := s.laterPolicy(ctx, want, "policy", p.name, command, s.iamID != ""); err != nil {
			return err
		}
	}
	if err := s.policy(ctx, iam.Authorization(s.account, iam.BlockStorage, s.instance.Service, s.instance.Instance), "authorization",
		"of Cloud Block Storage to use the root key", s.authorizationCommand(iam.BlockStorage)); err != nil || s.target != targetVPC {
		return err
	}
	for _, a := range imageAuthorizations(s.account, s.instance, s.cosID) {
		if err := s.policy(ctx, a.policy, "authorization", a.name, a.command); err != nil {
			return err
		}
	}
	return nil
}

// An authorization is one that a service needs, and what makes it.
type authorization struct {
	policy        iam.Policy
	name, command string
}

// vpcService is VPC as IAM names it; its images are of a type of resource.
const vpcService = "is"

// imageAuthorizations are what the image service of VPC needs: the root key, and the instance
// of Object Storage; all instances if that is "".
func imageAuthorizations(account string, key crn.CRN, cosInstance string) []authorization {
	var all []authorization
	for _, a := range []struct{ service, instance, name string }{
		{key.Service, key.Instance, "of the image service of VPC to use the root key"},
		{iam.COS, cosInstance, "of the image service of VPC to read Object Storage"},
	} {
		p := iam.Authorization(account, vpcService, a.service, a.instance)
		p.Subjects[0].Attributes = append(p.Subjects[0].Attributes, iam.Attribute{Name: "resourceType", Value: "image"})
		command := fmt.Sprintf("ibmcloud iam authorization-policy-create %s %s Reader --source-resource-type image", vpcService, a.service)
		if a.instance != "" {
			command += " --target-service-instance-id " + a.instance
		}
		all = append(all, authorization{p, a.name, command})
	}
	return all
}

func (s *setting) authorizationCommand(source string) string {
	return fmt.Sprintf("ibmcloud iam authorization-policy-create %s %s Reader --target-service-instance-id %s", source, s.instance.Service, s.instance.Instance)
}

func (s *setting) policy(ctx context.Context, want iam.Policy, what, name, command string) error {
	return s.laterPolicy(ctx, func() iam.Policy { return want }, what, name, command, true)
}

// laterPolicy looks for a policy, unless its subject is not there yet.
func (s *setting) laterPolicy(ctx context.Context, want func() iam.Policy, what, name, command string, look bool) error {
	x := thing{What: what, Name: name, Request: s.post("/v1/policies", want()), Command: command, make: func(ctx context.Context) error {
		made, err := s.identity.CreatePolicy(ctx, want())
		return s.log.did("luksimg.policy.create", made.ID, map[string]any{"name": name}, err)
	}}
	if look {
		_, ok, err := s.identity.FindPolicy(ctx, s.account, want())
		if err != nil {
			return err
		}
		if ok {
			x.Exists, x.Request, x.Command = true, "", ""
		}
	}
	s.add(x)
	return nil
}

// apiKeyThing looks for the API key and its file. IAM shows the key only once, so that one
// without the file is of no use.
func (s *setting) apiKeyThing(ctx context.Context) error {
	if s.apiKeyFile == "" {
		return nil
	}
	there, file := false, fileThere(s.apiKeyFile)
	if s.iamID != "" {
		all, err := s.identity.APIKeys(ctx, s.account, s.iamID)
		if err != nil {
			return err
		}
		there = slices.ContainsFunc(all, func(k iam.APIKey) bool { return k.Name == s.apiKeyName })
	}
	switch {
	case there && !file:
		return withHint(fmt.Errorf("there is an API key %s, and not the file %s: IAM shows a key only when it is made", s.apiKeyName, s.apiKeyFile),
			"find the file, or make another key with --api-key-name, or delete the old one: ibmcloud iam service-api-key-delete "+s.apiKeyName+" "+s.serviceID)
	case file && !there:
		return withHint(fmt.Errorf("%s is there, and no API key %s", s.apiKeyFile, s.apiKeyName), "a key file is never replaced: choose another name")
	}
	x := thing{
		What: "API key", Name: s.apiKeyName, Exists: there,
		Request: s.post("/v1/apikeys", map[string]any{"account_id": s.account, "iam_id": s.known(s.iamID, "IAM_ID"), "name": s.apiKeyName, "description": apiKeyText}),
		Command: fmt.Sprintf("ibmcloud iam service-api-key-create %s %s --file %s", s.apiKeyName, s.serviceID, s.apiKeyFile),
		make:    s.makeAPIKey,
	}
	if there {
		x.Request, x.Command = "", ""
	}
	s.add(x)
	return nil
}

// makeAPIKey makes the API key and its file.
func (s *setting) makeAPIKey(ctx context.Context) error {
	f, err := output.Create(s.apiKeyFile, 0o600, false) // what can go wrong goes wrong before the key is made
	if err != nil {
		return err
	}
	defer f.Abort()
	made, err := s.identity.CreateAPIKey(ctx, s.account, s.iamID, s.apiKeyName, apiKeyText)
	if err := s.log.did("luksimg.api-key.create", made.ID, map[string]any{"name": s.apiKeyName}, err); err != nil {
		return err
	}
	defer clear(made.Value)
	_, err = f.Write(made.Value)
	return errors.Join(err, f.Commit())
}
