package keyprotect_test

import (
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox/event"
	"github.com/luksimg/luksimg/ibm/sandbox/fault"
	"github.com/luksimg/luksimg/ibm/sandbox/kms"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

// world is the sandbox with an instance and a root key.
type world struct {
	*kms.Server
	faults   *fault.Set
	iamURL   string
	kmsURL   string
	apiKey   string
	tokens   *iam.Client
	instance string // CRNs
	root     string

	mu     sync.Mutex
	t      time.Time
	events []event.Event
	slept  []time.Duration
}

func (w *world) now() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.t }

func (w *world) advance(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.t = w.t.Add(d) }

func (w *world) retry() iam.Retry {
	return iam.Retry{Clock: w}
}

// Now and After make a world a clock that does not wait.
func (w *world) Now() time.Time { return w.now() }

func (w *world) After(d time.Duration) <-chan time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slept = append(w.slept, d)
	ch := make(chan time.Time, 1)
	ch <- w.t
	return ch
}

// seen returns the events since the last call.
func (w *world) seen() []event.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.events
	w.events = nil
	return e
}

func start(t testing.TB, service string) *world {
	t.Helper()
	w := &world{faults: &fault.Set{}, t: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	w.Server = kms.New(kms.Options{Now: w.now, Faults: w.faults, Events: func(e event.Event) {
		w.mu.Lock()
		w.events = append(w.events, e)
		w.mu.Unlock()
	}})
	serverIAM, serverKMS := httptest.NewServer(w.IAM()), httptest.NewServer(w.KeyProtect())
	t.Cleanup(serverIAM.Close)
	t.Cleanup(serverKMS.Close)
	w.iamURL, w.kmsURL = serverIAM.URL, serverKMS.URL
	_, w.apiKey = w.AddUser("owner")
	w.tokens = w.as(t, w.apiKey)
	w.instance = w.AddInstance(service, "us-south")
	root, err := w.AddRootKey(w.instance, "root")
	if err != nil {
		t.Fatal(err)
	}
	w.root = root
	return w
}

// as returns a token source for an API key.
func (w *world) as(t testing.TB, key string) *iam.Client {
	t.Helper()
	c, err := iam.New(iam.Options{URL: w.iamURL, APIKey: []byte(key), Retry: w.retry()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) client(t testing.TB, crn string) *keyprotect.Client {
	t.Helper()
	return w.with(t, keyprotect.Options{CRN: crn})
}

func (w *world) with(t testing.TB, o keyprotect.Options) *keyprotect.Client {
	t.Helper()
	o.URL, o.Retry = w.kmsURL, w.retry()
	if o.Tokens == nil {
		o.Tokens = w.tokens
	}
	c, err := keyprotect.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) arm(t testing.TB, f fault.Fault) {
	t.Helper()
	if err := w.faults.Arm(f); err != nil {
		t.Fatal(err)
	}
}
