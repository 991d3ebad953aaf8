package main

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/luksimg/luksimg/cmd/luksimg-pkcs11/internal/cryptoki"
)

// run carries out a request.
func (q *request) run() (*answer, error) {
	switch {
	case q.Version != version:
		return nil, faultf(classRequest, "the request has version %d, want %d: luksimg and luksimg-pkcs11 are of different versions", q.Version, version)
	case !slices.Contains([]string{"find", "wrap", "unwrap"}, q.Operation):
		return nil, faultf(classRequest, "unknown operation %.32q", q.Operation)
	case q.Operation != "find" && len(q.Data) == 0:
		return nil, faultf(classRequest, "data is missing")
	case q.Operation == "wrap" && len(q.Data) > maxPlain:
		return nil, faultf(classRequest, "the key has %d bytes, more than %d", len(q.Data), maxPlain)
	}
	path, err := q.module()
	if err != nil {
		return nil, err
	}
	m, err := cryptoki.Open(path)
	if err != nil {
		return nil, faultf(classModule, "%s: %v", path, err).because(err)
	}
	defer m.Close()
	t, err := q.token(m)
	if err != nil {
		return nil, err
	}
	s, err := m.Open(t.Slot)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := q.login(s, t); err != nil {
		return nil, err
	}
	k, err := q.key(s)
	if err != nil {
		return nil, err
	}
	k.m, k.slot = m, t.Slot
	a := &answer{Token: t.Label, Object: k.label, ID: hex.EncodeToString(k.id), Type: k.kind}
	switch q.Operation {
	case "wrap":
		a.Mechanism, a.Data, err = k.wrap(q.Data)
	case "unwrap":
		a.Data, err = k.unwrap(q.Mechanism, q.Data)
	}
	return a, err
}

// token finds the one token that has all attributes. If several match it is an error, so that a PIN never goes to the
// wrong token.
func (q *request) token(m *cryptoki.Module) (cryptoki.Token, error) {
	all, err := m.Tokens()
	if err != nil {
		return cryptoki.Token{}, err
	}
	var fit []cryptoki.Token
	var labels []string
	for _, t := range all {
		if t.Flags&cryptoki.Initialized == 0 {
			continue
		}
		if t.Label != "" {
			labels = append(labels, strconv.Quote(t.Label))
		}
		if fits(q.Attributes, map[string]string{"token": t.Label, "manufacturer": t.Manufacturer, "model": t.Model, "serial": t.Serial, "slot-id": strconv.FormatUint(uint64(t.Slot), 10)}) {
			fit = append(fit, t)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) > 1:
		return cryptoki.Token{}, faultf(classToken, "%d tokens match: select one by token, serial or slot-id", len(fit))
	case len(labels) == 0:
		return cryptoki.Token{}, faultf(classToken, "no token is present")
	}
	return cryptoki.Token{}, faultf(classToken, "no such token; these are present: %.1000s", strings.Join(labels, ", "))
}

// fits reports whether a token has all wanted attributes.
func fits(want, is map[string]string) bool {
	for name, value := range is {
		if w, ok := want[name]; ok && w != value {
			return false
		}
	}
	return true
}

// login logs in if the token requires it. It tries a PIN once, and not at all if a wrong PIN would lock the token.
func (q *request) login(s *cryptoki.Session, t cryptoki.Token) error {
	has := func(f cryptoki.TokenFlags) bool { return t.Flags&f != 0 }
	switch {
	case !has(cryptoki.LoginRequired):
		return nil
	case !has(cryptoki.PINInitialized):
		return faultf(classLocked, "the token %q has no user PIN yet", t.Label)
	case has(cryptoki.PINIsLocked):
		return faultf(classLocked, "the PIN of the token %q is locked", t.Label)
	case has(cryptoki.PINFinalTry):
		return faultf(classLocked, "one more wrong PIN locks the token %q", t.Label)
	case has(cryptoki.PINPad):
		q.PIN = nil
	case q.PIN == nil:
		return faultf(classNoPIN, "the token %q requires a PIN", t.Label)
	}
	err := s.Login(q.PIN)
	switch {
	case err == nil:
		return nil
	case cryptoki.Is(err, cryptoki.PINIncorrect, cryptoki.PINInvalid, cryptoki.PINLenRange):
		return faultf(classPIN, "the PIN of the token %q is wrong", t.Label).because(err)
	case cryptoki.Is(err, cryptoki.PINLocked, cryptoki.PINExpired, cryptoki.UserPINNotInitialized):
		return faultf(classLocked, "the PIN of the token %q is locked or has expired", t.Label).because(err)
	}
	return err
}

// maxKeys is the largest number of matching keys that are read.
const maxKeys = 16

// key finds the one AES secret key or RSA private key that has all attributes.
func (q *request) key(s *cryptoki.Session) (*key, error) {
	var want []cryptoki.Attribute
	if label, ok := q.Attributes["object"]; ok {
		want = append(want, cryptoki.Text(cryptoki.Label, []byte(label)))
	}
	if id, ok := q.Attributes["id"]; ok {
		b, err := hex.DecodeString(id)
		if err != nil || len(b) == 0 {
			return nil, faultf(classRequest, "the id is not hexadecimal")
		}
		want = append(want, cryptoki.Text(cryptoki.ID, b))
	}
	var found []*key
	for _, kind := range []*key{
		{s: s, kind: "secret-key", class: cryptoki.SecretKey, algorithm: cryptoki.AES},
		{s: s, kind: "private", class: cryptoki.PrivateKey, algorithm: cryptoki.RSA},
	} {
		if t, ok := q.Attributes["type"]; ok && t != kind.kind {
			continue
		}
		all, err := s.Find(maxKeys, append(slices.Clone(want), cryptoki.Number(cryptoki.Class, kind.class), cryptoki.Number(cryptoki.KeyType, kind.algorithm))...)
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			k := *kind
			k.object = o
			found = append(found, &k)
		}
	}
	switch {
	case len(found) == 0:
		return nil, faultf(classKey, "the token has no matching AES key or private RSA key")
	case len(found) > 1:
		return nil, faultf(classKey, "%d keys match: select one by object, id or type", len(found))
	}
	k := found[0]
	label, err := s.Attribute(k.object, cryptoki.Label)
	if err != nil {
		return nil, err
	}
	k.label = string(bytes.TrimRight(label, "\x00"))
	k.id, err = s.Attribute(k.object, cryptoki.ID)
	return k, err
}
