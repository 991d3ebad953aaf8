// Package clevis opens and makes the bindings of the program clevis: secrets, such as the passphrase
// of a LUKS2 key slot, that open where a policy holds. The policies are those that need no hardware:
//
//   - tang: a Tang server can be reached. It never learns the secret, nor which one is asked for.
//   - sss: so many of several policies hold, by Shamir's secret sharing. They may be nested.
//
// [Encrypt] makes a binding by a [Policy], [Decrypt] opens one, and [Inspect] tells what is in one
// without opening it. A binding is a JWE (RFC 7516) in its compact serialization, as clevis encrypt
// writes it; [Token] and [FromToken] have it in the token of a LUKS2 header. The pins tpm2, pkcs11 and others are told of,
// and not opened. The pin null, which keeps no secret, is refused.
//
// The package does not know the network: who calls it passes an [Exchanger], such as that of package
// clevis/tang. Nothing in a binding is a reason to contact anybody unless the caller wants that:
// [Binding.Servers] says first where Decrypt would go. All functions are safe for concurrent use.
package clevis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/internal/advice"
)

// Errors of the package, for errors.Is.
var (
	// ErrFormat is a binding, an advertisement or an answer that is not as it should be.
	ErrFormat = errors.New("malformed")

	// ErrUnsupported is a binding that is well formed, and is not opened or made here.
	ErrUnsupported = errors.New("not supported")

	// ErrTrust is a Tang server whose keys nobody has vouched for.
	ErrTrust = advice.New("nobody has vouched for the keys of the server",
		"give the thumbprint of its signing key, which tang-show-keys or jose jwk thp tells on the server")

	// ErrThumbprint is an advertisement that the trusted key did not sign.
	ErrThumbprint = advice.New("the trusted key did not sign the advertisement",
		"compare the thumbprint with what tang-show-keys or jose jwk thp tells on the server; the key may have been rotated, or somebody else answers")

	// ErrThreshold means that too few of the policies of a sss binding hold.
	ErrThreshold = errors.New("too few shares")
)

// An Exchanger talks to Tang servers. It bounds what it reads, and is safe for concurrent use.
type Exchanger interface {
	// Advertisement returns the advertisement of the server at url, a JWS: that which the key of a
	// thumbprint signed, unless that is "".
	Advertisement(ctx context.Context, url, thumbprint string) ([]byte, error)

	// Recover has the server at url multiply a point, a JWK, by its exchange key of a thumbprint, and
	// returns its answer, a JWK.
	Recover(ctx context.Context, url, thumbprint string, point []byte) ([]byte, error)
}

// The bounds of what is read.
const (
	maxBinding = 4 << 20 // bytes; more than fits the largest LUKS2 header
	maxDepth   = 5       // of sss in sss, the outermost included
	maxPins    = 64      // in all of a binding
	maxKeys    = 64      // of an advertisement
	maxAsked   = 8       // servers at a time
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

// A policyOfHeader says how the key of a binding is had.
type policyOfHeader struct {
	Pin  string      `json:"pin"`
	Tang *tangHeader `json:"tang,omitempty"`
	SSS  *sssHeader  `json:"sss,omitempty"`
}

// parseHeader reads the protected header of a binding, and checks what all pins have in common.
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

// Encrypt returns a binding by a policy for a secret, which e helps to make. trust is asked about the
// keys of a server that the policy does not name, by the SHA-256 thumbprints of its signing keys; nil
// is [ErrTrust].
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

// Decrypt returns the secret of a binding, with the help of e. The caller wipes it. If a server does
// not answer, or has no such key any more, that is the error of e.
func Decrypt(ctx context.Context, binding []byte, e Exchanger) ([]byte, error) {
	if _, err := Inspect(binding); err != nil { // the bounds, before anything is done
		return nil, err
	}
	if e != nil {
		e = &few{e, make(chan struct{}, maxAsked)}
	}
	return decrypt(ctx, binding, e)
}

// few asks a few servers at a time.
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
	if ctx.Err() != nil { // both were ready
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

// withServer says which server an error is about.
func withServer(url string, err error) error { return fmt.Errorf("clevis: tang %s: %w", url, err) }
