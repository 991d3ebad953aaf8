package policy

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/luksimg/luksimg/luks"
)

// ErrViolated matches every [ViolationError]: the header does not conform to the policy.
var ErrViolated = errors.New("the header does not conform to the policy")

// A Violation is a header field that violates a policy.
type Violation struct {
	Field string `json:"field"` // its path in the JSON of LUKS2, "keyslots.0.kdf.type", or its name in LUKS1; the cost of Argon2 is named as in [KDF]
	Value any    `json:"value"` // its value in the header: a string or a number
	Want  string `json:"want"`  // what the policy wants, as the end of a sentence: "aes-xts-plain64"
}

// String returns the violation as a clause: field, value and the allowed values.
func (v Violation) String() string {
	if s, ok := v.Value.(string); ok {
		return fmt.Sprintf("%s is %q, want %s", v.Field, s, v.Want)
	}
	return fmt.Sprintf("%s is %v, want %s", v.Field, v.Value, v.Want)
}

// A ViolationError lists all violations of a policy. It matches [ErrViolated].
type ViolationError struct {
	Policy     string // the name of the policy
	Violations []Violation
}

func (e *ViolationError) Error() string {
	var text []string
	for _, v := range e.Violations {
		text = append(text, v.String())
	}
	return fmt.Sprintf("%v %q: %s", ErrViolated, e.Policy, strings.Join(text, "; "))
}

// Is reports whether target is [ErrViolated].
func (e *ViolationError) Is(target error) bool { return target == ErrViolated }

// Accept returns a [ViolationError] unless the header conforms. Use it as [luks.OpenOptions.Accept].
func (p *Policy) Accept(h *luks.Header) error {
	if v := p.Check(h.Info()); len(v) > 0 {
		return &ViolationError{p.Name, v}
	}
	return nil
}

var kdfTypes = []string{luks.PBKDF2, luks.Argon2i, luks.Argon2id}

// Check returns all violations of the policy, in the order of the header.
func (p *Policy) Check(i luks.Info) []Violation {
	c := &checker{Policy: p, i: i}
	c.identity()
	c.data()
	if p.Keyslots != nil {
		c.in(*p.Keyslots, "keyslots", uint64(len(i.Keyslots)), " key slots")
	}
	for _, s := range i.Keyslots {
		c.keyslot(s)
	}
	for _, d := range i.Digests {
		c.digest(d)
	}
	c.tokens()
	c.config()
	for _, u := range i.Unknown {
		c.add(u.Field, u.Value, "only known members")
	}
	for _, p := range i.Problems {
		if !ruled.MatchString(p.Field) {
			c.add(p.Field, p.Text, "only known and valid parts")
		}
	}
	return c.found
}

// ruled matches the fields of [luks.Problem] that have rules of their own.
var ruled = regexp.MustCompile(`^(config\.requirements\.mandatory|segments(\.\d+\.(type|flags|integrity))?|keyslots\.\d+\.type)$`)

// A checker collects violations.
type checker struct {
	*Policy
	i     luks.Info
	found []Violation
}

func (c *checker) add(field string, value any, want string) {
	c.found = append(c.found, Violation{field, value, want})
}

// field returns the name of a field in the version of the header.
func (c *checker) field(v1, v2 string) string {
	if c.i.Version == 1 {
		return v1
	}
	return v2
}

// in checks a number. unit follows the number in the message.
func (c *checker) in(r Range, field string, n uint64, unit string) {
	if !r.has(n) {
		c.add(field, n, r.String()+unit)
	}
}

func (r Range) has(n uint64) bool { return n >= r.Min && (r.Max == nil || n <= *r.Max) }

// String returns the range for a message, such as "at least 1".
func (r Range) String() string {
	switch {
	case r.Max == nil:
		return fmt.Sprintf("at least %d", r.Min)
	case *r.Max == r.Min:
		return fmt.Sprint(r.Min)
	}
	return fmt.Sprintf("from %d to %d", r.Min, *r.Max)
}

