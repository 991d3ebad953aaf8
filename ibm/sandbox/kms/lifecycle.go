package kms

import (
	"net/http"
	"time"
)

// Time limits in the life of a key, from the documentation of Key Protect: error-messages.md
// (REQ_TOO_EARLY_ERR, KEY_ROTATION_NOT_PERMITTED) and delete-purge-keys.md.
const (
	settleTime   = 30 * time.Second // minimum time before a key can be enabled or restored
	rotateEvery  = time.Hour
	purgeAfter   = 4 * time.Hour
	restoreUntil = 30 * 24 * time.Hour
	goneAfter    = 90 * 24 * time.Hour
)

// deletion describes a deleted key.
type deletion struct {
	RestoreExpiration string `json:"restoreExpirationDate"`
	RestoreAllowed    bool   `json:"restoreAllowed"`
	PurgeAllowed      bool   `json:"purgeAllowed"`
	PurgeAllowedFrom  string `json:"purgeAllowedFrom"`
	PurgeScheduled    string `json:"purgeScheduledOn"`
}

func (s *Server) deletion(k *key) *deletion {
	if k.Deleted == nil {
		return nil
	}
	at, now := *k.Deleted, s.now()
	return &deletion{
		RestoreExpiration: date(at.Add(restoreUntil)), RestoreAllowed: now.Before(at.Add(restoreUntil)),
		PurgeAllowed: !now.Before(at.Add(purgeAfter)), PurgeAllowedFrom: date(at.Add(purgeAfter)), PurgeScheduled: date(at.Add(goneAfter)),
	}
}

// purged reports whether a key has been purged automatically.
func (s *Server) purged(k *key) bool {
	return k.Deleted != nil && !s.now().Before(k.Deleted.Add(goneAfter))
}

// deleteKey deletes a key. It can be restored for 30 days.
func (s *Server) deleteKey(r *request) (int, any, *Failure) {
	k, f := s.findPresent(r)
	switch {
	case f != nil:
		return 0, nil, f
	case k.dualAuth() && (k.Approved == "" || k.Approved == r.who.IAMID):
		return 0, nil, failApproval
	}
	if f := s.released(k, r.URL.Query().Get("force") == "true"); f != nil {
		return 0, nil, f
	}
	now := s.now()
	k.State, k.Deleted, k.DeletedBy, k.Updated, k.Approved = destroyed, &now, r.who.IAMID, now, ""
	return s.shown(r, k)
}

// shown answers with the key or with no content, as the request prefers.
func (s *Server) shown(r *request, k *key) (int, any, *Failure) {
	if r.Header.Get("Prefer") == "return=representation" {
		return http.StatusOK, collection(s.show(k, false)), nil
	}
	return http.StatusNoContent, nil, nil
}

// restoreKey makes a deleted key active again.
func (s *Server) restoreKey(r *request) (int, any, *Failure) {
	k, f := s.findDeleted(r)
	switch {
	case f != nil:
		return 0, nil, f
	case s.now().Before(k.Updated.Add(settleTime)):
		return 0, nil, failEarly
	case !s.now().Before(k.Deleted.Add(restoreUntil)):
		return 0, nil, failRestoreOver
	}
	k.State, k.Deleted, k.DeletedBy, k.Updated = active, nil, "", s.now()
	return http.StatusCreated, collection(s.show(k, false)), nil
}

// purgeKey removes a key completely: everything it wrapped is lost.
func (s *Server) purgeKey(r *request) (int, any, *Failure) {
	k, f := s.findDeleted(r)
	switch {
	case f != nil:
		return 0, nil, f
	case s.now().Before(k.Deleted.Add(purgeAfter)):
		return 0, nil, &Failure{409, failEarly.Code, "The key was updated recently: Please wait and try again: Purge operation is allowed 4h0m0s after key is deleted"}
	}
	status, answer, f := s.shown(r, k)
	s.forget(k)
	return status, answer, f
}

// forget removes a key.
func (s *Server) forget(gone *key) {
	for _, v := range gone.Versions {
		clear(v.Material)
	}
	s.st.Keys = without(s.st.Keys, func(k *key) bool { return k == gone })
	s.st.Registrations = without(s.st.Registrations, func(x registration) bool { return x.KeyID == gone.ID })
}

// without returns a copy of the list without the entries that drop selects.
func without[T any](list []T, drop func(T) bool) []T {
	kept := list[:0:0]
	for _, x := range list {
		if !drop(x) {
			kept = append(kept, x)
		}
	}
	return kept
}

func (s *Server) disable(r *request) (int, any, *Failure) { return s.change(r, active, suspended) }

// enable makes a disabled key active again, at least 30 seconds after the last change.
func (s *Server) enable(r *request) (int, any, *Failure) { return s.change(r, suspended, active) }

func (s *Server) change(r *request, from, to int) (int, any, *Failure) {
	k, f := s.findPresent(r)
	switch {
	case f != nil:
		return 0, nil, f
	case k.Extractable:
		return 0, nil, failRootOnly
	case k.state(s.now()) != from:
		return 0, nil, failState
	case to == active && s.now().Before(k.Updated.Add(settleTime)):
		return 0, nil, failEarly
	}
	k.State, k.Updated = to, s.now()
	return http.StatusNoContent, nil, nil
}

// approveDeletion records the first of two authorizations to delete a key with the policy
// dualAuthDelete; cancelDeletion revokes it.
func (s *Server) approveDeletion(r *request) (int, any, *Failure) { return s.approve(r, r.who.IAMID) }

func (s *Server) cancelDeletion(r *request) (int, any, *Failure) { return s.approve(r, "") }

func (s *Server) approve(r *request, by string) (int, any, *Failure) {
	k, f := s.findPresent(r)
	switch {
	case f != nil:
		return 0, nil, f
	case !k.dualAuth():
		return 0, nil, failNotDual
	}
	k.Approved = by
	return http.StatusNoContent, nil, nil
}
