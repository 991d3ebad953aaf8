package clevis

import (
	"fmt"
	"strings"
)

// A Binding describes a clevis binding, as its header states it. It holds no secret. It is not
// authenticated before the binding is opened.
type Binding struct {
	Pin       string     `json:"pin"` // "tang", "sss", or one that is not opened here
	URL       string     `json:"url,omitempty"`
	Threshold int        `json:"threshold,omitempty"` // of sss
	Shares    []*Binding `json:"shares,omitempty"`
}

// Inspect tells what is in a binding, without opening it.
func Inspect(binding []byte) (*Binding, error) {
	left := maxPins
	return inspect(binding, 0, &left)
}

// inspect looks at a binding that is in so many of sss.
func inspect(text []byte, depth int, left *int) (*Binding, error) {
	if *left--; *left < 0 || depth > maxDepth {
		return nil, unsupported("more than %d bindings in one, or sss in sss more than %d deep", maxPins, maxDepth)
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

// Servers returns the addresses of all servers that opening the binding may ask, each once.
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

// String describes the binding: "tang http://a", "sss 1 of (tang http://a, tpm2)".
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
