package keyprotect_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox/fault"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

// openBlob decrypts a ciphertext of Key Protect with the root key itself.
func openBlob(t *testing.T, wdek string, root []byte) []byte {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(wdek)
	if err != nil {
		t.Fatal(err)
	}
	var b struct{ Ciphertext, IV []byte }
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(root)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gcm.Open(nil, b.IV, b.Ciphertext, nil)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// admin sends a request that the client lacks.
func (w *world) admin(t *testing.T, method, path string) {
	t.Helper()
	token, err := w.tokens.Token(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(method, w.kmsURL+"/api/v2/keys/"+path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", token.Header())
	req.Header.Set("Bluemix-Instance", strings.Split(w.root, ":")[7])
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		text, _ := io.ReadAll(res.Body)
		t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, text)
	}
}

// expect checks the kinds, code, status and hint of an error.
func expect(t *testing.T, name string, err error, status int, code string, kinds ...error) {
	t.Helper()
	var e *keyprotect.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: %v", name, err)
		return
	}
	if e.Status != status || e.Code != code || e.Hint() == "" || e.CorrelationID == "" {
		t.Errorf("%s: status %d, code %q, hint %q, correlation id %q: %v", name, e.Status, e.Code, e.Hint(), e.CorrelationID, err)
	}
	for _, k := range kinds {
		if !errors.Is(err, k) {
			t.Errorf("%s: %v is not %v", name, err, k)
		}
	}
	if refused := !errors.Is(err, wrap.ErrUnavailable); errors.Is(err, wrap.ErrRefused) != refused {
		t.Errorf("%s: refused is %v: %v", name, !refused, err)
	}
}

