package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/ibm/sandbox/fault"
	"github.com/luksimg/luksimg/ibm/softlayer"
)

const (
	wrapPath   = "/api/v2/keys/*/actions/wrap"
	groupPath  = "/rest/v3.1/SoftLayer_Virtual_Guest_Block_Device_Template_Group"
	importPath = groupPath + "/createFromIcos.json"
)

// TestFaultsPass injects each temporary fault into each service, one at a time. The
// whole workflow must succeed all the same.
func TestFaultsPass(t *testing.T) {
	faults := map[string]fault.Fault{
		"slow":          {DelayMS: 30_000},
		"busy":          {Status: http.StatusTooManyRequests, RetryAfter: "1", Body: `{}`},
		"broken":        {Status: http.StatusInternalServerError, Body: `{}`},
		"dropped":       {Drop: true},
		"answer lost":   {DropAfter: true},
		"token expired": {TokenExpired: true},
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			var slept atomic.Int64
			w := start(t, sandbox.Options{Bucket: bucket, Authorize: true, Faults: &fault.Set{Sleep: func(_ context.Context, d time.Duration) { slept.Add(int64(d)) }}})
			armed := 0
			arm := func(method, path string) {
				t.Helper()
				armed++
				f := f
				f.Method, f.Path = method, path
				w.arm(f)
			}
			if !f.TokenExpired {
				arm("POST", "/identity/token")
			}
			if _, err := w.iam.Token(t.Context()); err != nil {
				t.Fatal("token:", err)
			}
			arm("POST", wrapPath)
			image := w.encrypt(luksimg.ClassicLUKS)
			arm("PUT", "/"+bucket+"/**")
			uri := w.upload("web.raw", image)
			r := w.request(uri)
			r.Note = "run 1"
			if !f.TokenExpired { // classic infrastructure uses no tokens
				if name == "answer lost" { // the other faults show that the call had no effect; the user must retry
					arm("POST", importPath)
				}
				arm("GET", groupPath+"/*.json")
			}
			template, err := w.classic(r)
			if err != nil {
				t.Fatal("import:", err)
			}
			if _, err := w.order(template); err != nil {
				t.Fatal("order:", err)
			}
			if w.Faults().Hits() != armed {
				t.Errorf("%d faults occurred, want %d", w.Faults().Hits(), armed)
			}
			if want := time.Duration(f.DelayMS*int64(armed)) * time.Millisecond; time.Duration(slept.Load()) != want {
				t.Errorf("answers delayed by %v, want %v", time.Duration(slept.Load()), want)
			}
			w.told(template.GlobalIdentifier, "")
			// Nothing was created twice.
			if all, err := w.sl.Templates(t.Context()); err != nil || len(all) != 1 {
				t.Errorf("%d templates, %v", len(all), err)
			}
		})
	}
}

// TestErrorInside uses an answer with status 200 and an error in its body.
func TestErrorInside(t *testing.T) {
	w := ready(t)
	r := w.request(w.upload("web.raw", w.encrypt(luksimg.ClassicLUKS)))
	w.arm(fault.Fault{Path: importPath, Status: 200, Body: `{"error":"The image could not be imported.","code":"SoftLayer_Exception_Public"}`})
	_, err := w.classic(r)
	var e *softlayer.Error
	if !errors.As(err, &e) || e.Status != 200 || !strings.Contains(err.Error(), "The image could not be imported.") {
		t.Errorf("%#v", err)
	}
	if _, err := w.classic(r); err != nil {
		t.Error(err)
	}
	w.arm(fault.Fault{Path: wrapPath, Status: 200, Body: `{"resources":[]}`})
	if wdek, err := w.kp.Wrap(t.Context(), w.material); err == nil {
		t.Errorf("wrapped to %q", wdek)
	}
}

