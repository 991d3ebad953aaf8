package clevis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Policy says when a secret opens. The zero value is not valid: use [ParsePolicy] or [Tang].
type Policy struct {
	pin string

	// For the pin tang.
	url           string
	thumbprint    string          // of a signing key, "" if none is known
	advertisement json.RawMessage // nil: ask the server for it

	// For the pin sss.
	threshold int
	pins      []*Policy
}

// Tang returns the policy that the Tang server at url is reachable. thumbprint is the SHA-256 or SHA-1 thumbprint of
// a signing key of the server, or "" if none is known. If an argument is malformed, the error is [ErrFormat].
func Tang(url, thumbprint string) (*Policy, error) {
	p := &Policy{pin: pinTang, url: url, thumbprint: thumbprint}
	return p, p.check()
}

// ParsePolicy parses the configuration of the pin "tang" or "sss", in the format of clevis encrypt. The member adv of
// tang must be the advertisement itself; if it is the name of a file, the error is [ErrUnsupported].
func ParsePolicy(pin string, config []byte) (*Policy, error) {
	if len(config) > maxBinding {
		return nil, fmt.Errorf("clevis: the configuration has %d bytes, more than %d", len(config), maxBinding)
	}
	left := maxPins
	p, err := parsePolicy(pin, config, 0, &left)
	if err == nil {
		err = p.check()
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// parsePolicy parses the configuration of a pin that is nested in depth sss pins.
func parsePolicy(pin string, config []byte, depth int, left *int) (*Policy, error) {
	if *left--; *left < 0 || depth > maxDepth {
		return nil, unsupported("more than %d pins, or sss nested more than %d deep", maxPins, maxDepth)
	}
	decode := func(to any) error {
		d := json.NewDecoder(bytes.NewReader(config))
		d.DisallowUnknownFields()
		err := d.Decode(to)
		if err == nil && d.More() {
			err = fmt.Errorf("data follows the object")
		}
		if err != nil {
			return malformed("the configuration of %s: %v", pin, err)
		}
		return nil
	}
	switch pin {
	case pinTang:
		var c struct {
			URL string          `json:"url"`
			Thp string          `json:"thp"`
			Adv json.RawMessage `json:"adv"`
		}
		if err := decode(&c); err != nil {
			return nil, err
		}
		p := &Policy{pin: pinTang, url: c.URL, thumbprint: c.Thp}
		if c.Adv != nil {
			if p.advertisement = compact(c.Adv); !bytes.HasPrefix(p.advertisement, []byte("{")) {
				return nil, unsupported("adv of tang is not a JSON object: it must be the advertisement itself, not the name of a file")
			}
		}
		return p, nil
	case pinSSS:
		var c struct {
			T    int                        `json:"t"`
			Pins map[string]json.RawMessage `json:"pins"`
		}
		if err := decode(&c); err != nil {
			return nil, err
		}
		p := &Policy{pin: pinSSS, threshold: c.T}
		for _, name := range slices.Sorted(maps.Keys(c.Pins)) {
			configs, err := listOf(c.Pins[name])
			if err != nil {
				return nil, malformed("the configuration of sss: pins.%s: %v", name, err)
			}
			for _, config := range configs {
				sub, err := parsePolicy(name, config, depth+1, left)
				if err != nil {
					return nil, err
				}
				p.pins = append(p.pins, sub)
			}
		}
		return p, nil
	}
	return nil, foreignPin(pin)
}

// listOf returns the elements of a JSON array, or a list of text alone if it is not an array.
func listOf(text json.RawMessage) (list []json.RawMessage, err error) {
	if !bytes.HasPrefix(text, []byte("[")) {
		return []json.RawMessage{text}, nil
	}
	err = json.Unmarshal(text, &list)
	return list, err
}

// foreignPin returns the error for a pin that the package does not support.
func foreignPin(pin string) error {
	switch pin {
	case "null":
		return unsupported("the pin null, which protects nothing")
	case "tpm2", "pkcs11", "yubikey", "fido2":
		return unsupported("the pin %s needs its hardware: open the binding with clevis on that machine", pin)
	}
	return unsupported("the pin %q", pin)
}

// check validates a policy.
func (p *Policy) check() error {
	switch {
	case p == nil || p.pin == "":
		return malformed("the policy is empty")
	case p.pin == pinTang && p.url == "":
		return malformed("the configuration of tang has no url")
	case p.pin == pinTang && strings.Trim(p.thumbprint, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "":
		return malformed("thumbprint %q: want base64url, as jose jwk thp prints it", p.thumbprint)
	case p.pin == pinSSS && (p.threshold < 1 || p.threshold > len(p.pins)):
		return malformed("t of sss is %d, want 1 to the number of pins, %d", p.threshold, len(p.pins))
	}
	for _, sub := range p.pins {
		if err := sub.check(); err != nil {
			return err
		}
	}
	return nil
}
