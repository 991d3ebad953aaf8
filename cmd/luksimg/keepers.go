package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/clevis"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/wrap"
)

// hintKeepers adds a hint to the error for a missing or wrong key: which other flags open the image by its tokens.
func hintKeepers(err error, tokens func() []luks.Token) error {
	missing := errors.Is(err, term.ErrNoTerminal)
	if !missing && !errors.Is(err, luks.ErrPassphrase) {
		return err
	}
	all := tokens()
	var ways, hints []string
	for _, t := range all {
		way := map[string]string{wrap.TokenType: "--kms URI", clevis.TokenType: "--clevis"}[t.Type]
		if way != "" && len(t.Keyslots) > 0 && hardware(t) == "" && !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	if ways != nil && missing {
		hints = append(hints, "the tokens that luksimg token list shows open the image: use "+strings.Join(ways, " or "))
	}
	if h := hardwareHint(all); h != "" && len(hints) == 0 {
		hints = append(hints, h)
	}
	switch {
	case hints == nil:
		return err
	case missing:
		hints = append(hints, "or give a key with --key-file, --passphrase-file or --key-fd")
	default:
		hints = append([]string{rest.Hint(err)}, hints...)
	}
	return rest.WithHint(err, strings.Join(hints, "; "))
}

// hardware returns how to get a usable key on the machine with the hardware that a token is bound to. It returns ""
// for a token that is not bound to hardware.
func hardware(t luks.Token) string {
	enroll := func(unlock, since string) string {
		return "there, systemd-cryptenroll --recovery-key " + unlock + "IMAGE" + since + " adds a recovery key, for --passphrase-file here"
	}
	switch {
	case t.Type == "systemd-tpm2":
		return enroll("--unlock-tpm2-device=auto ", " (of systemd 256 or later)")
	case t.Type == "systemd-fido2":
		return enroll("--unlock-fido2-device=auto ", " (of systemd 253 or later)")
	case t.Type == "systemd-pkcs11":
		return enroll("", "")
	case t.Type == clevis.TokenType && strings.HasPrefix(t.Words(), "sealed to") && len(t.Keyslots) > 0:
		return fmt.Sprintf("there, clevis luks pass -d IMAGE -s %d prints the passphrase, for --passphrase-file here", t.Keyslots[0])
	}
	return ""
}

// hardwareHint returns a hint for the first token that is bound to hardware, which luksimg does not use. It returns
// "" if there is no such token.
func hardwareHint(tokens []luks.Token) string {
	for _, t := range tokens {
		if way := hardware(t); way != "" && len(t.Keyslots) > 0 {
			return fmt.Sprintf("key slot %d %s, which luksimg does not use: %s", t.Keyslots[0], slotWords(t.Words()), way)
		}
	}
	return ""
}

// slotWords adapts the description of a token to a key slot as the subject.
func slotWords(words string) string {
	if strings.HasPrefix(words, "sealed") {
		return "is " + words
	}
	return words
}
