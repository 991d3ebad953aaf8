package kms

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

const (
	stateVersion = 1
	stateFile    = "kms.json"
	maxState     = 64 << 20
)

// state is the complete state of a server.
type state struct {
	Version    int            `json:"version"`
	Account    string         `json:"account"`
	TokenKey   []byte         `json:"token_key"`
	Users      []Identity     `json:"users"`
	ServiceIDs []serviceID    `json:"service_ids"`
	APIKeys    []apiKey       `json:"api_keys"`
	Policies   []policy       `json:"policies"`
	Instances  []instance     `json:"instances"`
	Keys       []*key         `json:"keys"`
	Tokens     []*importToken `json:"import_tokens"`

	Registrations []registration `json:"registrations,omitempty"`
}

type instance struct {
	ID      string `json:"id"`
	Service string `json:"service"`
	Region  string `json:"region"`
	Account string `json:"account"`

	Rings    []keyRing                 `json:"key_rings,omitempty"` // without the default ring
	Policies map[string]instancePolicy `json:"policies,omitempty"`  // by type
}

func (i *instance) crn(kind, id string) string {
	return fmt.Sprintf("crn:v1:bluemix:public:%s:%s:a/%s:%s:%s:%s", i.Service, i.Region, i.Account, i.ID, kind, id)
}

func (s *state) instance(id string) *instance {
	for i := range s.Instances {
		if s.Instances[i].ID == id {
			return &s.Instances[i]
		}
	}
	return nil
}

// key returns a key of an instance, or nil.
func (s *state) key(instance, id string) *key {
	for _, k := range s.Keys {
		if k.Instance == instance && k.ID == id {
			return k
		}
	}
	return nil
}

// States of a key in the API (NIST SP 800-57).
const (
	active      = 1
	suspended   = 2
	deactivated = 3
	destroyed   = 5
)

type key struct {
	ID          string     `json:"id"`
	Instance    string     `json:"instance"`
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Aliases     []string   `json:"aliases,omitempty"`
	Extractable bool       `json:"extractable"`
	Imported    bool       `json:"imported"`
	State       int        `json:"state"`
	Payload     string     `json:"payload,omitempty"` // payload of a standard key, base64
	Versions    []version  `json:"versions,omitempty"`
	Created     time.Time  `json:"created"`
	CreatedBy   string     `json:"created_by"`
	Updated     time.Time  `json:"updated"`
	Rotated     *time.Time `json:"rotated,omitempty"`
	Expires     *time.Time `json:"expires,omitempty"`
	Deleted     *time.Time `json:"deleted,omitempty"`
	DeletedBy   string     `json:"deleted_by,omitempty"`

	Ring     string                `json:"key_ring,omitempty"`          // "" means the default ring
	Policies map[string]*keyPolicy `json:"policies,omitempty"`          // by type
	Approved string                `json:"deletion_approved,omitempty"` // IAM ID of the first approver
}

// ring returns the name of the key's ring.
func (k *key) ring() string { return cmp.Or(k.Ring, defaultRing) }

// version is one version of a root key.
type version struct {
	ID       string    `json:"id"`
	Created  time.Time `json:"created"`
	Material []byte    `json:"material"`
}

func (k *key) latest() *version { return &k.Versions[len(k.Versions)-1] }

// state returns the current state of the key, which changes when it expires.
func (k *key) state(now time.Time) int {
	if k.State == active && k.Expires != nil && !now.Before(*k.Expires) {
		return deactivated
	}
	return k.State
}

// Save writes the complete state to a file in dir, and creates dir if necessary. Only the
// owner can read the file, which holds root keys and API keys in plaintext.
func (s *Server) Save(dir string) error {
	s.mu.Lock()
	text, err := json.MarshalIndent(&s.st, "", "  ")
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, stateFile+".*") // of mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, stateFile))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Load replaces the complete state with that of Save. A missing file is an error that matches
// [os.ErrNotExist].
func (s *Server) Load(dir string) error {
	f, err := os.Open(filepath.Join(dir, stateFile))
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return err
	}
	if len(text) > maxState {
		return fmt.Errorf("%s: the file is too long", f.Name())
	}
	var st state
	if err := json.Unmarshal(text, &st); err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	if st.Version != stateVersion || st.Account == "" || len(st.TokenKey) != 32 {
		return fmt.Errorf("%s: not the state of this version of the sandbox", f.Name())
	}
	for _, k := range st.Keys {
		if k == nil || st.instance(k.Instance) == nil || !k.Extractable && len(k.Versions) == 0 {
			return fmt.Errorf("%s: a key has no instance or no version", f.Name())
		}
	}
	for _, t := range st.Tokens {
		if t == nil {
			return fmt.Errorf("%s: empty import token", f.Name())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.st = st
	return nil
}
