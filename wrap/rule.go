package wrap

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// A rule is the rule of one convention.
type rule struct {
	say       string // which bytes are the passphrase, and which are wrapped
	text      bool   // random bytes become material as base64 text
	asItIs    bool   // the material is base64 text and is wrapped unchanged
	generated bool   // the material is always generated

	// check returns what is wrong with key material, or "".
	check func(material []byte) string
}

var rules = map[Convention]rule{
	None: {say: "the passphrase is the content of the key file, each byte of it", check: checkAny},
	ClassicLUKS: {say: "the passphrase is the base64 text of the data encryption key, without a newline; the same text is wrapped",
		text: true, asItIs: true, generated: true, check: checkBase64},
	ClassicVHD: {say: "the key of the data is the content of the key file, 32 or 64 bytes; the base64 text of it is wrapped",
		generated: true, check: checkXTS},
	VPCQCOW2: {say: "the passphrase is the text in the key file, without a newline; the base64 text of it is wrapped",
		text: true, check: checkText},
}

// rule returns the rule of the convention.
func (c Convention) rule() (rule, error) {
	if c == "" {
		c = None
	}
	r, ok := rules[c]
	if !ok {
		return r, fmt.Errorf("unknown key convention %.32q: want %s, %s, %s or %s", string(c), None, ClassicLUKS, ClassicVHD, VPCQCOW2)
	}
	return r, nil
}

const (
	maxMaterial    = 4096
	classicMinText = 32
	maxText        = 512 // characters: the limit of cryptsetup's prompt, and of the classic import
)

func checkAny(material []byte) string {
	switch n := len(material); {
	case n == 0:
		return "it is empty"
	case n > maxMaterial:
		return fmt.Sprintf("it has %d bytes, want at most %d", n, maxMaterial)
	}
	return ""
}

func checkBase64(material []byte) string {
	if reason := checkLine(material); reason != "" {
		return reason
	}
	if n := len(material); n < classicMinText || n > maxText {
		return fmt.Sprintf("it has %d characters, want from %d to %d", n, classicMinText, maxText)
	}
	decoded, err := decode(material)
	clear(decoded)
	if err != nil {
		return "it is not base64 text"
	}
	return ""
}

func checkXTS(material []byte) string {
	n := len(material)
	if n == 32 || n == 64 {
		return ""
	}
	hint := ""
	decoded, err := decode(bytes.TrimRight(material, "\r\n"))
	defer clear(decoded)
	if err == nil && (len(decoded) == 32 || len(decoded) == 64) {
		hint = "; if it is the base64 text of the key, decode it first"
	}
	return fmt.Sprintf("it has %d bytes, want 32 (AES-128) or 64 (AES-256)%s", n, hint)
}

func checkText(material []byte) string {
	if reason := checkLine(material); reason != "" {
		return reason
	}
	switch n := len(material); {
	case n == 0:
		return "it is empty"
	case n > maxText:
		return fmt.Sprintf("it has %d bytes, want at most %d", n, maxText)
	case !utf8.Valid(material):
		return "it is not UTF-8 text"
	case bytes.IndexByte(material, 0) >= 0:
		return "it holds a zero byte"
	}
	return ""
}

// checkLine refuses line breaks, the most common fault of key files.
func checkLine(material []byte) string {
	if bytes.HasSuffix(material, []byte("\n")) {
		return "it ends with a newline, which would become a part of the passphrase"
	}
	if i := bytes.IndexAny(material, "\r\n"); i >= 0 {
		return fmt.Sprintf("it has a line break after %d characters, want one line", i)
	}
	return ""
}
