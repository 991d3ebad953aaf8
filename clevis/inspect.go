package clevis

import (
	"fmt"
	"strings"
)

// A Binding describes a clevis binding. The data come from its header and are not authenticated until the binding is
// opened. It holds no secret.
type Binding struct {
	Pin       string     `json:"pin"` // "tang", "sss", or a pin that Decrypt does not open
	URL       string     `json:"url,omitempty"`
	Threshold int        `json:"threshold,omitempty"` // of the pin sss: how many shares it needs
	Shares    []*Binding `json:"shares,omitempty"`
}

// Inspect describes a binding without opening it. If it is malformed, the error is [ErrFormat].
func Inspect(binding []byte) (*Binding, error) {
	left := maxPins
	return inspect(binding, 0, &left)
}

// inspect describes a binding that is nested in depth sss bindings. left counts down the bindings that remain
// allowed.
func inspect(text []byte, depth int, left *int) (*Binding, error) {
	if *left--; *left < 0 || depth > maxDepth {
		return nil, unsupported("more than %d bindings in one, or sss nested more than %d deep", maxPins, maxDepth)
	}
	j, err := parseCompact(text)
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(j.header)
	if err != nil {
		return nil, err
	}
	b := &Binding{Pin: h.Clevis.Pin}
	switch b.Pin {
	case pinTang:
		if _, err := h.serverKey(); err != nil {
			return nil, err
		}
		b.URL = h.Clevis.Tang.URL
	case pinSSS:
		s := h.Clevis.SSS
		if _, err := s.check(); err != nil {
			return nil, err
		}
		b.Threshold = s.T
		for _, share := range s.JWE {
			sub, err := inspect([]byte(share), depth+1, left)
			if err != nil {
				return nil, err
			}
			b.Shares = append(b.Shares, sub)
		}
	}
	return b, nil
}

// Servers returns the addresses of all servers that Decrypt would contact, without duplicates.
func (b *Binding) Servers() []string {
	var all []string
	seen := map[string]bool{}
	b.each(func(b *Binding) {
		if b.URL != "" && !seen[b.URL] {
			seen[b.URL] = true
			all = append(all, b.URL)
		}
	})
	return all
}

func (b *Binding) each(f func(*Binding)) {
	f(b)
	for _, s := range b.Shares {
		s.each(f)
	}
}

// String returns a description such as "tang http://a" or "sss 1 of (tang http://a, tpm2)".
func (b *Binding) String() string {
	switch b.Pin {
	case pinTang:
		return "tang " + b.URL
	case pinSSS:
		var shares []string
		for _, s := range b.Shares {
			shares = append(shares, s.String())
		}
		return fmt.Sprintf("sss %d of (%s)", b.Threshold, strings.Join(shares, ", "))
	}
	return b.Pin
}
