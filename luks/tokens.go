package luks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// AnyToken lets an [Editor] choose a free token.
const AnyToken = -1

// A Token is metadata in a LUKS2 header from which other software knows how to open a key slot
// without a typed passphrase; LUKS2, section 3.4.
type Token struct {
	Number   int             `json:"token"`
	Type     string          `json:"type"`
	Keyslots []int           `json:"keyslots"`
	JSON     json.RawMessage `json:"json"` // the whole object
}

// Tokens returns the tokens of the header in the order of their numbers.
func (h *Header) Tokens() []Token {
	if h.version == 1 || h.raw == nil {
		return nil
	}
	tree, err := parseJSON(h.raw)
	if err != nil {
		return nil // unreachable: it was parsed before
	}
	var all []Token
	for name, o := range metadata(tree).objects("tokens") {
		o := o.(map[string]any)
		t := Token{}
		t.Number, _ = number(name)
		t.Type, _ = o["type"].(string)
		list, _ := o["keyslots"].([]any)
		for _, v := range list {
			if s, ok := v.(string); ok {
				n, _ := number(s)
				t.Keyslots = append(t.Keyslots, n)
			}
		}
		t.JSON, _ = json.Marshal(o)
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b Token) int { return a.Number - b.Number })
	return all
}

// TokenFor returns the token text, a JSON object, with slots added to its key slots.
func TokenFor(text []byte, slots ...int) ([]byte, error) {
	var o map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		return nil, fmt.Errorf("a token must be a JSON object: %w", err)
	}
	if _, there := o["keyslots"]; o == nil || len(slots) == 0 && there {
		return text, nil // unchanged; AddToken refuses null
	}
	list, ok := o["keyslots"].([]any)
	if !ok {
		list = []any{}
	}
	for _, n := range slots {
		if s := strconv.Itoa(n); !slices.Contains(list, any(s)) {
			list = append(list, s)
		}
	}
	o["keyslots"] = list
	return json.Marshal(o)
}

// AddToken adds a token: a JSON object with at least the members type and keyslots. Its number is n,
// which must be free, or any free one if n is [AnyToken]. AddToken returns the number.
func (e *Editor) AddToken(text []byte, n int) (int, error) {
	return e.putToken(text, n, false)
}

// ReplaceToken replaces the token with number n.
func (e *Editor) ReplaceToken(text []byte, n int) error {
	_, err := e.putToken(text, n, true)
	return err
}

// putToken stores a token under number n, which must be in use if taken is set, else free.
func (e *Editor) putToken(text []byte, n int, taken bool) (int, error) {
	if e.h.version == 1 {
		return 0, errNoTokensV1()
	}
	tree, err := parseJSON(text)
	if err != nil {
		return 0, fmt.Errorf("luks: token: %w", err)
	}
	err = e.changeV2(func(m metadata, _ *Header) error {
		if n == AnyToken {
			n = m.free("tokens")
		}
		_, is := m.objects("tokens")[strconv.Itoa(n)]
		switch {
		case n < 0 || n >= maxObjects:
			return fmt.Errorf("luks: no such token: %d; they are 0 to %d", n, maxObjects-1)
		case is && !taken:
			return hinted(fmt.Errorf("luks: token %d is not free", n), hintTokens)
		case taken && !is:
			return hinted(fmt.Errorf("luks: there is no token %d", n), hintTokens)
		}
		m.objects("tokens")[strconv.Itoa(n)] = tree
		return nil
	})
	return n, err
}

const hintTokens = "luksimg token list FILE shows the tokens and their numbers"

func errNoTokensV1() error {
	return hinted(unsupported("LUKS1 has no tokens"), "luksimg header convert --format luks2 FILE makes it LUKS2, which has tokens")
}

// RemoveToken removes a token.
func (e *Editor) RemoveToken(n int) error {
	if e.h.version == 1 {
		return errNoTokensV1()
	}
	return e.changeV2(func(m metadata, _ *Header) error {
		if _, there := m.objects("tokens")[strconv.Itoa(n)]; !there {
			return hinted(fmt.Errorf("luks: there is no token %d", n), hintTokens)
		}
		delete(m.objects("tokens"), strconv.Itoa(n))
		return nil
	})
}

// SetPriority sets the priority of a LUKS2 key slot: "normal", "preferred" or "ignored". An ignored
// slot is only tried if the caller names it.
func (e *Editor) SetPriority(slot int, priority string) error {
	if e.h.version == 1 {
		return unsupported("LUKS1 has no priorities")
	}
	value := slices.Index(priorityNames[:], priority)
	if value < 0 {
		return fmt.Errorf("luks: priority %q: want one of %q", priority, priorityNames)
	}
	if e.h.slot(slot) == nil {
		return fmt.Errorf("luks: %w: %d", ErrNoSlot, slot)
	}
	return e.changeV2(func(m metadata, _ *Header) error {
		s := m.objects("keyslots")[strconv.Itoa(slot)].(map[string]any)
		s["priority"] = value
		return nil
	})
}

// SetLabel sets the label and the subsystem of LUKS2, at most 47 bytes each.
func (e *Editor) SetLabel(label, subsystem string) error {
	if _, err := (Options{Version: e.h.version, Label: label, Subsystem: subsystem}).Layout(); err != nil {
		return err
	}
	if e.h.version == 1 {
		return nil // nothing to set
	}
	return e.changeV2(func(_ metadata, h *Header) error {
		h.label, h.subsystem = label, subsystem
		return nil
	})
}
