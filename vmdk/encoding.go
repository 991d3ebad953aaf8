package vmdk

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/ianaindex"
)

// A charset is the encoding of the names in a descriptor. Keys, numbers and quotes are always
// ASCII. The zero value leaves bytes unchanged, which is right for UTF-8.
type charset struct {
	name    string // "" for UTF-8
	decoder *encoding.Decoder
	unknown bool
}

// byteOrderMark starts the UTF-8 text of some editors.
const byteOrderMark = "\xef\xbb\xbf"

// codePages maps Windows names that VMware uses for encodings to their names in the IANA index.
var codePages = map[string]string{"windows-932": "Shift_JIS", "windows-949": "EUC-KR", "windows-950": "Big5"}

// charsetOf returns the encoding of a descriptor. A byte order mark takes precedence over the name
// in the text.
func charsetOf(text []byte) charset {
	if bytes.HasPrefix(text, []byte(byteOrderMark)) {
		return charset{}
	}
	name := ""
	for line := range bytes.Lines(text) {
		// The text before the = is ASCII in every encoding.
		key, value, ok := strings.Cut(string(line), "=")
		if ok && strings.EqualFold(strings.TrimSpace(key), "encoding") {
			name = unquote(strings.TrimSpace(value))
			break
		}
	}
	if name == "" || strings.EqualFold(name, "UTF-8") || strings.EqualFold(name, "UTF8") {
		return charset{}
	}
	known := name
	if page := codePages[strings.ToLower(name)]; page != "" {
		known = page
	}
	e, err := ianaindex.IANA.Encoding(known)
	if err != nil || e == nil || !extendsASCII(e) {
		return charset{name: name, unknown: true}
	}
	return charset{name: name, decoder: e.NewDecoder()}
}

// extendsASCII reports whether ASCII text is unchanged in an encoding. A descriptor that names
// another encoding, such as UTF-16, is not in fact written in it.
func extendsASCII(e encoding.Encoding) bool {
	const text = `RW 1 FLAT "a\b" ={}~`
	got, err := e.NewDecoder().String(text)
	return err == nil && got == text
}

// decode returns a line as UTF-8. Invalid bytes become U+FFFD.
func (c charset) decode(line []byte) string {
	if c.decoder == nil {
		return string(line)
	}
	s, err := c.decoder.String(string(line))
	if err != nil {
		return strings.ToValidUTF8(string(line), string(utf8.RuneError))
	}
	return s
}

// check checks that a name in the line at offset at, which is about to be opened, was decoded.
func (c charset) check(at int64, name string) error {
	switch {
	case c.unknown && strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }):
		return unsupported("the name %s in the unknown encoding %s", quote(name), quote(c.name))
	case c.decoder != nil && strings.ContainsRune(name, utf8.RuneError):
		return lineError(at, "name", name, "text in the descriptor's encoding %s", quote(c.name))
	}
	return nil
}
