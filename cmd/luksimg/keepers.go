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

// hintKeepers tells what else opens the image by its tokens, if no key was given, or one that opens
// nothing.
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
		hints = append(hints, "by its tokens, which luksimg token list shows, the image opens with "+strings.Join(ways, " or "))
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

// hardware returns how to get a key that luksimg can use where the hardware is that a token is
// bound to; "" for a token that is bound to none.
func hardware(t luks.Token) string {
	enroll := func(unlock, since string) string {
		return "there, systemd-cryptenroll --recovery-key " + unlock + "IMAGE" + since + " adds a recovery key, which --passphrase-file takes here"
	}
	switch {
	case t.Type == "systemd-tpm2":
		return enroll("--unlock-tpm2-device=auto ", " (of systemd 256 or later)")
	case t.Type == "systemd-fido2":
		return enroll("--unlock-fido2-device=auto ", " (of systemd 253 or later)")
	case t.Type == "systemd-pkcs11":
		return enroll("", "")
	case t.Type == clevis.TokenType && strings.HasPrefix(t.Words(), "sealed to") && len(t.Keyslots) > 0:
		return fmt.Sprintf("there, clevis luks pass -d IMAGE -s %d tells the passphrase, which --passphrase-file takes here", t.Keyslots[0])
	}
	return ""
}

// hardwareHint tells of the first token that hardware opens a key slot by, which luksimg does not use,
// and what to do; "" if there is none.
func hardwareHint(tokens []luks.Token) string {
	for _, t := range tokens {
		if way := hardware(t); way != "" && len(t.Keyslots) > 0 {
			return fmt.Sprintf("key slot %d %s, which luksimg does not use: %s", t.Keyslots[0], slotWords(t.Words()), way)
		}
	}
	return ""
}

// slotWords are the words for a token as what a key slot is or does.
func slotWords(words string) string {
	if strings.HasPrefix(words, "sealed") {
		return "is " + words
	}
	return words
}
