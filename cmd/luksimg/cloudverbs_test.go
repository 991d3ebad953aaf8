package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/account"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/ibm/sandbox/fault"
)

// setup returns the arguments of setup.
func (c *cloud) setup(more ...string) []string {
	return append([]string{"setup", "--json", "--kms-instance-crn", c.KMSInstance, "--root-key-name", "images",
		"--cos-instance-crn", c.COSInstance, "--bucket", testBucket, "--api-key-file", "importer.key"}, more...)
}

// secrets returns the credentials and the data key of the envelope, which no output may contain.
func (c *cloud) secrets(envelope string) [][]byte {
	c.t.Helper()
	all := [][]byte{[]byte(c.APIKey), []byte(c.UserKey), []byte(c.SecretAccessKey)}
	if b, err := os.ReadFile(filepath.Join(c.dir, "importer.key")); err == nil {
		all = append(all, b)
	}
	e, err := readEnvelope(c.t.Context(), filepath.Join(c.dir, envelope))
	if err != nil {
		c.t.Fatal(err)
	}
	id, err := c.Sandbox.KMS().Exchange(c.APIKey)
	if err != nil {
		c.t.Fatal(err)
	}
	plain, err := c.Sandbox.KMS().Unwrap(c.t.Context(), id, e.RootKeyCRN, e.WDEK, "")
	if err != nil {
		c.t.Fatal(err)
	}
	return append(all, plain, []byte(base64.StdEncoding.EncodeToString(plain)), []byte(hex.EncodeToString(plain)),
		[]byte(base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString(plain)))))
}

