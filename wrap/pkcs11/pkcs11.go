// Package pkcs11 wraps data encryption keys with a key on a PKCS#11 token: a hardware security module, a smart card,
// or software that emulates one.
//
// The package does not load PKCS#11 modules, because that requires a dynamically linked program. [Options].Run starts
// such a program, luksimg-pkcs11, once for each call. docs/pkcs11.md specifies the protocol.
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

// version is the version of the protocol.
const version = 1

// Options are the settings of a [Client]. Key and Run must be set.
type Options struct {
	// Key names the key and the module. Its PINSource is ignored: set PIN.
	Key kmsuri.Token
	// PIN is the user's PIN. Nil is for tokens that require none, or that have a keypad of their own. New copies it.
	PIN []byte
	// Run passes a request to luksimg-pkcs11 and returns its standard output, up to [MaxAnswer] bytes. The client
	// wipes the request afterwards.
	Run func(ctx context.Context, request []byte) ([]byte, error)
}

// MaxAnswer is the largest output, in bytes, of luksimg-pkcs11 and a module together.
const MaxAnswer = 1 << 20

// A Client uses one key on a token. It implements wrap.Wrapper and wrap.Unwrapper, and is safe for concurrent use if
// Run is.
//
// If the PIN is wrong, the error matches [ErrPIN]. Do not repeat the call: a token locks itself after a few wrong
// PINs.
type Client struct {
	key kmsuri.Token
	pin *[]byte // a pointer: fmt prints the fields of a struct that it reaches, but not what this points to
	run func(context.Context, []byte) ([]byte, error)
}

// New checks the options and returns a client. It runs nothing.
func New(o Options) (*Client, error) {
	if o.Run == nil {
		return nil, errors.New("pkcs11: Run is nil: nothing can start " + Program)
	}
	if o.Key.ModulePath == "" && o.Key.ModuleName == "" {
		return nil, errNoModule
	}
	pin := bytes.Clone(o.PIN)
	return &Client{o.Key, &pin, o.Run}, nil
}

// Clear wipes the PIN. The client cannot be used afterwards.
func (c *Client) Clear() { clear(*c.pin) }

// String returns the name of the key.
func (c *Client) String() string { return "pkcs11.Client(" + c.key.Key() + ")" }

// GoString returns the name of the key, so that fmt's %#v does not print the PIN.
func (c *Client) GoString() string { return c.String() }

// Find looks the key up on the token and returns it as a root key. The name,
// pkcs11:token=...;object=...;id=...;type=..., is the kms of an envelope: the label of the token, and the label, id
// and type of the key. Errors are *[Error].
func (c *Client) Find(ctx context.Context) (*wrap.RootKey, error) {
	a, err := c.ask(ctx, &request{Operation: "find"})
	if err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(a.ID)
	if err != nil {
		return nil, unusable("find", "the id in the response is not hexadecimal")
	}
	if a.Object == "" && a.ID == "" && a.Token == "" && a.Type == "" {
		return nil, unusable("find", "the response names no key")
	}
	found := kmsuri.Token{Attributes: map[string]string{"token": a.Token, "object": a.Object, "id": string(id), "type": a.Type}}
	root, err := c.As(found.Key())
	if err != nil {
		return nil, failed("find", wrap.ErrKeyState, "", "the key has neither a label nor an id, or they are too long or not text", "give it a label: pkcs11-tool --set-id, or another tool of the vendor")
	}
	return root, nil
}

// As returns the client as the root key with this name, in the form that [Client.Find] returns and an envelope holds.
func (c *Client) As(name string) (*wrap.RootKey, error) {
	root := &wrap.RootKey{Wrapper: c, Unwrapper: c, KMS: kmsuri.URI{Scheme: kmsuri.PKCS11, Name: name}.String()}
	if _, err := kmsuri.Of(&wrap.Envelope{KMS: root.KMS}); err != nil {
		return nil, err
	}
	return root, nil
}

// A wrapped key is the prefix, the mechanism, a colon, and base64.
const prefix = "pkcs11:"

var mechanism = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// Limits in bytes of a wrapped key as text, and of a key.
const (
	maxText  = 16 << 10
	maxPlain = 8 << 10
)

// Wrap implements wrap.Wrapper. It wraps the bytes, not their base64 text, with the best mechanism that the token
// has. docs/pkcs11.md lists the mechanisms.
func (c *Client) Wrap(ctx context.Context, plaintext []byte) (string, error) {
	data, err := decode(plaintext)
	defer clear(data)
	if err != nil || len(data) == 0 || len(data) > maxPlain {
		return "", fmt.Errorf("pkcs11: wrap: %w: the plaintext is not base64 text on one line of 1 to %d bytes", wrap.ErrKey, maxPlain)
	}
	a, err := c.ask(ctx, &request{Operation: "wrap", Data: data})
	if err != nil {
		return "", err
	}
	wdek := prefix + a.Mechanism + ":" + base64.StdEncoding.EncodeToString(a.Data)
	if _, _, err := split(wdek); err != nil {
		return "", unusable("wrap", "the response holds no wrapped key")
	}
	return wdek, nil
}

// Unwrap implements wrap.Unwrapper. Keys on tokens have no versions, so Rewrapped is empty.
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
		return wrap.Unwrapped{}, unusable("unwrap", "the response holds no key")
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
	return "", nil, fmt.Errorf("pkcs11: %w: a PKCS#11 token did not make it", wrap.ErrWDEK)
}

// decode accepts strict base64 on one line.
func decode(text []byte) ([]byte, error) {
	if bytes.ContainsAny(text, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(data, text)
	return data[:n], err
}

// A request is the input of luksimg-pkcs11.
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

// An answer is the output of luksimg-pkcs11.
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

// ask runs luksimg-pkcs11 with a request and returns its answer.
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
	// The last line is the answer. A module can print lines before it.
	lines := bytes.Split(bytes.TrimRight(out, "\n"), []byte("\n"))
	var a answer
	if json.Unmarshal(lines[len(lines)-1], &a) != nil || a.Version == 0 {
		return nil, unusable(q.Operation, Program+" printed no response: the module may have crashed")
	}
	if a.Version != version {
		return nil, unusable(q.Operation, fmt.Sprintf("%s speaks version %d, want %d", Program, a.Version, version))
	}
	if f := a.Fault; f != nil {
		return nil, fault(q.Operation, f.Class, f.Code, f.Message)
	}
	return &a, nil
}
