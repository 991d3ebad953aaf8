package term

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns text with everything in it that a terminal would act on, rather than show,
// as an escape sequence of Go: control characters, also newlines and those of C1; marks that
// change the direction of the text; other invisible characters; and bytes that are not UTF-8.
// All text that comes from a file or a service passes it on its way to a terminal.
func Visible(text string) string { return visible(text, "") }

// VisibleLines is Visible for text of several lines: their ends are left.
func VisibleLines(text string) string { return visible(text, "\n") }

func visible(text, keep string) string {
	shown := func(r rune) bool { return unicode.IsGraphic(r) || strings.ContainsRune(keep, r) }
	if utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !shown(r) }) < 0 {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case shown(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		text = text[n:]
	}
	return b.String()
}

// VisibleJSON returns JSON with the same meaning, in which all characters that [Visible]
// escapes are escaped as JSON does. encoding/json leaves some of them as they are.
func VisibleJSON(text []byte) []byte {
	if strings.IndexFunc(string(text), func(r rune) bool { return !unicode.IsGraphic(r) && r != '\n' }) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range string(text) { // outside of strings JSON has none of them but spaces
		switch {
		case unicode.IsGraphic(r), r == '\n', r == '\t', r == '\r':
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return []byte(b.String())
}
