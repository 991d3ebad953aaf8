// Package policy compares what a LUKS header says with what is expected of it, before anything is
// opened with a key.
//
// A LUKS header is not authenticated: whoever can write to an image can replace its header by one that
// says that the data are not encrypted, or that makes a key slot cheap to guess. Software that then
// writes secrets to such an image gives them away (CVE-2025-59054, CVE-2025-58356). A [Policy] names what
// is allowed; what is always refused, whatever the policy says:
//
//   - the null cipher, for the data or for a key slot;
//   - data that are anything but one encrypted segment, such as a plain ("linear") one in front;
//   - key slots, digests and parts of the header that are not known here, or can not be used;
//   - a change of encryption that has begun ([CVE-2021-4122]), unless its requirement is allowed.
//
// Use [Policy.Accept] as [luks.OpenOptions.Accept], so that the bytes that were checked are those that are
// used. A Policy is a value, and safe for concurrent use as long as nobody changes it.
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

// Version is the version of the format of policies.
const Version = 1

// maxSize bounds a policy file, in bytes.
const maxSize = 1 << 20

// ErrPolicy means that a policy itself is not valid.
var ErrPolicy = errors.New("not a valid policy")

// A Policy is what a header may say. A list that is nil, or a rule that is nil, allows anything;
// an empty list allows nothing. Names are compared without regard to case, as cryptsetup does.
type Policy struct {
	// Version is that of the format, 1.
	Version int `json:"version"`
	// Name is what the policy is called in messages.
	Name string `json:"name,omitempty"`

	// LUKSVersions are the versions of LUKS: 1, 2.
	LUKSVersions []int `json:"luks_versions,omitzero"`
	// Ciphers of the data, as dm-crypt names them: "aes-xts-plain64".
	Ciphers []string `json:"ciphers,omitzero"`
	// KeyBits are the sizes of the volume key, and of the key of a key slot's area, in bits.
	KeyBits []int `json:"key_bits,omitzero"`
	// SectorSizes are the units of encryption in bytes.
	SectorSizes []int `json:"sector_sizes,omitzero"`
	// Hashes are those of digests, of the anti-forensic splitter and of PBKDF2.
	Hashes []string `json:"hashes,omitzero"`
	// KeyslotCiphers are those of the key material; nil is Ciphers.
	KeyslotCiphers []string `json:"keyslot_ciphers,omitzero"`
	// KDFs are the key derivation functions that a key slot may have, with their costs. A key slot
	// conforms if one of them fits.
	KDFs []KDF `json:"kdfs,omitzero"`
	// DigestIterations are the iterations of PBKDF2 of a digest of the volume key.
	DigestIterations *Range `json:"digest_iterations,omitempty"`

	// Keyslots is how many key slots are in use.
	Keyslots *Range `json:"keyslots,omitempty"`
	// AllowUnbound allows key slots and digests that are not for the data.
	AllowUnbound bool `json:"allow_unbound,omitempty"`
	// Tokens are those of LUKS2.
	Tokens *Tokens `json:"tokens,omitempty"`
	// Flags are those of LUKS2 that say how the image is opened: "allow-discards".
	Flags *Set `json:"flags,omitempty"`
	// Requirements are the mandatory requirements of LUKS2 that are allowed. Nil allows none.
	Requirements []string `json:"requirements,omitzero"`
	// Integrity are the types of integrity protection that are allowed: "hmac(sha256)". Nil allows
	// none: this module does not read such data.
	Integrity []string `json:"integrity,omitzero"`
	// AllowUnfitCopy allows a LUKS2 header one of whose two copies is damaged, older, or says
	// something else: what is checked is the copy that is used here, and other software may use the other one.
	AllowUnfitCopy bool `json:"allow_unfit_copy,omitempty"`

	// UUID, Label and Subsystem are what these fields must be, if they are not nil.
	UUID      *string `json:"uuid,omitempty"`
	Label     *string `json:"label,omitempty"`
	Subsystem *string `json:"subsystem,omitempty"`
}

// A Range is from Min to Max, both included. Max nil is no bound.
type Range struct {
	Min uint64  `json:"min,omitempty"`
	Max *uint64 `json:"max,omitempty"`
}

// A KDF is a key derivation function, and the costs that it may have.
type KDF struct {
	Type       string   `json:"type"`                 // [luks.PBKDF2], [luks.Argon2i] or [luks.Argon2id]
	Hashes     []string `json:"hashes,omitzero"`      // of PBKDF2; nil is [Policy.Hashes]
	Iterations *Range   `json:"iterations,omitempty"` // of PBKDF2, or passes of Argon2
	MemoryKiB  *Range   `json:"memory_kib,omitempty"` // of Argon2
	Parallel   *Range   `json:"parallel,omitempty"`   // lanes of Argon2
}

// A Set is what may, and what must, be in a list of names.
type Set struct {
	Allowed  []string `json:"allowed,omitzero"`
	Required []string `json:"required,omitempty"`
}

// Tokens says how many tokens there may be, and of which types.
type Tokens struct {
	Count *Range `json:"count,omitempty"`
	Set
}

//go:embed cloud.json
var cloud []byte

//go:embed fips.json
var fips []byte

var builtin = map[string][]byte{"cloud": cloud, "fips": fips}

// Names are the names of the policies that are built in, sorted.
func Names() []string { return []string{"cloud", "fips"} }

// Builtin returns a policy that is built in, and its JSON text: "cloud" is what this module writes
// by default and what its profiles need, "fips" what FIPS 140-3 approves. It returns nil for other names.
func Builtin(name string) (*Policy, []byte) {
	text, ok := builtin[name]
	if !ok {
		return nil, nil
	}
	p, err := Parse(text)
	if err != nil {
		panic(err) // a test reads them all
	}
	return p, bytes.Clone(text)
}

// Parse reads a policy from JSON. Members that are not known, that are there twice, and values that make
// no sense are refused, so that no rule is lost by a slip of the pen. Errors are [ErrPolicy].
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

// scalar is a JSON value at the end of a text.
var scalar = regexp.MustCompile(`("([^"\\\\]|\\\\.)*"|-?[0-9][0-9.eE+-]*|true|false)$`)

// maxShown bounds how much of a value is told, in bytes.
const maxShown = 64

// inWords says what encoding/json says without the types of Go: the member, its value, and what is
// wanted.
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

// maxDepth is more than a policy has.
const maxDepth = 16

// checkNames refuses members that are there twice, and names that encoding/json would take for another
// one: it does not look at case, and all names of a policy are lower case. What is behind the value is
// refused too.
func checkNames(d *json.Decoder) error {
	if err := (members.Rules{Depth: maxDepth, LowerCase: true, NoNull: true}).Check(d); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something is behind the JSON object")
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
			return fmt.Errorf("kdfs.%d: pbkdf2 has hashes, and neither memory_kib nor parallel; Argon2 has no hashes", n)
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
			return fmt.Errorf("%s: %q is required and not allowed", name, r)
		}
	}
	return nil
}