var bearer = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.|Bearer [A-Za-z0-9]`)

// clean checks that a text contains no secret.
func clean(t *testing.T, what string, text []byte, secrets [][]byte) {
	t.Helper()
	for i, s := range secrets {
		if len(s) < 16 {
			t.Fatalf("secret %d is too short to look for", i)
		}
		if bytes.Contains(text, s) {
			t.Errorf("%s holds secret %d", what, i)
		}
	}
	if bearer.Match(text) {
		t.Errorf("%s holds a token", what)
	}
}

// TestSecrets searches for every secret in the output of successful and failed runs, in files, in the audit log, and
// in the arguments of processes.
func TestSecrets(t *testing.T) {
	c := newCloud(t, sandbox.Options{StepTime: 20 * time.Millisecond})
	var r account.Report
	if err := json.Unmarshal([]byte(c.ok(c.setup("--audit-log", "log")...)), &r); err != nil {
		t.Fatal(err)
	}
	args := slices.Concat([]string{"deploy", "--name", "web", "--os-code", "UBUNTU_22_64", "--root-key-crn", r.RootKeyCRN,
		"--object", "cos://us-south/" + testBucket + "/", "--poll", "10ms", "--settle", "100ms", "--ibm-api-key-file", "importer.key",
		"--audit-log", "log", "disk.raw"}, server)
	key, err := os.ReadFile(filepath.Join(c.dir, "importer.key"))
	if err != nil {
		t.Fatal(err)
	}
	// A service that echoes the request.
	echo := fmt.Sprintf(`{"error":"what is %s, and %s?","code":"SoftLayer_Exception_Public"}`, key, c.UserKey)
	if err := c.Faults().Arm(fault.Fault{Path: "/rest/v3.1/SoftLayer_Virtual_Guest_Block_Device_Template_Group/createFromIcos.json", Status: 500, Body: echo}); err != nil {
		t.Fatal(err)
	}
	c.fails(4, "what is [redacted]", args...)
	if err := c.Faults().Arm(fault.Fault{Path: "/*/token", Status: 400, Body: fmt.Sprintf(`{"errorCode":"BXNIM0415E","errorMessage":"no key %s"}`, c.APIKey)}); err != nil {
		t.Fatal(err)
	}
	c.fails(4, "BXNIM0415E", args...)
	c.Faults().Clear()

	cmd := c.command("luksimg", args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines [][]byte
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for running := true; running; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v\n%s", err, out.Bytes())
			}
			running = false
		case <-time.After(10 * time.Millisecond):
			if runtime.GOOS == "linux" {
				files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
				for _, f := range files {
					b, _ := os.ReadFile(f) // the process may be gone
					lines = append(lines, b)
				}
			}
		}
	}
	secrets := c.secrets("web.envelope.json")
	if runtime.GOOS == "linux" && !bytes.Contains(bytes.Join(lines, nil), []byte("--ibm-api-key-file")) {
		t.Error("the list of processes lacks this process")
	}
	for i, secret := range secrets { // of all processes; their other arguments do not matter
		if bytes.Contains(bytes.Join(lines, []byte("\n")), secret) {
			t.Errorf("an argument of a process holds secret %d", i)
		}
	}
	clean(t, "what deploy printed", out.Bytes(), secrets)
	clean(t, "what was printed", c.said.Bytes(), secrets)
	for _, name := range names(t, c.dir) {
		if name == "importer.key" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(c.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		clean(t, name, b, secrets)
	}
	if got := names(t, c.dir); !slices.Equal(got, []string{"disk.raw", "importer.key", "log", "web.deploy.json", "web.envelope.json"}) {
		t.Errorf("files: %q", got)
	}

	// The log records all actions, and completes the chain of the cloud's events.
	log, err := os.ReadFile(filepath.Join(c.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"root-key.create", "bucket.create", "service-id.create", "policy.create", "api-key.create", "data-key.wrap", "image.encrypt", "image.upload", "image.import", "server.order"} {
		if !bytes.Contains(log, []byte(`"luksimg.`+action+`"`)) {
			t.Errorf("the log does not have %s", action)
		}
	}
	if !bytes.Contains(log, []byte(`"outcome":"failure"`)) || !bytes.Contains(log, []byte("what is [redacted]")) {
		t.Error("the log does not have the import that was refused")
	}
	c.ok("audit", "--root-key-crn", r.RootKeyCRN, "--logs-url", c.Logs)
	if errs := c.fails(1, "the chain of events is broken", "audit", "--root-key-crn", r.RootKeyCRN, "log"); !strings.Contains(errs, "unwrap") {
		t.Errorf("luksimg's own log must not prove that a server used the key: %s", errs)
	}
}

func TestSetup(t *testing.T) {
	c := newCloud(t, sandbox.Options{})
	var r account.Report
	state := func(what string) string {
		t.Helper()
		for _, x := range r.Things {
			if x.What == what {
				return fmt.Sprint(x.Exists, x.Made)
			}
		}
		return "none"
	}
	kinds := []string{"root key", "bucket", "service id", "policy", "authorization", "API key"}
	// Creates nothing, but prints everything.
	out := c.ok(c.setup("--dry-run", "--bucket-key")...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		if state(k) != "false false" {
			t.Errorf("dry run: %s: %s", k, state(k))
		}
	}
	for _, want := range []string{"ibmcloud iam authorization-policy-create server-protect kms Reader", "ibmcloud iam authorization-policy-create cloud-object-storage kms Reader",
		"ibmcloud cos bucket-create --bucket images", "ibmcloud iam service-api-key-create", "ibmcloud kp key create images", "ibmcloud iam service-id-create",
		"/v1/policies", "/v1/apikeys", "/v1/serviceids", "/api/v2/keys", "us-south-standard"} {
		if !strings.Contains(out, want) {
			t.Errorf("the dry run does not show %s", want)
		}
	}
	if n := c.called("POST /v1/policies") + c.called("POST /v1/serviceids") + c.called("POST /api/v2/keys") + c.called("PUT /images"); n != 0 {
		t.Errorf("the dry run made %d things", n)
	}
	if _, err := os.Lstat(filepath.Join(c.dir, "importer.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the dry run made a key file")
	}
	// Creates everything.
	r = account.Report{}
	if err := json.Unmarshal([]byte(c.ok(c.setup("--bucket-key")...)), &r); err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		if state(k) != "false true" {
			t.Errorf("first run: %s: %s", k, state(k))
		}
	}
	key, err := os.ReadFile(filepath.Join(c.dir, "importer.key"))
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(filepath.Join(c.dir, "importer.key")); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", fi.Mode(), err)
	}
	id, err := c.Sandbox.KMS().Exchange(string(key))
	if err != nil || id.IAMID != r.ServiceID {
		t.Errorf("the API key is that of %v, want %s; %v", id, r.ServiceID, err)
	}
	if !c.Sandbox.KMS().Authorized("server-protect", c.Account, "kms", strings.Split(c.KMSInstance, ":")[7]) {
		t.Error("Cloud Block Storage is not authorized")
	}
	// Again: everything exists, and nothing is created.
	made := c.called("POST /v1/policies")
	r = account.Report{}
	if err := json.Unmarshal([]byte(c.ok(c.setup("--bucket-key")...)), &r); err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Things {
		if !x.Exists || x.Made {
			t.Errorf("second run: %+v", x)
		}
	}
	if c.called("POST /v1/policies") != made || c.called("POST /v1/apikeys") != 1 || c.called("POST /api/v2/keys") != 1 {
		t.Error("the second run made something")
	}
	// If the file of an existing API key is lost, setup says so.
	if err := os.Remove(filepath.Join(c.dir, "importer.key")); err != nil {
		t.Fatal(err)
	}
	c.fails(1, "IAM shows a key only when it is created", c.setup()...)
	c.fails(1, "in one region", c.setup("--region", "eu-de")...)
}

// wrapped stores an image and its envelope, without deploy.
func (c *cloud) wrapped(object string) {
	c.t.Helper()
	code, _, errs := c.run("luksimg-killed", append([]string{deploy.StepUpload, "done"}, c.deploy("--object", "cos://us-south/"+testBucket+"/"+object)...)...)
	if code > 0 {
		c.t.Fatal(errs)
	}
}

func TestImportOrder(t *testing.T) {
	c := ready(t)
	c.wrapped("disk.raw")
	object := "cos://us-south/" + testBucket + "/disk.raw"
	base := []string{"import", "--json", "--envelope", "web.envelope.json", "--os-code", "UBUNTU_22_64", "--cloud-init", "--poll", "10ms", object}
	var r deploy.Imported
	if err := json.Unmarshal([]byte(c.ok(append(base, "--name", "one", "--note", "n")...)), &r); err != nil {
		t.Fatal(err)
	}
	if !r.Ready || r.Template.Name != "one" {
		t.Errorf("%+v", r)
	}
	// With the same name and note the template is found. Without the note it belongs to another run.
	before := r.Template.ID
	if err := json.Unmarshal([]byte(c.ok(append(base, "--name", "one", "--note", "n")...)), &r); err != nil || r.Template.ID != before {
		t.Errorf("%+v, %v", r, err)
	}
	c.fails(4, "a template with this name exists", append(base, "--name", "one")...)
	if out := c.ok("import", "--list-os-codes"); !strings.Contains(out, "UBUNTU") {
		t.Errorf("codes: %s", out)
	}
	// The two parts of an envelope, as slcli accepts them.
	e, err := readEnvelope(t.Context(), filepath.Join(c.dir, "web.envelope.json"))
	if err != nil {
		t.Fatal(err)
	}
	c.ok("import", "--name", "two", "--wrapped-dek", e.WDEK, "--root-key-crn", e.RootKeyCRN, "--is-encrypted", "--os-code", "UBUNTU_22_64", "--cloud-init", "--no-wait", object)
	c.fails(1, "an encrypted image requires", "import", "--is-encrypted", "--os-code", "UBUNTU_22_64", object)

	order := func(more ...string) []string {
		return append(append([]string{"order", "--json", "--poll", "10ms"}, server[1:]...), more...)
	}
	var o deploy.Ordered
	if err := json.Unmarshal([]byte(c.ok(order("--dry-run", "one")...)), &o); err != nil || o.Quote == nil || o.Quote.ImageGUID != r.Template.GlobalIdentifier {
		t.Errorf("%+v, %v", o, err)
	}
	if n := c.called("POST /rest/v3.1/SoftLayer_Virtual_Guest.json"); n != 0 {
		t.Errorf("the dry run ordered %d servers", n)
	}
	for _, image := range []string{"one", fmt.Sprint(before), r.Template.GlobalIdentifier} {
		if err := json.Unmarshal([]byte(c.ok(order(image)...)), &o); err != nil || !o.Ready || o.Server.Hostname != "web1" {
			t.Errorf("%s: %+v, %v", image, o, err)
		}
	}
	c.fails(4, "not found", order("three")...)
	c.fails(4, "give the number, the global identifier or the name", order("three")...)
	c.fails(4, "dal13", order("--datacenter", "lon02", "one")...)
	c.fails(4, "order in a datacenter that has the template", order("--datacenter", "xxx", "one")...)
	c.fails(1, "a server needs", "order", "one")
}

// TestImportRefused imports images that the cloud refuses.
func TestImportRefused(t *testing.T) {
	c := ready(t)
	c.wrapped("web.raw")
	base := []string{"import", "--os-code", "UBUNTU_22_64", "--cloud-init", "--poll", "10ms", "cos://us-south/" + testBucket + "/web.raw"}
	refuse := func(want string, more ...string) {
		t.Helper()
		if errs := c.fails(4, want, append(base, more...)...); !strings.Contains(errs, "luksimg: hint: ") {
			t.Errorf("no hint: %s", errs)
		}
	}
	other, err := c.Sandbox.KMS().AddRootKey(c.KMSInstance, "other")
	if err != nil {
		t.Fatal(err)
	}
	e, err := readEnvelope(t.Context(), filepath.Join(c.dir, "web.envelope.json"))
	if err != nil {
		t.Fatal(err)
	}
	refuse("UNPROCESSABLE_CIPHERTEXT", "--name", "a", "--wrapped-dek", e.WDEK, "--root-key-crn", other)
	// The decoded bytes of the text: the wrong convention, wrapped by this root key.
	wdek, err := c.Sandbox.KMS().Wrap(c.RootKey, bytes.Repeat([]byte("k"), 64))
	if err != nil {
		t.Fatal(err)
	}
	refuse("passphrase", "--name", "b", "--wrapped-dek", wdek, "--root-key-crn", c.RootKey)
	c.edit("web.envelope.json", "key_convention", "none")
	c.fails(1, "it would import and never start", append(base, "--name", "c", "--envelope", "web.envelope.json")...)
	c.edit("web.envelope.json", "key_convention", "classic-luks")
	c.suspend()
	refuse("suspended", "--name", "d", "--envelope", "web.envelope.json")
	c.resume()
	c.put(func(b []byte) []byte { return b[:3<<20] })
	refuse("truncated", "--name", "e", "--envelope", "web.envelope.json")
	base[len(base)-1] = "cos://us-south/" + testBucket + "/nothing.raw"
	refuse("", "--name", "f", "--envelope", "web.envelope.json")
}

func TestImportVPC(t *testing.T) {
	c := ready(t)
	for _, args := range [][]string{
		{"encrypt", "--profile", "vpc-qcow2", "--generate-key", "dek", "disk.raw", "disk.qcow2"},
	} {
		c.ok(args...)
	}
	dek, err := os.ReadFile(filepath.Join(c.dir, "dek"))
	if err != nil {
		t.Fatal(err)
	}
	wdek, err := c.Sandbox.KMS().Wrap(c.RootKey, dek)
	if err != nil {
		t.Fatal(err)
	}
	img, err := os.ReadFile(filepath.Join(c.dir, "disk.qcow2"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Objects().Put(c.Account, testBucket, "disk.qcow2", bytes.NewReader(img)); err != nil {
		t.Fatal(err)
	}
	var r deploy.Imported
	args := []string{"import", "--json", "--target", "vpc", "--name", "img", "--wrapped-dek", wdek, "--root-key-crn", c.RootKey, "--os-code", "ubuntu-22-04-amd64",
		"--poll", "10ms", "cos://us-south/" + testBucket + "/disk.qcow2"}
	if err := json.Unmarshal([]byte(c.ok(args...)), &r); err != nil || !r.Ready || r.Image.Name != "img" {
		t.Fatalf("%+v, %v", r, err)
	}
	c.fails(4, "a resource with this name exists", args...)
	order := []string{"order", "--json", "--target", "vpc", "--region", "us-south", "--hostname", "web1", "--zone", "us-south-1", "--vpc-profile", "bx2-2x8",
		"--vpc", "r006-1", "--subnet", "0717-1", "--poll", "10ms", "img"}
	var o deploy.Ordered
	if err := json.Unmarshal([]byte(c.ok(order...)), &o); err != nil || !o.Ready || o.Instance.Name != "web1" {
		t.Errorf("%+v, %v", o, err)
	}
	c.fails(4, "give the name or the ID of an image", append(order[:len(order)-1], "nope")...)
}

func TestExport(t *testing.T) {
	c := ready(t)
	disk, err := os.ReadFile(filepath.Join(c.dir, "disk.raw"))
	if err != nil {
		t.Fatal(err)
	}
	id := c.Sandbox.SoftLayer().AddTemplate("plain", "UBUNTU_22_64", "dal13", "plain.vhd", bytes.NewReader(disk), int64(len(disk)))
	var r deploy.Exported
	if err := json.Unmarshal([]byte(c.ok("export", "--json", "--poll", "10ms", "plain", "cos://us-south/"+testBucket+"/out.vhd")), &r); err != nil {
		t.Fatal(err)
	}
	if r.TemplateID != id || !r.Ready || !strings.HasSuffix(r.First, "/out-0.vhd") {
		t.Errorf("%+v", r)
	}
	o, err := c.Objects().Open(c.Account, testBucket, "out-0.vhd")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if o.Size() != int64(len(disk)) {
		t.Errorf("%d bytes", o.Size())
	}
	c.fails(4, "not found", "export", "none", "cos://us-south/"+testBucket+"/x.vhd")
	c.fails(1, "cos://REGION/BUCKET/OBJECT", "export", "plain", "x.vhd")
}

func TestAudit(t *testing.T) {
	c := ready(t)
	out := c.ok(append(c.deploy(server...), "--audit-log", "log")...)
	var d deploy.Result
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	resp, err := http.Get(c.Control + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var events bytes.Buffer
	if _, err := events.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "events"), events.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var r struct {
		Broken bool
		Steps  []struct {
			Stage         string
			Own           bool
			CorrelationID string `json:"correlation_id"`
		}
	}
	if err := json.Unmarshal([]byte(c.ok("audit", "--json", "--root-key-crn", c.RootKey, "--image", d.GlobalIdentifier, "events", "log")), &r); err != nil || r.Broken {
		t.Fatalf("%+v, %v", r, err)
	}
	seen := map[string]bool{}
	for _, s := range r.Steps {
		if s.CorrelationID == d.CorrelationID {
			seen[fmt.Sprint(s.Stage, s.Own)] = true
		}
	}
	// luksimg's log and the events of the services have the same correlation ID.
	for _, want := range []string{"wraptrue", "wrapfalse", "importtrue", "provisiontrue"} {
		if !seen[want] {
			t.Errorf("no %s with the correlation of the deployment: %v", want, seen)
		}
	}
	// The ID that deploy prints is the server's ID in both.
	out = c.ok("audit", "--root-key-crn", c.RootKey, "--server", fmt.Sprint(d.ServerID), "events", "log")
	for _, want := range []string{audit.ActionOrder, "audit-log.vsi.provision"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in %s", want, out)
		}
	}
	// An image or a server without events is reported as missing.
	c.fails(1, "import: no event of image nope", "audit", "--root-key-crn", c.RootKey, "--image", "nope", "events", "log")
	c.fails(1, "provision: no event of server nope", "audit", "--root-key-crn", c.RootKey, "--server", "nope", "events", "log")
	// Without the events of unwrapping, the chain is broken.
	var some []string
	for line := range strings.Lines(events.String()) {
		if !strings.Contains(line, "kms.secrets.unwrap") {
			some = append(some, line)
		}
	}
	if err := os.WriteFile(filepath.Join(c.dir, "some"), []byte(strings.Join(some, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	c.fails(1, "unwrap", "audit", "--root-key-crn", c.RootKey, "some")
	c.ok("audit", "events") // of the root key in the environment
	cmd := c.command("luksimg", "audit", "events")
	cmd.Env = append(cmd.Env, "LUKSIMG_ROOT_KEY_CRN=")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "no root key, image or server is given") {
		t.Errorf("%v\n%s", err, out)
	}
}
