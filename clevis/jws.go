package clevis

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"math/big"
)

// maxAdvertisement is the largest advertisement in bytes. A new server's advertisement has about 1000.
const maxAdvertisement = 64 << 10

// A jws is a signed text in a JSON serialization. RFC 7515, section 7.2.
type jws struct {
	Payload    string      `json:"payload"`
	Signatures []signature `json:"signatures"` // of the general serialization
	signature              // of the flattened serialization
}

type signature struct {
	Protected string `json:"protected"`
	Signature string `json:"signature"`
}

// An advertisement lists the keys of a Tang server, signed by each of its signing keys.
type advertisement struct {
	set    json.RawMessage // the JWK set
	verify []*publicKey    // the signing keys
	derive *publicKey      // the exchange key
}

// parseAdvertisement parses an advertisement and checks that each signing key in it has signed it.
func parseAdvertisement(text []byte) (*advertisement, error) {
	if len(text) > maxAdvertisement {
		return nil, malformed("the advertisement has %d bytes, more than %d", len(text), maxAdvertisement)
	}
	var s jws
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, malformed("the advertisement: %v", err)
	}
	if s.Signatures == nil {
		s.Signatures = []signature{s.signature}
	}
	if len(s.Signatures) > maxKeys {
		return nil, malformed("the advertisement has %d signatures, more than %d", len(s.Signatures), maxKeys)
	}
	payload, err := b64.DecodeString(s.Payload)
	if err != nil {
		return nil, malformed("the payload of the advertisement is not base64url: %v", err)
	}
	keys, err := parseKeys(payload)
	if err != nil {
		return nil, err
	}
	a := &advertisement{set: payload}
	for _, k := range keys {
		switch {
		case k.may("verify"):
			a.verify = append(a.verify, k)
		case k.may("deriveKey") && a.derive == nil:
			a.derive = k
		}
	}
	if len(a.verify) == 0 {
		return nil, malformed("the advertisement has no signing key")
	}
	if a.derive == nil {
		return nil, malformed("the advertisement has no exchange key")
	}
	for _, k := range a.verify {
		if err := s.verify(k); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// verify returns an error unless k made one of the signatures.
func (s *jws) verify(k *publicKey) error {
	c, err := k.curve()
	if err != nil {
		return err
	}
	if k.Alg != "" && k.Alg != c.alg {
		return unsupported("a signing key on %s with the algorithm %q", c.name, k.Alg)
	}
	p, err := k.point()
	if err != nil {
		return err
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(c.point, p.sec1())
	if err != nil {
		return malformed("the signing key: %v", err)
	}
	for _, sig := range s.Signatures {
		if sig.alg() == c.alg && sig.by(pub, c, s.Payload) {
			return nil
		}
	}
	return malformed("the advertisement has no signature by its key %s", k.thumbprint())
}

// alg returns the algorithm in the protected header, or "" if the header is not usable.
func (s signature) alg() string {
	var h struct {
		Alg  string          `json:"alg"`
		Crit json.RawMessage `json:"crit"`
	}
	text, err := b64.DecodeString(s.Protected)
	if err != nil || json.Unmarshal(text, &h) != nil || h.Crit != nil {
		return ""
	}
	return h.Alg
}

// by reports whether a key made the signature. RFC 7518, section 3.4.
func (s signature) by(pub *ecdsa.PublicKey, c *curve, payload string) bool {
	sig, err := b64.DecodeString(s.Signature)
	if err != nil || len(sig) != 2*c.size {
		return false
	}
	text := []byte(s.Protected + "." + payload)
	var digest []byte
	switch c.alg {
	case "ES256":
		sum := sha256.Sum256(text)
		digest = sum[:]
	case "ES384":
		sum := sha512.Sum384(text)
		digest = sum[:]
	default:
		sum := sha512.Sum512(text)
		digest = sum[:]
	}
	return ecdsa.Verify(pub, digest, new(big.Int).SetBytes(sig[:c.size]), new(big.Int).SetBytes(sig[c.size:]))
}
