package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/ibm/sandbox/fault"
	"github.com/luksimg/luksimg/ibm/softlayer"
)

// mainKilled runs the command and kills it at a point of a deployment. The first two arguments are a step and a
// point: "begun", "between" (something is saved), "unsaved" (done, but not saved) or "done".
func mainKilled() {
	step, at := os.Args[1], os.Args[2]
	os.Args = append(os.Args[:1], os.Args[3:]...)
	saves := 0
	stateStore = func(f cos.StateFile) cos.StateStore {
		return watched{f, func(s *deploy.State, saved bool) {
			i := slices.IndexFunc(s.Steps, func(t deploy.StepTime) bool { return t.Step == step })
			if i < 0 {
				return
			}
			done := !s.Steps[i].Done.IsZero()
			if saved {
				saves++
			}
			if saved && !done && at == "between" && saves == 2 || saved && !done && at == "begun" || !saved && done && at == "unsaved" || saved && done && at == "done" {
				p, err := os.FindProcess(os.Getpid())
				if err == nil {
					err = p.Kill()
				}
				if err != nil {
					panic(err)
				}
				select {}
			}
		}}
	}
	main()
}

// A watched state calls see before and after it is saved.
type watched struct {
	cos.StateFile
	see func(s *deploy.State, saved bool)
}

func (w watched) Save(b []byte) error {
	s := new(deploy.State)
	if err := json.Unmarshal(b, s); err != nil {
		return err
	}
	w.see(s, false)
	err := w.StateFile.Save(b)
	w.see(s, true)
	return err
}

// A cloud is a sandbox with the folder and the output of the commands that it runs.
type cloud struct {
	t *testing.T
	*sandbox.Sandbox
	sandbox.Settings
	dir      string
	commands map[string]string

	ahead atomic.Int64 // how far the sandbox's clock is ahead, a time.Duration
	mu    sync.Mutex
	calls map[string]int // by method and path
	said  bytes.Buffer   // everything that was printed
}

const testBucket = "images"

func newCloud(t *testing.T, o sandbox.Options) *cloud {
	t.Helper()
	c := &cloud{t: t, dir: t.TempDir(), commands: map[string]string{}, calls: map[string]int{}}
	o.Log = func(_, method, path string, status int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calls[method+" "+path]++
	}
	o.Now = func() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }
	s, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	c.Sandbox, c.Settings = s, s.Settings()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for _, name := range []string{"luksimg", "luksimg-killed"} {
		c.commands[name] = filepath.Join(bin, name)
		if err := os.Symlink(self, c.commands[name]); err != nil {
			t.Fatal(err)
		}
	}
	bootDisk(t, filepath.Join(c.dir, "disk.raw"), 6<<20)
	return c
}

// bootDisk writes a disk of n bytes with a boot sector and a partition.
func bootDisk(t *testing.T, name string, n int) {
	t.Helper()
	noise(t, name, n)
	b, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	entry := []byte{0x80, 0, 2, 0, 0x83, 0, 0, 0, 8, 0, 0, 0, 0, 0x10, 0, 0}
	if _, err := b.WriteAt(append(append(entry, make([]byte, 48)...), 0x55, 0xaa), 446); err != nil {
		t.Fatal(err)
	}
}

// ready returns a cloud in which setup is done.
func ready(t *testing.T) *cloud {
	return newCloud(t, sandbox.Options{Bucket: testBucket, Authorize: true})
}

