package iam_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox/fault"
	"github.com/luksimg/luksimg/ibm/sandbox/kms"
)

// clock is a clock that tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

// Now and After implement a clock without real waiting.
func (c *clock) Now() time.Time { return c.now() }

func (c *clock) After(time.Duration) <-chan time.Time {
	ch := make(chan time.Time, 1)
	ch <- c.now()
	return ch
}

func (c *clock) now() time.Time          { c.mu.Lock(); defer c.mu.Unlock(); return c.t }
func (c *clock) advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

// world is a sandbox with one user and a client of that user.
type world struct {
	*kms.Server
	*clock
	faults *fault.Set
	url    string
	key    string
	client *iam.Client

	mu     sync.Mutex
	tokens int // number of token requests
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{clock: &clock{t: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}, faults: &fault.Set{}}
	w.Server = kms.New(kms.Options{Now: w.now, Faults: w.faults})
	h := w.IAM()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/token") {
			w.mu.Lock()
			w.tokens++
			w.mu.Unlock()
		}
		h.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	_, w.key = w.AddUser("owner")
	w.client = w.as(t, w.key)
	return w
}

func (w *world) as(t *testing.T, key string) *iam.Client {
	t.Helper()
	c, err := iam.New(iam.Options{URL: w.url, APIKey: []byte(key + "\n"), Retry: iam.Retry{Clock: w.clock}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) asked() int { w.mu.Lock(); defer w.mu.Unlock(); return w.tokens }

func (w *world) arm(t *testing.T, f fault.Fault) {
	t.Helper()
	if err := w.faults.Arm(f); err != nil {
		t.Fatal(err)
	}
}

func Example() {
	sandbox := kms.New(kms.Options{})
	_, key := sandbox.AddUser("me")
	server := httptest.NewServer(sandbox.IAM())
	defer server.Close()

	client, err := iam.New(iam.Options{URL: server.URL, APIKey: []byte(key)}) // without URL for the real service
	if err != nil {
		panic(err)
	}
	token, err := client.Token(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Println(token, strings.HasPrefix(token.Header(), "Bearer "))
	// Output: iam.Token(redacted) true
}

func TestTokenIsKeptAndRenewed(t *testing.T) {
	w := start(t)
	ctx := context.Background()
	token := func() iam.Token {
		t.Helper()
		k, err := w.client.Token(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := token()
	if id, err := w.Identify(first.Header()); err != nil || id.Name != "owner" {
		t.Errorf("%+v, %v", id, err)
	}
	if want := w.now().Add(time.Hour); !first.Expiry.Equal(want) {
		t.Errorf("expires %v, want %v", first.Expiry, want)
	}
	w.advance(54 * time.Minute)
	if token() != first || w.asked() != 1 {
		t.Errorf("not kept for 54 minutes: asked %d times", w.asked())
	}
	w.advance(time.Minute)
	second := token()
	if second == first || w.asked() != 2 {
		t.Errorf("not renewed five minutes before its end: asked %d times", w.asked())
	}

	// While IAM is unavailable, the old token is used until it expires.
	w.advance(56 * time.Minute)
	w.arm(t, fault.Fault{Status: 503, Count: -1})
	if token() != second {
		t.Error("valid token not used while IAM is unavailable")
	}
	w.advance(5 * time.Minute)
	if _, err := w.client.Token(ctx); !errors.Is(err, iam.ErrUnavailable) || errors.Is(err, iam.ErrRefused) {
		t.Errorf("expired token while IAM is unavailable: %v", err)
	}
	w.faults.Clear()
	third := token()
	w.client.Drop(second) // an old token
	if token() != third {
		t.Error("dropping an old token drops the new one")
	}
	w.client.Drop(third)
	if token() == third {
		t.Error("dropped token returned again")
	}
}

// TestOneRefresh checks that concurrent callers share one request.
func TestOneRefresh(t *testing.T) {
	release := make(chan struct{})
	arrived := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		io.WriteString(w, `{"access_token":"shared.token","token_type":"Bearer","expires_in":3600}`)
	}))
	defer server.Close()
	c, err := iam.New(iam.Options{URL: server.URL, APIKey: []byte("key")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	impatient := make(chan error, 1)
	go func() { _, err := c.Token(ctx); impatient <- err }()
	<-arrived // its request is running
	const n = 20
	var begun, done sync.WaitGroup
	begun.Add(n)
	done.Add(n)
	for range n {
		go func() {
			defer done.Done()
			begun.Done()
			k, err := c.Token(context.Background())
			if err != nil || k.Header() != "Bearer shared.token" {
				t.Errorf("%s, %v", k.Header(), err)
			}
		}()
	}
	begun.Wait()
	close(release)
	done.Wait()
	cancel()
	<-impatient
	if len(arrived) != 0 {
		t.Errorf("%d additional requests", len(arrived))
	}
}

// TestCancelledWaiter checks that a cancelled caller returns at once without affecting the next one.
func TestCancelledWaiter(t *testing.T) {
	arrived := make(chan struct{}, 10)
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
			return
		}
		io.WriteString(w, `{"access_token":"t","token_type":"Bearer","expires_in":60}`)
	}))
	defer server.Close()
	c, err := iam.New(iam.Options{URL: server.URL, APIKey: []byte("key")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan error)
	go func() { _, err := c.Token(ctx); got <- err }()
	<-arrived
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	close(release)
	if k, err := c.Token(context.Background()); err != nil || k.IsZero() {
		t.Errorf("the next: %v", err)
	}
}

func TestBadCredentials(t *testing.T) {
	w := start(t)
	const secret = "wrong-key-0123456789"
	_, err := w.as(t, secret).Token(context.Background())
	var e *iam.Error
	if !errors.As(err, &e) || e.Code != "BXNIM0415E" || e.Status != 400 || e.RequestID == "" || !errors.Is(err, iam.ErrAuth) || !errors.Is(err, iam.ErrRefused) {
		t.Fatalf("%v", err)
	}
	if strings.Contains(err.Error(), secret) || !strings.Contains(e.Hint(), "does not exist") {
		t.Errorf("%v; %s", err, e.Hint())
	}
	for _, key := range []string{"", " \n", "two words", "übel"} {
		if _, err := iam.New(iam.Options{APIKey: []byte(key)}); !errors.Is(err, iam.ErrAuth) {
			t.Errorf("%q: %v", key, err)
		}
	}
	if _, err := iam.New(iam.Options{APIKey: []byte(secret), URL: "http://iam.cloud.ibm.com"}); err == nil {
		t.Error("API key over plain HTTP accepted")
	}
	if _, err := iam.Static(" ").Token(context.Background()); !errors.Is(err, iam.ErrAuth) {
		t.Errorf("an empty token: %v", err)
	}
	if k, err := iam.Static("bearer abc").Token(context.Background()); err != nil || k.Header() != "Bearer abc" {
		t.Errorf("%s, %v", k.Header(), err)
	}
}

// TestRefusedTokenIsRenewed uses a token that IAM considers expired and the local clock does not.
func TestRefusedTokenIsRenewed(t *testing.T) {
	w := start(t)
	ctx := context.Background()
	if _, err := w.client.Token(ctx); err != nil {
		t.Fatal(err)
	}
	w.arm(t, fault.Fault{Path: "/v1/**", TokenExpired: true})
	if _, err := w.client.ServiceIDs(ctx, w.Account(), ""); err != nil || w.asked() != 2 {
		t.Errorf("%v after %d tokens", err, w.asked())
	}
	w.arm(t, fault.Fault{Path: "/v1/**", TokenExpired: true, Count: -1})
	_, err := w.client.ServiceIDs(ctx, w.Account(), "")
	var e *iam.Error
	if !errors.As(err, &e) || !errors.Is(err, iam.ErrAuth) || e.Hint() == "" || w.asked() != 3 {
		t.Errorf("%v after %d tokens", err, w.asked())
	}
}

func TestRetries(t *testing.T) {
	w := start(t)
	ctx := context.Background()
	w.arm(t, fault.Fault{Status: 429, RetryAfter: "1", Count: 2})
	w.arm(t, fault.Fault{Drop: true})
	if _, err := w.client.Token(ctx); err != nil || w.faults.Hits() != 3 {
		t.Errorf("a token after two 429 and a dropped connection: %v, %d hits", err, w.faults.Hits())
	}
	// A creating call is not sent twice, since the first may have taken effect.
	w.arm(t, fault.Fault{Method: "POST", Path: "/v1/serviceids", DropAfter: true})
	if _, err := w.client.CreateServiceID(ctx, w.Account(), "once", ""); !errors.Is(err, iam.ErrUnavailable) {
		t.Errorf("an answer lost: %v", err)
	}
	if ids, err := w.client.ServiceIDs(ctx, w.Account(), "once"); err != nil || len(ids) != 1 {
		t.Errorf("%d made, %v", len(ids), err)
	}
	w.arm(t, fault.Fault{Status: 200, Body: `{"errorCode":"X"}`})
	if _, err := w.as(t, w.key).Token(ctx); !errors.Is(err, iam.ErrUnavailable) {
		t.Errorf("200 without a token: %v", err)
	}
	w.arm(t, fault.Fault{Status: 302, Body: ``})
	if _, err := w.as(t, w.key).Token(ctx); !errors.Is(err, iam.ErrRefused) {
		t.Errorf("redirected: %v", err)
	}
}

// TestSetup creates everything that importing an encrypted image needs, like the verb setup.
func TestSetup(t *testing.T) {
	w := start(t)
	ctx := context.Background()
	self, err := w.client.Self(ctx)
	if err != nil || self.AccountID != w.Account() {
		t.Fatalf("%+v, %v", self, err)
	}
	account := self.AccountID
	id, err := w.client.CreateServiceID(ctx, account, "importer", "reads images")
	if err != nil || !strings.HasPrefix(id.IAMID, "iam-ServiceId-") || id.AccountID != account {
		t.Fatalf("%+v, %v", id, err)
	}
	key, err := w.client.CreateAPIKey(ctx, account, id.IAMID, "importer's key", "")
	if err != nil || len(key.Value) == 0 {
		t.Fatalf("%v", err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		if s := fmt.Sprintf(verb, key); strings.Contains(s, string(key.Value)) || strings.Contains(s, fmt.Sprintf("%x", []byte(key.Value))) {
			t.Errorf("%s shows the API key: %s", verb, s)
		}
	}
	if _, err := json.Marshal(key); err == nil {
		t.Error("API key encoded as JSON")
	}
	who, err := w.Exchange(string(key.Value))
	if err != nil || who.IAMID != id.IAMID || who.Kind != kms.KindServiceID {
		t.Errorf("%+v, %v", who, err)
	}

	instance := "11111111-2222-3333-4444-555555555555"
	read := iam.Access(account, id.IAMID, iam.KeyProtect, instance, iam.RoleReader)
	auth := iam.Authorization(account, iam.BlockStorage, iam.KeyProtect, instance)
	for _, p := range []iam.Policy{read, auth} {
		if _, ok, err := w.client.FindPolicy(ctx, account, p); ok || err != nil {
			t.Errorf("%s: exists before its creation: %v", p.Type, err)
		}
		made, err := w.client.CreatePolicy(ctx, p)
		if err != nil || made.ID == "" || made.State != "active" {
			t.Fatalf("%s: %+v, %v", p.Type, made, err)
		}
		found, ok, err := w.client.FindPolicy(ctx, account, p)
		if err != nil || !ok || found.ID != made.ID {
			t.Errorf("%s: not found: %+v, %v", p.Type, found, err)
		}
		_, err = w.client.CreatePolicy(ctx, p)
		var e *iam.Error
		if !errors.As(err, &e) || e.Status != 409 || e.Code != "policy_conflict_error" || !errors.Is(err, iam.ErrRefused) {
			t.Errorf("%s twice: %v", p.Type, err)
		}
	}
	if !w.Allowed(who, "kms", instance, kms.Reader) || w.Allowed(who, "kms", instance, kms.Writer) || w.Allowed(who, "kms", "other", kms.Reader) || w.Allowed(who, "cloud-object-storage", instance, kms.Reader) {
		t.Error("the service ID has additional permissions")
	}
	if !w.Authorized("server-protect", account, "kms", instance) || w.Authorized("server-protect", account, "kms", "other") || w.Authorized("is", account, "kms", instance) {
		t.Error("the authorization has additional permissions")
	}
	// A service ID has no permission for any of this.
	_, err = w.as(t, string(key.Value)).CreatePolicy(ctx, iam.Access(account, id.IAMID, iam.KeyProtect, "", iam.RoleWriter))
	var e *iam.Error
	if !errors.As(err, &e) || !errors.Is(err, iam.ErrDenied) || !errors.Is(err, iam.ErrRefused) || e.Hint() == "" {
		t.Errorf("a service ID grants itself permissions: %v", err)
	}
	keys, err := w.client.APIKeys(ctx, account, id.IAMID)
	if err != nil || len(keys) != 1 || keys[0].ID != key.ID {
		t.Errorf("%+v, %v", keys, err)
	}
}

// TestPages lists more than one page of 100.
func TestPages(t *testing.T) {
	w := start(t)
	ctx := context.Background()
	for i := range 250 {
		if _, err := w.client.CreateServiceID(ctx, w.Account(), fmt.Sprint("id", i), ""); err != nil {
			t.Fatal(err)
		}
	}
	all, err := w.client.ServiceIDs(ctx, w.Account(), "")
	if err != nil || len(all) != 250 || all[249].Name != "id249" {
		t.Errorf("%d, %v", len(all), err)
	}
	one, err := w.client.ServiceIDs(ctx, w.Account(), "id17")
	if err != nil || len(one) != 1 || one[0].Name != "id17" {
		t.Errorf("%+v, %v", one, err)
	}
}

// TestNextPageElsewhere uses next-page addresses on another host, in a cycle, and without a token.
func TestNextPageElsewhere(t *testing.T) {
	for _, next := range []string{"https://evil.example/x", "https://evil.example/x?pagetoken=same", ":"} {
		requests := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests++
			if r.URL.Path == "/identity/token" {
				io.WriteString(w, `{"access_token":"t","token_type":"Bearer","expires_in":3600}`)
				return
			}
			fmt.Fprintf(w, `{"serviceids":[{"id":"1"}],"next":%q}`, next)
		}))
		c, err := iam.New(iam.Options{URL: server.URL, APIKey: []byte("key")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.ServiceIDs(context.Background(), "a", ""); !errors.Is(err, iam.ErrUnavailable) || requests > 4 {
			t.Errorf("%s: %v after %d requests", next, err, requests)
		}
		server.Close()
	}
}

func TestCovers(t *testing.T) {
	want := iam.Authorization("a", "server-protect", "kms", "i")
	wider := iam.Authorization("a", "server-protect", "kms", "")
	other := iam.Authorization("a", "server-protect", "kms", "j")
	off := want
	off.State = "deleted"
	more := want
	more.Roles = []iam.Role{{ID: iam.RoleWriter}, {ID: iam.RoleReader}}
	like := iam.Authorization("a", "server-protect", "kms", "i")
	like.Resources[0].Attributes[0].Operator = "stringMatch"
	for name, c := range map[string]struct {
		p    iam.Policy
		want bool
	}{
		"the same": {want, true}, "wider": {wider, true}, "another instance": {other, false}, "off": {off, false}, "more roles": {more, true},
		"another service": {iam.Authorization("a", "is", "kms", "i"), false}, "another account": {iam.Authorization("b", "server-protect", "kms", "i"), false},
		"a pattern": {like, false}, "nothing": {iam.Policy{Type: "authorization"}, false},
		"access": {iam.Access("a", "x", "kms", "i", iam.RoleReader), false},
	} {
		if c.p.Covers(want) != c.want {
			t.Errorf("%s: %v", name, !c.want)
		}
	}
	if want.Covers(wider) {
		t.Error("one instance covers all")
	}
}

// TestSecretsStayOut uses an IAM that repeats everything it received.
func TestSecretsStayOut(t *testing.T) {
	const secret = "s3cr3t-api-key-value"
	status := 400
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/identity/token" && status != 400 {
			io.WriteString(w, `{"access_token":"t0ken-t0ken","token_type":"Bearer","expires_in":3600}`)
			return
		}
		body, _ := io.ReadAll(r.Body)
		text, _ := json.Marshal(string(body) + " " + r.Header.Get("Authorization") + " " + r.Header.Get("Iam-Apikey"))
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errorCode":%s,"errorMessage":%s,"context":{"requestId":%s}}`, text, text, text)
	}))
	defer server.Close()
	c, err := iam.New(iam.Options{URL: server.URL, APIKey: []byte(secret), Retry: iam.Retry{Attempts: 1}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	check := func(err error) {
		t.Helper()
		for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
			if err == nil || strings.Contains(text, secret) || strings.Contains(text, "t0ken") {
				t.Errorf("%s", text)
			}
		}
	}
	_, err = c.Token(ctx)
	check(err)
	for _, status = range []int{401, 403, 404, 500} {
		_, err = c.Self(ctx)
		check(err)
		_, err = c.CreateServiceID(ctx, "a", "n", "d")
		check(err)
	}
	token, err := c.Token(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{c, *new(iam.Options), token, &token, iam.Static("t0ken-t0ken")} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, secret) || strings.Contains(s, "t0ken") {
				t.Errorf("%s of %T: %s", verb, v, s)
			}
		}
	}
	if _, err := json.Marshal(token); err == nil {
		t.Error("token encoded as JSON")
	}
}

// TestPrivate checks that IAM has another address on the private network.
func TestPrivate(t *testing.T) {
	c, err := iam.New(iam.Options{APIKey: []byte("key"), Network: "private"})
	if err != nil || !strings.Contains(c.String(), "https://private.iam.cloud.ibm.com") {
		t.Errorf("%v, %v", c, err)
	}
}
