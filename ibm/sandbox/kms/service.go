package kms

import (
	"context"

	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/ibm/sandbox/event"
)

// Unwrap unwraps on behalf of another service, such as image import or server
// start. who must have permission for the root key rootKeyCRN. Unwrap returns
// the plaintext, decoded from base64. Its audit event has who as the initiator,
// and the correlation ID if that is not "". The error is a *[Failure] or the error of ctx.
func (s *Server) Unwrap(ctx context.Context, who Identity, rootKeyCRN, wdek, correlation string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	plain, k, v, f := s.unwrapFor(who, rootKeyCRN, wdek)
	status := 200
	if f != nil {
		status = f.Status
	}
	e := event.New(s.now(), "kms.secrets.unwrap", status)
	if c, err := crn.ParseRootKey(rootKeyCRN); err == nil {
		e.Action = c.Service + ".secrets.unwrap"
	}
	e.CorrelationID, e.DataEvent = correlation, true
	e.Initiator = initiator(who, "127.0.0.1")
	e.Target = event.Target{ID: rootKeyCRN, TypeURI: "kms/secrets"}
	e.Message = "Key Protect: " + e.Action
	version := ""
	if v != nil {
		version = v.ID
	}
	s.describe(&e, k, version)
	s.mu.Unlock()
	if f != nil {
		e.Message += " -failure"
		e.ResponseData["reasonForFailure"] = f.Code
	}
	if s.events != nil {
		s.events(e)
	}
	if f != nil {
		return nil, f
	}
	return plain, nil
}

func (s *Server) unwrapFor(who Identity, rootKeyCRN, wdek string) ([]byte, *key, *version, *Failure) {
	c, err := crn.ParseRootKey(rootKeyCRN)
	if err != nil {
		return nil, nil, nil, &Failure{400, "BAD_CRN", err.Error()}
	}
	i := s.st.instance(c.Instance)
	if i == nil || i.Region != c.Region || i.Service != c.Service || i.Account != c.Account {
		return nil, nil, nil, failNotFound
	}
	k, at := s.st.key(i.ID, c.Resource), place{Instance: i.ID}
	if k != nil {
		at.Ring, at.Key = k.ring(), k.ID
	}
	switch {
	case !s.allowed(who, i.Service, at, Reader):
		return nil, nil, nil, failAccess
	case k == nil:
		return nil, nil, nil, failNotFound
	}
	if f := s.inState(k, true); f != nil {
		return nil, k, nil, f
	}
	plain, v, f := k.open(wdek, nil)
	return plain, k, v, f
}

// AddRootKey creates a root key in an instance and returns its CRN.
func (s *Server) AddRootKey(instanceCRN, name string) (string, error) {
	c, err := crn.ParseInstance(instanceCRN)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.st.instance(c.Instance)
	if i == nil {
		return "", failNotFound
	}
	now := s.now()
	k := &key{ID: newID(), Instance: i.ID, Name: name, State: active, Created: now, Updated: now, CreatedBy: "sandbox",
		Versions: []version{{newID(), now, random(32)}}}
	s.st.Keys = append(s.st.Keys, k)
	return i.crn("key", k.ID), nil
}

// Wrap wraps a plaintext with a root key and returns the wrapped key. It checks no permissions
// and emits no event.
func (s *Server) Wrap(rootKeyCRN string, plain []byte) (string, error) {
	c, err := crn.ParseRootKey(rootKeyCRN)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.st.key(c.Instance, c.Resource)
	if k == nil {
		return "", failNotFound
	}
	if f := s.inState(k, false); f != nil {
		return "", f
	}
	return k.latest().seal(plain, nil), nil
}
