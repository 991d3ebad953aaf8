// Package kms implements IBM Cloud IAM and Key Protect locally. It is the part of the sandbox
// that authenticates callers, checks permissions, and stores root keys. It uses the wire
// formats of the real services and real cryptography, so that the real clients
// work with it.
//
// It is for tests and experiments without an account. State is in memory. Save and
// Load use a file that contains the root keys, protected only by the file's mode.
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

// Options are the settings of a [Server]. The zero value is usable.
type Options struct {
	Now       func() time.Time // returns the current time; nil means time.Now
	Events    event.Sink       // receives events; nil drops them
	Faults    *fault.Set       // injected faults; nil means none
	TokenLife time.Duration    // 0 means an hour
}

// A Server serves IAM and Key Protect. It is safe for concurrent use.
type Server struct {
	now    func() time.Time
	events event.Sink
	faults *fault.Set
	life   time.Duration

	mu sync.Mutex
	st state
}

// New returns a server with an empty account.
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

// Account returns the ID of the account.
func (s *Server) Account() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.st.Account
}

// IAM returns the handler of IAM: tokens, service IDs, API keys, policies of both versions,
// and roles.
func (s *Server) IAM() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/identity/token", "/oidc/token"} {
		mux.HandleFunc("POST "+path, s.token)
	}
	for _, slash := range []string{"", "/{$}"} { // IBM's SDK sends a trailing slash
		mux.HandleFunc("POST /v1/serviceids"+slash, s.iam(s.createServiceID))
		mux.HandleFunc("GET /v1/serviceids"+slash, s.iam(s.listServiceIDs))
	}
	mux.HandleFunc("POST /v1/apikeys", s.iam(s.createAPIKey))
	mux.HandleFunc("GET /v1/apikeys", s.iam(s.listAPIKeys))
	mux.HandleFunc("GET /v1/apikeys/details", s.iam(s.apiKeyDetails))
	for path, h := range map[string]func(http.ResponseWriter, *http.Request, Identity){"/v1/serviceids/{id}": s.serviceIDs, "/v1/apikeys/{id}": s.apiKeys} {
		for _, method := range []string{"GET ", "PUT ", "DELETE "} {
			mux.HandleFunc(method+path, s.iam(h))
		}
		mux.HandleFunc("POST "+path+"/{part}", s.iam(h))
		mux.HandleFunc("DELETE "+path+"/{part}", s.iam(h))
	}
	for _, path := range []string{"/v1/policies", "/v2/policies"} {
		mux.HandleFunc("POST "+path, s.iam(s.createPolicy))
		mux.HandleFunc("GET "+path, s.iam(s.listPolicies))
		for _, method := range []string{"GET ", "PUT ", "PATCH ", "DELETE "} {
			mux.HandleFunc(method+path+"/{id}", s.iam(s.policies))
		}
	}
	mux.HandleFunc("GET /v2/roles", s.iam(s.listRoles))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		iamError(w, http.StatusNotFound, "BXNIM0109E", "Resource not found.")
	})
	return s.faults.Wrap(mux)
}

// KeyProtect returns the handler of Key Protect, and of Hyper Protect Crypto Services:
// keys, key rings, policies, registrations and import tokens below /api/v2. One handler
// serves all regions.
func (s *Server) KeyProtect() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.HandleFunc(r.pattern, s.kms(r.action, r.failed, r.serve))
	}
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
