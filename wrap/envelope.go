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

// EnvelopeVersion is the version of the envelopes that [Seal] makes. [ReadEnvelope] also reads version 1, which has
// no binding. A version can gain fields. A reader skips unknown fields and keeps them when it writes.
const EnvelopeVersion = 2

const (
	maxEnvelope = 64 << 10
	maxWDEK     = 16 << 10
	maxName     = 1024
)

// ErrEnvelope means that a file is not a valid key envelope.
var ErrEnvelope = advice.New("malformed key envelope", "luksimg wrap --envelope FILE writes one")

// An Envelope is the file beside an encrypted image. It holds the wrapped key and what is needed to unwrap it. It
// holds no secret: without the root key it opens nothing.
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
// [Seal] makes an envelope, and [Open] unwraps its key. docs/envelope.md specifies the format.
type Envelope struct {
	WDEK           string
	RootKeyCRN     string // exactly one of RootKeyCRN and KMS is set
	KMS            string
	Convention     Convention // "" is None
	ImageUUID      string
	KeyFingerprint string
	Created        time.Time // zero: not written
	Tool           string

	binding *binding                   // nil in version 1
	extra   map[string]json.RawMessage // unknown fields, which Write keeps
}

// Write checks the envelope and writes it as indented JSON with a newline at the end. If the envelope breaks the
// rules, the error matches [ErrEnvelope].
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
		// Compact, because the indentation of nested values grows with the square of their depth.
		if err := json.Compact(&out, e.extra[name]); err != nil {
			return err
		}
	}
	out.WriteString("\n}\n")
	if out.Len() > maxEnvelope {
		return bad("the envelope would have more than %d bytes", maxEnvelope)
	}
	_, err = w.Write(out.Bytes())
	return err
}

// ReadEnvelope reads an envelope of at most 64 KiB from r, up to its end. If the file breaks the rules, the error
// matches [ErrEnvelope] and names the field.
func ReadEnvelope(r io.Reader) (*Envelope, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxEnvelope+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxEnvelope {
		return nil, bad("the file has more than %d bytes", maxEnvelope)
	}
	if !utf8.Valid(text) {
		return nil, bad("the file is not UTF-8")
	}
	fields, err := object(text)
	if err != nil {
		return nil, err
	}
	return envelopeOf(fields)
}

// envelopeOf returns the envelope with these members. It takes ownership of fields.
func envelopeOf(fields map[string]json.RawMessage) (*Envelope, error) {
	// An empty field differs from one that is missing or null.
	take := func(name string, v any) error {
		raw, ok := fields[name]
		delete(fields, name)
		if !ok {
			return nil
		}
		if string(raw) == "null" || json.Unmarshal(raw, v) != nil {
			return bad("field %s has the wrong type", name)
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
		return nil, bad("version is 1, but a binding needs version 2")
	}
	if created != "" {
		var err error
		if e.Created, err = time.Parse(time.RFC3339, created); err != nil {
			return nil, bad("created is not an RFC 3339 time")
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

// object reads one JSON object, top level only. Names must match exactly and be unique: two readers must not find two
// different keys in one file.
func object(text []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, bad("the file is not a JSON object")
	}
	fields := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, bad("the file is not valid JSON")
		}
		if _, twice := fields[name]; twice {
			return nil, bad("field %.40q appears twice", name)
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, bad("the file is not valid JSON")
		}
		fields[name] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, bad("the file is not valid JSON")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, bad("data follows the JSON object")
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
		return bad("want exactly one of root_key_crn and kms")
	case e.RootKeyCRN != "" && (!strings.HasPrefix(e.RootKeyCRN, "crn:") || len(e.RootKeyCRN) > maxName || !printable(e.RootKeyCRN)):
		return bad("root_key_crn is not a CRN")
	case len(e.KMS) > maxName || !printable(e.KMS):
		return bad("kms is not printable text of at most %d characters", maxName)
	case len(e.Tool) > maxName || !printable(e.Tool):
		return bad("tool is not printable text of at most %d characters", maxName)
	}
	if e.ImageUUID != "" {
		if id, err := uuid.Parse(e.ImageUUID); err != nil || len(e.ImageUUID) != 36 || id == uuid.Nil {
			return bad("image_uuid is not a UUID")
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