// TestFaultsStay uses services that fail permanently: the error must say so.
func TestFaultsStay(t *testing.T) {
	w := ready(t)
	r := w.request(w.upload("web.raw", w.encrypt(luksimg.ClassicLUKS)))
	for _, c := range []struct {
		path string
		call func() error
	}{
		{importPath, func() error { _, err := w.classic(r); return err }},
		{wrapPath, func() error { _, err := w.kp.Wrap(t.Context(), w.material); return err }},
		{"/v1/images", func() error { _, err := w.vpc.Images(t.Context()); return err }},
		{"/v1/query", func() error { _, _, err := w.logs.Query(t.Context(), audit.QueryRequest{}); return err }},
	} {
		for _, f := range []fault.Fault{{Status: 503, Body: "down"}, {Status: 429, Body: `{}`}, {Drop: true}} {
			f.Path, f.Count = c.path, -1
			w.arm(f)
			err := c.call()
			w.Faults().Clear()
			var h interface{ Hint() string }
			if err == nil || !errors.As(err, &h) || h.Hint() == "" && f.Status != 503 {
				t.Errorf("%s %+v: %v has no hint", c.path, f, err)
			}
		}
	}
	// Everything works again without the faults.
	if _, err := w.classic(r); err != nil {
		t.Error(err)
	}
}

// TestFaultControl arms a fault over HTTP, at each port.
func TestFaultControl(t *testing.T) {
	w := ready(t)
	for _, base := range []string{w.IAM, w.Settings.KMS, w.COS, strings.TrimSuffix(w.Settings.SoftLayer, "/rest/v3.1"), w.VPC, w.Logs} {
		r, err := http.Post(base+"/_sandbox/faults", "application/json", strings.NewReader(`{"path":"/v1/query","status":503,"count":-1}`))
		if err != nil || r.StatusCode != http.StatusNoContent {
			t.Fatalf("%s: %v %v", base, r, err)
		}
		r.Body.Close()
		if _, _, err := w.logs.Query(t.Context(), audit.QueryRequest{}); err == nil {
			t.Errorf("%s: no fault", base)
		}
		// Faults do not affect the control endpoints.
		w.arm(fault.Fault{Status: 500, Count: -1})
		if b := get(t, base+"/_sandbox/faults"); !bytes.Contains(b, []byte(`"/v1/query"`)) {
			t.Errorf("%s", b)
		}
		w.Faults().Clear()
		w.events()
	}
}

// TestQuery tests the time range and the limit of a query, and refused queries.
func TestQuery(t *testing.T) {
	w := ready(t)
	for range 4 { // in addition to the creation of the root key
		w.wrapped([]byte("QUJD"))
	}
	now := time.Now()
	for _, c := range []struct {
		q    audit.QueryRequest
		want int
	}{
		{audit.QueryRequest{}, 5},
		{audit.QueryRequest{Limit: 2}, 2},
		{audit.QueryRequest{Start: now.Add(time.Hour), End: now.Add(2 * time.Hour)}, 0},
		{audit.QueryRequest{Start: now.Add(-2 * time.Hour), End: now.Add(-time.Hour)}, 0},
		{audit.QueryRequest{Start: now.Add(-time.Hour), End: now.Add(time.Hour)}, 5},
	} {
		if e, _, err := w.logs.Query(t.Context(), c.q); err != nil || len(e) != c.want {
			t.Errorf("%+v: %d events, %v", c.q, len(e), err)
		}
	}
	var e *audit.Error
	if _, _, err := w.logs.Query(t.Context(), audit.QueryRequest{Query: "source logs | count"}); !errors.As(err, &e) || e.Status != 400 {
		t.Error(err)
	}
	w.arm(fault.Fault{Path: "/v1/query", TokenExpired: true})
	if _, _, err := w.logs.Query(t.Context(), audit.QueryRequest{}); err != nil {
		t.Errorf("with a renewed token: %v", err)
	}
	w.arm(fault.Fault{Path: "/v1/query", TokenExpired: true, Count: -1})
	if _, _, err := w.logs.Query(t.Context(), audit.QueryRequest{}); !errors.As(err, &e) || e.Status != 401 {
		t.Error(err)
	}
}
