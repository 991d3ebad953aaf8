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

// IAM returns the handler of IAM: tokens, service ids, API keys, policies of both versions,
// and roles.
func (s *Server) IAM() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/identity/token", "/oidc/token"} {
		mux.HandleFunc("POST "+path, s.token)
	}
	for _, slash := range []string{"", "/{$}"} { // IBM's SDK has a slash at the end
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
