package wrap

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/internal/advice"
)

// EnvelopeVersion is the version of the envelopes that [Seal] makes. Those of version 1,
// which are not bound, are read too. Fields may be added within a version; a reader skips
// those that it does not know, and keeps them when it writes.
const EnvelopeVersion = 2

const (
	maxEnvelope = 64 << 10
	maxWDEK     = 16 << 10
	maxName     = 1024
)

// ErrEnvelope is a file that is not a key envelope.
var ErrEnvelope = advice.New("malformed key envelope", "luksimg wrap --envelope FILE writes one")

// An Envelope is the file that stands beside an encrypted image: the wrapped key and
// what is needed to use it. It holds no secret: without the root key it opens nothing.
//
// As JSON it is one object:
//
//	version          2, or 1 if it is not bound
//	wdek             the wrapped key, as the keeper of the root key returned it
//	root_key_crn     the root key in Key Protect or Hyper Protect Crypto Services, or
//	kms              another keeper of the root key: "local:" and the id of its key file,
//	                 vault:MOUNT/KEY, awskms:ARN or pkcs11:token=TOKEN;object=KEY
//	key_convention   none, classic-luks, classic-vhd or vpc-qcow2: see [Convention]
//	image_uuid       the UUID in the header of the encrypted image; optional
//	key_fingerprint  16 hexadecimal digits, see [Fingerprint]; optional
//	created          when it was made, RFC 3339, UTC
//	tool             what made it
//	binding          64 hexadecimal digits: a MAC over the fields before created
//	binding_salt     32 hexadecimal digits
//	binding_iterations  how a key that was not generated is stretched; optional
//
// [Seal] makes one, [Open] gets the key out of it. docs/envelope.md has the format.
type Envelope struct {
	WDEK           string
	RootKeyCRN     string // this or KMS, never both
	KMS            string
	Convention     Convention // "" is None
	ImageUUID      string
	KeyFingerprint string
	Created        time.Time // zero is not written
	Tool           string

	binding *binding                   // nil in version 1
	extra   map[string]json.RawMessage // fields of a later tool, kept
}

// Write writes the envelope, checked, as indented JSON with a newline at the end.
func (e *Envelope) Write(w io.Writer) error {
	if err := e.check(); err != nil {
		return err
	}
	convention, _ := ParseConvention(string(e.Convention))
	known := struct {
		Version     int        `json:"version"`
		WDEK        string     `json:"wdek"`
		RootKeyCRN  string     `json:"root_key_crn,omitempty"`
		KMS         string     `json:"kms,omitempty"`
		Convention  Convention `json:"key_convention"`
		ImageUUID   string     `json:"image_uuid,omitempty"`
		Fingerprint string     `json:"key_fingerprint,omitempty"`
		Created     string     `json:"created,omitempty"`
		Tool        string     `json:"tool,omitempty"`
		Binding     string     `json:"binding,omitempty"`
		Salt        string     `json:"binding_salt,omitempty"`
		Iterations  int        `json:"binding_iterations,omitempty"`
	}{Version: 1, WDEK: e.WDEK, RootKeyCRN: e.RootKeyCRN, KMS: e.KMS, Convention: convention, ImageUUID: e.ImageUUID,
		Fingerprint: e.KeyFingerprint, Tool: e.Tool}
	if b := e.binding; b != nil {
		known.Version = EnvelopeVersion
		known.Binding, known.Salt, known.Iterations = hex.EncodeToString(b.mac), hex.EncodeToString(b.salt), b.iterations
	}
	if !e.Created.IsZero() {
		known.Created = e.Created.UTC().Format(time.RFC3339)
	}
	text, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return err
	}
	var out bytes.Buffer
	out.Write(text[:len(text)-len("\n}")])
	for _, name := range slices.Sorted(maps.Keys(e.extra)) {
		quoted, err := json.Marshal(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, ",\n  %s: ", quoted)
		// Compact: indented, what is nested deep grows with the square of its depth.
		if err := json.Compact(&out, e.extra[name]); err != nil {
			return err
		}
	}
	out.WriteString("\n}\n")
	if out.Len() > maxEnvelope {
		return bad("it would have more than %d bytes", maxEnvelope)
	}
	_, err = w.Write(out.Bytes())
	return err
}

// ReadEnvelope reads an envelope to the end of r, at most 64 KiB. What breaks its rules is
// an [ErrEnvelope] that names the field.
func ReadEnvelope(r io.Reader) (*Envelope, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxEnvelope+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxEnvelope {
		return nil, bad("it has more than %d bytes", maxEnvelope)
	}
	if !utf8.Valid(text) {
		return nil, bad("it is not UTF-8")
	}
	fields, err := object(text)
	if err != nil {
		return nil, err
	}
	return envelopeOf(fields)
}

