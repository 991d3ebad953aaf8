package softlayer_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/audit"
	sandbox "github.com/luksimg/luksimg/ibm/sandbox/softlayer"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/internal/rest/resttest"
	"github.com/luksimg/luksimg/luks"
)

// The collaborators of the emulator in these tests: an IAM with one API key, a key
// service with real AES-GCM, and a folder as object storage.

const (
	user      = "SL1234"
	userKey   = "classic-api-key-SECRET"
	iamKey    = "iam-api-key-SECRET"
	rootCRN   = "crn:v1:bluemix:public:kms:us-south:a/acct:inst-1:key:root-1"
	root2CRN  = "crn:v1:bluemix:public:kms:us-south:a/acct:inst-1:key:root-2"
	londonCRN = "crn:v1:bluemix:public:kms:eu-gb:a/acct:inst-1:key:root-1"
)

type fakeIAM struct{}

func (fakeIAM) Exchange(_ context.Context, apiKey string) (string, string, error) {
	if apiKey != iamKey {
		return "", "", fmt.Errorf("BXNIM0415E: Provided API key %s could not be found", apiKey)
	}
	return "token-SECRET", "ServiceId-image", nil
}

type fakeKMS struct {
	mu         sync.Mutex
	keys       map[string]cipher.AEAD // by CRN
	authorized bool
	suspended  bool
	events     func(audit.Event)
}

