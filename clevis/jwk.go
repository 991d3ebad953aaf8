package clevis

import (
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
)

// A publicKey is an elliptic-curve public key. RFC 7518, section 6.2; RFC 7517, section 4.
type publicKey struct {
	Kty    string   `json:"kty"`
	Crv    string   `json:"crv"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
	Alg    string   `json:"alg,omitempty"`
	Use    string   `json:"use,omitempty"`
	KeyOps []string `json:"key_ops,omitempty"`
}

// A curve is an elliptic curve that Tang uses.
type curve struct {
	name  string
	point elliptic.Curve // adds points, which crypto/ecdh does not
	ecdh  ecdh.Curve
	alg   string // of signatures on this curve
	size  int    // bytes of a coordinate
}

var curves = []curve{
	{"P-256", elliptic.P256(), ecdh.P256(), "ES256", 32},
	{"P-384", elliptic.P384(), ecdh.P384(), "ES384", 48},
	{"P-521", elliptic.P521(), ecdh.P521(), "ES512", 66},
}

// curve returns the curve of a key.
func (k *publicKey) curve() (*curve, error) {
	if k == nil || k.Kty != "EC" {
		return nil, unsupported("a key of type other than EC")
	}
	i := slices.IndexFunc(curves, func(c curve) bool { return c.name == k.Crv })
	if i < 0 {
		return nil, unsupported("a key on the curve %q", k.Crv)
	}
	return &curves[i], nil
}

// A point is a point of a curve, other than the point at infinity.
type point struct {
	c    *curve
	x, y *big.Int
}

// point checks a key and returns its point.
func (k *publicKey) point() (point, error) {
	c, err := k.curve()
	if err != nil {
		return point{}, err
	}
	sec1 := []byte{4}
	for _, text := range []string{k.X, k.Y} {
		b, err := b64.DecodeString(text)
		if err != nil {
			return point{}, malformed("a coordinate of a key is not base64url: %v", err)
		}
		if len(b) != c.size {
			return point{}, malformed("a coordinate on %s has %d bytes, want %d", c.name, len(b), c.size)
		}
		sec1 = append(sec1, b...)
	}
	return c.decode(sec1)
}

// decode decodes an uncompressed point and refuses one that is not on the curve.
func (c *curve) decode(sec1 []byte) (point, error) {
	if _, err := c.ecdh.NewPublicKey(sec1); err != nil {
		return point{}, malformed("a point that is not on %s", c.name)
	}
	return point{c, new(big.Int).SetBytes(sec1[1 : 1+c.size]), new(big.Int).SetBytes(sec1[1+c.size:])}, nil
}

// sec1 returns the uncompressed encoding of a point. SEC 1, section 2.3.3.
func (p point) sec1() []byte {
	b := make([]byte, 1+2*p.c.size)
	b[0] = 4
	p.x.FillBytes(b[1 : 1+p.c.size])
	p.y.FillBytes(b[1+p.c.size:])
	return b
}

// checked returns p, or an error if p is the point at infinity.
func (p point) checked() (point, error) {
	if p.x.Sign() == 0 && p.y.Sign() == 0 {
		return point{}, malformed("the sum of two points is the point at infinity")
	}
	return p, nil
}

func (p point) add(q point) (point, error) {
	x, y := p.c.point.Add(p.x, p.y, q.x, q.y) // crypto/ecdh cannot add points
	return point{p.c, x, y}.checked()
}

// minus returns p - q.
func (p point) minus(q point) (point, error) {
	return p.add(point{p.c, q.x, new(big.Int).Sub(p.c.point.Params().P, q.y)})
}

// times returns the product of a point and a scalar, in constant time.
func (p point) times(scalar []byte) (point, error) {
	x, y := p.c.point.ScalarMult(p.x, p.y, scalar) // crypto/ecdh returns only x
	return point{p.c, x, y}.checked()
}

// wipe overwrites the coordinates.
func (p point) wipe() {
	for _, n := range []*big.Int{p.x, p.y} {
		wipe(n)
	}
}

// wipe overwrites a number.
func wipe(n *big.Int) {
	if n != nil {
		clear(n.Bits())
	}
}

// key returns the JWK of a point.
func (p point) key() *publicKey {
	b := p.sec1()
	return &publicKey{Kty: "EC", Crv: p.c.name, X: b64.EncodeToString(b[1 : 1+p.c.size]), Y: b64.EncodeToString(b[1+p.c.size:])}
}

// may reports whether the key's members allow an operation: "verify" or "deriveKey". A key without use and key_ops
// allows none.
func (k *publicKey) may(op string) bool {
	if len(k.KeyOps) > 0 {
		return slices.Contains(k.KeyOps, op)
	}
	return k.Use == map[string]string{"verify": "sig", "deriveKey": "enc"}[op] && k.Use != ""
}

// thumbprint returns the SHA-256 thumbprint of a key. RFC 7638.
func (k *publicKey) thumbprint() string {
	sum := sha256.Sum256(k.canonical())
	return b64.EncodeToString(sum[:])
}

// hasThumbprint reports whether text is the thumbprint of a key, by SHA-256 or by SHA-1, which old bindings use.
func (k *publicKey) hasThumbprint(text string) bool {
	var old [sha1.Size]byte // only a name that old servers use; it proves nothing
	fips140.WithoutEnforcement(func() { old = sha1.Sum(k.canonical()) })
	return text == k.thumbprint() || text == b64.EncodeToString(old[:])
}

// canonical returns the input of a thumbprint: the required members, in lexicographic order. After a call of point,
// they need no escapes: they are base64url and names of curves.
func (k *publicKey) canonical() []byte {
	return fmt.Appendf(nil, `{"crv":%q,"kty":%q,"x":%q,"y":%q}`, k.Crv, k.Kty, k.X, k.Y)
}

// A keySet is a JWK set. RFC 7517, section 5.
type keySet struct {
	Keys []*publicKey `json:"keys"`
}

// parseKeys parses a JWK set and checks each key. It skips keys of other types and curves.
func parseKeys(text []byte) ([]*publicKey, error) {
	var set keySet
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, malformed("the key set: %v", err)
	}
	if len(set.Keys) == 0 || len(set.Keys) > maxKeys {
		return nil, malformed("the key set has %d keys, want 1 to %d", len(set.Keys), maxKeys)
	}
	var keys []*publicKey
	for _, k := range set.Keys {
		if _, err := k.curve(); err != nil {
			continue
		}
		if _, err := k.point(); err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}
