package softlayer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/audit"
	sandbox "github.com/luksimg/luksimg/ibm/sandbox/softlayer"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/internal/rest/resttest"
)

// TestWholeWay imports an encrypted image, orders a server from it, and finds a
// complete chain of audit events.
func TestWholeWay(t *testing.T) {
	t.Setenv("SL_USERAGENT", "must not be sent")
	t.Setenv("SL_API_KEY", "must not be used")
	w := newWorld(t)
	tpl, err := w.client.Import(t.Context(), w.request())
	if err != nil {
		t.Fatal(err)
	}
	if tpl.ID == 0 || tpl.GlobalIdentifier == "" || tpl.Name != "web" {
		t.Errorf("%+v", tpl)
	}
	w.srv.Wait()
	var seen []softlayer.Progress
	tpl, err = w.client.WaitImport(t.Context(), tpl.ID, softlayer.WaitOptions{Progress: func(p softlayer.Progress) { seen = append(seen, p) }})
	if err != nil {
		t.Fatal(err)
	}
	if !tpl.Ready() || tpl.Status != "Active" || len(tpl.Datacenters) != 1 || tpl.Datacenters[0] != "dal13" || tpl.DiskSpace != 4<<20 || tpl.Created.IsZero() {
		t.Errorf("%+v", tpl)
	}
	if len(seen) != 1 || seen[0].Status != "Active" {
		t.Errorf("%+v", seen)
	}
	quote, err := w.client.CheckOrder(t.Context(), w.order(tpl))
	if err != nil || quote.ImageGUID != tpl.GlobalIdentifier || len(quote.Items) != 2 || quote.Hourly != 0.04 || quote.Hostname != "web1" {
		t.Errorf("%+v, %v", quote, err)
	}
	g, err := w.client.Order(t.Context(), w.order(tpl))
	if err != nil {
		t.Fatal(err)
	}
	if g.Ready() || g.Hostname != "web1" {
		t.Errorf("%+v", g)
	}
	w.srv.Wait()
	if g, err = w.client.WaitOrder(t.Context(), g.ID, softlayer.WaitOptions{}); err != nil || !g.Ready() || g.PrivateIP == "" || g.PublicIP == "" {
		t.Fatalf("%+v, %v", g, err)
	}
	r := audit.Chain(w.events, audit.Query{RootKeyCRN: rootCRN, ImageID: tpl.GlobalIdentifier})
	var stages []audit.Stage
	for _, s := range r.Steps {
		stages = append(stages, s.Stage)
	}
	if got := fmt.Sprint(stages); got != "[unwrap import unwrap provision]" {
		t.Errorf("stages %s", got)
	}
	noSecret(t, "events", marshal(t, w.events))
}