// oneOf checks that a value is in a list, unless the list is nil.
func oneOf[T cmp.Ordered](c *checker, list []T, field string, value T) {
	if list == nil || slices.ContainsFunc(list, func(v T) bool { return same(v, value) }) {
		return
	}
	c.add(field, value, listed(list))
}

func same[T comparable](a, b T) bool {
	s, ok := any(a).(string)
	return a == b || ok && strings.EqualFold(s, any(b).(string))
}

func contains(list []string, name string) bool {
	return slices.ContainsFunc(list, func(v string) bool { return same(v, name) })
}

func listed[T any](list []T) string {
	if len(list) == 0 {
		return "none"
	}
	var text []string
	for _, v := range list {
		text = append(text, fmt.Sprint(v))
	}
	if len(text) == 1 {
		return text[0]
	}
	return "one of " + strings.Join(text, ", ")
}

func (c *checker) identity() {
	oneOf(c, c.LUKSVersions, "version", c.i.Version)
	for _, f := range []struct {
		field, value string
		want         *string
		fold         bool
	}{
		{"uuid", c.i.UUID, c.UUID, true},
		{"label", c.i.Label, c.Label, false},
		{"subsystem", c.i.Subsystem, c.Subsystem, false},
	} {
		if f.want != nil && f.value != *f.want && !(f.fold && strings.EqualFold(f.value, *f.want)) {
			c.add(f.field, f.value, strconv.Quote(*f.want))
		}
	}
	if !c.AllowUnfitCopy {
		for _, name := range c.i.Unfit {
			c.add("header copy", name, "two valid copies with the same content")
		}
	}
}

// cipher checks a cipher. The null cipher is never allowed.
func (c *checker) cipher(list []string, field, name string) {
	if strings.Contains(strings.ToLower(name), "cipher_null") {
		c.add(field, name, "a cipher that encrypts")
		return
	}
	oneOf(c, list, field, name)
}

// data checks the segments. Info.Segments is only set if they are not a single encrypted segment.
func (c *checker) data() {
	if n := len(c.i.Segments); n > 1 {
		c.add("segments", n, "1 segment")
	}
	for _, s := range c.i.Segments {
		name := fmt.Sprintf("segments.%d.", s.Segment)
		if s.Type != "crypt" {
			c.add(name+"type", s.Type, "crypt: these data are not encrypted by dm-crypt")
		}
		if len(s.Flags) > 0 {
			c.add(name+"flags", strings.Join(s.Flags, " "), "none: the data are being reencrypted")
		}
		if s.Integrity != "" && !contains(c.Integrity, s.Integrity) {
			c.add(name+"integrity", s.Integrity, listed(c.Integrity))
		}
		if s.Cipher != "" {
			c.segment(name, s.Cipher, s.SectorSize)
		}
	}
	if len(c.i.Segments) == 0 {
		c.segment("segments.0.", c.i.Cipher, c.i.SectorSize)
	}
}

func (c *checker) segment(name, cipher string, sector int) {
	c.cipher(c.Ciphers, c.field("cipher-name, cipher-mode", name+"encryption"), cipher)
	oneOf(c, c.SectorSizes, c.field("sector size", name+"sector_size"), sector)
}

func (c *checker) keyslot(s luks.SlotInfo) {
	v1, v2 := fmt.Sprintf("key-slot-%d", s.Slot), fmt.Sprintf("keyslots.%d", s.Slot)
	name := c.field(v1, v2)
	switch {
	case s.Type != "":
		c.add(name+".type", s.Type, "luks2")
		return
	case s.Problem != "": // it is one of Info.Problems; other fields of the slot can be invalid
		c.cipher(nil, v2+".area.encryption", s.Cipher)
		return
	}
	if !s.Bound && !c.AllowUnbound {
		c.add(name, "not bound to the data", "key slots for the data only")
	}
	oneOf(c, c.KeyBits, c.field("key-bytes", name+".key_size"), s.KeyBits)
	oneOf(c, c.Hashes, c.field("hash-spec", name+".af.hash"), s.AFHash)
	if c.i.Version != 1 { // LUKS1 has one cipher and one key size
		ciphers := c.KeyslotCiphers
		if ciphers == nil {
			ciphers = c.Ciphers
		}
		c.cipher(ciphers, name+".area.encryption", s.Cipher)
		oneOf(c, c.KeyBits, name+".area.key_size", s.CipherBits)
	}
	c.kdf(name, s)
}

