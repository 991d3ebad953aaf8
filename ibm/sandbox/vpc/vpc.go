// Package vpc emulates images and instances of IBM Cloud VPC, for tests and experiments
// without an account. Like the cloud, it opens the imported files: qcow2 files
// with LUKS inside, whose passphrase is the decoded text that the key service unwraps.
// An error makes the image fail, with a documented status_reasons code.
//
// [New] returns a [Server], which is an http.Handler.
package vpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/ibm/audit"
)

// Service names in IAM: the image service of VPC, which reads Object Storage, and Cloud Block Storage, which uses root keys.
const (
	ServiceIdentity = "is"
	BlockStorage    = "server-protect"
)

// A TokenChecker is the part of IAM that the emulator uses.
type TokenChecker interface {
	// Identity returns the identity of a bearer token.
	Identity(ctx context.Context, token string) (string, error)
}

// A KMS is the part of the key service that the emulator uses.
type KMS interface {
	// AuthorizationExists reports whether the service source may use the keys of an
	// instance of the key service.
	AuthorizationExists(ctx context.Context, source, instance string) (bool, error)

	// Unwrap unwraps a data key with the root key crn on behalf of identity. It returns
	// base64 text, which the caller wipes after use. Errors that match [ErrKeyDisabled] or
	// [ErrKeyDeleted] have their own status_reasons codes.
	Unwrap(ctx context.Context, identity, crn, wdek string) ([]byte, error)
}

// Errors of a KMS about a key, for errors.Is.
var (
	ErrKeyDisabled = errors.New("the root key is disabled")
	ErrKeyDeleted  = errors.New("the root key was deleted")
)

// An ObjectStore is the part of Cloud Object Storage that the emulator uses. The image service accesses it with
// its own authorization, whoever requests an image.
type ObjectStore interface {
	Open(ctx context.Context, region, bucket, key string) (r io.ReaderAt, size int64, etag string, err error)
	// Put writes the object of an export.
	Put(ctx context.Context, region, bucket, key string, r io.Reader, size int64) error
}

// A Clock provides the time for slow work.
type Clock interface {
	Now() time.Time
	After(time.Duration) <-chan time.Time
}

type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now() }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Options are the settings of a [Server]. Tokens, KMS and Store must be set.
type Options struct {
	Region  string // "" means "us-south"
	Account string // account in CRNs; "" means "sandbox"

	Tokens TokenChecker
	KMS    KMS
	Store  ObjectStore

	// Events, if not nil, receives an event for each image and each instance when it
	// has finished or failed. It is called from many goroutines, and must not call the
	// server.
	Events func(audit.Event)

	WorkTime time.Duration // additional duration of the creation of an image or an instance
	Clock    Clock         // for WorkTime and dates; nil means the system clock
}

// A Server is the emulated API. It is an http.Handler.
type Server struct {
	opts   Options
	mux    *http.ServeMux
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	started time.Time

	mu    sync.Mutex
	state state
}

// New returns an emulator without images and instances.
func New(opts Options) (*Server, error) {
	if opts.Tokens == nil || opts.KMS == nil || opts.Store == nil {
		return nil, errors.New("sandbox/vpc: Tokens, KMS and Store must be set")
	}
	if opts.Region == "" {
		opts.Region = "us-south"
	}
	if opts.Account == "" {
		opts.Account = "sandbox"
	}
	if opts.Clock == nil {
		opts.Clock = systemClock{}
	}
	s := &Server{opts: opts, mux: http.NewServeMux(), started: opts.Clock.Now()}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for pattern, h := range map[string]handler{
		"POST /v1/images":           s.createImage,
		"GET /v1/images":            s.listImages,
		"GET /v1/images/{id}":       s.getImage,
		"DELETE /v1/images/{id}":    s.deleteImage,
		"POST /v1/instances":        s.createInstance,
		"GET /v1/instances":         s.listInstances,
		"GET /v1/instances/{id}":    s.getInstance,
		"DELETE /v1/instances/{id}": s.deleteInstance,

		"POST /v1/images/{image}/export_jobs":        s.createExport,
		"GET /v1/images/{image}/export_jobs":         s.listExports,
		"GET /v1/images/{image}/export_jobs/{id}":    s.getExport,
		"DELETE /v1/images/{image}/export_jobs/{id}": s.deleteExport,

		"GET /v1/operating_systems":      s.listSystems,
		"GET /v1/operating_systems/{id}": s.getSystem,
		"GET /v1/instance/profiles":      s.listProfiles,
		"GET /v1/instance/profiles/{id}": s.getProfile,
		"GET /v1/regions":                s.listRegions,
		"GET /v1/regions/{region}/zones": s.listZones,
		"GET /v1/vpcs":                   s.listVPCs,
		"GET /v1/vpcs/{id}":              s.getVPC,
		"GET /v1/subnets":                s.listSubnets,
		"GET /v1/subnets/{id}":           s.getSubnet,
		"POST /v1/keys":                  s.createKey,
		"GET /v1/keys":                   s.listKeys,
		"GET /v1/keys/{id}":              s.getKey,
		"DELETE /v1/keys/{id}":           s.deleteKey,
	} {
		s.mux.HandleFunc(pattern, s.handle(h))
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, r, 0, nil, &apiError{http.StatusNotFound, "not_found", "There is no such resource.", ""})
	})
	return s, nil
}

