package luks

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The parser makes a tree, not structs. With structs, encoding/json would match members in another
// case, merge duplicates and ignore unknown members silently.

// maxJSONDepth is more than any metadata need. A token can contain any JSON.
const maxJSONDepth = 32

// A textError is JSON that other software would interpret differently, or reject.
type textError struct {
	at    int64  // offset in the text, bytes
	field string // the path of the enclosing member
	value string
	want  string
}

func (e *textError) Error() string {
	return fmt.Sprintf("%s at byte %d is %s, want %s", e.field, e.at, e.value, e.want)
}

// parseJSON parses one JSON object. It refuses text that other software interprets differently:
// duplicate members, invalid UTF-8, and U+0000 in names and strings. cryptsetup ends a name at U+0000,
// so it would use "segments\u0000" in place of "segments".
func parseJSON(text []byte) (map[string]any, error) {
	if at := invalidUTF8(text); at >= 0 {
		return nil, &textError{int64(at), "json", fmt.Sprintf("byte %#02x", text[at]), "valid UTF-8"}
	}
	p := parser{Decoder: json.NewDecoder(bytes.NewReader(text))}
	p.UseNumber()
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	if _, err := p.Token(); err != io.EOF {
		return nil, errors.New("text after the object")
	}
	o, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not an object")
	}
	return o, nil
}

// invalidUTF8 returns the offset of the first byte that is not valid UTF-8, or -1.
func invalidUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	for at := 0; ; {
		r, n := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && n <= 1 {
			return at
		}
		at += n
	}
}

// A parser builds the tree.
type parser struct {
	*json.Decoder
	path  []string // the names of the enclosing members
	depth int
}

// whole refuses U+0000 in s, the last token.
func (p *parser) whole(s, what string) error {
	if !strings.Contains(s, "\x00") {
		return nil
	}
	path := cmp.Or(strings.Join(p.path, "."), "json")
	return &textError{p.InputOffset(), path, what + shown(s, true), "text without U+0000"}
}

func (p *parser) value() (any, error) {
	if p.depth > maxJSONDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxJSONDepth)
	}
	t, err := p.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	p.depth++
	defer func() { p.depth-- }()
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return p.object()
		}
		return p.array()
	case string:
		return t, p.whole(t, "")
	}
	return t, nil
}

func (p *parser) object() (any, error) {
	o := make(map[string]any)
	for p.More() {
		k, err := p.Token()
		if err != nil {
			return nil, err
		}
		name, ok := k.(string)
		if !ok {
			return nil, fmt.Errorf("member name %v is not a string", k)
		}
		if err := p.whole(name, "an object with the member "); err != nil {
			return nil, err
		}
		if _, twice := o[name]; twice {
			return nil, fmt.Errorf("duplicate member %q", brief(name))
		}
		p.path = append(p.path, brief(name))
		if o[name], err = p.value(); err != nil {
			return nil, err
		}
		p.path = p.path[:len(p.path)-1]
	}
	_, err := p.Token()
	return o, err
}

func (p *parser) array() (any, error) {
	a := []any{}
	for p.More() {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		a = append(a, v)
	}
	_, err := p.Token()
	return a, err
}

// brief shortens a text for an error.
func brief(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "..."
	}
	return s
}

// An object is a JSON object in the metadata with its path. Its methods check the type of a member.
// They keep the first error and return zero values after it.
type object struct {
	path    string
	members map[string]any
	base    int64  // the offset of the JSON area, for errors
	err     *error // makes the whole header invalid
	problem *error // makes only this object unusable: its first problem
	all     *[]Problem
	unknown *[]UnknownMember
}

func (o object) fail(name string, value any, want string) {
	if *o.err != nil {
		return
	}
	err := &FormatError{Offset: o.base, Field: o.name(name), Value: value, Want: want}
	if o.err == o.problem {
		o.refuse(name, err)
		return
	}
	*o.err = err
}

func (o object) name(member string) string {
	if o.path == "" {
		return member
	}
	return o.path + "." + member
}