func newKMS(t *testing.T) *fakeKMS {
	k := &fakeKMS{keys: make(map[string]cipher.AEAD), authorized: true}
	for _, crn := range []string{rootCRN, root2CRN, londonCRN} {
		var key [32]byte
		rand.Read(key[:])
		block, err := aes.NewCipher(key[:])
		if err != nil {
			t.Fatal(err)
		}
		if k.keys[crn], err = cipher.NewGCM(block); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func (k *fakeKMS) wrap(crn string, text []byte) string {
	nonce := make([]byte, 12)
	rand.Read(nonce)
	return base64.StdEncoding.EncodeToString(k.keys[crn].Seal(nonce, nonce, text, nil))
}

func (k *fakeKMS) set(authorized, suspended bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.authorized, k.suspended = authorized, suspended
}

func (k *fakeKMS) AuthorizationExists(_ context.Context, source, instance string) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.authorized && source == "server-protect" && instance == "inst-1", nil
}

func (k *fakeKMS) Unwrap(_ context.Context, identity, crn, wdek string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := audit.Event{Action: "kms.secrets.unwrap", Outcome: "success", ReasonCode: 200, Time: time.Now(),
		Initiator: audit.Party{Name: identity}, Target: audit.Party{ID: crn}}
	defer func() {
		if k.events != nil {
			k.events(e)
		}
	}()
	if k.suspended {
		e.Outcome, e.ReasonCode = "failure", 409
		return nil, errors.New("KEY_ACTION_INVALID_STATE_ERR: the key is suspended")
	}
	blob, err := base64.StdEncoding.DecodeString(wdek)
	if err != nil || len(blob) < 12 || k.keys[crn] == nil {
		return nil, errors.New("BAD_BODY_ERR")
	}
	text, err := k.keys[crn].Open(nil, blob[:12], blob[12:], nil)
	if err != nil {
		e.Outcome, e.ReasonCode = "failure", 422
		return nil, errors.New("UNPROCESSABLE_CIPHERTEXT_ERR: the provided ciphertext is invalid or corrupted")
	}
	return text, nil
}

// A folder implements object storage: REGION/BUCKET/OBJECT.
type folder struct {
	t    *testing.T
	path string
	size int64 // overrides the real size unless zero
}

func (f *folder) Open(_ context.Context, token, region, bucket, key string) (io.ReaderAt, int64, string, error) {
	if token != "token-SECRET" {
		return nil, 0, "", errors.New("AccessDenied")
	}
	b, err := os.ReadFile(filepath.Join(f.path, region, bucket, key))
	if err != nil {
		return nil, 0, "", errors.New("NoSuchKey: there is no " + key + " with " + token)
	}
	size := int64(len(b))
	if f.size != 0 {
		size = f.size
	}
	return bytes.NewReader(b), size, "etag", nil
}

func (f *folder) Put(_ context.Context, token, region, bucket, key string, r io.Reader, size int64) error {
	if token != "token-SECRET" {
		return errors.New("AccessDenied")
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if int64(len(b)) != size {
		return fmt.Errorf("%d bytes, not %d", len(b), size)
	}
	f.put(region+"/"+bucket+"/"+key, b)
	return nil
}

func (f *folder) put(name string, b []byte) {
	name = filepath.Join(f.path, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// A world is an emulator with its collaborators, and a client.
type world struct {
	t      *testing.T
	kms    *fakeKMS
	store  *folder
	srv    *sandbox.Server
	http   *httptest.Server
	client *softlayer.Client
	text   []byte // the data key, as base64
	plain  []byte // the disk

	mu     sync.Mutex
	events []audit.Event
}

func (w *world) sink(e audit.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

func newWorld(t *testing.T, change ...func(*sandbox.Options)) *world {
	w := &world{t: t, kms: newKMS(t), store: &folder{t: t, path: t.TempDir()}, plain: disk(4 << 20)}
	w.kms.events = w.sink
	cfg := sandbox.Options{
		Users: map[string]string{user: userKey}, Tokens: fakeIAM{}, KMS: w.kms, Store: w.store, Events: w.sink,
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if w.srv, err = sandbox.New(cfg); err != nil {
		t.Fatal(err)
	}
	w.http = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if ua := r.Header.Get("User-Agent"); ua != "luksimg" {
			t.Errorf("user agent %q", ua)
		}
		w.srv.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() { w.http.Close(); w.srv.Close() })
	w.client = w.newClient(userKey)
	var key [32]byte
	rand.Read(key[:])
	w.text = []byte(base64.StdEncoding.EncodeToString(key[:]))
	w.store.put("us-south/images/web.raw", w.luks(w.text))
	return w
}

func (w *world) newClient(key string) *softlayer.Client {
	c, err := softlayer.New(softlayer.Options{Endpoint: w.http.URL + "/rest/v3.1/", User: user, APIKey: key, Clock: resttest.NewClock(time.Now())})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// luks returns the disk encrypted like the profile classic-luks.
func (w *world) luks(passphrase []byte) []byte {
	var out bytes.Buffer
	e, err := luks.NewWriter(w.t.Context(), &out, passphrase, luks.Options{Version: 1, DataOffset: 2 << 20, GeneratedKey: true})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := e.Write(w.plain); err != nil {
		w.t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		w.t.Fatal(err)
	}
	return out.Bytes()
}

// disk returns a disk of size bytes with a partition that extends to its end.
func disk(size int) []byte {
	b := make([]byte, size)
	b[446+4] = 0x83
	binary.LittleEndian.PutUint32(b[446+8:], 2048)
	binary.LittleEndian.PutUint32(b[446+12:], uint32(size/512-2048))
	b[510], b[511] = 0x55, 0xaa
	return b
}

func (w *world) request() softlayer.ImportRequest {
	return softlayer.ImportRequest{
		Name: "web", Note: "run 1", OSCode: "UBUNTU_22_64", URI: "cos://us-south/images/web.raw", APIKey: iamKey,
		RootKeyCRN: rootCRN, WrappedDEK: w.kms.wrap(rootCRN, w.text), CloudInit: true, Encrypted: true,
	}
}

func (w *world) order(t *softlayer.Template) softlayer.OrderRequest {
	return softlayer.OrderRequest{
		Hostname: "web1", Domain: "example.com", CPUs: 2, MemoryMB: 4096, Datacenter: "dal13", Template: t.GlobalIdentifier,
		SSHKeys: []int{7}, UserData: "#cloud-config SECRET",
	}
}

// imported imports the image and waits until it is ready.
func (w *world) imported() *softlayer.Template {
	w.t.Helper()
	t, err := w.client.Import(w.t.Context(), w.request())
	if err != nil {
		w.t.Fatal(err)
	}
	w.srv.Wait()
	if t, err = w.client.WaitImport(w.t.Context(), t.ID, softlayer.WaitOptions{}); err != nil {
		w.t.Fatal(err)
	}
	return t
}

// slowClock is a clock whose waiters the test releases one at a time.
type slowClock struct{ waiting chan chan time.Time }

func (c *slowClock) Now() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

func (c *slowClock) After(time.Duration) <-chan time.Time {
	ch := make(chan time.Time, 1)
	c.waiting <- ch
	return ch
}

// hint returns the hint of an error.
func hint(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// noSecret fails the test if text contains a secret.
func noSecret(t *testing.T, what, text string) {
	t.Helper()
	if strings.Contains(text, "SECRET") {
		t.Errorf("secret in %s: %s", what, text)
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func unbase64(t *testing.T, text []byte) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