// TestReasons causes each error of the service and checks the client's error.
func TestReasons(t *testing.T) {
	w := start(t, "kms")
	ctx := context.Background()
	c := w.client(t, w.root)
	id := c.CRN().Resource
	wdek, err := c.Wrap(ctx, []byte(secretText))
	if err != nil {
		t.Fatal(err)
	}
	all := w.client(t, w.instance)
	doWrap := func(c *keyprotect.Client) error { return errOf2(c.Wrap(ctx, []byte(secretText))) }
	doUnwrap := func(c *keyprotect.Client) error { return errOf2(c.Unwrap(ctx, wdek)) }

	// Keys that do not exist, or are of the wrong type.
	standard, err := all.CreateStandardKey(ctx, "seed")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "a standard key", doWrap(w.client(t, standard.CRN)), 400, "KEY_ROOT_REQ_ERR", keyprotect.ErrNotRootKey)
	expect(t, "no such key", doWrap(w.client(t, strings.Replace(w.root, id, "00000000-0000-0000-0000-000000000000", 1))), 404, "KEY_NOT_FOUND_ERR", wrap.ErrNotFound)
	other := w.AddInstance("kms", "us-south")
	expect(t, "another instance", doUnwrap(w.client(t, strings.Replace(w.root, c.CRN().Instance, strings.Split(other, ":")[7], 1))), 404, "KEY_NOT_FOUND_ERR", wrap.ErrNotFound)
	expect(t, "no such instance", doUnwrap(w.client(t, strings.Replace(w.root, c.CRN().Instance, "none", 1))), 404, "KEY_NOT_FOUND_ERR", wrap.ErrNotFound)

	// Wrapped keys that do not unwrap.
	second, err := w.AddRootKey(w.instance, "second")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "another root key", doUnwrap(w.client(t, second)), 422, "UNPROCESSABLE_CIPHERTEXT_ERR", wrap.ErrWDEK)
	expect(t, "damaged", errOf2(c.Unwrap(ctx, wdek[:40]+"AAAA"+wdek[44:])), 422, "UNPROCESSABLE_CIPHERTEXT_ERR", wrap.ErrWDEK)
	expect(t, "damaged, rewrapped", errOf2(c.Rewrap(ctx, "bm90IG9uZQ==")), 422, "UNPROCESSABLE_CIPHERTEXT_ERR", wrap.ErrWDEK)

	// Identities.
	owner := w.tokens
	self, err := owner.Self(ctx)
	if err != nil {
		t.Fatal(err)
	}
	service, err := owner.CreateServiceID(ctx, self.AccountID, "builder", "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := owner.CreateAPIKey(ctx, self.AccountID, service.IAMID, "builder's key", "")
	if err != nil {
		t.Fatal(err)
	}
	builder := w.with(t, keyprotect.Options{CRN: w.root, Tokens: w.as(t, string(key.Value))})
	expect(t, "no role", doWrap(builder), 401, "UNAUTHORIZED_ERR", wrap.ErrDenied, wrap.ErrAuth)
	if _, err := owner.CreatePolicy(ctx, iam.Access(self.AccountID, service.IAMID, iam.KeyProtect, c.CRN().Instance, iam.RoleReader)); err != nil {
		t.Fatal(err)
	}
	if err := doWrap(builder); err != nil {
		t.Errorf("a reader may wrap: %v", err)
	}
	expect(t, "a reader creates", errOf2(builder.CreateRootKey(ctx, "mine")), 401, "UNAUTHORIZED_ERR", wrap.ErrDenied)
	expect(t, "a token that is none", doWrap(w.with(t, keyprotect.Options{CRN: w.root, Tokens: iam.Static("nonsense")})), 401, "UNAUTHORIZED_ERR", wrap.ErrAuth)
	old := iam.Static(w.Token(must(w.Exchange(w.apiKey))(t), time.Minute))
	w.advance(2 * time.Minute)
	expect(t, "an expired token", doWrap(w.with(t, keyprotect.Options{CRN: w.root, Tokens: old})), 401, "UNAUTHORIZED_ERR", wrap.ErrAuth)
	expect(t, "a wrong API key", doWrap(w.with(t, keyprotect.Options{CRN: w.root, Tokens: w.as(t, "wrong")})), 0, "", wrap.ErrAuth, iam.ErrAuth)
	w.arm(t, fault.Fault{Path: "/api/**", Status: 403, Body: "{}"})
	expect(t, "403", doWrap(c), 403, "", wrap.ErrDenied)
	w.arm(t, fault.Fault{Path: "/api/**", Count: 2, Status: 400, Body: `{"resources":[{"errorMsg":"x","reasons":[{"code":"BEARER_SUB_EXTRACTION_ERR","message":"x"}]}]}`})
	expect(t, "no bearer", doWrap(c), 400, "BEARER_SUB_EXTRACTION_ERR", wrap.ErrAuth)
	w.arm(t, fault.Fault{Path: "/api/**", Status: 409, Body: `{"resources":[{"errorMsg":"x","reasons":[{"code":"KEY_CREATE_IMPORT_ACCESS_ERR","message":"KeyCreateImportAccess instance policy does not allow this action"}]}]}`})
	expect(t, "a policy", errOf2(all.CreateRootKey(ctx, "mine")), 409, "KEY_CREATE_IMPORT_ACCESS_ERR", wrap.ErrRefused)
	w.arm(t, fault.Fault{Method: "POST", Path: "/api/v2/keys", Status: 409, Body: `{"resources":[{"errorMsg":"x","reasons":[{"code":"IMPORT_TOKEN_EXPIRED_ERR","message":"The key import token has expired"}]}]}`})
	expect(t, "an import token too old", errOf2(all.ImportRootKey(ctx, "mine", make([]byte, 32))), 409, "IMPORT_TOKEN_EXPIRED_ERR", keyprotect.ErrImport)

	// States. The last one is final.
	w.admin(t, "POST", id+"/actions/disable")
	expect(t, "suspended", doWrap(c), 409, "KEY_ACTION_INVALID_STATE_ERR", keyprotect.ErrSuspended, wrap.ErrKeyState)
	expect(t, "suspended", doUnwrap(c), 409, "KEY_ACTION_INVALID_STATE_ERR", keyprotect.ErrSuspended, wrap.ErrKeyState)
	if k, err := c.Metadata(ctx); err != nil || k.State != keyprotect.Suspended {
		t.Errorf("%+v, %v", k, err)
	}
	w.advance(30 * time.Second)
	w.admin(t, "POST", id+"/actions/enable")
	if err := doUnwrap(c); err != nil {
		t.Errorf("enabled again: %v", err)
	}
	w.admin(t, "DELETE", id)
	expect(t, "deleted", doUnwrap(c), 410, "KEY_DELETED_ERR", keyprotect.ErrDeleted, wrap.ErrKeyState)
	if keys, err := all.RootKeys(ctx); err != nil || len(keys) != 1 || keys[0].CRN != second {
		t.Errorf("a deleted key is listed: %+v, %v", keys, err)
	}
}

