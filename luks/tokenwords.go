package luks

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// maxWords bounds the description of a token in bytes, because its text is from the image.
const maxWords = 300

// maxPinDepth and maxPinShares bound the nested shares of clevis that are described.
const maxPinDepth, maxPinShares = 4, 16

// Words describes a token of a known type: which hardware, server or person opens its key slots. It
// returns "" for other types. It verifies nothing.
func (k Token) Words() string {
	about := tokenWords[k.Type]
	if about == nil {
		return ""
	}
	text := about(k.JSON)
	if len(text) > maxWords {
		text = strings.ToValidUTF8(text[:maxWords], "") + "..."
	}
	return text
}

// tokenWords has the types of tokens that luksimg, systemd, clevis and cryptsetup write.
var tokenWords = map[string]func(token json.RawMessage) string{
	RecoveryToken:    func(json.RawMessage) string { return "a recovery key" },
	"systemd-tpm2":   tpm2Words,
	"systemd-fido2":  fido2Words,
	"systemd-pkcs11": pkcs11Words,
	"luks2-keyring":  keyringWords,
	"clevis":         clevisWords,
	"luksimg-wdek":   wdekWords,
}

// wdekWords describes a token that luksimg writes; see package wrap.
func wdekWords(token json.RawMessage) string {
	var t struct {
		CRN        string `json:"root_key_crn"`
		KMS        string `json:"kms"`
		Convention string `json:"key_convention"`
	}
	if json.Unmarshal(token, &t) != nil || t.CRN+t.KMS == "" {
		return ""
	}
	text := "opens with the root key " + cmp.Or(t.CRN, t.KMS)
	if t.Convention != "" && t.Convention != "none" {
		text += ", convention " + t.Convention
	}
	return text
}

// tpm2Words describes a token that systemd-cryptenroll --tpm2-device writes.
func tpm2Words(token json.RawMessage) string {
	var t struct {
		PCRs       []any  `json:"tpm2-pcrs"`
		Bank       string `json:"tpm2-pcr-bank"`
		PublicPCRs []any  `json:"tpm2_pubkey_pcrs"`
		PIN        bool   `json:"tpm2-pin"`
	}
	if json.Unmarshal(token, &t) != nil {
		return "sealed to a TPM2"
	}
	text := "sealed to the TPM2 of one machine"
	if len(t.PCRs) > 0 {
		text += fmt.Sprintf(", PCRs %s", list(t.PCRs))
		if t.Bank != "" {
			text += " of " + t.Bank
		}
	}
	if len(t.PublicPCRs) > 0 {
		text += fmt.Sprintf(", PCRs %s by signature", list(t.PublicPCRs))
	}
	if t.PIN {
		text += ", with a PIN"
	}
	return text
}

// fido2Words describes a token that systemd-cryptenroll --fido2-device writes.
func fido2Words(token json.RawMessage) string {
	var t struct {
		PIN          bool `json:"fido2-clientPin-required"`
		Presence     bool `json:"fido2-up-required"`
		Verification bool `json:"fido2-uv-required"`
	}
	text := "opens with a FIDO2 device"
	if json.Unmarshal(token, &t) != nil {
		return text
	}
	for _, n := range []struct {
		needed bool
		what   string
	}{{t.PIN, "a PIN"}, {t.Presence, "a touch"}, {t.Verification, "user verification"}} {
		if n.needed {
			text += ", with " + n.what
		}
	}
	return text
}

// pkcs11Words describes a token that systemd-cryptenroll --pkcs11-token-uri writes.
func pkcs11Words(token json.RawMessage) string {
	var t struct {
		URI string `json:"pkcs11-uri"`
	}
	json.Unmarshal(token, &t)
	return strings.TrimSpace("opens with a PKCS#11 token " + t.URI)
}

// keyringWords describes a token that cryptsetup token add writes; LUKS2, section 3.4.1.
func keyringWords(token json.RawMessage) string {
	var t struct {
		Description string `json:"key_description"`
	}
	json.Unmarshal(token, &t)
	return fmt.Sprintf("the passphrase is in the kernel keyring as %q", t.Description)
}

// A clevisPin is the protected header of a clevis binding.
type clevisPin struct {
	Clevis struct {
		Pin  string `json:"pin"`
		Tang struct {
			URL string `json:"url"`
		} `json:"tang"`
		SSS struct {
			T   int      `json:"t"`
			JWE []string `json:"jwe"`
		} `json:"sss"`
		TPM2 struct {
			Bank string `json:"pcr_bank"`
			PCRs string `json:"pcr_ids"`
		} `json:"tpm2"`
	} `json:"clevis"`
}

// clevisWords describes a token that clevis luks bind writes.
func clevisWords(token json.RawMessage) string {
	var t struct {
		JWE struct {
			Protected string `json:"protected"`
		} `json:"jwe"`
	}
	if json.Unmarshal(token, &t) != nil {
		return ""
	}
	return pinWords(t.JWE.Protected, 0)
}

// pinWords describes the protected header of a binding and of its nested bindings.
func pinWords(protected string, depth int) string {
	text, err := base64.RawURLEncoding.DecodeString(protected)
	var h clevisPin
	if err != nil || json.Unmarshal(text, &h) != nil {
		return ""
	}
	switch c := &h.Clevis; c.Pin {
	case "tang":
		return "opens where the Tang server " + c.Tang.URL + " can be reached"
	case "tpm2":
		words := "sealed to the TPM2 of one machine"
		if c.TPM2.PCRs != "" {
			words += fmt.Sprintf(", PCRs %s of %s", c.TPM2.PCRs, c.TPM2.Bank)
		}
		return words
	case "sss":
		var shares []string
		for i, jwe := range c.SSS.JWE {
			if depth == maxPinDepth || i == maxPinShares {
				shares = append(shares, "...")
				break
			}
			head, _, _ := strings.Cut(jwe, ".")
			if words := pinWords(head, depth+1); words != "" {
				shares = append(shares, words)
			}
		}
		return fmt.Sprintf("opens by %d of %d: %s", c.SSS.T, len(c.SSS.JWE), strings.Join(shares, "; "))
	case "":
		return ""
	default:
		return fmt.Sprintf("opens by the pin %q of clevis", c.Pin)
	}
}

// list returns the elements of a JSON array as text: "7+11".
func list(all []any) string {
	var text []string
	for _, v := range all {
		text = append(text, fmt.Sprint(v))
	}
	return strings.Join(text, "+")
}
