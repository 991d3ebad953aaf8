package clevis

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
)

// A server is a Tang server in memory, with keys on one curve.
type server struct {
	c       *curve
	sign    *ecdsa.PrivateKey
	secret  []byte     // the secret exchange key
	public  *publicKey // the public exchange key
	asked   atomic.Int64
	answer  func(product *publicKey) any  // nil for the right answer
	payload func(set map[string]any)      // nil for the right advertisement
	header  string                        // of the signature; "" for the right one
	spoil   func(signature []byte) []byte // nil for the right signature
}

func newServer(t testing.TB, name string) *server {
	t.Helper()
	for i := range curves {
		if c := &curves[i]; c.name == name {
			sign, err := ecdsa.GenerateKey(c.point, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			exchange, err := c.ecdh.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			p, err := c.decode(exchange.PublicKey().Bytes())
			if err != nil {
				t.Fatal(err)
			}
			return &server{c: c, sign: sign, secret: exchange.Bytes(), public: p.key()}
		}
	}
	t.Fatalf("no curve %s", name)
	return nil
}

// signingKey returns the public signing key.
func (s *server) signingKey() *publicKey {
	b, err := s.sign.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	p, err := s.c.decode(b)
	if err != nil {
		panic(err)
	}
	k := p.key()
	k.Alg, k.KeyOps = s.c.alg, []string{"verify"}
	return k
}

func (s *server) Advertisement(context.Context, string, string) ([]byte, error) {
	exchange := *s.public
	exchange.Alg, exchange.KeyOps = "ECMR", []string{"deriveKey"}
	set := map[string]any{"keys": []any{&exchange, s.signingKey()}}
	if s.payload != nil {
		s.payload(set)
	}
	text, err := json.Marshal(set)
	if err != nil {
		return nil, err
	}
	h := s.header
	if h == "" {
		h = fmt.Sprintf(`{"alg":%q,"cty":"jwk-set+json"}`, s.c.alg)
	}
	a := jws{Payload: b64.EncodeToString(text), signature: signature{Protected: b64.EncodeToString([]byte(h))}}
	in := []byte(a.Protected + "." + a.Payload)
	digest := map[string]func() []byte{
		"ES256": func() []byte { d := sha256.Sum256(in); return d[:] },
		"ES384": func() []byte { d := sha512.Sum384(in); return d[:] },
		"ES512": func() []byte { d := sha512.Sum512(in); return d[:] },
	}[s.c.alg]()
	r, v, err := ecdsa.Sign(rand.Reader, s.sign, digest)
	if err != nil {
		return nil, err
	}
	sig := make([]byte, 2*s.c.size)
	r.FillBytes(sig[:s.c.size])
	v.FillBytes(sig[s.c.size:])
	if s.spoil != nil {
		sig = s.spoil(sig)
	}
	a.signature.Signature = b64.EncodeToString(sig)
	return json.Marshal(map[string]any{"payload": a.Payload, "signatures": []any{a.signature}})
}

func (s *server) Recover(_ context.Context, _, thumbprint string, text []byte) ([]byte, error) {
	s.asked.Add(1)
	var k publicKey
	if err := json.Unmarshal(text, &k); err != nil {
		return nil, err
	}
	if thumbprint != s.public.thumbprint() {
		return nil, fmt.Errorf("no key %s", thumbprint)
	}
	p, err := k.point()
	if err != nil {
		return nil, err
	}
	if p, err = p.times(s.secret); err != nil {
		return nil, err
	}
	if s.answer != nil {
		return json.Marshal(s.answer(p.key()))
	}
	return json.Marshal(p.key())
}

func trusted(context.Context, string, []string) error { return nil }

// bind makes a binding from the configuration of a pin.
func bind(t testing.TB, e Exchanger, pin, config, secret string) []byte {
	t.Helper()
	p, err := ParsePolicy(pin, []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Encrypt(context.Background(), p, []byte(secret), e, trusted)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// oneTang returns the policy of one Tang server.
func oneTang(t testing.TB, thumbprint string) *Policy {
	t.Helper()
	p, err := Tang("http://tang", thumbprint)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
