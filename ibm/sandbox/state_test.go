package sandbox_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/ibm/sandbox/fault"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
)

func (w *world) close() {
	w.t.Helper()
	if err := w.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// TestRestart does half of the workflow, and the rest in another sandbox with the same folder.
func TestRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	w := start(t, sandbox.Options{Dir: dir, Bucket: bucket, Authorize: true})
	image := w.encrypt(luksimg.ClassicLUKS)
	uri := w.upload("web.raw", image)
	template, err := w.classic(w.request(uri))
	if err != nil {
		t.Fatal(err)
	}
	before, wdek := w.Settings, w.wdek
	w.close()

	w = start(t, sandbox.Options{Dir: dir})
	now := w.Settings
	for _, p := range []struct{ have, want string }{
		{now.APIKey, before.APIKey}, {now.UserKey, before.UserKey}, {now.User, before.User}, {now.RootKey, before.RootKey},
		{now.SecretAccessKey, before.SecretAccessKey}, {now.Account, before.Account}, {now.COSInstance, before.COSInstance},
	} {
		if p.have != p.want || p.have == "" {
			t.Errorf("%q after a restart, was %q", p.have, p.want)
		}
	}
	if _, err := w.order(template); err != nil {
		t.Fatal(err)
	}
	w.whole(template.GlobalIdentifier, "")
	o, err := cos.ParseURI(uri)
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.cos.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, r.Size())
	if _, err := r.ReadAt(got, 0); err != nil && err != io.EOF || !bytes.Equal(got, image) {
		t.Errorf("the object differs: %v", err)
	}
	w.wdek, w.imports = wdek, 10
	if _, err := w.classic(w.request(uri)); err != nil {
		t.Error(err)
	}
}

// TestInterrupted stops a sandbox while an import, an order and a VPC image are
// running. Afterwards they must have failed with a helpful message, and a repetition must work.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	w := start(t, sandbox.Options{Dir: dir, Bucket: bucket, Authorize: true})
	uri := w.upload("web.raw", w.encrypt(luksimg.ClassicLUKS))
	classic := w.wdek
	template, err := w.classic(w.request(uri))
	if err != nil {
		t.Fatal(err)
	}
	qcow := w.upload("web.qcow2", w.encrypt(luksimg.VPCQCOW2))
	w.close()

	w = start(t, sandbox.Options{Dir: dir, StepTime: time.Hour})
	w.imports = 10
	r := w.request(uri)
	r.WrappedDEK, r.Note = classic, "run 1"
	under, err := w.sl.Import(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	guest, err := w.sl.Order(t.Context(), softlayer.OrderRequest{Hostname: "web1", Domain: "example.com", CPUs: 2, MemoryMB: 4096, Datacenter: "dal13", Template: template.GlobalIdentifier})
	if err != nil {
		t.Fatal(err)
	}
	w.wdek = classic
	image, err := w.vpc.CreateImage(t.Context(), vpc.ImageRequest{Name: "web", URI: qcow, OperatingSystem: "ubuntu-22-04-amd64", RootKeyCRN: w.RootKey, WrappedDEK: w.wdek})
	if err != nil {
		t.Fatal(err)
	}
	w.close()

	w = start(t, sandbox.Options{Dir: dir})
	const words = "the emulator was stopped: import or order again"
	if _, err := w.sl.WaitImport(t.Context(), under.ID, softlayer.WaitOptions{}); !errors.Is(err, softlayer.ErrFailed) || !strings.Contains(err.Error(), words) {
		t.Error(err)
	}
	if _, err := w.sl.WaitOrder(t.Context(), guest.ID, softlayer.WaitOptions{}); !errors.Is(err, softlayer.ErrFailed) || !strings.Contains(err.Error(), words) {
		t.Error(err)
	}
	if _, err := w.vpc.WaitImage(t.Context(), image.ID, vpc.WaitOptions{}); !errors.Is(err, vpc.ErrFailed) || !strings.Contains(err.Error(), "The emulator was stopped") {
		t.Error(err)
	}
	if _, err := w.sl.Import(t.Context(), r); !errors.Is(err, softlayer.ErrFailed) {
		t.Errorf("the same import again: %v", err)
	}
	if err := w.sl.Delete(t.Context(), under.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.classic(r); err != nil {
		t.Error(err)
	}
}

// TestKilled starts a sandbox with the folder of a killed one.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	w := start(t, sandbox.Options{Dir: dir, Bucket: bucket, Authorize: true})
	kept := w.upload("kept.raw", w.encrypt(luksimg.ClassicLUKS))
	if err := w.Save(); err != nil {
		t.Fatal(err)
	}
	w.upload("later.raw", []byte("after the save"))
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	// A truncated event, and the file of an interrupted request.
	events := filepath.Join(copied, "events.jsonl")
	text, err := os.ReadFile(events)
	if err != nil || len(text) == 0 {
		t.Fatal("no events", err)
	}
	whole := bytes.Count(text, []byte("\n"))
	if err := os.WriteFile(events, append(text, `{"id":"x","eve`...), 0o600); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(copied, "objects", "blob-half")
	if err := os.WriteFile(half, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	wdek := w.wdek

	w = start(t, sandbox.Options{Dir: copied})
	if e := w.events(); len(e) != whole {
		t.Errorf("%d events, want %d", len(e), whole)
	}
	if _, err := os.Stat(half); !errors.Is(err, fs.ErrNotExist) {
		t.Error("incomplete object still exists")
	}
	w.wdek = wdek
	if _, err := w.classic(w.request(kept)); err != nil {
		t.Error(err)
	}
}

// TestSavedByItself waits for the automatic save.
func TestSavedByItself(t *testing.T) {
	dir := t.TempDir()
	w := start(t, sandbox.Options{Dir: dir, Bucket: bucket})
	w.upload("web.raw", []byte("an object"))
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(dir, "objects", "index.json"))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("web.raw")) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("not saved")
		}
	}
}