// envelopeOf returns the envelope with these members. It keeps fields.
func envelopeOf(fields map[string]json.RawMessage) (*Envelope, error) {
	// Pointers tell a field that is null, or missing, from an empty one.
	take := func(name string, v any) error {
		raw, ok := fields[name]
		delete(fields, name)
		if !ok {
			return nil
		}
		if string(raw) == "null" || json.Unmarshal(raw, v) != nil {
			return bad("the field %s has the wrong type", name)
		}
		return nil
	}
	var e Envelope
	var version, iterations int
	var created, mac, salt string
	for _, f := range []struct {
		name string
		v    any
	}{
		{"version", &version}, {"wdek", &e.WDEK}, {"root_key_crn", &e.RootKeyCRN}, {"kms", &e.KMS},
		{"key_convention", (*string)(&e.Convention)}, {"image_uuid", &e.ImageUUID},
		{"key_fingerprint", &e.KeyFingerprint}, {"created", &created}, {"tool", &e.Tool},
		{"binding", &mac}, {"binding_salt", &salt}, {"binding_iterations", &iterations},
	} {
		if err := take(f.name, f.v); err != nil {
			return nil, err
		}
	}
	switch {
	case version < 1 || version > EnvelopeVersion:
		return nil, bad("version is %d, want 1 to %d", version, EnvelopeVersion)
	case version > 1:
		var err error
		if e.binding, err = parseBinding(mac, salt, iterations); err != nil {
			return nil, err
		}
	case mac != "" || salt != "" || iterations != 0:
		return nil, bad("version is 1, and it has a binding as from version 2")
	}
	if created != "" {
		var err error
		if e.Created, err = time.Parse(time.RFC3339, created); err != nil {
			return nil, bad("created is no time of RFC 3339")
		}
		e.Created = e.Created.UTC()
		if y := e.Created.Year(); y < 1 || y > 9999 || e.Created.IsZero() {
			return nil, bad("created is out of range")
		}
	}
	if e.Convention == "" {
		return nil, bad("key_convention is missing")
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	if len(fields) > 0 {
		e.extra = fields
	}
	return &e, nil
}

// object reads one JSON object, at the top level only, with exact names and no name
// twice: two readers must not see two different keys in one file.
func object(text []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, bad("it is no JSON object")
	}
	fields := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, bad("it is not valid JSON")
		}
		if _, twice := fields[name]; twice {
			return nil, bad("the field %.40q is there twice", name)
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, bad("it is not valid JSON")
		}
		fields[name] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, bad("it is not valid JSON")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, bad("something follows the JSON object")
	}
	return fields, nil
}

func (e *Envelope) check() error {
	if _, err := ParseConvention(string(e.Convention)); err != nil {
		return bad("key_convention is %.32q", string(e.Convention))
	}
	switch {
	case e.WDEK == "":
		return bad("wdek is missing")
	case len(e.WDEK) > maxWDEK || !printable(e.WDEK) || strings.Contains(e.WDEK, " "):
		return bad("wdek is not one word of at most %d characters", maxWDEK)
	case (e.RootKeyCRN == "") == (e.KMS == ""):
		return bad("exactly one of root_key_crn and kms must be there")
	case e.RootKeyCRN != "" && (!strings.HasPrefix(e.RootKeyCRN, "crn:") || len(e.RootKeyCRN) > maxName || !printable(e.RootKeyCRN)):
		return bad("root_key_crn is no CRN")
	case len(e.KMS) > maxName || !printable(e.KMS):
		return bad("kms is not printable text of at most %d characters", maxName)
	case len(e.Tool) > maxName || !printable(e.Tool):
		return bad("tool is not printable text of at most %d characters", maxName)
	}
	if e.ImageUUID != "" {
		if id, err := uuid.Parse(e.ImageUUID); err != nil || len(e.ImageUUID) != 36 || id == uuid.Nil {
			return bad("image_uuid is no UUID")
		}
	}
	if f := e.KeyFingerprint; f != "" {
		if b, err := hex.DecodeString(f); err != nil || len(b) != fingerprintBytes || strings.ToLower(f) != f {
			return bad("key_fingerprint is not %d hexadecimal digits", 2*fingerprintBytes)
		}
	}
	return nil
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrEnvelope, fmt.Sprintf(format, args...))
}
