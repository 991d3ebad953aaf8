package kms

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"

	"github.com/luksimg/luksimg/ibm/sandbox/event"
	"github.com/luksimg/luksimg/ibm/sandbox/fault"
)

// A request is a Key Protect request with verified token and instance.
type request struct {
	*http.Request
	who      Identity
	instance *instance
	body     []byte

	// Details for the audit event.
	key     *key
	version string
}

// kms returns a handler for an action. It checks identity, permission and instance, calls h, writes the response, and
// emits the audit event. h returns the status and the response; nil means no response.
func (s *Server) kms(action, what string, h func(*request) (int, any, *Failure)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			writeFailure(w, badBody("it is too long"), what)
			return
		}
		req := &request{Request: r, body: bytes.TrimSpace(body)}
		correlation := r.Header.Get("Correlation-Id")
		if correlation == "" || len(correlation) > 128 {
			correlation = newID()
		}
		w.Header().Set("Correlation-Id", correlation)

		status, answer, failure := s.serve(req, action, h)
		if failure != nil {
			status = failure.Status
		}
		s.tell(req, action, status, correlation, failure)
		switch {
		case failure != nil:
			writeFailure(w, failure, what)
		case answer == nil:
			w.WriteHeader(status)
		default:
			writeJSON(w, status, answer)
		}
	}
}

func (s *Server) serve(req *request, action string, h func(*request) (int, any, *Failure)) (int, any, *Failure) {
	who, err := s.Identify(req.Header.Get("Authorization"))
	if err == nil && fault.TokenExpired(req.Context()) {
		err = ErrExpired
	}
	if err == ErrExpired {
		return 0, nil, failExpired
	} else if err != nil {
		return 0, nil, failToken
	}
	req.who = who
	s.mu.Lock()
	defer s.mu.Unlock()
	id := req.Header.Get("Bluemix-Instance")
	if id == "" {
		return 0, nil, &Failure{400, "MISSING_HEADER_ERR", "The header bluemix-instance is required"}
	}
	req.instance = s.st.instance(id)
	if req.instance == nil {
		return 0, nil, failNotFound
	}
	at := place{Instance: id, Ring: req.Header.Get("X-Kms-Key-Ring")}
	if k, f := s.find(req); f == nil {
		at.Ring, at.Key = k.ring(), k.ID
	}
	if !s.allowed(who, req.instance.Service, at, roles[action]) {
		return 0, nil, failAccess
	}
	return h(req)
}

// tell emits the audit event of a request.
func (s *Server) tell(req *request, action string, status int, correlation string, failure *Failure) {
	if s.events == nil {
		return
	}
	name := "kms." + action
	if req.instance != nil {
		name = req.instance.Service + "." + action
	}
	s.mu.Lock()
	e := event.New(s.now(), name, status)
	e.CorrelationID = correlation
	e.DataEvent = true
	e.Initiator = initiator(req.who, req.RemoteAddr)
	e.RequestData = map[string]any{"requestURI": req.URL.Path}
	if ring := req.Header.Get("X-Kms-Key-Ring"); ring != "" {
		e.RequestData["keyRingId"] = ring
	}
	e.Target.TypeURI = "kms/secrets"
	if req.instance != nil {
		e.LogSourceCRN = req.instance.crn("", "")
		e.Target.ID = e.LogSourceCRN
		if id := req.PathValue("id"); id != "" {
			e.Target.ID = req.instance.crn("key", id)
		}
	}
	s.describe(&e, req.key, req.version)
	s.mu.Unlock()
	if failure != nil {
		e.Message = "Key Protect: " + name + " -failure"
		e.ResponseData["reasonForFailure"] = failure.Code
	} else {
		e.Message = "Key Protect: " + name
	}
	s.events(e)
}

// describe adds the details of a key to an event. The caller holds the lock.
func (s *Server) describe(e *event.Event, k *key, version string) {
	e.ResponseData = map[string]any{}
	if k == nil {
		return
	}
	if i := s.st.instance(k.Instance); i != nil {
		e.Target.ID = i.crn("key", k.ID)
		e.LogSourceCRN = i.crn("", "")
	}
	e.Target.Name = k.Name
	e.ResponseData["keyId"] = k.ID
	e.ResponseData["keyRingId"] = k.ring()
	e.ResponseData["keyState"] = k.state(s.now())
	if version != "" {
		e.ResponseData["keyVersionId"] = version
	}
}

func initiator(who Identity, address string) event.Initiator {
	uri := map[string]string{KindUser: "service/security/account/user", KindServiceID: "service/security/account/serviceid", KindService: "service/security/clientid"}[who.Kind]
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	return event.Initiator{ID: who.IAMID, Name: who.Name, TypeURI: uri, Credential: event.Credential{Type: "token"}, Host: event.Host{Address: host}}
}

// decode decodes the body of a request. Clients send "null" or nothing if they have no
// parameters.
func (r *request) decode(v any, required bool) *Failure {
	if len(r.body) == 0 || string(r.body) == "null" {
		if required {
			return failNoBody
		}
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(r.body))
	if err := d.Decode(v); err != nil {
		return badBody("it is not the JSON that is expected")
	}
	return nil
}
