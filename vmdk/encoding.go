package vmdk

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/ianaindex"
)

// A charset is how the names in a descriptor are written. Keys, numbers and quotes are
// ASCII in all of them. The zero value leaves bytes as they are, which is right for
// UTF-8.
type charset struct {
	name    string // "" for UTF-8
	decoder *encoding.Decoder
	unknown bool
}

// byteOrderMark starts the UTF-8 text of some editors.
const byteOrderMark = "\xef\xbb\xbf"

// codePages are names of encodings that VMware takes from Windows and that are in no
// index of IANA.
var codePages = map[string]string{"windows-932": "Shift_JIS", "windows-949": "EUC-KR", "windows-950": "Big5"}

// charsetOf finds the encoding of a descriptor. A byte order mark counts for more than
// what the text says.
func charsetOf(text []byte) charset {
	if bytes.HasPrefix(text, []byte(byteOrderMark)) {
		return charset{}
	}
	name := ""
	for line := range bytes.Lines(text) {
		// What is before the = is ASCII, whatever the encoding.
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

// extendsASCII tells whether a text of ASCII is the same in an encoding. A text that
// names any other one, such as UTF-16, is not written in it.
func extendsASCII(e encoding.Encoding) bool {
	const text = `RW 1 FLAT "a\b" ={}~`
	got, err := e.NewDecoder().String(text)
	return err == nil && got == text
}

// decode returns a line as UTF-8. What is not of the encoding becomes U+FFFD.
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

// check tells whether a name that is to be opened, from a line at at, could be decoded.
func (c charset) check(at int64, name string) error {
	switch {
	case c.unknown && strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }):
		return unsupported("the name %s in encoding %s, which is not known here", quote(name), quote(c.name))
	case c.decoder != nil && strings.ContainsRune(name, utf8.RuneError):
		return lineError(at, "name", name, "a text in encoding %s, which the descriptor says it is in", quote(c.name))
	}
	return nil
}
