// Package pkcs11 wraps data encryption keys with a key on a PKCS#11 token: a hardware security module,
// a smart card, or software that plays one.
//
// It loads no module itself, which would take a program that is linked dynamically. A program of its own,
// luksimg-pkcs11, does, once for each call; [Options].Run starts it. docs/pkcs11.md has the protocol.
package pkcs11

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/kmsuri"
)

// Program is the name of the program that loads modules.
const Program = "luksimg-pkcs11"

// version is that of the protocol.
const version = 1

// Options are the settings of a [Client]. Key and Run must be set.
type Options struct {
	// Key is which key it is, and in which module, without a PINSource.
	Key kmsuri.Token
	// PIN is that of the user; nil is for tokens that want none, or have keys of their own to type it
	// on. It is copied.
	PIN []byte
	// Run gives a request to luksimg-pkcs11, and returns what that wrote to standard output, which may
	// have up to [MaxAnswer] bytes. The request is wiped afterwards.
	Run func(ctx context.Context, request []byte) ([]byte, error)
}

// MaxAnswer bounds what luksimg-pkcs11 and a module write to standard output, in bytes.
const MaxAnswer = 1 << 20

// A Client is one key on a token. It is a wrap.Wrapper and a wrap.Unwrapper, and safe for concurrent use
// if Run is.
//
// A wrong PIN is an error that matches [ErrPIN]. The same call is then not to be made again: a token
// locks itself after some wrong ones.
type Client struct {
	key kmsuri.Token
	pin *[]byte // a pointer, for fmt shows the fields of what holds it
	run func(context.Context, []byte) ([]byte, error)
}

// New checks the options and returns a client. It runs nothing yet.
func New(o Options) (*Client, error) {
	if o.Run == nil {
		return nil, errors.New("pkcs11: no way to run " + Program)
	}
	if o.Key.ModulePath == "" && o.Key.ModuleName == "" {
		return nil, errNoModule
	}
	pin := bytes.Clone(o.PIN)
	return &Client{o.Key, &pin, o.Run}, nil
}

// Clear wipes the PIN.
func (c *Client) Clear() { clear(*c.pin) }

// String returns the name of the key.
func (c *Client) String() string { return "pkcs11.Client(" + c.key.Key() + ")" }

// GoString returns the name of the key: what holds a PIN is not for fmt's %#v.
func (c *Client) GoString() string { return c.String() }

// Find looks for the key, and returns the root key of its name, pkcs11:token=...;object=...;id=...;type=...,
// which is the kms of an envelope: the label of the token, and label, id and type of the key.
func (c *Client) Find(ctx context.Context) (*wrap.RootKey, error) {
	a, err := c.ask(ctx, &request{Operation: "find"})
	if err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(a.ID)
	if err != nil {
		return nil, unusable("find", "the id is not in hexadecimal digits")
	}
	if a.Object == "" && a.ID == "" && a.Token == "" && a.Type == "" {
		return nil, unusable("find", "the answer names no key")
	}
	found := kmsuri.Token{Attributes: map[string]string{"token": a.Token, "object": a.Object, "id": string(id), "type": a.Type}}
	root, err := c.As(found.Key())
	if err != nil {
		return nil, failed("find", wrap.ErrKeyState, "", "the key has neither label nor id, or they are too long or no text", "give it a label: pkcs11-tool --set-id, or another tool of the vendor")
	}
	return root, nil
}

// As returns the client as the root key of an envelope that has this name of it, as [Client.Find] made it.
func (c *Client) As(name string) (*wrap.RootKey, error) {
	root := &wrap.RootKey{Wrapper: c, Unwrapper: c, KMS: kmsuri.URI{Scheme: kmsuri.PKCS11, Name: name}.String()}
	if _, err := kmsuri.Of(&wrap.Envelope{KMS: root.KMS}); err != nil {
		return nil, err
	}
	return root, nil
}

// A wrapped key is the scheme, the mechanism, and base64.
const prefix = "pkcs11:"

var mechanism = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// Bounds of a wrapped key as text, and of a key, in bytes.
const (
	maxText  = 16 << 10
	maxPlain = 8 << 10
)