func TestLists(t *testing.T) {
	w := newWorld(t)
	codes, err := w.client.OSCodes(t.Context())
	if err != nil || len(codes) < 5 || codes[0].Code == "" || codes[0].Description == "" {
		t.Errorf("%+v, %v", codes, err)
	}
	for i := range 205 { // more than two pages
		w.srv.AddTemplate(fmt.Sprintf("old-%d", i%204), "UBUNTU_22_64", "dal13", "old.vhd", bytes.NewReader(w.plain), int64(len(w.plain)))
	}
	all, err := w.client.Templates(t.Context())
	if err != nil || len(all) != 205 {
		t.Errorf("%d templates, %v", len(all), err)
	}
	if one, err := w.client.FindTemplate(t.Context(), "old-7"); err != nil || one.Name != "old-7" || !one.Ready() {
		t.Errorf("%+v, %v", one, err)
	}
	if _, err := w.client.FindTemplate(t.Context(), "old-0"); !errors.Is(err, softlayer.ErrAmbiguous) {
		t.Error(err)
	}
	for _, name := range []string{"OLD-7", "*", "~ old", ""} {
		if _, err := w.client.FindTemplate(t.Context(), name); !errors.Is(err, softlayer.ErrNotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := w.client.Template(t.Context(), 99999); !errors.Is(err, softlayer.ErrNotFound) {
		t.Error(err)
	}
	if _, err := w.client.Guest(t.Context(), 99999); !errors.Is(err, softlayer.ErrNotFound) {
		t.Error(err)
	}
}

func TestExport(t *testing.T) {
	w := newWorld(t)
	id := w.srv.AddTemplate("golden", "UBUNTU_22_64", "dal13", "golden.vhd", bytes.NewReader(w.plain), int64(len(w.plain)))
	r := softlayer.ExportRequest{TemplateID: id, URI: "cos://us-south/exports/golden.vhd", APIKey: iamKey}
	if err := w.client.Export(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	w.srv.Wait()
	got, err := os.ReadFile(w.store.path + "/us-south/exports/golden-0.vhd")
	if err != nil || !bytes.Equal(got, w.plain) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if tpl, err := w.client.WaitImport(t.Context(), id, softlayer.WaitOptions{}); err != nil || !tpl.Ready() {
		t.Errorf("%+v, %v", tpl, err)
	}
	r.APIKey = "wrong-SECRET"
	if err := w.client.Export(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	w.srv.Wait()
	_, err = w.client.WaitImport(t.Context(), id, softlayer.WaitOptions{})
	if !errors.Is(err, softlayer.ErrFailed) || !strings.Contains(err.Error(), "GET_TOKEN_FAILED") {
		t.Error(err)
	}
	noSecret(t, "the error", err.Error())
	for _, r := range []softlayer.ExportRequest{{}, {TemplateID: 1, URI: "swift://a/b", APIKey: "k"}, {URI: "cos://a/b/c", APIKey: "k"}} {
		if err := w.client.Export(t.Context(), r); err == nil || hint(err) == "" {
			t.Errorf("%v: %v", r, err)
		}
	}
}

// TestImportFails uses various wrong images and keys, and checks the failing step and the advice.
func TestImportFails(t *testing.T) {
	w := newWorld(t)
	w.store.put("us-south/images/newline.raw", w.luks(append(bytes.Clone(w.text), '\n')))
	w.store.put("us-south/images/decoded.raw", w.luks(unbase64(t, w.text)))
	whole := w.luks(w.text)
	w.store.put("us-south/images/cut.raw", whole[:len(whole)-(1<<20)])
	w.store.put("us-south/images/header.raw", whole[:1<<20])
	w.store.put("us-south/images/plain.raw", w.plain)
	w.store.put("us-south/images/empty.raw", nil)
	w.store.put("us-south/images/web.img", whole)
	w.store.put("us-south/images/web.vhd-0.vhd", whole)
	w.store.put("eu-gb/london/web.raw", whole)
	good := w.plain
	w.plain = make([]byte, 1<<20)
	w.store.put("us-south/images/noboot.raw", w.luks(w.text))
	w.plain = good
	short := []byte("c2hvcnQ=")
	for name, c := range map[string]struct {
		change func(*softlayer.ImportRequest)
		step   string
		words  string // expected in the error
		hint   string // expected in the hint
	}{
		"newline in the key": {func(r *softlayer.ImportRequest) { r.URI = "cos://us-south/images/newline.raw" },
			"OPEN_IMAGE_FAILED", "newline after the key text", "without a newline"},
		"decoded key": {func(r *softlayer.ImportRequest) { r.URI = "cos://us-south/images/decoded.raw" },
			"OPEN_IMAGE_FAILED", "opens with the decoded key", "base64 text, not the decoded bytes"},
		"another key": {func(r *softlayer.ImportRequest) { r.WrappedDEK = w.kms.wrap(rootCRN, bytes.Repeat([]byte("QUJD"), 11)) },
			"OPEN_IMAGE_FAILED", "does not open with the wrapped key", "wrap the exact key text"},
		"short key": {func(r *softlayer.ImportRequest) { r.WrappedDEK = w.kms.wrap(rootCRN, short) },
			"OPEN_IMAGE_FAILED", "8 characters", ""},
		"wrapped by another root key": {func(r *softlayer.ImportRequest) { r.WrappedDEK = w.kms.wrap(root2CRN, w.text) },
			"UNWRAP_KEY_FAILED", "UNPROCESSABLE_CIPHERTEXT_ERR", "does not belong to this root key"},
		"cut off": {func(r *softlayer.ImportRequest) { r.URI = "cos://us-south/images/cut.raw" },
			"CHECK_BOOT_SECTOR_FAILED", "truncated: partition 1 ends past", "upload the image again"},
		"cut off in the header": {func(r *softlayer.ImportRequest) { r.URI = "cos://us-south/images/header.raw" },
			"OPEN_IMAGE_FAILED", "LUKS header", ""},
		"empty": {func(r *softlayer.ImportRequest) { r.URI = "cos://us-south/images/empty.raw" },
			"FETCH_OBJECT_FAILED", "empty", "upload the image again"},
		"not encrypted": {func(r *softlayer.ImportRequest) { r.URI = "cos://us-south/images/plain.raw" },
			"OPEN_IMAGE_FAILED", "not a LUKS image", ""},
		"no boot sector": {func(r *softlayer.ImportRequest) { r.URI = "cos://us-south/images/noboot.raw" },
			"CHECK_BOOT_SECTOR_FAILED", "no boot signature", ""},
		"no object": {func(r *softlayer.ImportRequest) { r.URI = "cos://us-south/images/none.raw" },
			"FETCH_OBJECT_FAILED", "NoSuchKey", ""},
		"name of the file": {func(r *softlayer.ImportRequest) {
			*r = softlayer.ImportRequest{Name: r.Name, Note: r.Note, OSCode: r.OSCode, APIKey: r.APIKey, URI: "cos://us-south/images/web.iso"}
		}, "CHECK_FILE_NAME_FAILED", "web.iso", "IMAGE.raw"},
		"no opener": {func(r *softlayer.ImportRequest) { r.URI = "cos://us-south/images/web.vhd-0.vhd" },
			"OPEN_IMAGE_FAILED", "encrypted images of type vhd", ""},
		"IAM key": {func(r *softlayer.ImportRequest) { r.APIKey = "wrong-SECRET" },
			"GET_TOKEN_FAILED", "BXNIM0415E", "IAM API key is not known"},
		"other region": {func(r *softlayer.ImportRequest) { r.URI = "cos://eu-gb/london/web.raw" },
			"CHECK_REGION_FAILED", "same region", "one region"},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.request()
			r.Name = name
			c.change(&r)
			tpl, err := w.client.Import(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			w.srv.Wait()
			_, err = w.client.WaitImport(t.Context(), tpl.ID, softlayer.WaitOptions{})
			var e *softlayer.TransactionError
			if !errors.As(err, &e) || !errors.Is(err, softlayer.ErrFailed) {
				t.Fatal(err)
			}
			if e.Step != c.step || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%v; want %s and %q", err, c.step, c.words)
			}
			if !strings.Contains(e.Hint(), c.hint) || e.Hint() == "" {
				t.Errorf("hint %q, want %q", e.Hint(), c.hint)
			}
			noSecret(t, "the error", fmt.Sprintf("%v %+v %#v %s", err, e, e, e.Hint()))
			if strings.Contains(fmt.Sprintf("%v", err), string(w.text)) {
				t.Error("the error contains the key")
			}
			// A failed import must not count as a good one when it is repeated.
			if _, err := w.client.Import(t.Context(), r); !errors.Is(err, softlayer.ErrFailed) {
				t.Errorf("repeated: %v", err)
			}
			if err := w.client.Delete(t.Context(), tpl.ID); err != nil {
				t.Error(err)
			}
			if err := w.client.Delete(t.Context(), tpl.ID); !errors.Is(err, softlayer.ErrNotFound) {
				t.Errorf("deleted twice: %v", err)
			}
		})
	}
	noSecret(t, "events", marshal(t, w.events))
	var saved bytes.Buffer
	if err := w.srv.Save(&saved); err != nil {
		t.Fatal(err)
	}
	noSecret(t, "the state", saved.String())
	if strings.Contains(saved.String(), string(w.text)) {
		t.Error("the state contains the key")
	}
}

func TestImportTooLarge(t *testing.T) {
	w := newWorld(t)
	w.store.size = 101 << 30
	tpl, err := w.client.Import(t.Context(), w.request())
	if err != nil {
		t.Fatal(err)
	}
	w.srv.Wait()
	_, err = w.client.WaitImport(t.Context(), tpl.ID, softlayer.WaitOptions{})
	if !errors.Is(err, softlayer.ErrFailed) || !strings.Contains(err.Error(), "exceeds 100 GB") || !strings.Contains(hint(err), "100 GB") {
		t.Error(err)
	}
}

// TestAuthorization removes the authorization, or suspends the key, before the
// import and after it.
func TestAuthorization(t *testing.T) {
	for _, c := range []struct {
		authorized, suspended bool
		step, words, hint     string
	}{
		{false, false, "CHECK_AUTHORIZATION_FAILED", "server-protect", "authorization-policy-create server-protect kms Reader"},
		{true, true, "UNWRAP_KEY_FAILED", "KEY_ACTION_INVALID_STATE_ERR", "enable the root key"},
	} {
		w := newWorld(t)
		tpl := w.imported()
		w.kms.set(c.authorized, c.suspended)
		g, err := w.client.Order(t.Context(), w.order(tpl))
		if err != nil {
			t.Fatal(err)
		}
		w.srv.Wait()
		_, err = w.client.WaitOrder(t.Context(), g.ID, softlayer.WaitOptions{})
		var e *softlayer.TransactionError
		if !errors.As(err, &e) || e.Op != "order" || e.Step != c.step || !strings.Contains(err.Error(), c.words) || !strings.Contains(e.Hint(), c.hint) {
			t.Errorf("order: %v (%s)", err, hint(err))
		}
		r := audit.Chain(w.events, audit.Query{RootKeyCRN: rootCRN, ImageID: tpl.GlobalIdentifier})
		if !r.Broken() || len(r.Refusals) == 0 {
			t.Errorf("%+v", r)
		}
		request := w.request()
		request.Name = "again"
		tpl, err = w.client.Import(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		w.srv.Wait()
		_, err = w.client.WaitImport(t.Context(), tpl.ID, softlayer.WaitOptions{})
		if !errors.As(err, &e) || e.Op != "import" || e.Step != c.step || !strings.Contains(e.Hint(), c.hint) {
			t.Errorf("import: %v (%s)", err, hint(err))
		}
	}
}

// TestAuthorizeLate checks that without the authorization the import works and the server fails.
func TestAuthorizeLate(t *testing.T) {
	w := newWorld(t, func(c *sandbox.Options) { c.AuthorizeLate = true })
	w.kms.set(false, false)
	tpl := w.imported()
	g, err := w.client.Order(t.Context(), w.order(tpl))
	if err != nil {
		t.Fatal(err)
	}
	w.srv.Wait()
	if _, err := w.client.WaitOrder(t.Context(), g.ID, softlayer.WaitOptions{}); !errors.Is(err, softlayer.ErrFailed) {
		t.Error(err)
	}
}

func TestImportRefused(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*softlayer.ImportRequest){
		"no name":       func(r *softlayer.ImportRequest) { r.Name = "" },
		"no key":        func(r *softlayer.ImportRequest) { r.APIKey = "" },
		"no code":       func(r *softlayer.ImportRequest) { r.OSCode = "" },
		"address":       func(r *softlayer.ImportRequest) { r.URI = "swift://a@b/c/d.raw" },
		"no object":     func(r *softlayer.ImportRequest) { r.URI = "cos://us-south/bucket/" },
		"no wrapped":    func(r *softlayer.ImportRequest) { r.WrappedDEK = "" },
		"newline":       func(r *softlayer.ImportRequest) { r.WrappedDEK += "\n" },
		"no CRN":        func(r *softlayer.ImportRequest) { r.RootKeyCRN = "" },
		"CRN":           func(r *softlayer.ImportRequest) { r.RootKeyCRN = "root-1" },
		"cloud-init":    func(r *softlayer.ImportRequest) { r.CloudInit = false },
		"byol":          func(r *softlayer.ImportRequest) { r.OSCode = "REDHAT_7_64" },
		"not encrypted": func(r *softlayer.ImportRequest) { r.Encrypted = false },
	} {
		r := w.request()
		change(&r)
		_, err := w.client.Import(t.Context(), r)
		var e *softlayer.Error
		if !errors.As(err, &e) || e.Status != 0 || e.Hint() == "" {
			t.Errorf("%s: %v (%s)", name, err, hint(err))
		}
		if (name == "cloud-init" || name == "byol") && !strings.Contains(e.Hint(), "--"+name) {
			t.Errorf("%s: no flag in the hint: %s", name, e.Hint())
		}
	}
	// The object name determines the format.
	for uri, encrypted := range map[string]bool{"web.img": true, "web.iso": true, "web.vhd": true, "web": true, "web.raw": false, "web.qcow2": false} {
		r := w.request()
		r.URI = "cos://us-south/images/" + uri
		if r.Encrypted = encrypted; !encrypted {
			r.RootKeyCRN, r.WrappedDEK = "", ""
		}
		if _, err := w.client.Import(t.Context(), r); !errors.Is(err, softlayer.ErrName) || !strings.Contains(hint(err), "IMAGE.raw") {
			t.Errorf("%s: %v", uri, err)
		}
	}
	for _, host := range []string{"web_1", "-web", "web-", strings.Repeat("a", 64), "a b", ".."} {
		if _, err := w.client.Order(t.Context(), softlayer.OrderRequest{Hostname: host, Domain: "example.com", CPUs: 1, MemoryMB: 1024, Datacenter: "dal13", Template: "t"}); !errors.Is(err, softlayer.ErrName) {
			t.Errorf("%s: %v", host, err)
		}
	}
	// Only the service can detect these errors.
	for name, change := range map[string]func(*softlayer.ImportRequest){
		"code":   func(r *softlayer.ImportRequest) { r.OSCode = "BEOS_5_64" },
		"region": func(r *softlayer.ImportRequest) { r.URI = "cos://mars/images/web.raw" },
	} {
		r := w.request()
		change(&r)
		_, err := w.client.Import(t.Context(), r)
		var e *softlayer.Error
		if !errors.As(err, &e) || e.Status != 500 || e.Code != "SoftLayer_Exception_Public" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all, err := w.client.Templates(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestImportTwice(t *testing.T) {
	w := newWorld(t)
	first := w.imported()
	again, err := w.client.Import(t.Context(), w.request())
	if err != nil || again.ID != first.ID {
		t.Errorf("%+v, %v", again, err)
	}
	for _, note := range []string{"run 2", ""} {
		r := w.request()
		r.Note = note
		if _, err := w.client.Import(t.Context(), r); !errors.Is(err, softlayer.ErrExists) {
			t.Errorf("note %q: %v", note, err)
		}
	}
}

// TestLostAnswer breaks the connection or returns nonsense, before and after the call
// takes effect.
func TestLostAnswer(t *testing.T) {
	for name, f := range map[string]sandbox.Fault{
		"no answer":    {},
		"gateway":      {Status: 502, Body: "<html>bad gateway</html>"},
		"empty":        {Status: 200},
		"empty object": {Status: 200, Body: "{}"},
		"cut off":      {Status: 200, Body: `{"id":1234,"globalId`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			// The call never takes effect, however often it is retried.
			w.srv.Fail("createFromIcos", f, f, f)
			_, err := w.client.Import(t.Context(), w.request())
			if !errors.Is(err, softlayer.ErrLost) || !strings.Contains(hint(err), "before importing again") {
				t.Errorf("import: %v (%s)", err, hint(err))
			}
			noSecret(t, "the error", err.Error())
			f.Done = true
			w.srv.Fail("createFromIcos", f)
			tpl, err := w.client.Import(t.Context(), w.request())
			if err != nil || tpl.GlobalIdentifier == "" {
				t.Fatalf("import that was done: %v", err)
			}
			w.srv.Wait()
			if all, err := w.client.Templates(t.Context()); err != nil || len(all) != 1 || all[0].ID != tpl.ID {
				t.Fatalf("%+v, %v", all, err)
			}
			// An older server of the same name must not count as the new one.
			old, err := w.client.Order(t.Context(), w.order(tpl))
			if err != nil {
				t.Fatal(err)
			}
			w.srv.Fail("createObject", f)
			g, err := w.client.Order(t.Context(), w.order(tpl))
			if err != nil || g.ID == old.ID {
				t.Errorf("order that was done: %+v, %v", g, err)
			}
			f.Done = false
			w.srv.Fail("createObject", f, f, f)
			if _, err := w.client.Order(t.Context(), w.order(tpl)); !errors.Is(err, softlayer.ErrLost) || !strings.Contains(hint(err), "costs money") {
				t.Errorf("order: %v", err)
			}
			w.srv.Wait()
			// The first call has no effect: the client looks for the server and orders once more.
			w.srv.Fail("createObject", f)
			if g, err := w.client.Order(t.Context(), w.order(tpl)); err != nil || g.ID == 0 {
				t.Errorf("order again: %+v, %v", g, err)
			}
			w.srv.Wait()
			if all, err := w.client.Servers(t.Context(), w.order(tpl).Hostname, w.order(tpl).Domain); err != nil || len(all) != 3 {
				t.Errorf("%+v, %v", all, err)
			}
			w.srv.Fail("createFromIcos", f)
			r := w.request()
			r.Name = "another"
			if _, err := w.client.Import(t.Context(), r); err != nil {
				t.Errorf("import again: %v", err)
			}
			w.srv.Wait()
			if all, err := w.client.Templates(t.Context()); err != nil || len(all) != 2 {
				t.Errorf("%+v, %v", all, err)
			}
		})
	}
}

// TestErrorWith200 uses the fault that the real service had until 2020.
func TestErrorWith200(t *testing.T) {
	w := newWorld(t)
	for _, method := range []string{"createFromIcos", "createObject", "getObject", "copyToIcos", "generateOrderTemplate", "getVhdImportSoftwareDescriptions"} {
		w.srv.Fail(method, sandbox.Error200("Something is wrong with "+iamKey+" and "+userKey+"\x1b[2J\nhere"))
	}
	order := w.order(&softlayer.Template{GlobalIdentifier: "g"})
	calls := map[string]func() error{
		"import": func() error { _, err := w.client.Import(t.Context(), w.request()); return err },
		"order":  func() error { _, err := w.client.Order(t.Context(), order); return err },
		"check":  func() error { _, err := w.client.CheckOrder(t.Context(), order); return err },
		"get":    func() error { _, err := w.client.Template(t.Context(), 1); return err },
		"export": func() error {
			return w.client.Export(t.Context(), softlayer.ExportRequest{TemplateID: 1, URI: "cos://a/b/c.vhd", APIKey: iamKey})
		},
		"codes": func() error { _, err := w.client.OSCodes(t.Context()); return err },
	}
	for name, call := range calls {
		err := call()
		var e *softlayer.Error
		if !errors.As(err, &e) || e.Status != 200 || e.Code != "SoftLayer_Exception_Public" || !strings.Contains(e.Message, "Something is wrong") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if errors.Is(err, softlayer.ErrLost) {
			t.Errorf("%s: received answer reported as lost: %v", name, err)
		}
		if strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%s: %q", name, err)
		}
		if name != "get" && name != "check" && name != "order" && name != "codes" { // the calls with the IAM key
			noSecret(t, "the error", err.Error())
		}
		if strings.Contains(err.Error(), userKey) {
			t.Errorf("%s: API key in %v", name, err)
		}
	}
}

// TestBooleanWithNewline checks an answer "true\n", which softlayer-go alone does not accept.
func TestBooleanWithNewline(t *testing.T) {
	w := newWorld(t)
	r := softlayer.ExportRequest{TemplateID: 1, URI: "cos://us-south/b/c.vhd", APIKey: iamKey}
	w.srv.Fail("copyToIcos", sandbox.Fault{Status: 200, Body: "true\n"}, sandbox.Fault{Status: 200, Body: "false"}, sandbox.Fault{Status: 200, Body: "maybe"})
	if err := w.client.Export(t.Context(), r); err != nil {
		t.Error(err)
	}
	if err := w.client.Export(t.Context(), r); err == nil || !strings.Contains(err.Error(), "did not begin") {
		t.Error(err)
	}
	if err := w.client.Export(t.Context(), r); !errors.Is(err, softlayer.ErrLost) {
		t.Error(err)
	}
}

// TestSlow waits for a transaction that advances step by step.
func TestSlow(t *testing.T) {
	clock := &slowClock{waiting: make(chan chan time.Time)}
	w := newWorld(t, func(c *sandbox.Options) { c.Clock, c.StepTime = clock, time.Minute })
	tpl, err := w.client.Import(t.Context(), w.request())
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for len(steps) < 9 {
		waiter := <-clock.waiting // signals that the next step has begun
		tpl, err := w.client.Template(t.Context(), tpl.ID)
		if err != nil || tpl.Ready() || tpl.Status != "Inactive" {
			t.Fatalf("%+v, %v", tpl, err)
		}
		steps = append(steps, tpl.Step)
		if len(steps) == 1 {
			// The client times out by its own clock and reports the last status.
			_, err := w.client.WaitImport(t.Context(), tpl.ID, softlayer.WaitOptions{Timeout: 25 * time.Second})
			var e *softlayer.TransactionError
			if !errors.As(err, &e) || !errors.Is(err, softlayer.ErrTimeout) || e.Step != "CHECK_FILE_NAME" || e.Elapsed != 25*time.Second || !strings.Contains(e.Hint(), "the transaction continues") {
				t.Errorf("%v (%s)", err, hint(err))
			}
			// It also returns at once when its context is cancelled.
			ctx, cancel := context.WithCancelCause(t.Context())
			why := errors.New("told to stop")
			_, err = w.client.WaitImport(ctx, tpl.ID, softlayer.WaitOptions{Progress: func(softlayer.Progress) { cancel(why) }})
			if !errors.Is(err, why) {
				t.Error(err)
			}
		}
		waiter <- time.Time{}
	}
	w.srv.Wait()
	want := "CHECK_FILE_NAME GET_TOKEN FETCH_OBJECT CHECK_REGION CHECK_AUTHORIZATION UNWRAP_KEY OPEN_IMAGE CHECK_BOOT_SECTOR REPLICATE_IMAGE"
	if got := strings.Join(steps, " "); got != want {
		t.Errorf("steps %s", got)
	}
}

// TestPollErrors checks that a failed poll is retried unless it is refused.
func TestPollErrors(t *testing.T) {
	w := newWorld(t)
	tpl := w.imported()
	w.srv.Fail("getObject", sandbox.Fault{Status: 503, Body: "<html>"}, sandbox.Fault{}, sandbox.Fault{Status: 429, Body: `{"error":"slow down","code":"x"}`},
		sandbox.Fault{Status: 500, Body: `{"error":"Rate limit exceeded.","code":"SoftLayer_Exception_WebService_RateLimitExceeded"}`})
	if tpl, err := w.client.WaitImport(t.Context(), tpl.ID, softlayer.WaitOptions{}); err != nil || !tpl.Ready() {
		t.Error(err)
	}
	for range 60 * 5 {
		w.srv.Fail("getObject", sandbox.Fault{Status: 503, Body: "<html>"})
	}
	_, err := w.client.WaitImport(t.Context(), tpl.ID, softlayer.WaitOptions{})
	var e *softlayer.Error
	if !errors.As(err, &e) || e.Status != 503 || e.Hint() == "" {
		t.Error(err)
	}
	w.srv.Fail("getObject", sandbox.Fault{Status: 500, Body: `{"error":"No.","code":"SoftLayer_Exception_Public"}`})
	if _, err := w.client.WaitImport(t.Context(), tpl.ID, softlayer.WaitOptions{}); !errors.As(err, &e) || e.Message != "No." {
		t.Error(err)
	}
	if _, err := w.client.WaitImport(t.Context(), 99999, softlayer.WaitOptions{}); !errors.Is(err, softlayer.ErrNotFound) {
		t.Error(err)
	}
}

// TestSaveLoad checks that a server can be ordered from a template of an earlier run although the
// object is gone.
func TestSaveLoad(t *testing.T) {
	w := newWorld(t)
	tpl := w.imported()
	var saved bytes.Buffer
	if err := w.srv.Save(&saved); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(w.store.path + "/us-south"); err != nil {
		t.Fatal(err)
	}
	next, err := sandbox.New(sandbox.Options{Users: map[string]string{user: userKey}, Tokens: fakeIAM{}, KMS: w.kms, Store: w.store})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if err := next.Load(&saved); err != nil {
		t.Fatal(err)
	}
	w.srv = next
	g, err := w.client.Order(t.Context(), w.order(tpl))
	if err != nil {
		t.Fatal(err)
	}
	next.Wait()
	if g, err := w.client.WaitOrder(t.Context(), g.ID, softlayer.WaitOptions{}); err != nil || !g.Ready() {
		t.Error(err)
	}
	if g.ID <= tpl.ID {
		t.Errorf("number %d reused", g.ID)
	}
	if err := w.client.Export(t.Context(), softlayer.ExportRequest{TemplateID: tpl.ID, URI: "cos://us-south/b/c.vhd", APIKey: iamKey}); err == nil {
		t.Error("missing image exported")
	}
	for _, bad := range []string{"", "[]", `{"templates":[null]}`, `{"guests":[null]}`, `{"templates":[{"image":{"size":10,"pages":[{"page":0,"data":"AAAA"}]}}]}`} {
		if err := next.Load(strings.NewReader(bad)); err == nil {
			t.Errorf("%q loaded", bad)
		}
	}
}

func TestOrderRefused(t *testing.T) {
	w := newWorld(t)
	tpl := w.imported()
	for name, change := range map[string]func(*softlayer.OrderRequest){
		"host": func(r *softlayer.OrderRequest) { r.Hostname = "" }, "domain": func(r *softlayer.OrderRequest) { r.Domain = "" },
		"cores": func(r *softlayer.OrderRequest) { r.CPUs = 0 }, "memory": func(r *softlayer.OrderRequest) { r.MemoryMB = 0 },
		"datacenter": func(r *softlayer.OrderRequest) { r.Datacenter = "" }, "template": func(r *softlayer.OrderRequest) { r.Template = "" },
		"other datacenter": func(r *softlayer.OrderRequest) { r.Datacenter = "fra02" }, "other template": func(r *softlayer.OrderRequest) { r.Template = "none" },
	} {
		r := w.order(tpl)
		change(&r)
		if _, err := w.client.Order(t.Context(), r); err == nil || errors.Is(err, softlayer.ErrLost) || !strings.Contains(err.Error(), strings.TrimPrefix(name, "other ")) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := w.client.CheckOrder(t.Context(), r); err == nil {
			t.Errorf("%s: checked", name)
		}
	}
}

func TestSignIn(t *testing.T) {
	w := newWorld(t)
	_, err := w.newClient("wrong-SECRET").Templates(t.Context())
	var e *softlayer.Error
	if !errors.As(err, &e) || e.Status != 401 || !strings.Contains(e.Hint(), "API key") {
		t.Error(err)
	}
	noSecret(t, "the error", err.Error())
	c := softlayer.Options{User: user, APIKey: "x-SECRET"}
	client, err := softlayer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	r := w.request()
	x := softlayer.ExportRequest{APIKey: iamKey}
	noSecret(t, "text", fmt.Sprintf("%v %+v %#v %v %+v %#v %v %+v %#v %v %#v", c, c, c, client, client, client, r, r, r, x, x)+marshal(t, c)+marshal(t, r)+marshal(t, x))
	for _, endpoint := range []string{"x", "ftp://x", "https://u:SECRET@x/rest/v3.1", "https://api.softlayer.com/xmlrpc/v3.1", "https://x?y", "\x00"} {
		if _, err := softlayer.New(softlayer.Options{Endpoint: endpoint, User: "u", APIKey: "k"}); err == nil {
			t.Errorf("%q accepted", endpoint)
		} else {
			noSecret(t, "the error", err.Error())
		}
	}
	if _, err := softlayer.New(softlayer.Options{User: "u"}); hint(err) == "" {
		t.Error(err)
	}
}

// TestTransport uses answers that do not come from the API.
func TestTransport(t *testing.T) {
	redirected := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/elsewhere"):
			redirected = true
		case strings.Contains(r.URL.Path, "/redirect/"):
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		case strings.Contains(r.URL.Path, "/id/"):
			w.Header().Set("X-Request-Id", "req-7")
			w.Header().Set("Softlayer-Total-Items", "many") // the library would log this
			w.WriteHeader(500)
			w.Write([]byte(`{"error":"` + strings.Repeat("long ", 1000) + `","code":"SoftLayer_Exception"}`))
		}
	}))
	defer srv.Close()
	list := func(path string) error {
		c, err := softlayer.New(softlayer.Options{Endpoint: srv.URL + path, User: user, APIKey: userKey, HTTP: srv.Client(), Clock: resttest.NewClock(time.Now())})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.OSCodes(t.Context())
		return err
	}
	var e *softlayer.Error
	if err := list("/redirect/rest/v3.1"); !errors.As(err, &e) || e.Status != 307 || redirected || !strings.Contains(e.Hint(), "redirects") {
		t.Errorf("redirect: %v, followed: %v", err, redirected)
	}
	if err := list("/id/rest/v3.1"); !errors.As(err, &e) || e.RequestID != "req-7" || len(e.Message) > 700 || !strings.Contains(err.Error(), "req-7") {
		t.Errorf("request ID: %v", err)
	}
	srv.Close()
	if err := list("/rest/v3.1"); !errors.As(err, &e) || e.Status != 0 || !strings.Contains(e.Hint(), "no response") {
		t.Errorf("no server: %v", err)
	}
	if srv.Client().Timeout != 0 {
		t.Error("the given client was modified")
	}
	// A request that was never sent is not lost.
	c, err := softlayer.New(softlayer.Options{Endpoint: srv.URL + "/rest/v3.1", User: user, APIKey: userKey, Clock: resttest.NewClock(time.Now())})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Templates(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestPrivate checks that the API has another address on the private network.
func TestPrivate(t *testing.T) {
	c, err := softlayer.New(softlayer.Options{User: "u", APIKey: "key", Network: "private"})
	if err != nil || !strings.Contains(c.String(), "https://api.service.softlayer.com/rest/v3.1") {
		t.Errorf("%v, %v", c, err)
	}
}
