package clevis

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
)

const (
	pinTang   = "tang"
	algECDHES = "ECDH-ES"
)

// A tangHeader describes a Tang server in a binding: its address and its advertised keys.
type tangHeader struct {
	URL string          `json:"url"`
	Adv json.RawMessage `json:"adv"`
}

// tang makes a binding to a Tang server. It asks the server for its advertisement unless the policy has one.
func (m maker) tang(ctx context.Context, p *Policy, secret []byte) ([]byte, error) {
	a, err := m.advertised(ctx, p)
	if err != nil {
		return nil, err
	}
	server := &publicKey{Kty: a.derive.Kty, Crv: a.derive.Crv, X: a.derive.X, Y: a.derive.Y}
	c, err := server.curve()
	if err != nil {
		return nil, err
	}
	s, err := server.point()
	if err != nil {
		return nil, err
	}
	remote, err := c.ecdh.NewPublicKey(s.sec1())
	if err != nil {
		return nil, malformed("the exchange key: %v", err)
	}
	own, err := c.ecdh.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	epk, err := c.decode(own.PublicKey().Bytes())
	if err != nil {
		return nil, err
	}
	z, err := own.ECDH(remote)
	if err != nil {
		return nil, malformed("the exchange key: %v", err)
	}
	defer clear(z)
	h := &header{Alg: algECDHES, Enc: encA256GCM, Kid: server.thumbprint(), EPK: epk.key(),
		Clevis: &policyOfHeader{Pin: pinTang, Tang: &tangHeader{URL: p.url, Adv: a.set}}}
	key, err := h.agreedKey(z)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return seal(h, key, secret)
}

// advertised returns the advertisement of a server once its keys are trusted.
func (m maker) advertised(ctx context.Context, p *Policy) (*advertisement, error) {
	text := []byte(p.advertisement)
	if text == nil {
		if m.e == nil {
			return nil, unsupported("no Exchanger to ask %s", p.url)
		}
		var err error
		if text, err = m.e.Advertisement(ctx, p.url, p.thumbprint); err != nil {
			return nil, err
		}
	}
	a, err := parseAdvertisement(text)
	if err != nil {
		return nil, err
	}
	if p.thumbprint != "" {
		if !slices.ContainsFunc(a.verify, func(k *publicKey) bool { return k.hasThumbprint(p.thumbprint) }) {
			return nil, withServer(p.url, ErrThumbprint)
		}
		return a, nil
	}
	if p.advertisement != nil {
		return a, nil // the caller trusts the advertisement that it supplied
	}
	if m.trust == nil {
		return nil, withServer(p.url, ErrTrust)
	}
	var prints []string
	for _, k := range a.verify {
		prints = append(prints, k.thumbprint())
	}
	return a, m.trust(ctx, p.url, prints)
}

// serverKey returns the exchange key for which the binding was made.
func (h *header) serverKey() (*publicKey, error) {
	t := h.Clevis.Tang
	if h.Alg != algECDHES {
		return nil, unsupported("alg of a tang binding is %q, want %q", h.Alg, algECDHES)
	}
	if t == nil || t.URL == "" || h.EPK == nil {
		return nil, malformed("the tang binding has no clevis.tang.url or no epk")
	}
	keys, err := parseKeys(t.Adv)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(keys, func(k *publicKey) bool { return k.hasThumbprint(h.Kid) })
	if i < 0 {
		return nil, malformed("kid %q is not one of the keys in clevis.tang.adv", h.Kid)
	}
	return keys[i], nil
}

// tangKey recovers the key of a binding with the McCallum-Relyea exchange. C is the binding's epk, E a new key pair
// and S the server's key. It sends C + E, receives (C + E) times the server's secret, and subtracts S times E's
// secret. To the server, C + E is a random point. The caller wipes the key.
func (h *header) tangKey(ctx context.Context, e Exchanger) ([]byte, error) {
	server, err := h.serverKey()
	if err != nil {
		return nil, err
	}
	s, err := server.point()
	if err != nil {
		return nil, err
	}
	c, err := h.EPK.point()
	if err != nil {
		return nil, err
	}
	if s.c != c.c {
		return nil, malformed("epk is on %s, but the key of the server is on %s", c.c.name, s.c.name)
	}
	if e == nil {
		return nil, unsupported("no Exchanger to ask %s", h.Clevis.Tang.URL)
	}
	blind, err := c.c.ecdh.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	own, err := c.c.decode(blind.PublicKey().Bytes())
	if err != nil {
		return nil, err
	}
	sum, err := c.add(own)
	if err != nil {
		return nil, err
	}
	question := sum.key()
	question.Alg = "ECMR"
	text, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	answer, err := e.Recover(ctx, h.Clevis.Tang.URL, h.Kid, text)
	if err != nil {
		return nil, err
	}
	var product publicKey
	if err := json.Unmarshal(answer, &product); err != nil {
		return nil, withServer(h.Clevis.Tang.URL, malformed("the response: %v", err))
	}
	y, err := product.point()
	if err == nil && y.c != c.c {
		err = malformed("the response is on %s, want %s", y.c.name, c.c.name)
	}
	if err != nil {
		return nil, withServer(h.Clevis.Tang.URL, err)
	}
	scalar := blind.Bytes()
	defer clear(scalar)
	masked, err := s.times(scalar)
	if err != nil {
		return nil, err
	}
	defer masked.wipe()
	k, err := y.minus(masked)
	if err != nil {
		return nil, err
	}
	defer k.wipe()
	z := k.sec1()
	defer clear(z)
	return h.agreedKey(z[1 : 1+c.c.size])
}

// compact returns JSON without insignificant space, or nil if text is not valid JSON.
func compact(text []byte) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return nil
	}
	return b.Bytes()
}