// want records an error unless ok.
func (o object) want(ok bool, name string, value any, want string) {
	if !ok {
		o.fail(name, value, want)
	}
}

// doubt records a problem unless ok.
func (o object) doubt(ok bool, name string, value any, want string) {
	if !ok {
		o.refuse(name, &FormatError{Offset: o.base, Field: o.name(name), Value: value, Want: want})
	}
}

// refuse records a problem with a member, or with the object if name is empty.
func (o object) refuse(name string, err error) {
	*o.all = append(*o.all, Problem{strings.TrimSuffix(o.name(name), "."), problemText(err)})
	if *o.problem == nil {
		*o.problem = err
	}
}

// inDoubt returns the object with its errors recorded as problems.
func (o object) inDoubt() object {
	o.err = o.problem
	return o
}

// shown formats a value of the wrong type for an error.
func shown(v any, there bool) string {
	if !there {
		return "missing"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return brief(string(b))
}

func member[T any](o object, name, want string) (T, bool) {
	v, there := o.members[name]
	t, ok := v.(T)
	if !ok {
		o.fail(name, shown(v, there), want)
	}
	return t, ok
}

func (o object) has(name string) bool {
	_, ok := o.members[name]
	return ok
}

func (o object) object(name string) object {
	m, _ := member[map[string]any](o, name, "an object")
	return object{o.name(name), m, o.base, o.err, o.problem, o.all, o.unknown}
}

func (o object) str(name string) string {
	s, _ := member[string](o, name, "a string")
	return s
}

// knows records all members except the named ones as unknown. Unknown members are not a problem:
// cryptsetup ignores them too.
func (o object) knows(names ...string) {
	for _, name := range slices.Sorted(maps.Keys(o.members)) {
		if !slices.Contains(names, name) && len(*o.unknown) < maxUnknown {
			*o.unknown = append(*o.unknown, UnknownMember{o.name(brief(name)), shown(o.members[name], true)})
		}
	}
}

// maxUnknown is the maximum number of unknown members that are reported.
const maxUnknown = 32

// is checks a member that must have a given value.
func (o object) is(name, value string) {
	if s := o.str(name); s != value {
		o.fail(name, strconv.Quote(s), strconv.Quote(value))
	}
}

// strings returns an array of strings.
func (o object) strings(name string) []string {
	a, _ := member[[]any](o, name, "an array of strings")
	var out []string
	for _, v := range a {
		s, ok := v.(string)
		if !ok {
			o.fail(name, shown(v, true), "strings only")
			return nil
		}
		out = append(out, s)
	}
	return out
}

// uint32 returns a JSON integer that fits in 32 bits.
func (o object) uint32(name string) uint32 {
	n, ok := member[json.Number](o, name, "an integer")
	if !ok {
		return 0
	}
	v, err := strconv.ParseUint(string(n), 10, 32)
	if err != nil {
		o.fail(name, n, "an integer from 0 to 4294967295")
	}
	return uint32(v)
}

// size returns a 63-bit number, which LUKS2 writes as a string of decimal digits.
func (o object) size(name string) int64 {
	s, ok := member[string](o, name, "a string of decimal digits")
	if !ok {
		return 0
	}
	v, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		o.fail(name, strconv.Quote(s), "a string of decimal digits, less than 2^63")
	}
	return int64(v)
}

func (o object) base64(name string) []byte {
	s, ok := member[string](o, name, "base64 text")
	if !ok {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		o.fail(name, shown(s, true), "base64 text")
	}
	return b
}

// number parses the name of a key slot, digest, segment or token: "0" to "31".
func number(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && n < maxObjects && strconv.Itoa(n) == s
}

// numbers returns an array of object names as numbers, without duplicates.
func (o object) numbers(name string, there map[int]bool) []int {
	var out []int
	for _, s := range o.strings(name) {
		n, ok := number(s)
		o.want(ok && there[n], name, strconv.Quote(s), "the name of an existing object")
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}
