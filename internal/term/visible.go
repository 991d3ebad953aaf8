package term

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible escapes, in Go syntax, everything in text that a terminal would interpret or not show:
// control characters including newlines and C1, marks that change the text direction, other invisible
// characters, and bytes that are not UTF-8. All text from files and services must pass through it on
// its way to a terminal.
func Visible(text string) string { return visible(text, "") }

// VisibleLines is like Visible for text of several lines: it keeps line feeds.
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

// VisibleJSON returns equivalent JSON in which all characters that [Visible] escapes are escaped in
// JSON syntax. encoding/json leaves some of them unescaped.
func VisibleJSON(text []byte) []byte {
	if strings.IndexFunc(string(text), func(r rune) bool { return !unicode.IsGraphic(r) && r != '\n' }) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range string(text) { // outside of strings JSON has only white space of these
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
