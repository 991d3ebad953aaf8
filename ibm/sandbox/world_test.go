package sandbox_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/ibm/sandbox/fault"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

const bucket = "images"

// A world is a sandbox with its real clients.
type world struct {
	*sandbox.Sandbox
	t *testing.T
	sandbox.Settings
	iam   *iam.Client
	kp    *keyprotect.Client
	cos   *cos.Client
	sl    *softlayer.Client
	vpc   *vpc.Client
	logs  *audit.Client
	plain []byte // plaintext disk

	ahead    atomic.Int64 // offset of the sandbox clock, a time.Duration
	imports  int
	material []byte // the data key in its file format
	wdek     string
	secrets  [][]byte // all secrets used so far
}

// ready returns a sandbox after setup.
func ready(t *testing.T) *world {
	return start(t, sandbox.Options{Bucket: bucket, Authorize: true})
}

func start(t *testing.T, o sandbox.Options) *world {
	t.Helper()
	w := &world{t: t, plain: disk(4 << 20)}
	if o.Now == nil {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
	}
	s, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w.Sandbox, w.Settings = s, s.Settings()
	w.iam = w.identity(w.APIKey)
	w.kp = w.root(w.RootKey)
	if w.cos, err = cos.New(cos.Options{Endpoint: w.COS, Tokens: w.iam, ServiceInstanceID: w.COSInstance, Clock: fastClock{}}); err != nil {
		t.Fatal(err)
	}
	if w.sl, err = softlayer.New(softlayer.Options{Endpoint: w.Settings.SoftLayer, User: w.User, APIKey: w.UserKey, Clock: fastClock{}, Settle: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if w.vpc, err = vpc.New(vpc.Options{Endpoint: w.VPC, Tokens: w.iam, Clock: fastClock{}, Settle: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if w.logs, err = audit.NewClient(audit.ClientOptions{Endpoint: w.Logs, Tokens: w.iam, Clock: fastClock{}}); err != nil {
		t.Fatal(err)
	}
	return w
}

var quick = iam.Retry{Clock: fastClock{}}

func (w *world) identity(key string) *iam.Client {
	w.t.Helper()
	c, err := iam.New(iam.Options{URL: w.IAM, APIKey: []byte(key), Retry: quick})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// root returns a client of a root key, or of the instance.
func (w *world) root(crn string) *keyprotect.Client {
	w.t.Helper()
	c, err := keyprotect.New(keyprotect.Options{CRN: crn, Tokens: w.iam, URL: w.Settings.KMS, Retry: quick})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// fastClock is a clock without long waits.
type fastClock struct{}

func (fastClock) Now() time.Time { return time.Now() }

func (fastClock) After(time.Duration) <-chan time.Time { return time.After(time.Millisecond) }

// disk returns a disk of size bytes with a partition that extends to its end.
func disk(size int) []byte {
	b := make([]byte, size)
	b[446+4] = 0x83
	binary.LittleEndian.PutUint32(b[446+8:], 2048)
	binary.LittleEndian.PutUint32(b[446+12:], uint32(size/512-2048))
	b[510], b[511] = 0x55, 0xaa
	copy(b[2<<20:], "a file of the server")
	return b
}

type source struct{ *bytes.Reader }

func (s source) Size() int64 { return s.Reader.Size() }

// encrypt returns the disk encrypted with a new key, and stores the wrapped key in
// w.wdek.
func (w *world) encrypt(p luksimg.Profile) []byte {
	w.t.Helper()
	c := wrap.Convention(p)
	size := wrap.Size32
	if p == luksimg.ClassicVHD {
		size = wrap.Size(64)
	}
	dek, err := wrap.NewDEK(size)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.material, err = c.Material(dek); err != nil {
		w.t.Fatal(err)
	}
	keys, err := c.Keys(w.material)
	if err != nil {
		w.t.Fatal(err)
	}
	w.secrets = append(w.secrets, bytes.Clone(dek), bytes.Clone(w.material), bytes.Clone(keys.Disk), bytes.Clone(keys.Plaintext))
	w.wrapped(keys.Plaintext)
	return w.seal(keys.Disk, luksimg.EncryptOptions{Profile: p})
}

// wrapped wraps text with the root key.
func (w *world) wrapped(text []byte) {
	w.t.Helper()
	var err error
	if w.wdek, err = w.kp.Wrap(w.t.Context(), text); err != nil {
		w.t.Fatal(err)
	}
}

// seal returns the disk encrypted with the given passphrase.
func (w *world) seal(key []byte, o luksimg.EncryptOptions) []byte {
	w.t.Helper()
	name := filepath.Join(w.t.TempDir(), "image")
	f, err := os.Create(name)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	if _, err := luksimg.Encrypt(w.t.Context(), f, source{bytes.NewReader(w.plain)}, key, o); err != nil {
		w.t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// upload uploads an image to the bucket, and returns its address.
func (w *world) upload(name string, image []byte) string {
	w.t.Helper()
	o := cos.Object{Region: sandbox.Region, Bucket: bucket, Key: name}
	if _, err := w.cos.Upload(w.t.Context(), o, bytes.NewReader(image), int64(len(image)), cos.UploadOptions{PartSize: cos.MinPart}); err != nil {
		w.t.Fatal(err)
	}
	return o.String()
}

func (w *world) request(uri string) softlayer.ImportRequest {
	w.imports++
	return softlayer.ImportRequest{
		Name: fmt.Sprintf("web%d", w.imports), OSCode: "UBUNTU_22_64", URI: uri, APIKey: w.APIKey, RootKeyCRN: w.RootKey, WrappedDEK: w.wdek, CloudInit: true, Encrypted: true,
	}
}

// classic imports an image into classic infrastructure, and returns the error.
func (w *world) classic(r softlayer.ImportRequest) (*softlayer.Template, error) {
	w.t.Helper()
	t, err := w.sl.Import(w.t.Context(), r)
	if err != nil {
		return nil, err
	}
	return w.sl.WaitImport(w.t.Context(), t.ID, softlayer.WaitOptions{})
}

// order orders a server from a template, and returns the error.
func (w *world) order(t *softlayer.Template) (*softlayer.Guest, error) {
	w.t.Helper()
	g, err := w.sl.Order(w.t.Context(), softlayer.OrderRequest{
		Hostname: "web1", Domain: "example.com", CPUs: 2, MemoryMB: 4096, Datacenter: "dal13", Template: t.GlobalIdentifier, UserData: "#cloud-config",
	})
	if err != nil {
		return nil, err
	}
	return w.sl.WaitOrder(w.t.Context(), g.ID, softlayer.WaitOptions{})
}

// vpcImage imports an image into VPC, and returns the error.
func (w *world) vpcImage(uri string) (*vpc.Image, error) {
	w.t.Helper()
	i, err := w.vpc.CreateImage(w.t.Context(), vpc.ImageRequest{
		Name: "web", URI: uri, OperatingSystem: "ubuntu-22-04-amd64", RootKeyCRN: w.RootKey, WrappedDEK: w.wdek,
	})
	if err != nil {
		return nil, err
	}
	return w.vpc.WaitImage(w.t.Context(), i.ID, vpc.WaitOptions{})
}

// events returns the events from the query service of the sandbox.
func (w *world) events() []audit.Event {
	w.t.Helper()
	e, skipped, err := w.logs.Query(w.t.Context(), audit.QueryRequest{})
	if err != nil || skipped.Records != 0 || skipped.NoTime != 0 {
		w.t.Fatalf("%+v, %v", skipped, err)
	}
	return e
}

// refused fails unless an import was refused at a step with these words.
func refused(t *testing.T, err error, step string, words ...string) {
	t.Helper()
	if !errors.Is(err, softlayer.ErrFailed) {
		t.Errorf("%v, want a failed transaction", err)
		return
	}
	for _, word := range append(words, step+"_FAILED") {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v: want %q", err, word)
		}
	}
}

func (w *world) arm(f fault.Fault) {
	w.t.Helper()
	if err := w.Faults().Arm(f); err != nil {
		w.t.Fatal(err)
	}
}

// get returns the body at an address of the sandbox.
func get(t *testing.T, url string) []byte {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("%s: %s, %v", url, r.Status, err)
	}
	return b
}
