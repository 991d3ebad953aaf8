package kms

import (
	"net/http"
	"time"
)

// Times in the life of a key, as the documentation of Key Protect has them: error-messages.md
// (REQ_TOO_EARLY_ERR, KEY_ROTATION_NOT_PERMITTED) and delete-purge-keys.md.
const (
	settleTime   = 30 * time.Second // before a key may be enabled or restored
	rotateEvery  = time.Hour
	purgeAfter   = 4 * time.Hour
	restoreUntil = 30 * 24 * time.Hour
	goneAfter    = 90 * 24 * time.Hour
)

// deletion is what is told of a key that was deleted.
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

// purged reports whether a key is gone by itself.
func (s *Server) purged(k *key) bool {
	return k.Deleted != nil && !s.now().Before(k.Deleted.Add(goneAfter))
}

// deleteKey makes a key unusable. It may be restored for 30 days.
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

// shown answers with the key, or with nothing, as the request prefers.
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

// purgeKey forgets a key and all that belongs to it: what it wrapped is lost.
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

// forget drops a key.
func (s *Server) forget(gone *key) {
	for _, v := range gone.Versions {
		clear(v.Material)
	}
	s.st.Keys = without(s.st.Keys, func(k *key) bool { return k == gone })
	s.st.Registrations = without(s.st.Registrations, func(x registration) bool { return x.KeyID == gone.ID })
}

// without returns the list without some of its entries, in memory of its own.
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

// enable makes a disabled key active again, if that was not within the last 30 seconds.
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

// approveDeletion is the first of the two authorizations of a key with the policy
// dualAuthDelete; cancelDeletion takes it back.
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
