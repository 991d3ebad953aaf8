package softlayer_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	sandbox "github.com/luksimg/luksimg/ibm/sandbox/softlayer"
	"github.com/luksimg/luksimg/ibm/softlayer"
)

var guid = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden compares all requests and answers with files that were checked against the
// documentation of the API.
func TestGolden(t *testing.T) {
	w := newWorld(t, func(c *sandbox.Options) { c.Clock = still{} })
	type exchange struct {
		Method string          `json:"method"`
		Path   string          `json:"path"`
		Mask   string          `json:"mask,omitempty"`
		Filter json.RawMessage `json:"filter,omitempty"`
		Limit  string          `json:"limit,omitempty"`
		Body   json.RawMessage `json:"body,omitempty"`
		Status int             `json:"status"`
		Answer json.RawMessage `json:"answer"`
	}
	var all []exchange
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := httptest.NewRecorder()
		w.srv.ServeHTTP(rec, r)
		w.srv.Wait() // makes the polled answers deterministic
		q := r.URL.Query()
		e := exchange{r.Method, r.URL.Path, q.Get("objectMask"), json.RawMessage(q.Get("objectFilter")), q.Get("resultLimit"), body, rec.Code, rec.Body.Bytes()}
		if b := rec.Body.Bytes(); len(b) == 0 || b[len(b)-1] == '\n' {
			t.Errorf("%s: the answer is empty or ends with a newline", r.URL.Path)
		}
		all = append(all, e)
		rw.WriteHeader(rec.Code)
		rw.Write(rec.Body.Bytes())
	}))
	defer srv.Close()
	c, err := softlayer.New(softlayer.Options{Endpoint: srv.URL + "/rest/v3.1", User: user, APIKey: userKey})
	if err != nil {
		t.Fatal(err)
	}
	r := w.request()
	wdek := r.WrappedDEK
	tpl, err := c.Import(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if tpl, err = c.Template(t.Context(), tpl.ID); err != nil || !tpl.Ready() {
		t.Fatal(err)
	}
	order := w.order(tpl)
	if _, err := c.CheckOrder(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	g, err := c.Order(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	if g, err = c.Guest(t.Context(), g.ID); err != nil || !g.Ready() {
		t.Fatal(err)
	}
	if err := c.Export(t.Context(), softlayer.ExportRequest{TemplateID: tpl.ID, URI: "cos://us-south/exports/web.vhd", APIKey: iamKey}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Template(t.Context(), 1); err == nil {
		t.Fatal("missing template found")
	}
	got, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(wdek, "WRAPPED", tpl.GlobalIdentifier, "TEMPLATE-GUID").Replace(string(got))
	text = guid.ReplaceAllString(text, "GUID") + "\n"
	golden(t, "wire.json", text)
}

type still struct{}

func (still) Now() time.Time                       { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }
func (still) After(time.Duration) <-chan time.Time { return nil }

func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("the exchange differs from %s:\n%s", name, got)
	}
}
