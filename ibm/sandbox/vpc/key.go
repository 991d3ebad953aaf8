package vpc

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A key is a public SSH key that cloud-init installs in instances.
type key struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Type    string    `json:"type"` // "rsa" or "ed25519"
	Text    string    `json:"public_key"`
	Created time.Time `json:"created"`
}

// sshType returns the type of a public key in authorized_keys format and the key itself. The type is "" for an invalid key.
func sshType(text string) (kind string, blob []byte) {
	fields := strings.Fields(text)
	if len(fields) < 2 {
		return "", nil
	}
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil || len(blob) < 4 || int64(binary.BigEndian.Uint32(blob)) != int64(len(fields[0])) || !strings.HasPrefix(string(blob[4:]), fields[0]) {
		return "", nil
	}
	return map[string]string{"ssh-rsa": "rsa", "ssh-ed25519": "ed25519"}[fields[0]], blob
}

func (s *Server) keyJSON(k *key) map[string]any {
	_, blob := sshType(k.Text)
	sum := sha256.Sum256(blob)
	length := 2048
	if k.Type == "ed25519" {
		length = 256
	}
	m := s.reference("key", k.ID, k.Name)
	m["type"], m["public_key"], m["length"], m["created_at"], m["resource_group"] = k.Type, k.Text, length, stamp(k.Created), s.group()
	m["fingerprint"] = "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
	return m
}

func (s *Server) createKey(r *http.Request, _ string) (int, any, error) {
	var p struct {
		Name string `json:"name"`
		Text string `json:"public_key"`
		Type string `json:"type"`
	}
	if err := decode(r, &p); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kind, _ := sshType(p.Text)
	switch {
	case !validName.MatchString(p.Name):
		return 0, nil, invalid("name", "The name must be 1 to 63 lower case letters, digits and hyphens.")
	case kind == "" || p.Type != "" && p.Type != kind:
		return 0, nil, invalid("public_key", "The public key must be one of type rsa or ed25519.")
	case slices.ContainsFunc(s.state.Keys, func(k *key) bool { return k.Name == p.Name }):
		return 0, nil, &apiError{http.StatusBadRequest, "validation_unique_failed", "A key of this name exists.", "name"}
	}
	k := &key{ID: "r006-" + uuid.NewString(), Name: p.Name, Type: kind, Text: p.Text, Created: s.opts.Clock.Now()}
	s.state.Keys = append(s.state.Keys, k)
	return http.StatusCreated, s.keyJSON(k), nil
}

func (s *Server) allKeys() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []map[string]any{}
	for _, k := range s.state.Keys {
		all = append(all, s.keyJSON(k))
	}
	return all
}

func (s *Server) listKeys(r *http.Request, _ string) (int, any, error) {
	return paged(r, "keys", "id", s.allKeys())
}

func (s *Server) getKey(r *http.Request, _ string) (int, any, error) {
	return one(r, "id", s.allKeys())
}

func (s *Server) deleteKey(r *http.Request, _ string) (int, any, error) {
	if _, _, err := one(r, "id", s.allKeys()); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Keys = slices.DeleteFunc(s.state.Keys, func(k *key) bool { return k.ID == r.PathValue("id") })
	return http.StatusNoContent, nil, nil
}