// run runs a command and returns its exit code and output.
func (c *cloud) run(name string, args ...string) (code int, stdout, stderr string) {
	c.t.Helper()
	cmd := c.command(name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if e := new(exec.ExitError); err != nil && !errors.As(err, &e) {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said.WriteString(out.String() + errs.String())
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func (c *cloud) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(c.t.Context(), c.commands[name], args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), c.Env()...)
	return cmd
}

// ok runs luksimg, which must succeed.
func (c *cloud) ok(args ...string) string {
	c.t.Helper()
	code, out, errs := c.run("luksimg", args...)
	if code != 0 {
		c.t.Fatalf("luksimg %s: exit code %d\n%s", strings.Join(args, " "), code, errs)
	}
	return out
}

// fails runs luksimg, which must fail with the given exit code and text.
func (c *cloud) fails(code int, want string, args ...string) string {
	c.t.Helper()
	got, out, errs := c.run("luksimg", args...)
	if got != code || !strings.Contains(errs, want) {
		c.t.Errorf("luksimg %s: exit code %d, want %d with %q\n%s%s", strings.Join(args, " "), got, code, want, out, errs)
	}
	return errs
}

// deploy returns the arguments of a deployment.
func (c *cloud) deploy(more ...string) []string {
	return append([]string{"deploy", "--json", "--name", "web", "--os-code", "UBUNTU_22_64", "--root-key-crn", c.RootKey,
		"--object", "cos://us-south/" + testBucket + "/", "--poll", "20ms", "--settle", "300ms", "--jobs", "1", "disk.raw"}, more...)
}

var server = []string{"--order", "--hostname", "web1", "--domain", "example.com", "--cpu", "1", "--memory", "1024", "--datacenter", "dal13"}

// called returns the number of requests for a path.
func (c *cloud) called(path string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for call, times := range c.calls {
		if strings.HasSuffix(call, path) {
			n += times
		}
	}
	return n
}

func (c *cloud) client() *softlayer.Client {
	c.t.Helper()
	cl, err := softlayer.New(softlayer.Options{Endpoint: c.Settings.SoftLayer, User: c.User, APIKey: c.UserKey})
	if err != nil {
		c.t.Fatal(err)
	}
	return cl
}

// one checks that there is one template, one object, one wrapped key and the given number of servers, and that they
// belong together.
func (c *cloud) one(out string, servers int) deploy.Result {
	c.t.Helper()
	var r deploy.Result
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
	all, err := c.client().Templates(c.t.Context())
	if err != nil || len(all) != 1 || all[0].ID != r.TemplateID || !all[0].Ready() {
		c.t.Errorf("templates: %+v, %v; want one, %d", all, err, r.TemplateID)
	}
	guests, err := c.client().Servers(c.t.Context(), "web1", "example.com")
	if err != nil || len(guests) != servers || servers == 1 && (guests[0].ID != r.ServerID || !guests[0].Ready()) {
		c.t.Errorf("servers: %+v, %v; want %d", guests, err, servers)
	}
	obj, err := c.Objects().Open(c.Account, testBucket, "web.raw")
	if err != nil {
		c.t.Fatal(err)
	}
	defer obj.Close()
	if obj.Size() != r.ObjectSize {
		c.t.Errorf("the object has %d bytes, want %d", obj.Size(), r.ObjectSize)
	}
	e, err := readEnvelope(c.t.Context(), filepath.Join(c.dir, r.Envelope))
	if err != nil || e.RootKeyCRN != c.RootKey || e.ImageUUID != r.ImageUUID {
		c.t.Errorf("envelope: %+v, %v", e, err)
	}
	if n := c.called("/actions/wrap"); n != 1 {
		c.t.Errorf("wrapped %d times", n)
	}
	if got := names(c.t, c.dir); !slices.Equal(got, []string{"disk.raw", "web.deploy.json", "web.envelope.json"}) {
		c.t.Errorf("files: %q", got)
	}
	return r
}

func TestDeploy(t *testing.T) {
	c := ready(t)
	args := c.deploy(server...)
	out := c.ok(args...)
	r := c.one(out, 1)
	if r.ServerID == 0 || r.Server != "web1.example.com" || r.GlobalIdentifier == "" {
		t.Errorf("%+v", r)
	}
	// Again: nothing changes, and the result is the same.
	calls := c.called("")
	if again := c.ok(args...); again != out {
		t.Errorf("the second run says %s, the first %s", again, out)
	}
	if n := c.called(""); n != calls {
		t.Errorf("a finished deployment made %d calls", n-calls)
	}
	if fi, err := os.Stat(filepath.Join(c.dir, "web.deploy.json")); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("state: %v, %v", fi.Mode(), err)
	}
	// Other flags make another deployment.
	c.fails(1, "a different --os-code", append(args, "--os-code", "DEBIAN_12_64")...)
	c.fails(1, "ordered the server web1", append(args, "--hostname", "web2")...)
}

// TestDeployOrderLater orders the server in a second run.
func TestDeployOrderLater(t *testing.T) {
	c := ready(t)
	c.one(c.ok(c.deploy()...), 0)
	c.one(c.ok(c.deploy(server...)...), 1)
}

// TestDeployKilled kills the command at each point, once and then again at the same point, and then lets it finish.
func TestDeployKilled(t *testing.T) {
	steps := []string{deploy.StepCheck, deploy.StepKey, deploy.StepEncrypt, deploy.StepUpload, deploy.StepImport, deploy.StepWaitImport, deploy.StepOrder, deploy.StepWaitOrder}
	for _, step := range steps {
		for _, at := range []string{"begun", "between", "unsaved", "done"} {
			if at == "between" && step != deploy.StepKey && step != deploy.StepOrder { // other steps save nothing
				continue
			}
			t.Run(step+" "+at, func(t *testing.T) {
				c := ready(t)
				args := c.deploy(server...)
				for range 2 {
					code, _, errs := c.run("luksimg-killed", append([]string{step, at}, args...)...)
					if code >= 0 {
						t.Fatalf("exit code %d\n%s", code, errs)
					}
					if at == "done" || at == "between" {
						break // a second run skips this step
					}
				}
				c.one(c.ok(args...), 1)
			})
		}
	}
}