// Wrap implements wrap.Wrapper. It wraps the bytes, not their base64 text, by the best mechanism that the
// token has; docs/pkcs11.md lists them.
func (c *Client) Wrap(ctx context.Context, plaintext []byte) (string, error) {
	data, err := decode(plaintext)
	defer clear(data)
	if err != nil || len(data) == 0 || len(data) > maxPlain {
		return "", fmt.Errorf("pkcs11: wrap: %w: what is to be wrapped is not base64 text on one line of 1 to %d bytes", wrap.ErrKey, maxPlain)
	}
	a, err := c.ask(ctx, &request{Operation: "wrap", Data: data})
	if err != nil {
		return "", err
	}
	wdek := prefix + a.Mechanism + ":" + base64.StdEncoding.EncodeToString(a.Data)
	if _, _, err := split(wdek); err != nil {
		return "", unusable("wrap", "the answer holds no wrapped key")
	}
	return wdek, nil
}

// Unwrap implements wrap.Unwrapper. Keys on tokens have no versions: Rewrapped is empty.
func (c *Client) Unwrap(ctx context.Context, wdek string) (wrap.Unwrapped, error) {
	name, data, err := split(wdek)
	if err != nil {
		return wrap.Unwrapped{}, err
	}
	a, err := c.ask(ctx, &request{Operation: "unwrap", Mechanism: name, Data: data})
	if err != nil {
		return wrap.Unwrapped{}, err
	}
	defer clear(a.Data)
	if len(a.Data) == 0 || len(a.Data) > maxPlain {
		return wrap.Unwrapped{}, unusable("unwrap", "the answer holds no key")
	}
	text := make([]byte, base64.StdEncoding.EncodedLen(len(a.Data)))
	base64.StdEncoding.Encode(text, a.Data)
	return wrap.Unwrapped{Plaintext: text}, nil
}

// split returns the mechanism and the bytes of a wrapped key.
func split(wdek string) (name string, data []byte, err error) {
	rest, ok := strings.CutPrefix(wdek, prefix)
	name, text, ok2 := strings.Cut(rest, ":")
	if ok && ok2 && len(wdek) <= maxText && mechanism.MatchString(name) {
		if data, err := decode([]byte(text)); err == nil && len(data) > 0 {
			return name, data, nil
		}
	}
	return "", nil, fmt.Errorf("pkcs11: %w: it is not one of a PKCS#11 token", wrap.ErrWDEK)
}

// decode reads strict base64 on one line.
func decode(text []byte) ([]byte, error) {
	if bytes.ContainsAny(text, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(data, text)
	return data[:n], err
}

// A request is what luksimg-pkcs11 reads.
type request struct {
	Version    int               `json:"version"`
	Operation  string            `json:"operation"`
	ModulePath string            `json:"module_path,omitempty"`
	ModuleName string            `json:"module_name,omitempty"`
	Attributes map[string]string `json:"attributes"`
	PIN        []byte            `json:"pin,omitempty"`
	Mechanism  string            `json:"mechanism,omitempty"`
	Data       []byte            `json:"data,omitempty"`
}

// An answer is what it writes.
type answer struct {
	Version int    `json:"version"`
	Token   string `json:"token"`
	Object  string `json:"object"`
	ID      string `json:"id"`
	Type    string `json:"type"`

	Mechanism string `json:"mechanism"`
	Data      []byte `json:"data"`

	Fault *struct {
		Class   string `json:"class"`
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// ask has luksimg-pkcs11 do what is asked for.
func (c *Client) ask(ctx context.Context, q *request) (*answer, error) {
	q.Version, q.ModulePath, q.ModuleName, q.PIN = version, c.key.ModulePath, c.key.ModuleName, *c.pin
	q.Attributes = map[string]string{}
	for name, v := range c.key.Attributes {
		if name == "id" {
			v = hex.EncodeToString([]byte(v))
		}
		q.Attributes[name] = v
	}
	text, err := json.Marshal(q)
	defer clear(text)
	if err != nil {
		return nil, err
	}
	out, err := c.run(ctx, text)
	defer clear(out)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("pkcs11: %s: %w", q.Operation, err)
	}
	// The last line is the answer: a module may write what it likes before it.
	lines := bytes.Split(bytes.TrimRight(out, "\n"), []byte("\n"))
	var a answer
	if json.Unmarshal(lines[len(lines)-1], &a) != nil || a.Version == 0 {
		return nil, unusable(q.Operation, Program+" gave no answer: the module may have crashed")
	}
	if a.Version != version {
		return nil, unusable(q.Operation, fmt.Sprintf("%s speaks version %d, want %d", Program, a.Version, version))
	}
	if f := a.Fault; f != nil {
		return nil, fault(q.Operation, f.Class, f.Code, f.Message)
	}
	return &a, nil
}