// ServeHTTP answers one call of the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close stops all work and waits for it.
func (s *Server) Close() error {
	s.cancel()
	s.work.Wait()
	return nil
}

// Wait waits until no work is running.
func (s *Server) Wait() { s.work.Wait() }

// A handler serves a request of the caller who. It returns a status and a body.
type handler func(r *http.Request, who string) (int, any, error)

// An apiError is an error response of the API.
type apiError struct {
	status        int
	code, message string
	field         string
}

func (e *apiError) Error() string { return e.message }

func invalid(field, format string, args ...any) error {
	return &apiError{http.StatusBadRequest, "bad_field", fmt.Sprintf(format, args...), field}
}

var errNotFound = &apiError{http.StatusNotFound, "not_found", "The resource was not found.", "id"}

// maxBody limits the body of a request in bytes.
const maxBody = 1 << 20

func (s *Server) handle(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		who, err := "", error(nil)
		if ok {
			who, err = s.opts.Tokens.Identity(r.Context(), token)
		}
		if !ok || err != nil {
			s.answer(w, r, 0, nil, &apiError{http.StatusUnauthorized, "not_authorized", "The request is not authorized.", ""})
			return
		}
		q := r.URL.Query()
		if _, err := time.Parse(time.DateOnly, q.Get("version")); err != nil {
			s.answer(w, r, 0, nil, &apiError{http.StatusBadRequest, "missing_version", "The query parameter version must be a date, YYYY-MM-DD.", "version"})
			return
		}
		if q.Get("generation") != "2" {
			s.answer(w, r, 0, nil, &apiError{http.StatusBadRequest, "invalid_generation", "The query parameter generation must be 2.", "generation"})
			return
		}
		status, body, err := h(r, who)
		s.answer(w, r, status, body, err)
	}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, status int, body any, err error) {
	id := uuid.NewString()
	w.Header().Set("X-Request-Id", id)
	if c := r.Header.Get("X-Correlation-Id"); c != "" {
		w.Header().Set("X-Correlation-Id", c)
	}
	if err != nil {
		e := new(apiError)
		if !errors.As(err, &e) {
			e = &apiError{http.StatusInternalServerError, "internal_error", "The service has a problem.", ""}
		}
		one := map[string]any{"code": e.code, "message": e.message, "more_info": "https://cloud.ibm.com/docs/vpc?topic=vpc-rias-error-messages#" + e.code}
		if e.field != "" {
			one["target"] = map[string]any{"type": "field", "name": e.field}
		}
		status, body = e.status, map[string]any{"errors": []any{one}, "trace": id}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if body != nil {
		json.NewEncoder(w).Encode(body)
	}
}

// decode decodes the body of a request.
func decode(r *http.Request, into any) error {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return &apiError{http.StatusBadRequest, "bad_json", "The body of the request is not understood.", ""}
	}
	return nil
}

// pause waits for the duration of the work.
func (s *Server) pause(ctx context.Context) error {
	if s.opts.WorkTime <= 0 {
		return ctx.Err()
	}
	select {
	case <-s.opts.Clock.After(s.opts.WorkTime):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// href returns the address of a resource in the real service.
func (s *Server) href(path, id string) string {
	return "https://" + s.opts.Region + ".iaas.cloud.ibm.com/v1/" + path + "/" + id
}

// event emits the audit event of a completed action. An empty reason means success.
func (s *Server) event(action, who, target, name, reason string, request map[string]any) {
	if s.opts.Events == nil {
		return
	}
	e := audit.Event{
		ID: uuid.NewString(), Time: s.opts.Clock.Now(), Action: action, Outcome: audit.Success, Severity: "normal",
		Message: action + " of " + name, ReasonCode: http.StatusCreated,
		Initiator: audit.Party{ID: who, Name: who}, Target: audit.Party{ID: target, Name: name}, RequestData: request,
	}
	if reason != "" {
		e.Outcome, e.Severity, e.ReasonCode, e.ReasonType = audit.Failure, "critical", http.StatusBadRequest, reason
	}
	s.opts.Events(e)
}
