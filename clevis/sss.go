package clevis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

const (
	pinSSS = "sss"
	algDir = "dir"
)

// A sssHeader holds the shares of a binding: the threshold, the prime modulus, and each share in its own
// binding.
type sssHeader struct {
	T   int      `json:"t"`
	P   string   `json:"p"`
	JWE []string `json:"jwe"`
}

// A share is a point on the polynomial whose value at 0 is the key.
type share struct{ x, y *big.Int }

func (s share) wipe() { wipe(s.x); wipe(s.y) }

// sss makes a binding that opens if at least the threshold of the policies in p are met.
func (m maker) sss(ctx context.Context, p *Policy, secret []byte) ([]byte, error) {
	prime, err := rand.Prime(rand.Reader, 8*keySize)
	if err != nil {
		return nil, err
	}
	polynomial := make([]*big.Int, p.threshold)
	defer func() {
		for _, c := range polynomial {
			wipe(c)
		}
	}()
	for i := range polynomial {
		if polynomial[i], err = rand.Int(rand.Reader, prime); err != nil {
			return nil, err
		}
	}
	s := &sssHeader{T: p.threshold, P: b64.EncodeToString(prime.FillBytes(make([]byte, keySize)))}
	taken := []*big.Int{new(big.Int)}
	for _, sub := range p.pins {
		x := new(big.Int)
		for slices.ContainsFunc(taken, func(t *big.Int) bool { return t.Cmp(x) == 0 }) {
			if x, err = rand.Int(rand.Reader, prime); err != nil {
				return nil, err
			}
		}
		taken = append(taken, x)
		jwe, err := m.share(ctx, sub, share{x, evaluate(polynomial, x, prime)})
		if err != nil {
			return nil, err
		}
		s.JWE = append(s.JWE, string(jwe))
	}
	key := polynomial[0].FillBytes(make([]byte, keySize))
	defer clear(key)
	return seal(&header{Alg: algDir, Enc: encA256GCM, Clevis: &policyOfHeader{Pin: pinSSS, SSS: s}}, key, secret)
}

// share makes the binding of one share.
func (m maker) share(ctx context.Context, p *Policy, s share) ([]byte, error) {
	defer s.wipe()
	text := make([]byte, 2*keySize)
	defer clear(text)
	s.x.FillBytes(text[:keySize])
	s.y.FillBytes(text[keySize:])
	return m.encrypt(ctx, p, text)
}

// evaluate returns the value at x of the polynomial with these coefficients, constant term first.
func evaluate(polynomial []*big.Int, x, prime *big.Int) *big.Int {
	y := new(big.Int)
	for _, c := range slices.Backward(polynomial) {
		y.Mul(y, x)
		y.Add(y, c)
		y.Mod(y, prime)
	}
	return y
}

// check validates the header and returns the prime.
func (s *sssHeader) check() (prime *big.Int, err error) {
	if s == nil {
		return nil, malformed("the sss binding has no clevis.sss")
	}
	if n := len(s.JWE); n > maxPins || s.T < 1 || s.T > n {
		return nil, malformed("t is %d of %d shares: want 1 to %d shares, and t from 1 to their number", s.T, n, maxPins)
	}
	p, err := b64.DecodeString(s.P)
	if err != nil || len(p) != keySize {
		return nil, malformed("p is not base64url of %d bytes", keySize)
	}
	prime = new(big.Int).SetBytes(p)
	if prime.BitLen() != 8*keySize || !prime.ProbablyPrime(20) {
		return nil, malformed("p is not a prime of %d bits", 8*keySize)
	}
	return prime, nil
}

// sssKey recovers the key of a binding from a threshold of shares. It asks up to [maxAsked] servers at the same time,
// and stops when it has enough shares. The caller wipes the key.
func (h *header) sssKey(ctx context.Context, e Exchanger) ([]byte, error) {
	s := h.Clevis.SSS
	prime, err := s.check()
	if err != nil {
		return nil, err
	}
	if h.Alg != algDir {
		return nil, unsupported("alg of a sss binding is %q, want %q", h.Alg, algDir)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		share
		err error
	}
	results := make(chan result, len(s.JWE))
	for _, text := range s.JWE {
		go func() {
			got, err := openShare(ctx, []byte(text), e, prime)
			results <- result{got, err}
		}()
	}
	var shares []share
	var failed []error
	for range s.JWE {
		r := <-results
		switch {
		case r.err != nil:
			failed = append(failed, r.err)
		case len(shares) == s.T, slices.ContainsFunc(shares, func(o share) bool { return o.x.Cmp(r.x) == 0 }):
			r.wipe()
		default:
			if shares = append(shares, r.share); len(shares) == s.T {
				cancel()
			}
		}
	}
	defer func() {
		for _, s := range shares {
			s.wipe()
		}
	}()
	if len(shares) < s.T {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("clevis: %w: %d of %d needed: %w", ErrThreshold, len(shares), s.T, errors.Join(failed...))
	}
	return interpolate(shares, prime)
}

// openShare opens the binding of a share.
func openShare(ctx context.Context, text []byte, e Exchanger, prime *big.Int) (share, error) {
	b, err := decrypt(ctx, text, e)
	if err != nil {
		return share{}, err
	}
	defer clear(b)
	if len(b) != 2*keySize {
		return share{}, malformed("a share has %d bytes, want %d", len(b), 2*keySize)
	}
	s := share{new(big.Int).SetBytes(b[:keySize]), new(big.Int).SetBytes(b[keySize:])}
	if s.x.Sign() == 0 || s.x.Cmp(prime) >= 0 || s.y.Cmp(prime) >= 0 {
		s.wipe()
		return share{}, malformed("a share is not reduced modulo p")
	}
	return s, nil
}

// interpolate returns the value at 0 of the polynomial through shares, whose x are distinct. The caller wipes it.
func interpolate(shares []share, prime *big.Int) ([]byte, error) {
	sum := new(big.Int)
	defer func() { wipe(sum) }()
	for i, s := range shares {
		above, below := new(big.Int).Set(s.y), big.NewInt(1)
		for j, o := range shares {
			if i == j {
				continue
			}
			above.Mod(above.Mul(above, o.x), prime)
			below.Mod(below.Mul(below, new(big.Int).Sub(o.x, s.x)), prime)
		}
		if below.ModInverse(below, prime) == nil {
			return nil, malformed("p is not prime")
		}
		sum.Mod(sum.Add(sum, above.Mul(above, below)), prime)
		wipe(above)
	}
	return sum.FillBytes(make([]byte, keySize)), nil
}
