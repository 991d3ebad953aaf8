package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/kmsuri"
	"github.com/luksimg/luksimg/wrap/pkcs11"
)

// envPKCS11Module names the module if the URI names none. Other programs use this variable too.
const envPKCS11Module = "PKCS11_MODULE_PATH"

// pkcs11Help is part of the help of verbs that use a root key.
const pkcs11Help = `

pkcs11:token=TOKEN;object=KEY is an AES or RSA key on a PKCS#11 token, named by a URI of RFC 7512. After a ?
the URI can have module-path=FILE for the module (default: PKCS11_MODULE_PATH), and pin-source=FILE for the
PIN; /dev/fd/N is an open descriptor. Without pin-source, luksimg prompts for the PIN, and tries it once. The
program luksimg-pkcs11 must be installed.`

// A pinBook holds the PINs of a run, so that luksimg asks for each only once. refused is the error of a refused PIN,
// after which luksimg tries no other.
type pinBook struct {
	pins    map[string][]byte
	refused error
}

// pkcs11Key returns the root key of an RFC 7512 URI. Its name is that in the envelope e, or if e is nil the name that
// the token reports.
func (o *rootKeyFlags) pkcs11Key(ctx context.Context, u kmsuri.URI, e *wrap.Envelope) (*wrap.RootKey, error) {
	t, err := kmsuri.ParseToken(u.Name)
	if err != nil {
		return nil, err
	}
	if t.ModulePath == "" && t.ModuleName == "" {
		t.ModulePath = os.Getenv(envPKCS11Module)
	}
	if o.cloud.pins == nil {
		o.cloud.pins = &pinBook{pins: map[string][]byte{}}
	}
	book := o.cloud.pins
	if book.refused != nil {
		return nil, book.refused
	}
	whose := cmp.Or(t.PINSource, t.ModulePath+" "+t.ModuleName+" "+t.Attributes["token"])
	pin, have := book.pins[whose]
	if !have && t.PINSource != "" {
		if pin, err = readPIN(ctx, t.PINSource); err != nil {
			return nil, err
		}
		book.pins[whose] = pin
	}
	c, root, err := findKey(ctx, t, pin)
	if errors.Is(err, pkcs11.ErrNoPIN) {
		if pin, err = keys.AskPIN(ctx, kmsuri.URI{Scheme: kmsuri.PKCS11, Name: t.Key()}.String(), err); err != nil {
			return nil, err
		}
		book.pins[whose] = pin
		c, root, err = findKey(ctx, t, pin)
	}
	if errors.Is(err, pkcs11.ErrPIN) {
		book.refused = err
	}
	if err != nil || e == nil {
		return root, err
	}
	is, err := kmsuri.Of(e)
	if err != nil {
		return nil, err
	}
	return c.As(is.Name)
}

func findKey(ctx context.Context, t kmsuri.Token, pin []byte) (*pkcs11.Client, *wrap.RootKey, error) {
	c, err := pkcs11.New(pkcs11.Options{Key: t, PIN: pin, Run: runPKCS11})
	if err != nil {
		return nil, nil, err
	}
	root, err := c.Find(ctx)
	return c, root, err
}

// maxPIN is the largest PIN file in bytes.
const maxPIN = 4 << 10

// readPIN reads a PIN from a file and removes a final newline.
func readPIN(ctx context.Context, name string) ([]byte, error) {
	const hint = "pin-source names a file with the PIN only, with or without a final newline"
	pin, err := stdio.ReadFile(ctx, name, maxPIN)
	if err != nil {
		return nil, rest.WithHint(fmt.Errorf("pin-source: %w", err), hint)
	}
	pin = bytes.TrimSuffix(bytes.TrimSuffix(pin, []byte("\n")), []byte("\r"))
	if len(pin) == 0 {
		return nil, rest.WithHint(fmt.Errorf("pin-source: %s is empty", name), hint)
	}
	return pin, nil
}

// runPKCS11 runs luksimg-pkcs11 with one request.
func runPKCS11(ctx context.Context, request []byte) ([]byte, error) {
	path, err := findPKCS11()
	if err != nil {
		return nil, err
	}
	// The output can hold a secret. Its buffer does not grow, so no copies remain.
	out, talk := &bounded{b: make([]byte, 0, 64<<10), most: pkcs11.MaxAnswer}, &bounded{most: 4 << 10}
	cmd := exec.CommandContext(ctx, path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = bytes.NewReader(request), out, talk, 5*time.Second
	if err := cmd.Run(); err != nil {
		clear(out.b)
		line, _, _ := bytes.Cut(bytes.TrimSpace(talk.b), []byte("\n"))
		return nil, rest.WithHint(fmt.Errorf("%s: %w: %s", path, err, line), "if it does not start, it was built for another system: docs/pkcs11.md explains how to build it; if it crashes, the module is at fault")
	}
	return out.b, nil
}

// A bounded buffer keeps what is written to it up to a limit, and drops the rest.
type bounded struct {
	b    []byte
	most int
}

func (w *bounded) Write(p []byte) (int, error) {
	w.b = append(w.b, p[:min(len(p), w.most-len(w.b))]...)
	return len(p), nil
}

// findPKCS11 returns the path of luksimg-pkcs11: beside this program, or on the PATH.
func findPKCS11() (string, error) {
	name := pkcs11.Program
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if own, err := os.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(own), name)
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", rest.WithHint(fmt.Errorf("%s, which loads PKCS#11 modules, is not installed", name), "put it beside luksimg, or on the PATH: go install github.com/luksimg/luksimg/cmd/luksimg-pkcs11@latest builds it")
	}
	return path, nil
}
