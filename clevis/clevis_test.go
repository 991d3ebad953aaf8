package clevis

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

const oneServer = `{"url":"http://tang"}`

// TestRoundTrip makes and opens bindings on all curves, and with nested shares.
func TestRoundTrip(t *testing.T) {
	for _, name := range []string{"P-256", "P-384", "P-521"} {
		s := newServer(t, name)
		for _, c := range []struct {
			pin, config, shown string
			asked              int64
		}{
			{"tang", oneServer, "tang http://tang", 1},
			{"tang", fmt.Sprintf(`{"url":"http://tang","thp":%q}`, s.signingKey().thumbprint()), "tang http://tang", 1},
			{"sss", `{"t":1,"pins":{"tang":` + oneServer + `}}`, "sss 1 of (tang http://tang)", 1},
			{"sss", `{"t":2,"pins":{"tang":[` + oneServer + `],"sss":[{"t":1,"pins":{"tang":` + oneServer + `}}]}}`,
				"sss 2 of (sss 1 of (tang http://tang), tang http://tang)", 2},
		} {
			b := bind(t, s, c.pin, c.config, "the secret")
			i, err := Inspect(b)
			if err != nil || i.String() != c.shown || strings.Join(i.Servers(), " ") != "http://tang" {
				t.Errorf("%s: %v, %v", name, i, err)
			}
			s.asked.Store(0)
			got, err := Decrypt(context.Background(), b, s)
			if err != nil || string(got) != "the secret" || s.asked.Load() != c.asked {
				t.Errorf("%s %s: %q, %v, asked %d times", name, c.config, got, err, s.asked.Load())
			}
			token, err := Token(b)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := FromToken(token); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%s: the token %s: %v", name, token, err)
			}
		}
	}
}

// TestBlinded checks that a server never sees the point of a binding, and never the same point twice.
func TestBlinded(t *testing.T) {
	s := newServer(t, "P-256")
	b := bind(t, s, "tang", oneServer, "x")
	j, _ := parseCompact(b)
	h, err := parseHeader(j.header)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{h.EPK.X: true}
	for range 3 {
		e := exchange(func(point []byte) {
			var k publicKey
			if err := json.Unmarshal(point, &k); err != nil || seen[k.X] {
				t.Errorf("%s, %v", point, err)
			}
			seen[k.X] = true
		})
		if _, err := Decrypt(context.Background(), b, e); err == nil {
			t.Error("it opens without an answer")
		}
	}
}

// exchange is an Exchanger that passes each point to a function and returns no answer.
type exchange func(point []byte)

func (e exchange) Advertisement(context.Context, string, string) ([]byte, error) { return nil, nil }
func (e exchange) Recover(_ context.Context, _, _ string, point []byte) ([]byte, error) {
	e(point)
	return []byte("{}"), nil
}

