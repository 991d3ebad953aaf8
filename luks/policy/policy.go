// Package policy checks a LUKS header against a policy before a key is used.
//
// A LUKS header is not authenticated. Anybody who can write to an image can replace its header. The
// new header can describe unencrypted data, or have a key slot that is easy to guess. Software that then writes secrets
// to the image discloses them (CVE-2025-59054, CVE-2025-58356). A [Policy] lists what is allowed. Every
// policy refuses:
//
//   - the null cipher, for the data or for a key slot;
//   - data that are not a single encrypted segment, such as a plain ("linear") segment before it;
//   - key slots, digests and parts of the header that are unknown or invalid;
//   - an unfinished reencryption ([CVE-2021-4122]), unless the policy allows its requirement.
//
// Use [Policy.Accept] as [luks.OpenOptions.Accept], so that the checked bytes are the ones that are
// used. A Policy is safe for concurrent use as long as nobody changes it.
//
// [CVE-2021-4122]: https://www.openwall.com/lists/oss-security/2022/01/13/2
package policy

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/internal/members"
)

// Version is the version of the policy format.
const Version = 1

// maxSize bounds a policy file, in bytes.
const maxSize = 1 << 20

// ErrPolicy means that a policy is invalid.
var ErrPolicy = errors.New("not a valid policy")

// A Policy lists the allowed values of header fields. A nil list or rule allows anything; an empty list
// allows nothing. Names are compared without regard to case, as in cryptsetup.
type Policy struct {
	// Version is the version of the format and must be 1.
	Version int `json:"version"`
	// Name is the name of the policy in messages.
	Name string `json:"name,omitempty"`

	// LUKSVersions are the allowed LUKS versions: 1, 2.
	LUKSVersions []int `json:"luks_versions,omitzero"`
	// Ciphers are the allowed ciphers of the data as dm-crypt names them: "aes-xts-plain64".
	Ciphers []string `json:"ciphers,omitzero"`
	// KeyBits are the allowed sizes of the volume key, and of the key of a key slot's area, in bits.
	KeyBits []int `json:"key_bits,omitzero"`
	// SectorSizes are the allowed encryption sector sizes in bytes.
	SectorSizes []int `json:"sector_sizes,omitzero"`
	// Hashes are the allowed hashes of digests, of the anti-forensic splitter and of PBKDF2.
	Hashes []string `json:"hashes,omitzero"`
	// KeyslotCiphers are the allowed ciphers of the key material; nil means Ciphers.
	KeyslotCiphers []string `json:"keyslot_ciphers,omitzero"`
	// KDFs are the allowed key derivation functions and their costs. A key slot must match one of them.
	KDFs []KDF `json:"kdfs,omitzero"`
	// DigestIterations is the allowed number of PBKDF2 iterations of a volume key digest.
	DigestIterations *Range `json:"digest_iterations,omitempty"`

	// Keyslots is the allowed number of key slots in use.
	Keyslots *Range `json:"keyslots,omitempty"`
	// AllowUnbound allows key slots and digests that do not belong to the data.
	AllowUnbound bool `json:"allow_unbound,omitempty"`
	// Tokens are the allowed LUKS2 tokens.
	Tokens *Tokens `json:"tokens,omitempty"`
	// Flags are the allowed and required persistent flags of LUKS2, such as "allow-discards".
	Flags *Set `json:"flags,omitempty"`
	// Requirements are the allowed mandatory requirements of LUKS2. Nil allows none.
	Requirements []string `json:"requirements,omitzero"`
	// Integrity are the allowed types of integrity protection, such as "hmac(sha256)". Nil allows none:
	// this module cannot read such data.
	Integrity []string `json:"integrity,omitzero"`
	// AllowUnfitCopy allows a LUKS2 header with a copy that is damaged, older or different. The policy
	// is then checked only for the copy that this package uses; other software can use the other one.
	AllowUnfitCopy bool `json:"allow_unfit_copy,omitempty"`

	// UUID, Label and Subsystem are the required values of these fields. Nil allows any value.
	UUID      *string `json:"uuid,omitempty"`
	Label     *string `json:"label,omitempty"`
	Subsystem *string `json:"subsystem,omitempty"`
}

// A Range includes Min and Max. A nil Max means no upper bound.
type Range struct {
	Min uint64  `json:"min,omitempty"`
	Max *uint64 `json:"max,omitempty"`
}

// A KDF is an allowed key derivation function with its allowed costs.
type KDF struct {
	Type       string   `json:"type"`                 // [luks.PBKDF2], [luks.Argon2i] or [luks.Argon2id]
	Hashes     []string `json:"hashes,omitzero"`      // of PBKDF2; nil means [Policy.Hashes]
	Iterations *Range   `json:"iterations,omitempty"` // of PBKDF2, or passes of Argon2
	MemoryKiB  *Range   `json:"memory_kib,omitempty"` // of Argon2
	Parallel   *Range   `json:"parallel,omitempty"`   // lanes of Argon2
}

