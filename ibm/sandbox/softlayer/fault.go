package softlayer

import (
	"net/http"
)

// A Fault makes one call fail.
type Fault struct {
	// Done executes the call before the fault, so that only the response is wrong.
	Done bool

	// Status and Body are the response. A zero Status closes the connection without a response.
	Status int
	Body   string
}

// Error200 returns the fault of createFromIcos until 2020: an error with status 200.
func Error200(message string) Fault {
	return Fault{Status: http.StatusOK, Body: `{"error":` + quote(message) + `,"code":"SoftLayer_Exception_Public"}`}
}

// Fail makes the next calls of a method fail, one for each fault.
func (s *Server) Fail(method string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[method] = append(s.faults[method], faults...)
}

func (s *Server) takeFault(method string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.faults[method]
	if len(queue) == 0 {
		return nil
	}
	s.faults[method] = queue[1:]
	return &queue[0]
}

// before applies the fault, unless the call is to be executed first.
func (f *Fault) before(w http.ResponseWriter) bool { return !f.Done && f.answer(w) }

func (f *Fault) after(w http.ResponseWriter) bool { return f.Done && f.answer(w) }

func (f *Fault) answer(w http.ResponseWriter) bool {
	if f.Status == 0 {
		panic(http.ErrAbortHandler) // closes the connection without logging
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Status)
	w.Write([]byte(f.Body))
	return true
}