// TestAnswers checks that a binding opens only with the right answer of a server.
func TestAnswers(t *testing.T) {
	s, other := newServer(t, "P-256"), newServer(t, "P-384")
	b := bind(t, s, "tang", oneServer, "x")
	negative := func(k *publicKey) *publicKey {
		p, _ := k.point()
		return point{p.c, p.x, new(big.Int).Sub(p.c.point.Params().P, p.y)}.key()
	}
	for name, answer := range map[string]func(k *publicKey) any{
		"another point":  func(*publicKey) any { return s.public },
		"negative":       func(k *publicKey) any { return negative(k) },
		"another curve":  func(*publicKey) any { return other.public },
		"no curve":       func(k *publicKey) any { k.Crv = "P-192"; return k },
		"kty":            func(k *publicKey) any { k.Kty = "oct"; return k },
		"off the curve":  func(k *publicKey) any { k.Y = k.X; return k },
		"the point at 0": func(k *publicKey) any { k.X = strings.Repeat("A", 43); k.Y = k.X; return k },
		"short":          func(k *publicKey) any { k.X = k.X[4:]; return k },
		"padded":         func(k *publicKey) any { k.X += "="; return k },
		"a list":         func(*publicKey) any { return []int{1} },
		"null":           func(*publicKey) any { return nil },
	} {
		s.answer = answer
		if got, err := Decrypt(context.Background(), b, s); err == nil || !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	s.answer = nil
	if _, err := Decrypt(context.Background(), b, nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("without an Exchanger: %v", err)
	}
}

// TestAdvertisements checks that an advertisement is valid only if each of its keys signed it, and the trusted key is
// among them.
func TestAdvertisements(t *testing.T) {
	for name, spoil := range map[string]func(s *server){
		"another signature": func(s *server) { s.spoil = func(b []byte) []byte { b[3] ^= 1; return b } },
		"a short signature": func(s *server) { s.spoil = func(b []byte) []byte { return b[1:] } },
		"zeros":             func(s *server) { s.spoil = func(b []byte) []byte { return make([]byte, len(b)) } },
		"alg none":          func(s *server) { s.header = `{"alg":"none"}` },
		"alg of another":    func(s *server) { s.header = `{"alg":"ES384"}` },
		"crit":              func(s *server) { s.header = `{"alg":"ES256","crit":["b64"],"b64":false}` },
		"no header":         func(s *server) { s.header = `null` },
		"a key more": func(s *server) {
			s.payload = func(set map[string]any) {
				set["keys"] = append(set["keys"].([]any), newServer(t, "P-256").signingKey())
			}
		},
		"no key that signs": func(s *server) { s.payload = func(set map[string]any) { set["keys"] = set["keys"].([]any)[:1] } },
		"no exchange key":   func(s *server) { s.payload = func(set map[string]any) { set["keys"] = set["keys"].([]any)[1:] } },
		"no keys":           func(s *server) { s.payload = func(set map[string]any) { set["keys"] = []any{} } },
		"many keys": func(s *server) {
			s.payload = func(set map[string]any) {
				for range maxKeys {
					set["keys"] = append(set["keys"].([]any), s.public)
				}
			}
		},
		"a key of nothing": func(s *server) {
			s.payload = func(set map[string]any) { set["keys"].([]any)[0].(*publicKey).KeyOps = nil }
		},
		"off the curve": func(s *server) {
			s.payload = func(set map[string]any) { k := set["keys"].([]any)[0].(*publicKey); k.X = k.Y }
		},
	} {
		s := newServer(t, "P-256")
		spoil(s)
		if b, err := Encrypt(context.Background(), oneTang(t, ""), []byte("x"), s, trusted); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	s := newServer(t, "P-256")
	s.payload = func(set map[string]any) {
		set["keys"] = append(set["keys"].([]any), map[string]any{"kty": "RSA", "key_ops": []string{"verify"}, "n": "AQAB", "e": "AQAB"})
	}
	bind(t, s, "tang", oneServer, "a key of another kind is left out")
	wrong := newServer(t, "P-256").signingKey().thumbprint()
	if _, err := Encrypt(context.Background(), oneTang(t, wrong), []byte("x"), s, trusted); !errors.Is(err, ErrThumbprint) {
		t.Errorf("another thumbprint: %v", err)
	}
	// The thumbprint of the exchange key does not make an advertisement trusted.
	if _, err := Encrypt(context.Background(), oneTang(t, s.public.thumbprint()), []byte("x"), s, trusted); !errors.Is(err, ErrThumbprint) {
		t.Errorf("the thumbprint of the exchange key: %v", err)
	}
}

// TestThumbprint compares a thumbprint with the one that jose prints. The example in RFC 7638 is for an RSA key.
func TestThumbprint(t *testing.T) {
	k := &publicKey{Kty: "EC", Crv: "P-521",
		X: "AN1sDS6W2UnfTmlJKYhMvAoy6g5NoimoY6G6SgQM58Xov6sZNRpvGlJw2NuBwoPex5ROVfA_k227P48TnwyeHqUh",
		Y: "AL7qlPbugf8AuWOXdxADnvt-EjtsCV1IFbAjjZyUQbppCkVRYpWIZMQAoCvA2GnTQM1hz_QcoaFRvtzeZKt0bPw2"}
	if _, err := k.point(); err != nil || k.thumbprint() != "WYUe6_1GiD0WqYTHOQk96Jdevil1Pj4m3ZYybbGLFZw" {
		t.Errorf("%s, %v", k.thumbprint(), err)
	}
}

// TestAgreedKey derives the key of RFC 7518, appendix C, but with another length.
func TestAgreedKey(t *testing.T) {
	z := []byte{158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156,
		251, 49, 110, 163, 218, 128, 106, 72, 246, 218, 167, 121, 140, 254, 144, 196}
	h := &header{APU: "QWxpY2U", APV: "Qm9i"}
	a, err := h.agreedKey(z)
	if err != nil || len(a) != keySize {
		t.Fatal(a, err)
	}
	b, _ := (&header{APU: "Qm9i", APV: "QWxpY2U"}).agreedKey(z)
	if bytes.Equal(a, b) {
		t.Error("apu and apv do not change the key")
	}
	if _, err := (&header{APU: "="}).agreedKey(z); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}

// TestShares checks that any threshold of shares gives the key, and fewer do not.
func TestShares(t *testing.T) {
	prime, err := rand.Prime(rand.Reader, 8*keySize)
	if err != nil {
		t.Fatal(err)
	}
	polynomial := make([]*big.Int, 3)
	for i := range polynomial {
		if polynomial[i], err = rand.Int(rand.Reader, prime); err != nil {
			t.Fatal(err)
		}
	}
	var all []share
	for x := range int64(5) {
		n := big.NewInt(x*x + 1)
		all = append(all, share{n, evaluate(polynomial, n, prime)})
	}
	want := polynomial[0].FillBytes(make([]byte, keySize))
	for i := range 5 {
		for j := range i {
			for k := range j {
				if got, err := interpolate([]share{all[i], all[j], all[k]}, prime); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d %d %d: %x, %v", i, j, k, got, err)
				}
			}
			if got, err := interpolate([]share{all[i], all[j]}, prime); err != nil || bytes.Equal(got, want) {
				t.Errorf("two shares: %v", err)
			}
		}
	}
}

// TestSecretsDiffer checks that two bindings of the same policy share no random values.
func TestSecretsDiffer(t *testing.T) {
	s := newServer(t, "P-256")
	a, b := bind(t, s, "tang", oneServer, "x"), bind(t, s, "tang", oneServer, "x")
	x, _ := parseCompact(a)
	y, _ := parseCompact(b)
	if bytes.Equal(x.iv, y.iv) || bytes.Equal(x.header, y.header) {
		t.Error("two bindings share values")
	}
}
