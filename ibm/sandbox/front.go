package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/luksimg/luksimg/ibm/sandbox/kms"
)

// front returns the handler of a port. It serves the control endpoints under /_sandbox/, then applies
// faults, and then calls the service.
func (s *Sandbox) front(service string, h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/_sandbox/faults", s.faults.Control())
	mux.HandleFunc("GET /_sandbox/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		for _, e := range s.journal.all() {
			w.Write(append(e.text, '\n'))
		}
	})
	mux.HandleFunc("/_sandbox/", http.NotFound)
	faulty := s.faults.Wrap(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &status{ResponseWriter: w}
		defer func() {
			if problem := recover(); problem != nil {
				if problem != http.ErrAbortHandler {
					seen.code = http.StatusInternalServerError
				}
				s.log(service, r, seen.code)
				panic(http.ErrAbortHandler) // closes the connection without logging
			}
			if seen.code == 0 {
				seen.code = http.StatusOK // the default of net/http
			}
			s.log(service, r, seen.code)
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				s.changed()
			}
		}()
		if strings.HasPrefix(r.URL.Path, "/_sandbox/") {
			mux.ServeHTTP(seen, r)
			return
		}
		faulty.ServeHTTP(seen, r)
	})
}

func (s *Sandbox) log(service string, r *http.Request, status int) {
	if s.o.Log != nil {
		s.o.Log(service, r.Method, r.URL.Path, status)
	}
}

// status records the status of a response. It is 0 if there was none.
type status struct {
	http.ResponseWriter
	code int
}

func (w *status) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

func (w *status) Write(p []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap supports http.ResponseController.
func (w *status) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ReadFrom preserves the fast path of the underlying writer.
func (w *status) ReadFrom(r io.Reader) (int64, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return io.Copy(w.ResponseWriter, r)
}

// auditQuery is the query for all audit events, the only one that the sandbox supports.
const auditQuery = "source logs | filter $l.applicationname == 'ibm-audit-event'"

// query serves the synchronous query of Cloud Logs, POST /v1/query.
func (s *Sandbox) query(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, message string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]any{"status_code": status, "trace": newID(), "errors": []any{map[string]any{"code": "query", "message": message}}})
	}
	if r.Method != http.MethodPost || r.URL.Path != "/v1/query" {
		refuse(http.StatusNotFound, "there is no such resource")
		return
	}
	id, err := s.identify(r.Context(), r.Header.Get("Authorization"))
	if err != nil {
		refuse(http.StatusUnauthorized, err.Error())
		return
	}
	if id.Kind != kms.KindUser && !s.kms.Allowed(id, "logs", "", kms.Reader) {
		refuse(http.StatusForbidden, "the role Reader for Cloud Logs is needed")
		return
	}
	var q struct {
		Query    string `json:"query"`
		Metadata struct {
			Start time.Time `json:"start_date"`
			End   time.Time `json:"end_date"`
			Limit int       `json:"limit"`
		} `json:"metadata"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&q); err != nil {
		refuse(http.StatusBadRequest, "the query is not understood")
		return
	}
	if q.Query != auditQuery {
		refuse(http.StatusBadRequest, "the sandbox answers one query only: "+auditQuery)
		return
	}
	if q.Metadata.Limit <= 0 || q.Metadata.Limit > 12000 {
		q.Metadata.Limit = 12000
	}
	var body bytes.Buffer
	fmt.Fprintf(&body, ": success\ndata: {\"query_id\":{\"query_id\":%q}}\n\n", newID())
	n := 0
	for _, e := range s.journal.all() {
		// The dates of a query have a resolution of seconds.
		if !q.Metadata.Start.IsZero() && e.time.Before(q.Metadata.Start.Truncate(time.Second)) ||
			!q.Metadata.End.IsZero() && !e.time.Before(q.Metadata.End.Truncate(time.Second).Add(time.Second)) {
			continue
		}
		if n++; n > q.Metadata.Limit {
			break
		}
		row, err := json.Marshal(map[string]any{"result": map[string]any{"results": []any{map[string]any{
			"metadata":  []any{map[string]string{"key": "timestamp", "value": e.time.UTC().Format(time.RFC3339Nano)}},
			"labels":    []any{map[string]string{"key": "applicationname", "value": "ibm-audit-event"}},
			"user_data": string(e.text),
		}}}})
		if err != nil {
			continue
		}
		fmt.Fprintf(&body, ": success\ndata: %s\n\n", row)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Write(body.Bytes())
}
