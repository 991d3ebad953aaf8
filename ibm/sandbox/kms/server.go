// Package kms is IBM Cloud IAM and Key Protect on this machine: the part of the sandbox
// that knows who somebody is, what they may do, and keeps root keys. It speaks the wire
// formats of the real services, with real cryptography inside, so that the real clients
// work with it.
//
// It is for tests and for trying things without an account. State is in memory; Save and
// Load keep it in a file, root keys and all, without protection but the file's mode.
package kms

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/ibm/sandbox/event"
	"github.com/luksimg/luksimg/ibm/sandbox/fault"
)

// Options are the settings of a [Server]; the zero value is right.
type Options struct {
	Now       func() time.Time // the clock; nil is the real one
	Events    event.Sink       // nil drops events
	Faults    *fault.Set       // nil has none
	TokenLife time.Duration    // 0 is an hour
}

// A Server is the two services. It is safe for concurrent use.
type Server struct {
	now    func() time.Time
	events event.Sink
	faults *fault.Set
	life   time.Duration

	mu sync.Mutex
	st state
}

// New returns a server with one account and nothing in it.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.TokenLife <= 0 {
		o.TokenLife = time.Hour
	}
	return &Server{now: o.Now, events: o.Events, faults: o.Faults, life: o.TokenLife, st: state{
		Version: stateVersion, Account: randomHex(16), TokenKey: random(32),
	}}
}

// Account returns the id of the account.
func (s *Server) Account() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.st.Account
}

// IAM returns the handler of IAM: /identity/token, /oidc/token, /v1/serviceids,
// /v1/apikeys and /v1/policies.
func (s *Server) IAM() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/identity/token", "/oidc/token"} {
		mux.HandleFunc("POST "+path, s.token)
	}
	mux.HandleFunc("POST /v1/serviceids", s.iam(s.createServiceID))
	mux.HandleFunc("GET /v1/serviceids", s.iam(s.listServiceIDs))
	mux.HandleFunc("POST /v1/apikeys", s.iam(s.createAPIKey))
	mux.HandleFunc("GET /v1/apikeys", s.iam(s.listAPIKeys))
	mux.HandleFunc("GET /v1/apikeys/details", s.iam(s.apiKeyDetails))
	mux.HandleFunc("POST /v1/policies", s.iam(s.createPolicy))
	mux.HandleFunc("GET /v1/policies", s.iam(s.listPolicies))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		iamError(w, http.StatusNotFound, "BXNIM0109E", "Resource not found.")
	})
	return s.faults.Wrap(mux)
}

// KeyProtect returns the handler of Key Protect, and of Hyper Protect Crypto Services:
// /api/v2/keys and /api/v2/import_token. One handler serves all regions.
func (s *Server) KeyProtect() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v2/keys", s.kms("create", "Key could not be created", s.createKey))
	mux.HandleFunc("GET /api/v2/keys", s.kms("list", "Keys could not be retrieved", s.listKeys))
	mux.HandleFunc("GET /api/v2/keys/{id}", s.kms("read", "Key could not be retrieved", s.getKey))
	mux.HandleFunc("GET /api/v2/keys/{id}/metadata", s.kms("readmetadata", "Key metadata could not be retrieved", s.getMetadata))
	mux.HandleFunc("DELETE /api/v2/keys/{id}", s.kms("delete", "Key could not be deleted", s.deleteKey))
	mux.HandleFunc("POST /api/v2/keys/{id}/actions/wrap", s.kms("wrap", "Wrap with key could not be performed", s.wrap))
	mux.HandleFunc("POST /api/v2/keys/{id}/actions/unwrap", s.kms("unwrap", "Unwrap with key could not be performed", s.unwrap))
	mux.HandleFunc("POST /api/v2/keys/{id}/actions/rewrap", s.kms("rewrap", "Rewrap with key could not be performed", s.rewrap))
	mux.HandleFunc("POST /api/v2/keys/{id}/actions/rotate", s.kms("rotate", "Key could not be rotated", s.rotate))
	mux.HandleFunc("POST /api/v2/keys/{id}/actions/disable", s.kms("disable", "Key could not be disabled", s.disable))
	mux.HandleFunc("POST /api/v2/keys/{id}/actions/enable", s.kms("enable", "Key could not be enabled", s.enable))
	mux.HandleFunc("POST /api/v2/import_token", s.kms("importtoken.create", "Import token could not be created", s.createImportToken))
	mux.HandleFunc("GET /api/v2/import_token", s.kms("importtoken.read", "Import token could not be retrieved", s.getImportToken))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeFailure(w, &Failure{Status: http.StatusNotFound, Message: "Not Found"}, "")
	})
	return s.faults.Wrap(mux)
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func randomHex(n int) string { return hex.EncodeToString(random(n)) }

func newID() string { return uuid.NewString() }