// TestDeployLost loses the replies to requests that create something.
func TestDeployLost(t *testing.T) {
	for _, path := range []string{"/rest/v3.1/SoftLayer_Virtual_Guest_Block_Device_Template_Group/createFromIcos.json", "/rest/v3.1/SoftLayer_Virtual_Guest.json"} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			c := ready(t)
			if err := c.Faults().Arm(fault.Fault{Method: http.MethodPost, Path: path, DropAfter: true}); err != nil {
				t.Fatal(err)
			}
			c.one(c.ok(c.deploy(server...)...), 1)
			if c.Faults().Hits() != 1 {
				t.Errorf("the fault happened %d times", c.Faults().Hits())
			}
		})
	}
}

// TestDeployInterrupted stops the command while the cloud works, and lets the service fail. The same command must
// continue.
func TestDeployInterrupted(t *testing.T) {
	c := ready(t)
	args := c.deploy()
	// The first call of this kind lists operating systems.
	if err := c.Faults().Arm(fault.Fault{Path: "/rest/v3.1/SoftLayer_Virtual_Guest_Block_Device_Template_Group/*", Method: http.MethodGet, Skip: 1, Count: -1, Status: 503, RetryAfter: "0", Body: "busy"}); err != nil {
		t.Fatal(err)
	}
	errs := c.fails(5, "run the same command again", args...)
	if !strings.Contains(errs, "wait for import") {
		t.Errorf("%s", errs)
	}
	c.Faults().Clear()
	c.one(c.ok(args...), 0)
}

// TestDeploySignal interrupts the command while it waits for the cloud.
func TestDeploySignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be interrupted on Windows")
	}
	c := newCloud(t, sandbox.Options{Bucket: testBucket, Authorize: true, StepTime: 200 * time.Millisecond})
	cmd := c.command("luksimg", slices.DeleteFunc(c.deploy(), func(a string) bool { return a == "--json" })...)
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(errs); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if lines.Text() == "luksimg: deploy: "+deploy.StepWaitImport {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd.Wait() // its error is the exit code
	if code := cmd.ProcessState.ExitCode(); code != 5 || !strings.Contains(said.String(), "error: interrupted") ||
		!strings.Contains(said.String(), "hint: run the same command again to resume") {
		t.Errorf("exit code %d\n%s", code, said.String())
	}
	c.one(c.ok(c.deploy()...), 0)
}

func TestDeployTimeout(t *testing.T) {
	c := newCloud(t, sandbox.Options{Bucket: testBucket, Authorize: true, StepTime: 100 * time.Millisecond})
	c.fails(5, "still not ready", c.deploy("--timeout", "50ms")...)
	c.one(c.ok(c.deploy()...), 0)
}

// put replaces the object by the result of change.
func (c *cloud) put(change func([]byte) []byte) {
	c.t.Helper()
	o, err := c.Objects().Open(c.Account, testBucket, "web.raw")
	if err != nil {
		c.t.Fatal(err)
	}
	defer o.Close()
	b, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.Objects().Put(c.Account, testBucket, "web.raw", bytes.NewReader(change(b))); err != nil {
		c.t.Fatal(err)
	}
}

