package kmsuri

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Token locates a key on a PKCS#11 token. It is the part of an RFC 7512 URI after "pkcs11:".
type Token struct {
	// Attributes select the token (token, manufacturer, model, serial, slot-id) and the key (object, id, type). The
	// values are decoded. The value of id is raw bytes.
	Attributes map[string]string
	// ModulePath is the file of the module, and ModuleName is its name without prefix and suffix. If both are set,
	// ModulePath is the folder of the module. An envelope or a LUKS2 token never holds these fields or PINSource,
	// because they describe the machine.
	ModulePath, ModuleName string
	// PINSource is a file that holds the PIN.
	PINSource string
}

// keyAttributes identify the key. An envelope lists them in this order.
var keyAttributes = []string{"token", "object", "id", "type"}

// attributes are all attributes that the path of a URI can have, in the order in which they are written.
var attributes = append(slices.Clone(keyAttributes), "manufacturer", "model", "serial", "slot-id")

// maxURI is the longest name of a key on a token that a user can give, in bytes.
const maxURI = 4096

// ParseToken parses the part of a URI after "pkcs11:". It refuses unknown attributes, because ignoring one could
// select another token or key. It also refuses a PIN, which must not appear on a command line. The error is [ErrURI].
func ParseToken(name string) (t Token, err error) {
	t, reason := parseToken(name)
	if reason != "" {
		return Token{}, wrong(string(PKCS11)+":"+name, reason)
	}
	return t, nil
}

func parseToken(name string) (t Token, reason string) {
	if len(name) > maxURI {
		return t, fmt.Sprintf("the URI has more than %d characters", maxURI)
	}
	path, query, _ := strings.Cut(name, "?")
	t.Attributes = map[string]string{}
	for part := range strings.SplitSeq(path, ";") {
		if part == "" && path == "" {
			break // names only a module
		}
		key, value, reason := pair(part)
		switch {
		case reason != "":
			return t, reason
		case !slices.Contains(attributes, key):
			return t, fmt.Sprintf("unknown attribute %.50q: want one of %s", key, strings.Join(attributes, ", "))
		case t.Attributes[key] != "":
			return t, key + " appears twice"
		case key != "id" && !isText(value):
			return t, key + " is not printable text"
		case key == "type" && value != "secret-key" && value != "private":
			return t, "type is neither secret-key nor private"
		}
		t.Attributes[key] = value
	}
	if query == "" {
		return t, ""
	}
	for part := range strings.SplitSeq(query, "&") {
		key, value, reason := pair(part)
		if key == "pin-value" { // checked first: value may be a secret
			return t, "a PIN in the URI can be seen by all users of the machine: give the file with it as pin-source, or type it when asked"
		}
		if reason != "" {
			return t, reason
		}
		to := map[string]*string{"module-path": &t.ModulePath, "module-name": &t.ModuleName, "pin-source": &t.PINSource}[key]
		switch {
		case to == nil:
			return t, fmt.Sprintf("unknown attribute %.50q: want module-path, module-name or pin-source", key)
		case *to != "":
			return t, key + " appears twice"
		case !isText(value):
			return t, key + " is not printable text"
		case key == "pin-source" && strings.HasPrefix(value, "|"):
			return t, "pin-source must be a file, not a program to run"
		}
		*to = value
	}
	source, file := strings.CutPrefix(t.PINSource, "file:")
	if file && strings.HasPrefix(source, "///") {
		source = source[2:] // file:///etc/pin
	}
	if file && source == "" {
		return t, "pin-source is empty"
	}
	t.PINSource = source
	return t, ""
}

// pair parses name=value. A reason never quotes the value.
func pair(part string) (name, value, reason string) {
	name, raw, ok := strings.Cut(part, "=")
	switch value, ok2 := decode(raw); {
	case !ok:
		return name, "", fmt.Sprintf("want NAME=VALUE, not %.20q", name)
	case !ok2:
		return name, "", fmt.Sprintf("%.50s has a %% without two hexadecimal digits", name)
	case value == "":
		return name, "", fmt.Sprintf("%.50s is empty", name)
	default:
		return name, value, ""
	}
}

const hexDigits = "0123456789ABCDEF"

func decode(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		high, low := digit(s[i+1]), digit(s[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), true
}

func digit(c byte) int {
	if c >= 'a' && c <= 'f' {
		c -= 'a' - 'A'
	}
	return strings.IndexByte(hexDigits, c)
}

// encode encodes a value. It encodes all bytes of an id, and keeps slashes in the attributes of the query.
func encode(name, s string) string {
	plain := "-._~"
	if strings.Contains(name, "-") {
		plain = "-._~/:"
	}
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if name != "id" && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(plain, c) >= 0) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

func isText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			return false
		}
	}
	return true
}

func (t Token) path(names []string) string {
	var parts []string
	for _, name := range names {
		if v := t.Attributes[name]; v != "" {
			parts = append(parts, name+"="+encode(name, v))
		}
	}
	return strings.Join(parts, ";")
}

// Key returns the attributes that identify the key, without those of the machine. An envelope holds this name.
func (t Token) Key() string { return t.path(keyAttributes) }

// String returns the text that [ParseToken] reads.
func (t Token) String() string {
	var query []string
	source := t.PINSource
	if strings.HasPrefix(source, "file:") || strings.HasPrefix(source, "|") {
		source = "file:" + source
	}
	for _, q := range [][2]string{{"module-name", t.ModuleName}, {"module-path", t.ModulePath}, {"pin-source", source}} {
		if q[1] != "" {
			query = append(query, q[0]+"="+encode(q[0], q[1]))
		}
	}
	s := t.path(attributes)
	if query != nil {
		s += "?" + strings.Join(query, "&")
	}
	return s
}

// named reports whether an envelope can hold this name: it identifies a key, in the canonical form.
func named(name string) bool {
	t, reason := parseToken(name)
	return reason == "" && name != "" && t.Key() == name && (t.Attributes["object"] != "" || t.Attributes["id"] != "")
}

// forKey returns t with the attributes of the key that an envelope names. It returns false if t names another key.
func (t Token) forKey(name string) (Token, bool) {
	is, _ := parseToken(name)
	all := maps.Clone(is.Attributes)
	for key, v := range t.Attributes {
		if have, ok := is.Attributes[key]; ok && have != v {
			return Token{}, false
		}
		all[key] = v
	}
	t.Attributes = all
	return t, true
}

// tokenOf implements [URI.For] for keys on tokens.
func (u URI) tokenOf(is URI) (URI, error) {
	if u.Name == "" {
		return is, nil
	}
	t, err := ParseToken(u.Name)
	if err != nil {
		return URI{}, err
	}
	t, ok := t.forKey(is.Name)
	if !ok {
		return URI{}, fmt.Errorf("%w: %s, not %s", ErrOther, is, u)
	}
	return URI{PKCS11, t.String()}, nil
}
