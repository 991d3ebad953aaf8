package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/ibm/sandbox/fault"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

// A cloudScript is a script with its own sandbox.
type cloudScript struct {
	*sandbox.Sandbox
	faults  *fault.Set
	env     []string
	delayed chan struct{} // receives a value when a request is held up
	secrets [][]byte      // no output may contain these
	ahead   atomic.Int64  // how far the sandbox's clock is ahead, a time.Duration
}

// TestCloud runs the scripts that need a cloud, each with a sandbox.
func TestCloud(t *testing.T) {
	cmds := maps.Clone(scriptCommands)
	maps.Copy(cmds, map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"cloud":     cmdCloud,
		"interrupt": cmdInterrupt,
		"fault":     cmdFault,
		"stranger":  cmdStranger,
		"rotate":    cmdRotate,
		"later":     cmdLater,
		"envfile":   cmdEnvFile,
		"member":    cmdMember,
		"secret":    cmdSecret,
		"clean":     cmdClean,
		"unsent":    cmdUnsent,
		"edit":      cmdEdit,
		"elsewhere": cmdElsewhere,
	})
	testscript.Run(t, testscript.Params{Dir: "testdata/cloud", Cmds: cmds, Setup: func(e *testscript.Env) error {
		s := &cloudScript{delayed: make(chan struct{}, 100)}
		// A held request waits until the client disconnects.
		s.faults = &fault.Set{Sleep: func(ctx context.Context, _ time.Duration) {
			s.delayed <- struct{}{}
			<-ctx.Done()
		}}
		var err error
		s.Sandbox, err = sandbox.Start(context.Background(), sandbox.Options{Bucket: "images", Faults: s.faults, Now: func() time.Time {
			return time.Now().Add(time.Duration(s.ahead.Load()))
		}})
		if err != nil {
			return err
		}
		e.Defer(func() { s.Close() })
		set := s.Settings()
		s.env = set.Env()
		for _, v := range []string{set.APIKey, set.UserKey, set.SecretAccessKey} {
			s.secrets = append(s.secrets, []byte(v))
		}
		e.Vars = append(e.Vars, s.env...)
		e.Values["cloud"] = s
		return nil
	}})
}

func cloudOf(ts *testscript.TestScript) *cloudScript { return ts.Value("cloud").(*cloudScript) }

var token = regexp.MustCompile(`Bearer |eyJ[\w-]+\.eyJ`)

// check fails if a text contains a secret.
func (s *cloudScript) check(ts *testscript.TestScript, what, text string) {
	for _, secret := range s.secrets {
		if bytes.Contains([]byte(text), secret) {
			ts.Fatalf("%s holds a secret", what)
		}
	}
	if token.MatchString(text) {
		ts.Fatalf("%s holds a token", what)
	}
}

// cmdCloud is cmdCode with a check of the output for secrets.
func cmdCloud(ts *testscript.TestScript, _ bool, args []string) {
	cmdCode(ts, false, args)
	s := cloudOf(ts)
	s.check(ts, "standard output", ts.ReadFile("stdout"))
	s.check(ts, "standard error", ts.ReadFile("stderr"))
}

// cmdSecret declares the contents of files secret, and what they are the base64 text of.
func cmdSecret(ts *testscript.TestScript, _ bool, args []string) {
	s := cloudOf(ts)
	for _, name := range args {
		b := []byte(ts.ReadFile(name))
		s.secrets = append(s.secrets, b, []byte(base64.StdEncoding.EncodeToString(b)))
		if d, err := base64.StdEncoding.DecodeString(string(b)); err == nil {
			s.secrets = append(s.secrets, d)
		}
	}
}

// cmdClean checks files for secrets.
func cmdClean(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		cloudOf(ts).check(ts, name, ts.ReadFile(name))
	}
}

func cmdFault(ts *testscript.TestScript, _ bool, args []string) {
	if args[0] == "none" {
		cloudOf(ts).faults.Clear()
		return
	}
	f := fault.Fault{Method: args[0], Path: args[1], Skip: number(ts, args[2])}
	if args[3] == "hold" {
		f.DelayMS = 1
	} else {
		f.Status, f.Count = number(ts, args[3]), -1
	}
	ts.Check(cloudOf(ts).faults.Arm(f))
}