// TestExpiredKey lets a root key expire. It must still unwrap, but not wrap.
func TestExpiredKey(t *testing.T) {
	w := start(t, "kms")
	ctx := context.Background()
	token, err := w.tokens.Token(ctx)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"metadata":{"collectionType":"application/vnd.ibm.kms.key+json","collectionTotal":1},"resources":[{"name":"short","type":"application/vnd.ibm.kms.key+json","extractable":false,"expirationDate":"2026-11-24T12:30:00Z"}]}`
	req, _ := http.NewRequest("POST", w.kmsURL+"/api/v2/keys", strings.NewReader(body))
	req.Header.Set("Authorization", token.Header())
	req.Header.Set("Bluemix-Instance", strings.Split(w.root, ":")[7])
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != 201 {
		t.Fatalf("%+v, %v", res, err)
	}
	res.Body.Close()
	keys, err := w.client(t, w.instance).RootKeys(ctx)
	if err != nil || len(keys) != 2 || !keys[1].Expires.Equal(w.now().Add(30*time.Minute)) {
		t.Fatalf("%+v, %v", keys, err)
	}
	c := w.client(t, keys[1].CRN)
	wdek, err := c.Wrap(ctx, []byte(secretText))
	if err != nil {
		t.Fatal(err)
	}
	w.advance(31 * time.Minute)
	expect(t, "expired", errOf2(c.Wrap(ctx, []byte(secretText))), 400, "KEY_EXPIRED_ERR", keyprotect.ErrDeactivated, wrap.ErrKeyState)
	if back, err := c.Unwrap(ctx, wdek); err != nil || string(back.Plaintext) != secretText {
		t.Errorf("%v", err)
	}
	if k, err := c.Metadata(ctx); err != nil || k.State != keyprotect.Deactivated {
		t.Errorf("%+v, %v", k, err)
	}
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestFaults(t *testing.T) {
	w := start(t, "kms")
	ctx := context.Background()
	c := w.client(t, w.root)
	all := w.client(t, w.instance)
	doWrap := func() error { return errOf2(c.Wrap(ctx, []byte(secretText))) }

	w.arm(t, fault.Fault{Path: "/api/**", Status: 429, RetryAfter: "4"})
	w.arm(t, fault.Fault{Path: "/api/**", Status: 500})
	w.arm(t, fault.Fault{Path: "/api/**", Drop: true})
	w.arm(t, fault.Fault{Path: "/api/**", DropAfter: true})
	if err := doWrap(); err != nil || w.faults.Hits() != 4 || len(w.slept) != 4 || w.slept[0] != 4*time.Second {
		t.Errorf("%v after %d faults, slept %v", err, w.faults.Hits(), w.slept)
	}
	for _, status := range []int{429, 500, 503} {
		before := w.faults.Hits()
		w.arm(t, fault.Fault{Path: "/api/**", Status: status, Count: -1, Body: `{"resources":[{"errorMsg":"Internal Server Error"}]}`})
		expect(t, fmt.Sprint(status), doWrap(), status, "", wrap.ErrUnavailable)
		if n := w.faults.Hits() - before; n != 5 {
			t.Errorf("%d: %d attempts", status, n)
		}
		w.faults.Clear()
	}
	w.arm(t, fault.Fault{Path: "/api/**", Drop: true, Count: -1})
	expect(t, "no connection", doWrap(), 0, "", wrap.ErrUnavailable)
	w.faults.Clear()

	// A token that the service rejects as expired is renewed once.
	w.arm(t, fault.Fault{Path: "/api/**", TokenExpired: true})
	if err := doWrap(); err != nil {
		t.Errorf("an expired token: %v", err)
	}
	w.arm(t, fault.Fault{Path: "/api/**", TokenExpired: true, Count: -1})
	expect(t, "always expired", doWrap(), 401, "UNAUTHORIZED_ERR", wrap.ErrAuth)
	w.faults.Clear()

	// A token that has expired by the clock is renewed before the request.
	w.seen()
	w.advance(2 * time.Hour)
	if err := doWrap(); err != nil || len(w.seen()) != 1 {
		t.Errorf("after two hours: %v", err)
	}

	// A creation is not retried, because the first request may have succeeded.
	w.arm(t, fault.Fault{Method: "POST", Path: "/api/v2/keys", DropAfter: true})
	expect(t, "an answer lost", errOf2(all.CreateRootKey(ctx, "once")), 0, "", wrap.ErrUnavailable)
	keys, err := all.RootKeys(ctx)
	if err != nil || len(keys) != 2 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	w.arm(t, fault.Fault{Method: "POST", Path: "/api/v2/keys", Status: 500})
	expect(t, "creating, 500", errOf2(all.CreateRootKey(ctx, "once")), 500, "", wrap.ErrUnavailable)

	// IAM is unavailable.
	w.arm(t, fault.Fault{Path: "/identity/**", Status: 503, Count: -1})
	away := w.with(t, keyprotect.Options{CRN: w.root, Tokens: w.as(t, w.apiKey)})
	expect(t, "no IAM", errOf2(away.Wrap(ctx, []byte(secretText))), 0, "", wrap.ErrUnavailable, iam.ErrUnavailable)
	w.faults.Clear()

	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Wrap(gone, []byte(secretText)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestCancelDuring cancels while the service handles the request.
func TestCancelDuring(t *testing.T) {
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	}))
	defer server.Close()
	c, err := keyprotect.New(keyprotect.Options{CRN: "crn:v1:bluemix:public:kms:us-south:a/acct:inst:key:k", Tokens: iam.Static("t"), URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-arrived; cancel() }()
	if _, err := c.Wrap(ctx, []byte(secretText)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestOddAnswers has the service send invalid responses. The client must not panic, accept them or print anything.
func TestOddAnswers(t *testing.T) {
	old := os.Stdout
	r, wr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout = wr
	defer func() { os.Stdout = old }()

	var status int
	var answer string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status == 302 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	defer server.Close()
	c, err := keyprotect.New(keyprotect.Options{CRN: "crn:v1:bluemix:public:kms:us-south:a/acct:inst:key:k", Tokens: iam.Static("t"), URL: server.URL, Retry: iam.Retry{Attempts: 1}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for _, s := range []int{200, 201, 204, 302, 400, 404, 418, 500} {
		for _, a := range []string{
			"", "null", "[]", "{}", "x", `{"resources":[]}`, `{"resources":[null]}`, `{"resources":[{}]}`, `{"resources":"x"}`, `{"resources":[{"errorMsg":5}]}`, `"errorMsg"`,
			`{"ciphertext":5}`, `{"ciphertext":"a b"}`, `{"plaintext":"not base64"}`, `{"plaintext":"QUJD\n"}`,
			`{"error":"Internal Error","code":"X"}`, `{"resources":[{"errorMsg":"x","reasons":[]}]}`, strings.Repeat("[", 100000),
			`{"payload":"LS0t","nonce":"x"}`, `{"resources":[{"creationDate":"yesterday"}]}`,
		} {
			if s == 204 && a != "" {
				continue
			}
			status, answer = s, a
			for name, err := range map[string]error{
				"wrap": errOf2(c.Wrap(ctx, []byte(secretText))), "unwrap": errOf2(c.Unwrap(ctx, "x")), "rewrap": errOf2(c.Rewrap(ctx, "x")),
				"metadata": errOf2(c.Metadata(ctx)), "create": errOf2(c.CreateRootKey(ctx, "n")), "import": errOf2(c.ImportRootKey(ctx, "n", make([]byte, 32))),
				"standard": errOf2(c.StandardKey(ctx, "k")),
			} {
				if err == nil {
					t.Errorf("%d %.40s: %s accepts it", s, a, name)
				}
			}
			c.RootKeys(ctx)
			c.Rotate(ctx, nil)
			if _, _, err := c.NewDEK(ctx); err == nil {
				t.Errorf("%d %.40s: accepted as a new key", s, a)
			}
		}
	}
	wr.Close()
	os.Stdout = old
	if text, _ := io.ReadAll(r); len(text) > 0 {
		t.Errorf("printed %q", text)
	}
}

// TestLocalChecks checks that invalid input never reaches the service.
func TestLocalChecks(t *testing.T) {
	w := start(t, "kms")
	ctx := context.Background()
	c := w.client(t, w.root)
	for _, plain := range []string{"", "not base64!", secretText + "\n", secretText[:20] + "\n" + secretText[20:], "QUI", strings.Repeat("A", 128<<10)} {
		_, err := c.Wrap(ctx, []byte(plain))
		if !errors.Is(err, wrap.ErrKey) || plain != "" && strings.Contains(err.Error(), strings.TrimSpace(plain)) {
			t.Errorf("%.20q: %v", plain, err)
		}
	}
	for _, wdek := range []string{"", "two words", "x\n", strings.Repeat("A", 128<<10)} {
		if _, err := c.Unwrap(ctx, wdek); !errors.Is(err, wrap.ErrWDEK) {
			t.Errorf("%.20q: %v", wdek, err)
		}
		if _, err := c.Rewrap(ctx, wdek); !errors.Is(err, wrap.ErrWDEK) {
			t.Errorf("%.20q: %v", wdek, err)
		}
	}
	if n := len(w.seen()); n != 0 {
		t.Errorf("%d requests went out", n)
	}
}

// TestSecretsStayOut has the service echo all that it received, with every status.
func TestSecretsStayOut(t *testing.T) {
	status := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var sent struct{ Plaintext []byte }
		json.Unmarshal(body, &sent)
		echo, _ := json.Marshal(string(body) + r.Header.Get("Authorization") + string(sent.Plaintext))
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"plaintext":%s,"ciphertext":%[1]s,"resources":[{"errorMsg":%[1]s,"reasons":[{"code":%[1]s,"message":%[1]s,"moreInfo":%[1]s}]}]}`, echo)
	}))
	defer server.Close()
	const token = "t0ken-t0ken-t0ken"
	c, err := keyprotect.New(keyprotect.Options{CRN: "crn:v1:bluemix:public:kms:us-south:a/acct:inst:key:k", Tokens: iam.Static(token), URL: server.URL, Retry: iam.Retry{Attempts: 1}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	material := bytes.Repeat([]byte("m4terial"), 4)
	for _, status = range []int{200, 201, 302, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503} {
		for _, err := range []error{
			errOf2(c.Wrap(ctx, []byte(secretText))), errOf2(c.Unwrap(ctx, "wrapped")), errOf2(c.Rewrap(ctx, "wrapped")), errOf2(c.Metadata(ctx)),
			errOf2(c.CreateRootKey(ctx, "n")), errOf2(c.ImportRootKey(ctx, "n", material)), c.Rotate(ctx, material), errOf2(c.RootKeys(ctx)),
		} {
			for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
				for _, secret := range []string{secretText, "a very secret", token, "m4terial", base64.StdEncoding.EncodeToString(material)} {
					if strings.Contains(text, secret) {
						t.Errorf("%d: %s", status, text)
					}
				}
			}
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(s, token) {
		t.Errorf("the client shows its token: %s", s)
	}
}
