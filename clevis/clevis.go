// Package clevis makes and opens the bindings of the program clevis. A binding holds a secret, such as the passphrase
// of a LUKS2 key slot, that opens if a policy is met. The package supports the policies that need no hardware:
//
//   - tang: a Tang server is reachable. The server never learns the secret, and cannot tell which one a client recovers.
//   - sss: at least a given number of several policies are met (Shamir's secret sharing). Policies can be nested.
//
// [Encrypt] makes a binding from a [Policy], [Decrypt] opens one, and [Inspect] describes one without opening it. A
// binding is a JWE (RFC 7516) in compact serialization, as clevis encrypt writes it. [Token] and [FromToken] convert
// it to and from the token of a LUKS2 header. Inspect reports the pins tpm2, pkcs11 and others, but Decrypt does not
// open them. The package refuses the pin null, which protects nothing.
//
// The package makes no network connections itself. The caller passes an [Exchanger], such as the client of package
// clevis/tang. [Binding.Servers] lists the servers that Decrypt would contact, so that the caller can decide first.
// All functions are safe for concurrent use.
package clevis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/internal/advice"
)

// Errors that a caller can act on. Match them with errors.Is.
var (
	// ErrFormat means that a binding, an advertisement, a policy or a server response is malformed.
	ErrFormat = errors.New("malformed")

	// ErrUnsupported means that the input is well-formed but needs something that the package cannot open or make.
	ErrUnsupported = errors.New("not supported")

	// ErrTrust means that the caller has not confirmed the keys of a Tang server.
	ErrTrust = advice.New("the keys of the server are not confirmed",
		"give the thumbprint of its signing key, which tang-show-keys or jose jwk thp prints on the server")

	// ErrThumbprint means that an advertisement has no signature by the trusted key.
	ErrThumbprint = advice.New("the trusted key did not sign the advertisement",
		"compare the thumbprint with what tang-show-keys or jose jwk thp prints on the server; the key may have been rotated, or somebody else answers")

	// ErrThreshold means that too few shares of an sss binding open.
	ErrThreshold = errors.New("too few shares")
)

// An Exchanger talks to Tang servers. It limits the size of responses, and is safe for concurrent use.
type Exchanger interface {
	// Advertisement returns the advertisement of the server at url, a JWS. If thumbprint is not "", the key with that
	// thumbprint must have signed it.
	Advertisement(ctx context.Context, url, thumbprint string) ([]byte, error)

	// Recover has the server at url multiply point, a JWK, by its exchange key with this thumbprint. It returns the
	// product, a JWK.
	Recover(ctx context.Context, url, thumbprint string, point []byte) ([]byte, error)
}

// Limits of the input.
const (
	maxBinding = 4 << 20 // bytes; larger than any LUKS2 header
	maxDepth   = 5       // of sss in sss, including the outermost
	maxPins    = 64      // in a whole binding
	maxKeys    = 64      // in an advertisement
	maxAsked   = 8       // servers asked at the same time
)

// A header is the protected header of a binding.
type header struct {
	Alg    string          `json:"alg"`
	Enc    string          `json:"enc"`
	Kid    string          `json:"kid,omitempty"`
	EPK    *publicKey      `json:"epk,omitempty"`
	APU    string          `json:"apu,omitempty"`
	APV    string          `json:"apv,omitempty"`
	Zip    string          `json:"zip,omitempty"`
	Crit   []string        `json:"crit,omitempty"`
	Clevis *policyOfHeader `json:"clevis"`
}

// A policyOfHeader is the part of the header from which the key of a binding is recovered.
type policyOfHeader struct {
	Pin  string      `json:"pin"`
	Tang *tangHeader `json:"tang,omitempty"`
	SSS  *sssHeader  `json:"sss,omitempty"`
}

// parseHeader parses the protected header of a binding and checks the members that all pins share.
func parseHeader(text []byte) (*header, error) {
	var h header
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, malformed("the protected header: %v", err)
	}
	switch {
	case h.Clevis == nil || h.Clevis.Pin == "":
		return nil, malformed("the protected header has no clevis.pin")
	case h.Enc != encA256GCM:
		return nil, unsupported("enc %q: want %q", h.Enc, encA256GCM)
	case h.Zip != "":
		return nil, unsupported("zip %q", h.Zip)
	case len(h.Crit) > 0:
		return nil, unsupported("crit %q", h.Crit)
	}
	return &h, nil
}

// Encrypt returns a binding of secret to a policy. It gets advertisements from e. For a server whose keys the policy
// does not name, it calls trust with the SHA-256 thumbprints of the server's signing keys. If trust is nil, the error
// for such a server is [ErrTrust]. Encrypt returns an error of trust.
func Encrypt(ctx context.Context, p *Policy, secret []byte, e Exchanger, trust func(ctx context.Context, url string, thumbprints []string) error) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return maker{e, trust}.encrypt(ctx, p, secret)
}

// A maker makes bindings.
type maker struct {
	e     Exchanger
	trust func(ctx context.Context, url string, thumbprints []string) error
}

func (m maker) encrypt(ctx context.Context, p *Policy, secret []byte) ([]byte, error) {
	if p.pin == pinSSS {
		return m.sss(ctx, p, secret)
	}
	return m.tang(ctx, p, secret)
}

// Decrypt returns the secret of a binding. It asks the Tang servers through e. The caller wipes the secret. If a
// server does not respond, or lacks the key, Decrypt returns the error of e.
func Decrypt(ctx context.Context, binding []byte, e Exchanger) ([]byte, error) {
	if _, err := Inspect(binding); err != nil { // checks the limits first
		return nil, err
	}
	if e != nil {
		e = &few{e, make(chan struct{}, maxAsked)}
	}
	return decrypt(ctx, binding, e)
}

// few limits the number of servers that are asked at the same time.
type few struct {
	Exchanger
	slots chan struct{}
}

func (f *few) Recover(ctx context.Context, url, thumbprint string, point []byte) ([]byte, error) {
	select {
	case f.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-f.slots }()
	if ctx.Err() != nil { // select picks at random if both are ready
		return nil, context.Cause(ctx)
	}
	return f.Exchanger.Recover(ctx, url, thumbprint, point)
}

func decrypt(ctx context.Context, binding []byte, e Exchanger) ([]byte, error) {
	j, err := parseCompact(binding)
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(j.header)
	if err != nil {
		return nil, err
	}
	var key []byte
	switch h.Clevis.Pin {
	case pinTang:
		key, err = h.tangKey(ctx, e)
	case pinSSS:
		key, err = h.sssKey(ctx, e)
	default:
		return nil, foreignPin(h.Clevis.Pin)
	}
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return j.open(key)
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("clevis: %w: %w", ErrFormat, fmt.Errorf(format, args...))
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("clevis: %w: %w", ErrUnsupported, fmt.Errorf(format, args...))
}

// withServer adds the server's address to an error.
func withServer(url string, err error) error { return fmt.Errorf("clevis: tang %s: %w", url, err) }