// TestResume resumes an upload that a restart interrupted.
func TestResume(t *testing.T) {
	dir := t.TempDir()
	w := start(t, sandbox.Options{Dir: dir, Bucket: bucket, Authorize: true})
	w.plain = disk(16 << 20)
	image := w.encrypt(luksimg.ClassicLUKS)
	o := cos.Object{Region: sandbox.Region, Bucket: bucket, Key: "web.raw"}
	opts := cos.UploadOptions{PartSize: cos.MinPart, Jobs: 1, State: cos.StateFile(filepath.Join(t.TempDir(), "upload"))}
	w.arm(fault.Fault{Method: "PUT", Path: "/" + bucket + "/web.raw", Skip: 2, Count: -1, Status: 400, Body: "no"})
	if _, err := w.cos.Upload(t.Context(), o, bytes.NewReader(image), int64(len(image)), opts); err == nil {
		t.Fatal("the upload was not interrupted")
	}
	wdek := w.wdek
	w.close()

	var parts atomic.Int64
	w = start(t, sandbox.Options{Dir: dir, Log: func(service, method, path string, status int) {
		if service == "cos" && method == "PUT" {
			parts.Add(1)
		}
	}})
	if _, err := w.cos.Upload(t.Context(), o, bytes.NewReader(image), int64(len(image)), opts); err != nil {
		t.Fatal(err)
	}
	if want := int64(len(image)+cos.MinPart-1)/cos.MinPart - 2; parts.Load() != want {
		t.Errorf("%d parts were sent again, want %d", parts.Load(), want)
	}
	w.wdek = wdek
	if _, err := w.classic(w.request(o.String())); err != nil {
		t.Error(err)
	}
}