// A Set is the allowed and the required elements of a list of names.
type Set struct {
	Allowed  []string `json:"allowed,omitzero"`
	Required []string `json:"required,omitempty"`
}

// Tokens are the allowed number and types of tokens.
type Tokens struct {
	Count *Range `json:"count,omitempty"`
	Set
}

//go:embed cloud.json
var cloud []byte

//go:embed fips.json
var fips []byte

var builtin = map[string][]byte{"cloud": cloud, "fips": fips}

// Names returns the names of the built-in policies, sorted.
func Names() []string { return []string{"cloud", "fips"} }

// Builtin returns a built-in policy and its JSON text, or nil for an unknown name. "cloud" allows what
// this module writes by default and what its profiles need. "fips" allows what FIPS 140-3 approves.
func Builtin(name string) (*Policy, []byte) {
	text, ok := builtin[name]
	if !ok {
		return nil, nil
	}
	p, err := Parse(text)
	if err != nil {
		panic(err) // unreachable: a test reads them all
	}
	return p, bytes.Clone(text)
}

// Parse reads a policy from JSON. It refuses unknown members, duplicate members and meaningless values,
// so that a typo never disables a rule. Errors match [ErrPolicy].
func Parse(text []byte) (*Policy, error) {
	p := &Policy{}
	if len(text) > maxSize {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrPolicy, maxSize)
	}
	if err := checkNames(json.NewDecoder(bytes.NewReader(text))); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, inWords(text, err))
	}
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	return p, nil
}

// scalar matches a JSON scalar at the end of a text.
var scalar = regexp.MustCompile(`("([^"\\\\]|\\\\.)*"|-?[0-9][0-9.eE+-]*|true|false)$`)

// maxShown bounds how much of a value an error shows, in bytes.
const maxShown = 64

// inWords rewrites an error of encoding/json without Go types: the member, its value and the expected
// type.
func inWords(text []byte, err error) error {
	e := new(json.UnmarshalTypeError)
	if !errors.As(err, &e) {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	want := "an object"
	switch e.Type.Kind() {
	case reflect.String:
		want = "a text"
	case reflect.Bool:
		want = "true or false"
	case reflect.Slice:
		want = "an array"
	case reflect.Int:
		want = "a whole number"
	case reflect.Uint64:
		want = "a whole number from 0 on"
	}
	value := "an " + e.Value // array or object
	if e.Offset > 0 && e.Offset <= int64(len(text)) && e.Value != "array" && e.Value != "object" {
		head := text[:e.Offset]
		value = string(scalar.Find(head[max(0, len(head)-maxShown):]))
		value = cmp.Or(value, "a "+strings.TrimPrefix(e.Value, "number "))
	}
	return fmt.Errorf("%s is %s, want %s", cmp.Or(e.Field, "the policy"), value, want)
}

// maxDepth is more than a policy needs.
const maxDepth = 16

// checkNames refuses duplicate members, and names that are not in lower case, because encoding/json
// ignores case. It also refuses text after the JSON value.
func checkNames(d *json.Decoder) error {
	if err := (members.Rules{Depth: maxDepth, LowerCase: true, NoNull: true}).Check(d); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is text after the JSON object")
	}
	return nil
}

func (p *Policy) validate() error {
	if p.Version != Version {
		return fmt.Errorf("version is %d, want %d", p.Version, Version)
	}
	ranges := map[string]*Range{"digest_iterations": p.DigestIterations, "keyslots": p.Keyslots}
	if p.Tokens != nil {
		ranges["tokens.count"] = p.Tokens.Count
		if err := p.Tokens.validate("tokens"); err != nil {
			return err
		}
	}
	if p.Flags != nil {
		if err := p.Flags.validate("flags"); err != nil {
			return err
		}
	}
	for n, k := range p.KDFs {
		if !slices.Contains(kdfTypes, k.Type) {
			return fmt.Errorf("kdfs.%d.type is %q, want one of %s", n, k.Type, strings.Join(kdfTypes, ", "))
		}
		for name, r := range map[string]*Range{"iterations": k.Iterations, "memory_kib": k.MemoryKiB, "parallel": k.Parallel} {
			ranges[fmt.Sprintf("kdfs.%d.%s", n, name)] = r
		}
		if k.Type == kdfTypes[0] && (k.MemoryKiB != nil || k.Parallel != nil) || k.Type != kdfTypes[0] && k.Hashes != nil {
			return fmt.Errorf("kdfs.%d: pbkdf2 has no memory_kib and no parallel, Argon2 has no hashes", n)
		}
	}
	for name, r := range ranges {
		if r != nil && r.Max != nil && *r.Max < r.Min {
			return fmt.Errorf("%s: max %d is less than min %d", name, *r.Max, r.Min)
		}
	}
	return nil
}

func (s *Set) validate(name string) error {
	for _, r := range s.Required {
		if s.Allowed != nil && !contains(s.Allowed, r) {
			return fmt.Errorf("%s: %q is required but not allowed", name, r)
		}
	}
	return nil
}
