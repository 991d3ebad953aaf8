package luks

import (
	"fmt"
	"iter"
	"strings"
)

// Fields yields the name and the value of each header field, for display, as cryptsetup luksDump does.
// Names of the fields of a key slot or a digest begin with two spaces. Text values are as in the header
// and can contain anything.
func (i Info) Fields() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		more := true
		row := func(name, format string, args ...any) {
			more = more && yield(name, fmt.Sprintf(format, args...))
		}
		text := func(name, value string) {
			if value != "" {
				row(name, "%s", value)
			}
		}
		row("UUID", "%s", i.UUID)
		text("label", i.Label)
		text("subsystem", i.Subsystem)
		row("cipher", "%s, %d-bit key", i.Cipher, i.KeyBits)
		row("sector size", "%d bytes", i.SectorSize)
		row("data offset", "%d bytes (sector %d)", i.DataOffset, i.DataOffset/512)
		row("hash", "%s", i.Hash)
		if i.Version == 2 {
			row("metadata size", "%d bytes", i.MetadataSize)
			row("epoch", "%d", i.Epoch)
			row("key slots size", "%d bytes", i.KeyslotsSize)
		}
		text("flags", strings.Join(i.Flags, " "))
		text("requirements", strings.Join(i.Requirements, " "))
		for _, u := range i.Unknown {
			row("unknown member", "%s: %s", u.Field, u.Value)
		}
		for _, s := range i.Segments {
			row(fmt.Sprintf("segment %d", s.Segment), "%s at byte %d, %s %s", s.Type, s.Offset, s.Cipher, strings.Join(s.Flags, " "))
		}
		for _, s := range i.Keyslots {
			row(fmt.Sprintf("key slot %d", s.Slot), "%v", s)
			if s.Type != "" {
				row("  area", "%d bytes at %d", s.Size, s.Offset)
				continue
			}
			row("  key", "%d bits, digest %d", s.KeyBits, s.Digest)
			row("  key material", "%d bytes at %d, %s with a %d-bit key", s.Size, s.Offset, s.Cipher, s.CipherBits)
			row("  anti-forensic", "%d stripes, %s", s.AFStripes, s.AFHash)
			row("  salt", "%x", s.Salt)
		}
		for _, d := range i.Digests {
			name := fmt.Sprintf("digest %d", d.Digest)
			if d.Problem != "" {
				row(name, "cannot be used")
				continue
			}
			row(name, "pbkdf2 %s, %d iterations", d.Hash, d.Iterations)
			row("  salt", "%x", d.Salt)
			row("  value", "%x", d.Value)
		}
		for _, k := range i.Tokens {
			row(fmt.Sprintf("token %d", k.Number), "%v", k)
		}
	}
}

// String describes how the key of the slot is derived and anything special about the slot.
func (s SlotInfo) String() string {
	cost := fmt.Sprintf("%s, %d KiB, %d passes, %d lanes", s.KDF, s.Memory, s.Iterations, s.Parallel)
	switch {
	case s.Type != "":
		cost = fmt.Sprintf("of type %q", s.Type)
	case s.KDF == PBKDF2:
		cost = fmt.Sprintf("%s %s, %d iterations", s.KDF, s.Hash, s.Iterations)
	}
	if s.Problem != "" {
		cost += ", cannot be used"
	}
	if !s.Bound {
		cost += ", not bound to the data"
	}
	if s.Priority != "normal" {
		cost += ", " + s.Priority
	}
	return cost
}

// String names the type of the token and its key slots, and describes the token if its type is known.
func (k Token) String() string {
	text := fmt.Sprintf("%q, key slots %v", k.Type, k.Keyslots)
	if words := k.Words(); words != "" {
		text += ": " + words
	}
	return text
}