// TestDeployFails breaks one thing at a time. It checks which step finds the fault, the message, and whether the
// deployment continues after a repair.
func TestDeployFails(t *testing.T) {
	t.Run("missing authorization", func(t *testing.T) {
		c := newCloud(t, sandbox.Options{Bucket: testBucket})
		errs := c.fails(4, "check: ", c.deploy()...)
		if !strings.Contains(errs, "luksimg setup") || !strings.Contains(errs, "authorization-policy-create server-protect kms") {
			t.Error(errs)
		}
		c.ok("setup", "--root-key-crn", c.RootKey)
		c.one(c.ok(c.deploy()...), 0)
	})
	t.Run("bucket elsewhere", func(t *testing.T) {
		c := ready(t)
		if err := c.Objects().CreateBucket(c.Account, "far", "eu-de-standard"); err != nil {
			t.Fatal(err)
		}
		for _, region := range []string{"us-south", "eu-de"} {
			errs := c.fails(4, "check: ", c.deploy("--object", "cos://"+region+"/far/", "--state", region)...)
			if !strings.Contains(errs, "in one region") {
				t.Error(errs)
			}
		}
	})
	t.Run("no bucket", func(t *testing.T) {
		c := newCloud(t, sandbox.Options{Authorize: true})
		c.fails(4, "check: ", c.deploy()...)
	})
	t.Run("key convention", func(t *testing.T) {
		c := ready(t)
		for name, key := range map[string]string{"raw": strings.Repeat("\x00\xff", 32), "newline": strings.Repeat("QUJD", 16) + "\n", "short": "QUJD"} {
			if err := os.WriteFile(filepath.Join(c.dir, name), []byte(key), 0o600); err != nil {
				t.Fatal(err)
			}
			if errs := c.fails(1, "key: ", c.deploy("--key-file", name)...); !strings.Contains(errs, "luksimg keygen") {
				t.Error(errs)
			}
		}
		if n := c.called("/actions/wrap"); n != 0 {
			t.Errorf("a wrong key was wrapped %d times", n)
		}
	})
	t.Run("suspended key", func(t *testing.T) {
		c := ready(t)
		c.suspend()
		errs := c.fails(4, "key: ", c.deploy()...)
		if !strings.Contains(errs, "suspended") || !strings.Contains(errs, "hint") {
			t.Error(errs)
		}
	})
	t.Run("envelope of another root key", func(t *testing.T) {
		c := ready(t)
		code, _, errs := c.run("luksimg-killed", append([]string{deploy.StepKey, "done"}, c.deploy()...)...)
		if code > 0 {
			t.Fatal(errs)
		}
		other, err := c.Sandbox.KMS().AddRootKey(c.KMSInstance, "other")
		if err != nil {
			t.Fatal(err)
		}
		wdek, err := c.Sandbox.KMS().Wrap(other, []byte(strings.Repeat("k", 64)))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"web.envelope.json", "web.deploy.json"} {
			c.edit(name, "wdek", wdek)
		}
		errs = c.fails(4, "encrypt: ", c.deploy()...)
		if !strings.Contains(errs, "hint") {
			t.Error(errs)
		}
	})
	t.Run("changed object", func(t *testing.T) {
		c := ready(t)
		code, _, errs := c.run("luksimg-killed", append([]string{deploy.StepUpload, "done"}, c.deploy()...)...)
		if code > 0 {
			t.Fatal(errs)
		}
		c.put(func(b []byte) []byte { return b[:len(b)/2] })
		c.fails(1, "import: ", c.deploy()...)
	})
	t.Run("object there", func(t *testing.T) {
		c := ready(t)
		if err := c.Objects().Put(c.Account, testBucket, "web.raw", strings.NewReader("another")); err != nil {
			t.Fatal(err)
		}
		c.fails(1, "web.raw: file already exists", c.deploy()...)
		c.put(func(b []byte) []byte {
			if string(b) != "another" {
				t.Errorf("an existing object was replaced")
			}
			return b
		})
	})
	t.Run("two at a time", func(t *testing.T) {
		c := ready(t)
		unlock, err := deploy.Local{}.Lock(filepath.Join(c.dir, "web.deploy.json"))
		if err != nil {
			t.Fatal(err)
		}
		c.fails(1, "another process is running this deployment", c.deploy()...)
		unlock()
		c.one(c.ok(c.deploy()...), 0)
	})
	t.Run("import fails, then not", func(t *testing.T) {
		c := ready(t)
		code, _, errs := c.run("luksimg-killed", append([]string{deploy.StepImport, "begun"}, c.deploy()...)...)
		if code > 0 {
			t.Fatal(errs)
		}
		c.suspend()
		errs = c.fails(4, "wait for import: ", c.deploy()...)
		if !strings.Contains(errs, "suspended") {
			t.Error(errs)
		}
		c.fails(4, "wait for import: ", c.deploy()...) // another template replaced the failed one
		c.resume()
		c.one(c.ok(c.deploy()...), 0)
	})
}

// edit changes a text member of a JSON file.
func (c *cloud) edit(name, member, value string) {
	c.t.Helper()
	name = filepath.Join(c.dir, name)
	b, err := os.ReadFile(name)
	if err != nil {
		c.t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		c.t.Fatal(err)
	}
	if _, ok := m[member].(string); !ok {
		c.t.Fatalf("%s has no %s", name, member)
	}
	m[member] = value
	if b, err = json.Marshal(m); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cloud) suspend() { c.keyAction("disable") }

// resume sets the clock half a minute ahead, because a key cannot be enabled right after it was disabled.
func (c *cloud) resume() {
	c.ahead.Add(int64(30 * time.Second))
	c.keyAction("enable")
}

// keyAction changes the state of the root key.
func (c *cloud) keyAction(action string) {
	c.t.Helper()
	key := c.RootKey[strings.LastIndexByte(c.RootKey, ':')+1:]
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, fmt.Sprintf("%s/api/v2/keys/%s/actions/%s", c.Settings.KMS, key, action), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	id, err := c.Sandbox.KMS().Exchange(c.APIKey)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimPrefix(c.Sandbox.KMS().Token(id, 3600e9), "Bearer "))
	req.Header.Set("Bluemix-Instance", strings.Split(c.KMSInstance, ":")[7])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		b, _ := io.ReadAll(resp.Body)
		c.t.Fatalf("%s: %d %s", action, resp.StatusCode, b)
	}
}
