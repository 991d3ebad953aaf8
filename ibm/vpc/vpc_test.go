package vpc_test

import (
	"bytes"
	"context"
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
	sandbox "github.com/luksimg/luksimg/ibm/sandbox/vpc"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/rest/resttest"
	"github.com/luksimg/luksimg/luks"
)

const (
	token   = "token-SECRET"
	rootCRN = "crn:v1:bluemix:public:kms:us-south:a/acct:inst-1:key:root-1"
)

type tokens string

func (s tokens) Token(context.Context) (rest.Token, error) {
	return rest.NewToken(string(s), time.Time{}), nil
}

type iam struct{}

func (iam) Identity(_ context.Context, t string) (string, error) {
	if t != token {
		return "", errors.New("no")
	}
	return "me@example.com", nil
}

// keys is a key service whose wrapped keys are names of plaintexts.
type keys struct {
	mu         sync.Mutex
	wrapped    map[string]string
	authorized bool
	err        error
}

func (k *keys) AuthorizationExists(_ context.Context, source, instance string) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.authorized && source == "server-protect" && instance == "inst-1", nil
}

func (k *keys) Unwrap(_ context.Context, identity, crn, wdek string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	text, ok := k.wrapped[crn+" "+wdek]
	if k.err != nil || !ok || identity != "server-protect" {
		return nil, cmpErr(k.err, errors.New("UNPROCESSABLE_CIPHERTEXT_ERR"))
	}
	return []byte(text), nil
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

type folder string

func (f folder) Open(_ context.Context, region, bucket, key string) (io.ReaderAt, int64, string, error) {
	b, err := os.ReadFile(filepath.Join(string(f), key))
	if region != "us-south" || bucket != "images" || err != nil {
		return nil, 0, "", errors.New("NoSuchKey")
	}
	return bytes.NewReader(b), int64(len(b)), "etag", nil
}

type world struct {
	t      *testing.T
	kms    *keys
	dir    string
	srv    *sandbox.Server
	http   *httptest.Server
	client *vpc.Client
	fault  func(w http.ResponseWriter, r *http.Request) bool // replaces the call
	after  func(w http.ResponseWriter, r *http.Request) bool // replaces the answer

	mu     sync.Mutex
	events []audit.Event
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), kms: &keys{authorized: true, wrapped: map[string]string{}}}
	var err error
	w.srv, err = sandbox.New(sandbox.Options{Tokens: iam{}, KMS: w.kms, Store: folder(w.dir), Events: func(e audit.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.http = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("generation") != "2" || r.URL.Query().Get("version") != vpc.DefaultVersion || r.Header.Get("X-Correlation-Id") != "corr-1" {
			t.Errorf("%s %v", r.URL, r.Header)
		}
		if w.fault != nil && w.fault(rw, r) {
			return
		}
		rec := httptest.NewRecorder()
		w.srv.ServeHTTP(rec, r)
		if w.after != nil && w.after(rw, r) {
			return
		}
		for name, v := range rec.Header() {
			rw.Header()[name] = v
		}
		rw.WriteHeader(rec.Code)
		rw.Write(rec.Body.Bytes())
	}))
	t.Cleanup(func() { w.http.Close(); w.srv.Close() })
	w.client = w.newClient(token)
	return w
}