// kdf checks the key derivation of a key slot. If no rule for its type matches, the violation names the
// requirements of the last one.
func (c *checker) kdf(name string, s luks.SlotInfo) {
	if c.KDFs == nil {
		if s.KDF == luks.PBKDF2 {
			oneOf(c, c.Hashes, c.field("hash-spec", name+".kdf.hash"), s.Hash)
		}
		return
	}
	var types []string
	var wrong []Violation
	found := c.found
	for _, k := range c.KDFs {
		types = append(types, k.Type)
		if k.Type != s.KDF {
			continue
		}
		c.found = nil
		c.cost(name, k, s)
		if wrong = c.found; len(wrong) == 0 {
			c.found = found
			return
		}
	}
	if c.found = append(found, wrong...); len(wrong) == 0 {
		c.add(name+".kdf.type", s.KDF, listed(types))
	}
}

func (c *checker) cost(name string, k KDF, s luks.SlotInfo) {
	iterations := c.field(name+".iterations", name+".kdf.iterations")
	if k.Type == luks.PBKDF2 {
		hashes := k.Hashes
		if hashes == nil {
			hashes = c.Hashes
		}
		oneOf(c, hashes, c.field("hash-spec", name+".kdf.hash"), s.Hash)
	}
	for _, r := range []struct {
		rule  *Range
		field string
		n     uint32
		unit  string
	}{
		{k.Iterations, iterations, s.Iterations, ""},
		{k.MemoryKiB, name + ".kdf.memory_kib", s.Memory, " KiB"},
		{k.Parallel, name + ".kdf.parallel", s.Parallel, ""},
	} {
		if r.rule != nil {
			c.in(*r.rule, r.field, uint64(r.n), r.unit)
		}
	}
}

func (c *checker) digest(d luks.DigestInfo) {
	name := fmt.Sprintf("digests.%d", d.Digest)
	if d.Problem != "" { // it is one of Info.Problems
		return
	}
	if !d.Data && !c.AllowUnbound {
		c.add(name, "not of the key of the data", "digests of the key of the data only")
	}
	oneOf(c, c.Hashes, c.field("hash-spec", name+".hash"), d.Hash)
	if c.DigestIterations != nil {
		c.in(*c.DigestIterations, c.field("mk-digest-iter", name+".iterations"), uint64(d.Iterations), "")
	}
}

func (c *checker) tokens() {
	if c.Tokens == nil {
		return
	}
	if c.Tokens.Count != nil {
		c.in(*c.Tokens.Count, "tokens", uint64(len(c.i.Tokens)), " tokens")
	}
	var types []string
	for _, k := range c.i.Tokens {
		types = append(types, k.Type)
		oneOf(c, c.Tokens.Allowed, fmt.Sprintf("tokens.%d.type", k.Number), k.Type)
	}
	c.required("tokens", types, c.Tokens.Required)
}

func (c *checker) config() {
	for n, r := range c.i.Requirements {
		if !contains(c.Requirements, r) {
			c.add(fmt.Sprintf("config.requirements.mandatory.%d", n), r, listed(c.Requirements))
		}
	}
	if c.Flags == nil {
		return
	}
	for n, f := range c.i.Flags {
		oneOf(c, c.Flags.Allowed, fmt.Sprintf("config.flags.%d", n), f)
	}
	c.required("config.flags", c.i.Flags, c.Flags.Required)
}

// required checks that all names in want are in have.
func (c *checker) required(field string, have, want []string) {
	for _, w := range want {
		if !contains(have, w) {
			c.add(field, strings.Join(have, " "), strconv.Quote(w)+" among them")
		}
	}
}