// cmdInterrupt runs a command and sends it a signal when one of its requests is held up. The command must end with an
// exit code: "interrupt 5 luksimg ...". The code "killed" sends SIGKILL.
func cmdInterrupt(ts *testscript.TestScript, _ bool, args []string) {
	s := cloudOf(ts)
	signal, want := os.Interrupt, -1
	if args[0] == "killed" {
		signal = os.Kill
	} else {
		want = number(ts, args[0])
	}
	program, err := exec.LookPath(args[1])
	if err != nil {
		program = filepath.Join(strings.Split(ts.Getenv("PATH"), string(filepath.ListSeparator))[0], args[1])
	}
	c := exec.Command(program, args[2:]...)
	c.Dir = ts.MkAbs(".")
	c.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"))
	c.Env = append(c.Env, s.env...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	ts.Check(c.Start())
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	select {
	case <-s.delayed:
		ts.Check(c.Process.Signal(signal))
		err = <-done
	case err = <-done:
		ts.Fatalf("the command ended before the signal: %v\n%s", err, out.String())
	}
	s.faults.Clear()
	s.check(ts, "the output", out.String())
	code := 0
	if e := new(exec.ExitError); errors.As(err, &e) {
		code = e.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d\n%s", code, want, out.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs("interrupted"), out.Bytes(), 0o600))
}

// owner returns an IAM client with all permissions.
func (s *cloudScript) owner(ts *testscript.TestScript) *iam.Client {
	set := s.Settings()
	c, err := iam.New(iam.Options{URL: set.IAM, APIKey: []byte(set.APIKey)})
	ts.Check(err)
	return c
}

// cmdStranger creates a service ID without permissions and continues the script as that identity.
func cmdStranger(ts *testscript.TestScript, _ bool, _ []string) {
	ctx, s := context.Background(), cloudOf(ts)
	owner, account := s.owner(ts), s.Settings().Account
	id, err := owner.CreateServiceID(ctx, account, "stranger", "")
	ts.Check(err)
	key, err := owner.CreateAPIKey(ctx, account, id.IAMID, "key", "")
	ts.Check(err)
	s.secrets = append(s.secrets, bytes.Clone(key.Value))
	name := ts.MkAbs("stranger.key")
	ts.Check(os.WriteFile(name, append(key.Value, '\n'), 0o600))
	ts.Setenv("IBMCLOUD_API_KEY", "@"+name)
}

// cmdRotate rotates the root key of the sandbox.
func cmdRotate(ts *testscript.TestScript, _ bool, _ []string) {
	s := cloudOf(ts)
	c, err := keyprotect.New(keyprotect.Options{CRN: s.Settings().RootKey, URL: s.Settings().KMS, Tokens: s.owner(ts)})
	ts.Check(err)
	ts.Check(c.Rotate(context.Background(), nil))
}

// cmdUnsent checks the number of unfinished uploads in the bucket.
func cmdUnsent(ts *testscript.TestScript, _ bool, args []string) {
	set := cloudOf(ts).Settings()
	c, err := cos.New(cos.Options{Endpoint: set.COS, HMAC: &cos.HMAC{AccessKeyID: set.AccessKeyID, SecretAccessKey: []byte(set.SecretAccessKey)}})
	ts.Check(err)
	u, err := c.Uploads(context.Background(), set.Region, set.Bucket, "")
	ts.Check(err)
	if len(u) != number(ts, args[0]) {
		ts.Fatalf("there are %d unfinished uploads, want %s", len(u), args[0])
	}
}

// cmdEdit damages the wrapped key of an envelope.
func cmdEdit(ts *testscript.TestScript, _ bool, args []string) {
	editFile(ts, args[0], func(b []byte) {
		i := bytes.Index(b, []byte(`"wdek": "`)) + len(`"wdek": "`) + 60
		if b[i] != 'A' {
			b[i] = 'A'
		} else {
			b[i] = 'B'
		}
	})
}

// cmdLater sets the sandbox's clock forward.
func cmdLater(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	cloudOf(ts).ahead.Add(int64(d))
}

// cmdEnvFile sets a variable to the content of a file: "envfile NAME FILE".
func cmdEnvFile(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// cmdMember sets a variable to a member of a JSON object: "member FILE MEMBER NAME".
func cmdMember(ts *testscript.TestScript, _ bool, args []string) {
	var m map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &m))
	ts.Setenv(args[2], fmt.Sprint(m[args[1]]))
}

// cmdElsewhere moves the root key of an envelope to another region.
func cmdElsewhere(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.Replace(ts.ReadFile(args[0]), ":us-south:", ":eu-de:", 1)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}
