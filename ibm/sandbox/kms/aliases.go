package kms

import (
	"net/http"
	"slices"

	"github.com/google/uuid"
)

const (
	maxAliases = 5 // per key
	maxAlias   = 90
)

// reserved are names that are not allowed as aliases (create-key-alias.md).
var reserved = []string{"allowed_ip", "key", "keys", "metadata", "policy", "policies", "registration", "registrations", "ring", "rings", "rotate", "wrap", "unwrap", "rewrap", "version", "versions"}

// checkAlias returns a failure if a key of the instance cannot get an alias.
func (s *Server) checkAlias(i *instance, alias string) *Failure {
	if _, err := uuid.Parse(alias); err == nil || !idPattern.MatchString(alias) || len(alias) > maxAlias || slices.Contains(reserved, alias) {
		return &Failure{400, "INVALID_FIELD_ERR", "The field `alias` must be: 2 to 90 letters, digits, hyphens and underscores, and neither a UUID nor a reserved word"}
	}
	for _, k := range s.st.Keys {
		if k.Instance == i.ID && slices.Contains(k.Aliases, alias) {
			return failAliasTaken
		}
	}
	return nil
}

func (s *Server) createAlias(r *request) (int, any, *Failure) {
	k, f := s.findPresent(r)
	switch {
	case f != nil:
		return 0, nil, f
	case len(k.Aliases) >= maxAliases:
		return 0, nil, &Failure{409, "KEY_ALIAS_QUOTA_ERR", "A key may have 5 aliases"}
	}
	alias := r.PathValue("alias")
	if f := s.checkAlias(r.instance, alias); f != nil {
		return 0, nil, f
	}
	k.Aliases = append(k.Aliases, alias)
	return http.StatusCreated, map[string]any{"metadata": metadata{"application/vnd.ibm.kms.alias+json", 1}, "resources": []any{map[string]string{
		"keyId": k.ID, "alias": alias, "createdBy": r.who.IAMID, "creationDate": date(s.now()),
	}}}, nil
}

func (s *Server) deleteAlias(r *request) (int, any, *Failure) {
	k, f := s.find(r)
	if f != nil {
		return 0, nil, f
	}
	alias := r.PathValue("alias")
	if !slices.Contains(k.Aliases, alias) {
		return 0, nil, &Failure{404, "KEY_ALIAS_NOT_FOUND_ERR", "Key alias does not exist"}
	}
	k.Aliases = without(k.Aliases, func(x string) bool { return x == alias })
	return http.StatusNoContent, nil, nil
}
