package vpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

type around struct{ disk []byte }

func (around) Identity(_ context.Context, token string) (string, error) {
	if token != "tok" {
		return "", errors.New("no")
	}
	return "me", nil
}
func (around) AuthorizationExists(context.Context, string, string) (bool, error) { return true, nil }
func (around) Unwrap(context.Context, string, string, string) ([]byte, error) {
	return nil, errors.New("must not be called")
}
func (a around) Open(context.Context, string, string, string) (io.ReaderAt, int64, string, error) {
	return bytes.NewReader(a.disk), int64(len(a.disk)), "", nil
}
func (around) Put(context.Context, string, string, string, io.Reader, int64) error { return nil }

// gate is a clock whose waiters the test releases.
type gate chan time.Time

func (gate) Now() time.Time                         { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }
func (g gate) After(time.Duration) <-chan time.Time { return g }

func newServer(t *testing.T, opts Options) func(method, target, body string) (int, map[string]any) {
	t.Helper()
	return newServerOf(t, opts, bytes.Repeat([]byte("x"), 4096))
}

// fixedVHD returns a disk as a fixed VHD.
func fixedVHD(t *testing.T, disk []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	b.Write(disk)
	footer := make([]byte, 512)
	copy(footer, "conectix")
	be := binary.BigEndian
	be.PutUint32(footer[8:], 2)
	be.PutUint32(footer[12:], 0x00010000)
	be.PutUint64(footer[16:], ^uint64(0))
	be.PutUint64(footer[40:], uint64(len(disk)))
	be.PutUint64(footer[48:], uint64(len(disk)))
	be.PutUint32(footer[60:], 2) // fixed
	sum := uint32(0)
	for _, x := range footer {
		sum += uint32(x)
	}
	be.PutUint32(footer[64:], ^sum)
	b.Write(footer)
	return b.Bytes()
}

// newServerOf is newServer with an object store in which every object is the given file.
func newServerOf(t *testing.T, opts Options, file []byte) func(method, target, body string) (int, map[string]any) {
	t.Helper()
	a := around{file}
	opts.Tokens, opts.KMS, opts.Store = a, a, a
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return func(method, target, body string) (int, map[string]any) {
		t.Helper()
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		if !strings.Contains(target, "anonymous") {
			r.Header.Set("Authorization", "Bearer tok")
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if method == "POST" && opts.WorkTime == 0 {
			s.Wait()
		}
		var m map[string]any
		if w.Body.Len() > 0 {
			if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
				t.Fatal(err)
			}
		}
		if w.Header().Get("X-Request-Id") == "" {
			t.Errorf("%s %s: no request ID", method, target)
		}
		return w.Code, m
	}
}

const v = "?version=2025-06-24&generation=2"

func code(m map[string]any) string {
	list, _ := m["errors"].([]any)
	if len(list) == 0 {
		return ""
	}
	return list[0].(map[string]any)["code"].(string)
}

func TestRequests(t *testing.T) {
	call := newServer(t, Options{})
	for _, c := range []struct {
		method, target, body string
		status               int
		code                 string
	}{
		{"GET", "/v1/images" + v, "", 200, ""},
		{"GET", "/v1/images" + v + "&anonymous", "", 401, "not_authorized"},
		{"GET", "/v1/images?generation=2", "", 400, "missing_version"},
		{"GET", "/v1/images?version=2025-06-24&generation=1", "", 400, "invalid_generation"},
		{"GET", "/v1/images" + v + "&start=none", "", 400, "bad_field"},
		{"GET", "/v1/images/none" + v, "", 404, "not_found"},
		{"DELETE", "/v1/images/none" + v, "", 404, "not_found"},
		{"GET", "/v1/instances/none" + v, "", 404, "not_found"},
		{"DELETE", "/v1/instances/none" + v, "", 404, "not_found"},
		{"GET", "/v2/images" + v, "", 404, "not_found"},
		{"POST", "/v1/images" + v, "{", 400, "bad_json"},
		{"POST", "/v1/images" + v, strings.Repeat(" ", 2<<20) + "{}", 400, "bad_json"},
		{"POST", "/v1/images" + v, `{"name":"a","operating_system":{"name":"debian-12-amd64"},"file":{"href":"cos://us-south/b/k.vhd"},"encrypted_data_key":"x"}`, 400, "bad_field"},
		{"POST", "/v1/instances" + v, `{"name":"a","image":{"id":"none"}}`, 400, "bad_field"},
	} {
		status, m := call(c.method, c.target, c.body)
		if status != c.status || code(m) != c.code {
			t.Errorf("%s %s: %d %v", c.method, c.target, status, m)
		}
	}
}

const plain = `{"name":"NAME","operating_system":{"name":"debian-12-amd64"},"file":{"href":"cos://us-south/b/k.qcow2"}}`

func TestImageLife(t *testing.T) {
	call := newServer(t, Options{})
	status, m := call("POST", "/v1/images"+v, strings.Replace(plain, "NAME", "a", 1))
	if status != 201 || m["status"] != "pending" {
		t.Fatalf("%d %v", status, m)
	}
	id := m["id"].(string)
	if _, m = call("GET", "/v1/images/"+id+v, ""); m["status"] != "failed" {
		t.Errorf("random data imported as an image: %v", m)
	}
	if status, m := call("POST", "/v1/images"+v, strings.Replace(plain, "NAME", "a", 1)); status != 400 || code(m) != "validation_unique_failed" {
		t.Errorf("%d %v", status, m)
	}
	if status, m := call("POST", "/v1/instances"+v, `{"name":"i","image":{"id":"`+id+`"}}`); status != 400 || code(m) != "bad_field" {
		t.Errorf("instance of a failed image: %d %v", status, m)
	}
	if status, _ := call("DELETE", "/v1/images/"+id+v, ""); status != 202 {
		t.Errorf("%d", status)
	}
	if _, m := call("GET", "/v1/images"+v, ""); len(m["images"].([]any)) != 0 {
		t.Errorf("%v", m)
	}
}

// TestPending checks a pending image, and saves the state while it is pending.
func TestPending(t *testing.T) {
	clock := make(gate)
	call := newServer(t, Options{Clock: clock, WorkTime: time.Hour})
	_, m := call("POST", "/v1/images"+v, strings.Replace(plain, "NAME", "a", 1))
	id := m["id"].(string)
	_, m = call("GET", "/v1/images/"+id+v, "")
	if reasons, _ := m["status_reasons"].([]any); m["status"] != "pending" || len(reasons) != 1 || reasons[0].(map[string]any)["code"] != "image_request_in_progress" {
		t.Errorf("%v", m)
	}
	if status, m := call("DELETE", "/v1/images/"+id+v, ""); status != 409 {
		t.Errorf("%d %v", status, m)
	}
	clock <- time.Time{}
}