func (w *world) newClient(t string) *vpc.Client {
	c, err := vpc.New(vpc.Options{Endpoint: w.http.URL, Tokens: tokens(t), CorrelationID: "corr-1", Clock: resttest.NewClock(time.Now())})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// put writes an object.
func (w *world) put(name string, b []byte) {
	if err := os.WriteFile(filepath.Join(w.dir, name), b, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// disk returns a disk with a boot sector.
func disk() []byte {
	b := make([]byte, 1<<20)
	b[510], b[511] = 0x55, 0xaa
	return b
}

// encrypted creates name, a qcow2 with LUKS inside whose first cluster holds raw.
func (w *world) encrypted(name, passphrase string, raw []byte) {
	w.t.Helper()
	const cluster = 64 << 10
	h, key, err := luks.New(context.Background(), []byte(passphrase), luks.Options{Version: 1, GeneratedKey: true})
	if err != nil {
		w.t.Fatal(err)
	}
	v, err := h.Volume(context.Background(), nil, 0, key)
	if err != nil {
		w.t.Fatal(err)
	}
	var header bytes.Buffer
	if _, err := h.WriteTo(&header); err != nil {
		w.t.Fatal(err)
	}
	const l1, l2, crypto = 3 * cluster, 4 * cluster, 5 * cluster
	data := crypto + (header.Len()+cluster-1)/cluster*cluster
	b := make([]byte, data+cluster)
	be := binary.BigEndian
	copy(b, "QFI\xfb")
	be.PutUint32(b[4:], 3)
	be.PutUint32(b[20:], 16)
	be.PutUint64(b[24:], uint64(len(raw)))
	be.PutUint32(b[32:], 2) // LUKS
	be.PutUint32(b[36:], 1)
	be.PutUint64(b[40:], l1)
	be.PutUint64(b[48:], cluster) // offset of the refcount table, which is not read
	be.PutUint32(b[56:], 1)
	be.PutUint32(b[96:], 4)
	be.PutUint32(b[100:], 104)
	be.PutUint32(b[104:], 0x0537be77) // full disk encryption header pointer
	be.PutUint32(b[108:], 16)
	be.PutUint64(b[112:], crypto)
	be.PutUint64(b[120:], uint64(header.Len()))
	be.PutUint64(b[cluster:], 2*cluster)
	be.PutUint64(b[l1:], l2|1<<63)
	be.PutUint64(b[l2:], uint64(data)|1<<63)
	copy(b[crypto:], header.Bytes())
	v.EncryptSectors(b[data:], raw[:cluster], int64(data)) // the IV is the offset in the file
	w.put(name, b)
}

// qemu creates name, a qcow2 with LUKS inside, with the documented commands.
func (w *world) qemu(name, passphrase string, raw []byte) {
	w.t.Helper()
	need.Program(w.t, "qemu-img")
	dir := w.t.TempDir()
	for file, b := range map[string][]byte{"raw": raw, "secret": []byte(passphrase)} {
		if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	need.Run(w.t, dir, "qemu-img", "create", "-q", "--object", "secret,id=s,file=secret", "-f", "qcow2", "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", "out", fmt.Sprint(len(raw)))
	need.Run(w.t, dir, "qemu-img", "convert", "--object", "secret,id=s,file=secret", "-n", "--image-opts", "driver=raw,file.filename=raw",
		"--target-image-opts", "driver=qcow2,encrypt.key-secret=s,file.filename=out")
	b, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.put(name, b)
}

func (w *world) wrap(name, text string) {
	w.kms.mu.Lock()
	defer w.kms.mu.Unlock()
	w.kms.wrapped[rootCRN+" "+name] = text
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func (w *world) request(file string) vpc.ImageRequest {
	return vpc.ImageRequest{Name: "web", URI: "cos://us-south/images/" + file, OperatingSystem: "ubuntu-22-04-amd64", RootKeyCRN: rootCRN, WrappedDEK: "wdek"}
}

func hint(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

func noSecret(t *testing.T, what string, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "SECRET") || strings.Contains(fmt.Sprintf("%v %+v", v, v), "SECRET") {
		t.Errorf("secret in %s: %s", what, text)
	}
}

func TestWholeWay(t *testing.T) {
	w := newWorld(t)
	w.encrypted("web.qcow2", "abc123-SECRET", disk())
	w.wrap("wdek", b64("abc123-SECRET"))
	img, err := w.client.CreateImage(t.Context(), w.request("web.qcow2"))
	if err != nil {
		t.Fatal(err)
	}
	w.srv.Wait()
	img, err = w.client.WaitImage(t.Context(), img.ID, vpc.WaitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if img.Status != "available" || img.Encryption != "user_managed" || img.EncryptionKey.CRN != rootCRN || img.MinimumSize != 10 || img.File.Size != 1 || img.CreatedAt.IsZero() {
		t.Errorf("%+v", img)
	}
	if _, err := w.client.CreateImage(t.Context(), w.request("web.qcow2")); !errors.Is(err, vpc.ErrExists) {
		t.Error(err)
	}
	order := vpc.InstanceRequest{Name: "web1", Image: img.ID, Zone: "us-south-1", Profile: "bx2-2x8", VPC: "v", Subnet: "s", SSHKeys: []string{"k"}, UserData: "SECRET"}
	noSecret(t, "the request", order.String())
	i, err := w.client.CreateInstance(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	w.srv.Wait()
	if i, err = w.client.WaitInstance(t.Context(), i.ID, vpc.WaitOptions{}); err != nil || i.Status != "running" {
		t.Fatalf("%+v, %v", i, err)
	}
	// Remove the file, restart the emulator, disable the key.
	if err := os.Remove(filepath.Join(w.dir, "web.qcow2")); err != nil {
		t.Fatal(err)
	}
	var saved bytes.Buffer
	if err := w.srv.Save(&saved); err != nil {
		t.Fatal(err)
	}
	noSecret(t, "the state", saved.String())
	if err := w.srv.Load(&saved); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"web2": nil, "web3": fmt.Errorf("409: %w", sandbox.ErrKeyDisabled)} {
		w.kms.err = err
		order.Name = name
		i, err := w.client.CreateInstance(t.Context(), order)
		if err != nil {
			t.Fatal(err)
		}
		w.srv.Wait()
		_, err = w.client.WaitInstance(t.Context(), i.ID, vpc.WaitOptions{})
		if (err == nil) != (w.kms.err == nil) || err != nil && (!errors.Is(err, vpc.ErrFailed) || !strings.Contains(hint(err), "enable the root key")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := audit.Chain(w.events, audit.Query{RootKeyCRN: rootCRN, ImageID: img.ID})
	if len(r.Steps) != 4 || len(r.Refusals) != 1 || r.Steps[0].Stage != audit.Import {
		t.Errorf("%+v", r.Steps)
	}
	noSecret(t, "events", w.events)
	if all, err := w.client.Instances(t.Context()); err != nil || len(all) != 3 {
		t.Errorf("%d instances, %v", len(all), err)
	}
}

func TestImageFails(t *testing.T) {
	w := newWorld(t)
	w.encrypted("web.qcow2", "abc123", disk())
	w.encrypted("base64.qcow2", b64("abc123"), disk())
	w.encrypted("noboot.qcow2", "abc123", make([]byte, 1<<20))
	w.put("noise.qcow2", bytes.Repeat([]byte("x"), 100000))
	whole, err := os.ReadFile(filepath.Join(w.dir, "web.qcow2"))
	if err != nil {
		t.Fatal(err)
	}
	w.put("cut.qcow2", whole[:len(whole)-(64<<10)])
	w.wrap("wdek", b64("abc123"))
	w.wrap("newline", b64("abc123\n"))
	w.wrap("other", b64("abc124"))
	w.wrap("text", "abc123!")
	n := 0
	for name, c := range map[string]struct {
		file, wdek string
		kms        error
		authorized bool
		code       string
		words      string // expected in the message of the service
	}{
		"newline":      {"web.qcow2", "newline", nil, true, "image_data_corrupted", "ends with a newline"},
		"base64":       {"base64.qcow2", "wdek", nil, true, "image_data_corrupted", "opens with the base64 text"},
		"other":        {"web.qcow2", "other", nil, true, "image_data_corrupted", "does not open with the wrapped"},
		"no base64":    {"web.qcow2", "text", nil, true, "encrypted_data_key_invalid", "not base64"},
		"other key":    {"web.qcow2", "none", nil, true, "encrypted_data_key_invalid", "UNPROCESSABLE_CIPHERTEXT_ERR"},
		"disabled":     {"web.qcow2", "wdek", sandbox.ErrKeyDisabled, true, "encryption_key_disabled", "disabled"},
		"deleted":      {"web.qcow2", "wdek", sandbox.ErrKeyDeleted, true, "encryption_key_deleted", "deleted"},
		"unauthorized": {"web.qcow2", "wdek", nil, false, "encrypted_data_key_invalid", "no authorization"},
		"noise":        {"noise.qcow2", "wdek", nil, true, "image_data_corrupted", "cannot be opened"},
		"cut off":      {"cut.qcow2", "wdek", nil, true, "image_data_corrupted", ""},
		"no boot":      {"noboot.qcow2", "wdek", nil, true, "image_data_corrupted", "boot"},
		"no file":      {"none.qcow2", "wdek", nil, true, "image_data_corrupted", "NoSuchKey"},
	} {
		t.Run(name, func(t *testing.T) {
			w.kms.err, w.kms.authorized = c.kms, c.authorized
			r := w.request(c.file)
			n++
			r.Name, r.WrappedDEK = fmt.Sprintf("image-%d", n), c.wdek
			img, err := w.client.CreateImage(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			w.srv.Wait()
			_, err = w.client.WaitImage(t.Context(), img.ID, vpc.WaitOptions{})
			var e *vpc.StatusError
			if !errors.As(err, &e) || !errors.Is(err, vpc.ErrFailed) || len(e.Reasons) != 1 {
				t.Fatal(err)
			}
			if e.Reasons[0].Code != c.code || !strings.Contains(e.Reasons[0].Message, c.words) || e.Hint() == "" || !strings.Contains(err.Error(), c.code) {
				t.Errorf("%v, %+v, hint %q", err, e.Reasons, e.Hint())
			}
			noSecret(t, "the error", e.Reasons)
			noSecret(t, "the error", err.Error())
		})
	}
}

// TestQEMU imports an image created by the documented commands.
func TestQEMU(t *testing.T) {
	w := newWorld(t)
	w.qemu("web.qcow2", "abc123", disk())
	w.wrap("wdek", b64("abc123"))
	img, err := w.client.CreateImage(t.Context(), w.request("web.qcow2"))
	if err != nil {
		t.Fatal(err)
	}
	w.srv.Wait()
	if _, err = w.client.WaitImage(t.Context(), img.ID, vpc.WaitOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestHints checks that known errors have advice.
func TestHints(t *testing.T) {
	for name, e := range map[string]*vpc.Error{
		"API key": {Status: 401}, "role Editor": {Status: 403}, "retry in a minute": {Status: 429}, "quota": {Status: 400, Code: "over_quota", Answered: true},
		"CRN of the root key": {Status: 400, Field: "encrypted_data_key"}, "cos://": {Status: 400, Field: "file.href"},
		"redirects": {Status: 307}, "request ID": {Status: 500}, "see https://x": {Status: 400, Advice: "see https://x"},
	} {
		if vpc.Advised(e); !strings.Contains(e.Hint(), name) {
			t.Errorf("%+v: %q", e, e.Hint())
		}
	}
	if h := (&vpc.Error{Status: 400}).Hint(); h != "" {
		t.Error(h)
	}
}

func TestExplain(t *testing.T) {
	for _, code := range []string{"encrypted_data_key_invalid", "encryption_key_deleted", "encryption_key_disabled", "image_data_corrupted",
		"image_provisioned_size_unsupported", "image_request_in_progress", "image_request_queued"} {
		if meaning, hint := vpc.Explain(code); meaning == code || meaning == "" || hint == "" {
			t.Errorf("%s: %q, %q", code, meaning, hint)
		}
	}
	if meaning, hint := vpc.Explain("new_code"); meaning != "new_code" || hint != "" {
		t.Error(meaning, hint)
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*vpc.ImageRequest){
		"name": func(r *vpc.ImageRequest) { r.Name = "" }, "system": func(r *vpc.ImageRequest) { r.OperatingSystem = "" },
		"address": func(r *vpc.ImageRequest) { r.URI = "s3://a/b/c.qcow2" }, "one key": func(r *vpc.ImageRequest) { r.RootKeyCRN = "" },
		"extension": func(r *vpc.ImageRequest) { r.URI = "cos://us-south/images/web.vhd" }, "newline": func(r *vpc.ImageRequest) { r.WrappedDEK += "\n" },
	} {
		r := w.request("web.qcow2")
		change(&r)
		var e *vpc.Error
		if _, err := w.client.CreateImage(t.Context(), r); err == nil || errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for field, change := range map[string]func(*vpc.ImageRequest){
		"operating_system":   func(r *vpc.ImageRequest) { r.OperatingSystem = "beos-5-amd64" },
		"file.href":          func(r *vpc.ImageRequest) { r.URI = "cos://eu-de/images/web.qcow2" },
		"encryption_key.crn": func(r *vpc.ImageRequest) { r.RootKeyCRN = strings.Replace(rootCRN, "us-south", "eu-de", 1) },
	} {
		r := w.request("web.qcow2")
		change(&r)
		_, err := w.client.CreateImage(t.Context(), r)
		var e *vpc.Error
		if !errors.As(err, &e) || e.Status != 400 || e.Field != field || e.Code != "bad_field" || e.RequestID == "" || e.CorrelationID != "corr-1" || e.Hint() == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := w.newClient("wrong-SECRET").Images(t.Context()); err == nil || !strings.Contains(hint(err), "API key") || strings.Contains(err.Error(), "SECRET") {
		t.Error(err)
	}
	if _, err := w.client.Image(t.Context(), "none/../x"); !errors.Is(err, vpc.ErrNotFound) {
		t.Error(err)
	}
	if _, err := w.client.Instance(t.Context(), "none"); !errors.Is(err, vpc.ErrNotFound) {
		t.Error(err)
	}
	if _, err := w.client.CreateInstance(t.Context(), vpc.InstanceRequest{Name: "x"}); err == nil {
		t.Error("instance without an image accepted")
	}
}

// TestLostAnswer breaks the connection or returns nonsense, before and after the call
// takes effect.
func TestLostAnswer(t *testing.T) {
	answers := map[string]func(http.ResponseWriter){
		"no answer": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"gateway":   func(w http.ResponseWriter) { w.WriteHeader(502); io.WriteString(w, "<html>") },
		"empty":     func(w http.ResponseWriter) { io.WriteString(w, "{}") },
		"cut off":   func(w http.ResponseWriter) { io.WriteString(w, `{"id":"r0`) },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			bad := func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method == "POST" {
					answer(rw)
				}
				return r.Method == "POST"
			}
			w.fault = bad
			if _, err := w.client.CreateImage(t.Context(), w.request("web.qcow2")); !errors.Is(err, vpc.ErrLost) || hint(err) == "" {
				t.Error(err)
			}
			w.fault, w.after = nil, bad
			img, err := w.client.CreateImage(t.Context(), w.request("web.qcow2"))
			if err != nil || img.ID == "" {
				t.Fatal(err)
			}
			w.srv.Wait()
			if all, err := w.client.Images(t.Context()); err != nil || len(all) != 1 || all[0].ID != img.ID {
				t.Errorf("%+v, %v", all, err)
			}
			w.after = nil
			if err := w.client.DeleteImage(t.Context(), img.ID); err != nil {
				t.Error(err)
			}
			if err := w.client.DeleteImage(t.Context(), img.ID); !errors.Is(err, vpc.ErrNotFound) {
				t.Error(err)
			}
			// The same with instances.
			w.encrypted("good.qcow2", "abc123", disk())
			w.wrap("wdek", b64("abc123"))
			if img, err = w.client.CreateImage(t.Context(), w.request("good.qcow2")); err != nil {
				t.Fatal(err)
			}
			w.srv.Wait()
			order := vpc.InstanceRequest{Name: "web1", Image: img.ID, Zone: "us-south-1", Profile: "bx2-2x8", VPC: "v", Subnet: "s"}
			w.fault = bad
			if _, err := w.client.CreateInstance(t.Context(), order); !errors.Is(err, vpc.ErrLost) || hint(err) == "" {
				t.Error(err)
			}
			w.fault, w.after = nil, bad
			i, err := w.client.CreateInstance(t.Context(), order)
			if err != nil || i.ID == "" {
				t.Fatal(err)
			}
			w.srv.Wait()
			if _, err := w.client.CreateInstance(t.Context(), order); !errors.Is(err, vpc.ErrExists) {
				t.Error(err)
			}
		})
	}
}

func TestWaiting(t *testing.T) {
	w := newWorld(t)
	status, reasons := "pending", `[{"code":"image_request_queued","message":"m"}]`
	polls, broken := 0, 3
	w.fault = func(rw http.ResponseWriter, r *http.Request) bool {
		if polls++; polls <= broken {
			rw.WriteHeader(503)
			return true
		}
		fmt.Fprintf(rw, `{"id":"i","name":"n","status":%q,"status_reasons":%s}`, status, reasons)
		return true
	}
	var seen []vpc.Progress
	_, err := w.client.WaitImage(t.Context(), "i", vpc.WaitOptions{Timeout: time.Minute, Progress: func(p vpc.Progress) { seen = append(seen, p) }})
	var e *vpc.StatusError
	if !errors.As(err, &e) || !errors.Is(err, vpc.ErrTimeout) || e.Elapsed != time.Minute || !strings.Contains(err.Error(), "image_request_queued") {
		t.Error(err)
	}
	if len(seen) != 7 || seen[0].Elapsed > 5*time.Second || seen[3].Status != "pending" || seen[3].Detail != "m" {
		t.Errorf("%+v", seen)
	}
	polls, broken = 0, 999
	if _, err := w.client.WaitImage(t.Context(), "i", vpc.WaitOptions{}); err == nil || polls != 60*5 {
		t.Errorf("%d polls, %v", polls, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("told to stop")
	broken = 0
	if _, err := w.client.WaitInstance(ctx, "i", vpc.WaitOptions{Progress: func(vpc.Progress) { cancel(why) }}); !errors.Is(err, why) {
		t.Error(err)
	}
}

// TestPages reads a list of many pages, and does not follow an address on another host.
func TestPages(t *testing.T) {
	w := newWorld(t)
	w.fault = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v1/images" || r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("%s", r.URL)
		}
		switch r.URL.Query().Get("start") {
		case "":
			io.WriteString(rw, `{"images":[{"id":"1","name":"a"}],"next":{"href":"https://elsewhere.example/v1/images?start=two&limit=1"}}`)
		case "two":
			io.WriteString(rw, `{"images":[{"id":"2","name":"b"}],"next":{"href":"/v1/images?start=three"}}`)
		default:
			io.WriteString(rw, `{"images":[{"id":"3","name":"c"}]}`)
		}
		return true
	}
	all, err := w.client.Images(t.Context())
	if err != nil || len(all) != 3 || all[2].ID != "3" {
		t.Errorf("%+v, %v", all, err)
	}
	w.fault = func(rw http.ResponseWriter, r *http.Request) bool {
		io.WriteString(rw, `{"images":[],"next":{"href":"/v1/images?start=again"}}`)
		return true
	}
	if _, err := w.client.Images(t.Context()); err == nil || !strings.Contains(err.Error(), "does not end") {
		t.Error(err)
	}
}

func TestNew(t *testing.T) {
	for _, c := range []vpc.Options{
		{}, {Region: "us-south"}, {Region: "x/../y", Tokens: tokens("")}, {Endpoint: "ftp://x", Tokens: tokens("")}, {Endpoint: "https://u:SECRET@x", Tokens: tokens("")},
	} {
		if _, err := vpc.New(c); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	c, err := vpc.New(vpc.Options{Region: "eu-de", Tokens: tokens("")})
	if err != nil || c.CorrelationID() == "" {
		t.Error(err)
	}
	if c, err := vpc.New(vpc.Options{Region: "eu-de", Network: "private", Tokens: tokens("")}); err != nil || c.Endpoint() != "https://eu-de.private.iaas.cloud.ibm.com" {
		t.Errorf("%v", err)
	}
}

func (f folder) Put(_ context.Context, region, bucket, key string, r io.Reader, _ int64) error {
	if region != "us-south" || bucket != "images" {
		return errors.New("NoSuchBucket")
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(string(f), key), b, 0o600)
}
