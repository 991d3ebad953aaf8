package clevis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Policy says where a secret opens. The zero value is none; [ParsePolicy] reads one, and [Tang]
// makes one of a single server.
type Policy struct {
	pin string

	// Of tang.
	url           string
	thumbprint    string          // of a signing key, "" if none is known
	advertisement json.RawMessage // nil to ask for it

	// Of sss.
	threshold int
	pins      []*Policy
}

// Tang returns the policy that the Tang server at url can be reached. thumbprint is that of a key that
// signs its advertisement, by SHA-256 or SHA-1; "" if none is known.
func Tang(url, thumbprint string) (*Policy, error) {
	p := &Policy{pin: pinTang, url: url, thumbprint: thumbprint}
	return p, p.check()
}

// ParsePolicy reads the configuration of a pin, "tang" or "sss", as clevis encrypt takes it. An adv of
// tang that names a file is refused: it has to be the advertisement itself.
func ParsePolicy(pin string, config []byte) (*Policy, error) {
	if len(config) > maxBinding {
		return nil, fmt.Errorf("clevis: a configuration of %d bytes, more than %d", len(config), maxBinding)
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

// parsePolicy reads the configuration of a pin that is in so many of sss.
func parsePolicy(pin string, config []byte, depth int, left *int) (*Policy, error) {
	if *left--; *left < 0 || depth > maxDepth {
		return nil, unsupported("more than %d pins, or sss in sss more than %d deep", maxPins, maxDepth)
	}
	decode := func(to any) error {
		d := json.NewDecoder(bytes.NewReader(config))
		d.DisallowUnknownFields()
		err := d.Decode(to)
		if err == nil && d.More() {
			err = fmt.Errorf("there is more behind the object")
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
				return nil, unsupported("adv of tang: want the advertisement itself, a JSON object, and no name of a file")
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

// listOf returns the elements of a JSON array, or what is none as the only one.
func listOf(text json.RawMessage) (list []json.RawMessage, err error) {
	if !bytes.HasPrefix(text, []byte("[")) {
		return []json.RawMessage{text}, nil
	}
	err = json.Unmarshal(text, &list)
	return list, err
}

// foreignPin is why a pin is not for this package.
func foreignPin(pin string) error {
	switch pin {
	case "null":
		return unsupported("the pin null, which keeps no secret")
	case "tpm2", "pkcs11", "yubikey", "fido2":
		return unsupported("the pin %s, which opens on the machine with that hardware only, by clevis", pin)
	}
	return unsupported("the pin %q", pin)
}

// check looks at a policy before anything is done by it.
func (p *Policy) check() error {
	switch {
	case p == nil || p.pin == "":
		return malformed("no policy")
	case p.pin == pinTang && p.url == "":
		return malformed("a configuration of tang without url")
	case p.pin == pinTang && strings.Trim(p.thumbprint, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "":
		return malformed("thumbprint %q: want base64url, as jose jwk thp tells it", p.thumbprint)
	case p.pin == pinSSS && (p.threshold < 1 || p.threshold > len(p.pins)):
		return malformed("t of sss is %d, and there are %d pins: want 1 to that", p.threshold, len(p.pins))
	}
	for _, sub := range p.pins {
		if err := sub.check(); err != nil {
			return err
		}
	}
	return nil
}