// TestNoState uses folders with foreign files.
func TestNoState(t *testing.T) {
	for name, text := range map[string]string{
		"sandbox.json":   "{}",
		"softlayer.json": "[",
		"vpc.json":       `{"images":[null]}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := sandbox.Start(t.Context(), sandbox.Options{Dir: dir}); err == nil {
			s.Close()
			t.Errorf("%s with %q accepted", name, text)
		} else if !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}

// TestSecrets runs all workflows, including failing ones, and then searches all output
// and files of the services for secrets in any form. Only the two files of
// [sandbox.Secret] may contain some.
func TestSecrets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	var log []string
	logged := make(chan string, 10000)
	w := start(t, sandbox.Options{Dir: dir, Bucket: bucket, Authorize: true, Log: func(service, method, path string, status int) {
		logged <- service + " " + method + " " + path
	}})
	id, err := w.iam.CreateServiceID(t.Context(), w.Account, "importer", "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := w.iam.CreateAPIKey(t.Context(), w.Account, id.IAMID, "import", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"cloud-object-storage", iam.KeyProtect} {
		if _, err := w.iam.CreatePolicy(t.Context(), iam.Access(w.Account, id.IAMID, service, "", iam.RoleReader)); err != nil {
			t.Fatal(err)
		}
	}
	shown := bytes.NewBuffer(nil) // all errors of clients
	tell := func(_ any, err error) {
		if err != nil {
			shown.WriteString(err.Error() + "\n")
		}
	}
	for _, c := range []struct {
		profile luksimg.Profile
		file    string
	}{{luksimg.ClassicLUKS, "web.raw"}, {luksimg.ClassicVHD, "web.vhd-0.vhd"}} {
		r := w.request(w.upload(c.file, w.encrypt(c.profile)))
		r.APIKey, r.WrappedDEK = string(key.Value), w.wdek
		template, err := w.classic(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.order(template); err != nil {
			t.Fatal(err)
		}
	}
	w.encrypt(luksimg.ClassicLUKS)
	tell(w.classic(w.request("cos://us-south/" + bucket + "/web.raw")))
	tell(w.classic(w.request("cos://us-south/" + bucket + "/none.raw")))
	r := w.request("cos://us-south/" + bucket + "/web.raw")
	r.APIKey = "an-api-key-that-nobody-has-and-that-is-long"
	tell(w.classic(r))
	qcow := w.upload("web.qcow2", w.encrypt(luksimg.VPCQCOW2))
	if _, err := w.vpcImage(qcow); err != nil {
		t.Fatal(err)
	}
	w.deleteImages()
	w.encrypt(luksimg.VPCQCOW2)
	tell(w.vpcImage(qcow))
	if n := bytes.Count(shown.Bytes(), []byte("\n")); n != 4 {
		t.Fatalf("%d failures: %s", n, shown)
	}
	token, err := w.iam.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(get(t, w.Control+"/events"))
	shown.Write(get(t, w.Control+"/faults"))
	w.close()
	for len(logged) > 0 {
		log = append(log, <-logged)
	}
	shown.WriteString(strings.Join(log, "\n"))

	// The secrets in all encodings.
	secrets := map[string]bool{}
	for _, s := range append([][]byte{[]byte(w.APIKey), []byte(w.UserKey), []byte(w.SecretAccessKey), key.Value, []byte(r.APIKey),
		[]byte(strings.TrimPrefix(token.Header(), "Bearer "))}, w.secrets...) {
		secrets[string(s)] = true
		secrets[hex.EncodeToString(s)] = true
		secrets[base64.StdEncoding.EncodeToString(s)] = true
		secrets[base64.RawURLEncoding.EncodeToString(s)] = true
	}
	has := func(text []byte) bool {
		for s := range secrets {
			if bytes.Contains(text, []byte(s)) {
				return true
			}
		}
		return false
	}
	if has(shown.Bytes()) || len(log) == 0 {
		t.Errorf("secret in output:\n%s", shown)
	}
	var holders []string
	files := 0
	err = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		info, err := e.Info()
		if err != nil {
			return err
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		text, err := os.ReadFile(name)
		if has(text) {
			holders = append(holders, e.Name())
			if !sandbox.Secret(e.Name()) {
				t.Errorf("%s contains a secret", name)
			}
		}
		return err
	})
	slices.Sort(holders)
	if err != nil || files < 9 || !slices.Equal(holders, []string{"kms.json", "sandbox.json"}) {
		t.Errorf("%d files, secrets in %v, %v", files, holders, err)
	}
}
