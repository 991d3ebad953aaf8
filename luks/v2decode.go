package luks

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// decodeJSON validates the JSON area, which is at offset base, and sets the fields of the header.
func (h *Header) decodeJSON(jsonArea []byte, base int64) error {
	end := bytes.IndexByte(jsonArea, 0)
	if end < 0 {
		return &FormatError{Offset: base, Field: "json", Value: "without an end", Want: "a NUL after it"}
	}
	for i, c := range jsonArea[end:] {
		if c != 0 {
			return &FormatError{Offset: base + int64(end+i), Field: "json", Value: c, Want: "zeros after its end"}
		}
	}
	if end == 0 || jsonArea[0] != '{' {
		return &FormatError{Offset: base, Field: "json", Value: shown(string(jsonArea[:min(end, 16)]), true), Want: "an object from the first byte on"}
	}
	h.raw = jsonArea[:end:end]
	tree, err := parseJSON(h.raw)
	if text := new(textError); errors.As(err, &text) {
		return &FormatError{Offset: base + text.at, Field: text.field, Value: text.value, Want: text.want}
	}
	if err != nil {
		return &FormatError{Offset: base, Field: "json", Value: err.Error(), Want: "valid JSON"}
	}
	root := object{members: tree, base: base, err: &err, problem: &h.dataProblem, all: &h.problems, unknown: &h.unknown}
	root.knows("keyslots", "tokens", "segments", "digests", "config")
	h.decodeConfig(root)
	if err == nil {
		err = h.decodeObjects(root)
	}
	if err == nil {
		h.noteProblems()
	}
	return err
}

// noteProblems records the unknown and invalid parts of the header.
func (h *Header) noteProblems() {
	h.refused = h.dataProblem
	for _, s := range h.slots {
		h.refused = cmp.Or(h.refused, s.problem)
	}
	for _, d := range h.digests {
		h.refused = cmp.Or(h.refused, d.problem)
	}
	for _, p := range h.problems {
		h.warn("%s", p.Text)
	}
}

// decodeConfig reads the object "config". Its mandatory requirements change how the data are read; this
// package supports none.
func (h *Header) decodeConfig(root object) {
	config := root.object("config")
	config.knows("json_size", "keyslots_size", "flags", "requirements")
	jsonSize := config.size("json_size")
	config.want(jsonSize == h.hdrSize-v2BinarySize, "json_size", jsonSize, fmt.Sprint(h.hdrSize-v2BinarySize))
	n := config.size("keyslots_size")
	config.want(n%4096 == 0 && n <= v2MaxKeyslotsSize, "keyslots_size", n, "a multiple of 4096, at most 134217728")
	h.keyslots = n
	if config.has("flags") {
		h.flags = config.strings("flags")
	}
	if config.has("requirements") {
		// "requirements" is an object. Only its member "mandatory" is specified.
		requirements := config.object("requirements")
		requirements.knows("mandatory")
		if requirements.has("mandatory") {
			if h.requirements = requirements.strings("mandatory"); len(h.requirements) > 0 {
				requirements.refuse("mandatory", unsupported("mandatory requirement %q", h.requirements[0]))
			}
		}
	}
}

// decodeObjects reads key slots, tokens, segments and digests.
func (h *Header) decodeObjects(root object) error {
	first, last := 2*h.hdrSize, 2*h.hdrSize+h.keyslots

	slots := make(map[int]bool)
	var areas []namedArea
	root.each("keyslots", func(n int, o object) {
		var problem error
		o.problem = &problem
		s := decodeKeyslot(n, o)
		s.problem = problem
		a := o.object("area")
		a.want(s.area.offset >= first && s.area.offset <= last && s.area.size <= last-s.area.offset, "offset", s.area.offset,
			fmt.Sprintf("an area within %d and %d", first, last))
		areas = append(areas, namedArea{s.area, root.base, a.name("offset")})
		h.slots = append(h.slots, s)
		slots[n] = true
	})
	root.each("tokens", func(n int, o object) {
		o.str("type")
		o.numbers("keyslots", slots)
		h.tokens++
	})
	segments := make(map[int]bool)
	root.each("segments", func(n int, o object) {
		s := decodeSegment(n, o)
		o.want(s.offset == 0 || s.offset >= last, "offset", s.offset, fmt.Sprintf("at least %d, the end of the key slots", last))
		segments[n] = true
		h.segments = append(h.segments, s)
	})
	root.want(segments[0], "segments", fmt.Sprintf("%d segments", len(segments)), "one with the name 0")
	if len(segments) > 1 {
		root.refuse("segments", unsupported("%d segments", len(segments)))
	}
	root.each("digests", func(n int, o object) {
		var problem error
		o.problem = &problem
		d := decodeDigest(n, o, slots, segments)
		if d.problem = problem; slices.Contains(d.segments, 0) {
			h.dataProblem = cmp.Or(h.dataProblem, problem)
		}
		h.digests = append(h.digests, d)
	})
	if *root.err != nil {
		return *root.err
	}
	h.chooseSegment()
	if err := overlap(areas); err != nil {
		return err
	}
	return h.checkDigests(root)
}

// chooseSegment chooses the segment that describes the data: the first one, without the backup segments
// of a reencryption. The data start at the first segment of any kind.
func (h *Header) chooseSegment() {
	h.segment = h.segments[0]
	for _, s := range h.segments {
		if s.kind == "crypt" && !slices.ContainsFunc(s.flags, func(f string) bool { return strings.HasPrefix(f, "backup-") }) {
			h.segment = s
			break
		}
	}
	for _, s := range h.segments {
		h.segment.offset = min(h.segment.offset, s.offset)
	}
}

// each calls f for every member of the named object, in the order of their numbers.
func (o object) each(name string, f func(n int, o object)) {
	all := o.object(name)
	var numbers []int
	for k := range all.members {
		n, ok := number(k)
		all.want(ok, k, "there", "names from 0 to 31 only")
		numbers = append(numbers, n)
	}
	if *o.err != nil {
		return
	}
	sort.Ints(numbers)
	for _, n := range numbers {
		f(n, all.object(strconv.Itoa(n)))
	}
}

// decodeKeyslot reads one key slot; section 3.2. For an unknown type it reads only the common members.
func decodeKeyslot(n int, o object) keyslot {
	s := keyslot{id: n, active: true, priority: priorityNormal, kind: o.str("type")}
	s.keySize = int(o.uint32("key_size"))
	if o.has("priority") {
		p := o.inDoubt().uint32("priority")
		o.doubt(p <= priorityPrefer, "priority", p, "0, 1 or 2")
		s.priority = int(min(p, priorityPrefer))
	}
	a := o.object("area")
	s.area = area{offset: a.size("offset"), size: a.size("size")}
	if s.kind != "luks2" {
		// A key slot of type "reencrypt" marks an image that is being reencrypted.
		o.refuse("type", unsupported("%s of type %q", o.path, s.kind))
		a.str("type")
		return s
	}
	o.knows("type", "key_size", "area", "kdf", "af", "priority")
	a.knows("type", "offset", "size", "encryption", "key_size")
	o.doubt(s.keySize >= 1 && s.keySize <= maxKeySize, "key_size", s.keySize, "from 1 to 512")
	a.is("type", "raw")
	s.area.encryption, s.area.keySize = a.str("encryption"), int(a.uint32("key_size"))
	a.doubt(s.area.keySize >= 1 && s.area.keySize <= maxKeySize, "key_size", s.area.keySize, "from 1 to 512")
	need := roundUp(int64(s.keySize)*stripes, sectorSize)
	a.doubt(s.area.size >= need, "size", s.area.size, fmt.Sprintf("at least %d, for %d stripes of the key", need, stripes))

	f := o.object("af")
	f.knows("type", "stripes", "hash")
	f.is("type", "luks1")
	f.doubt(f.uint32("stripes") == stripes, "stripes", shown(f.members["stripes"], true), fmt.Sprint(stripes))
	s.afHash = f.str("hash")

	s.kdf, s.salt = decodeKDF(o.object("kdf"))
	return s
}

// decodeKDF reads the key derivation function of a key slot; section 3.2.3.
func decodeKDF(k object) (KDF, []byte) {
	// cryptsetup keeps the members of the old type when it changes the type.
	k.knows("type", "salt", "hash", "iterations", "time", "memory", "cpus")
	salt := k.inDoubt().base64("salt")
	k.doubt(len(salt) == saltSize, "salt", fmt.Sprintf("%d bytes", len(salt)), fmt.Sprintf("%d bytes", saltSize))
	f := KDF{Type: k.str("type")}
	switch f.Type {
	case PBKDF2:
		f.Hash = k.str("hash")
		f.Iterations = k.uint32("iterations")
		k.doubt(f.Iterations >= 1, "iterations", f.Iterations, "at least 1")
	case Argon2i, Argon2id:
		f.Iterations, f.Memory, f.Parallel = k.uint32("time"), k.uint32("memory"), k.uint32("cpus")
		k.doubt(f.Iterations >= 1, "time", f.Iterations, "at least 1")
		k.doubt(f.Parallel >= 1 && f.Parallel <= maxArgon2LanesRead, "cpus", f.Parallel, fmt.Sprintf("from 1 to %d", maxArgon2LanesRead))
		// RFC 9106, section 3.1: at least 8 blocks of 1 KiB per lane.
		k.doubt(f.Memory >= 8*min(f.Parallel, maxArgon2LanesRead), "memory", f.Memory, "at least 8 for each of cpus")
	default:
		k.doubt(false, "type", strconv.Quote(f.Type), `"pbkdf2", "argon2i" or "argon2id"`)
	}
	return f, salt
}

// decodeSegment reads a segment of the data; section 3.3. An unknown or unsupported part is a problem
// of all data.
func decodeSegment(n int, o object) segment {
	s := segment{id: n, kind: o.str("type"), sectorSize: sectorSize, offset: o.size("offset")}
	o.want(s.offset%sectorSize == 0, "offset", s.offset, "a multiple of 512")
	if o.has("flags") {
		if s.flags = o.strings("flags"); len(s.flags) > 0 {
			o.refuse("flags", unsupported("%s has the flag %q", o.path, s.flags[0]))
		}
	}
	if size, _ := o.members["size"].(string); size != "dynamic" {
		s.size = o.size("size")
	}
	if s.kind != "crypt" {
		o.refuse("type", unsupported("%s of type %q", o.path, s.kind))
		if t, _ := o.members["encryption"].(string); t != "" {
			s.encryption = t
		}
		return s
	}
	o.knows("type", "offset", "size", "iv_tweak", "encryption", "sector_size", "integrity", "flags")
	if o.has("integrity") {
		s.integrity = shown(o.members["integrity"], true)
		if m, ok := o.members["integrity"].(map[string]any); ok {
			o.object("integrity").knows("type", "journal_encryption", "journal_integrity", "key_size")
			if t, ok := m["type"].(string); ok && t != "" {
				s.integrity = t
			}
		}
		o.refuse("integrity", unsupported("%s has integrity protection: %s", o.path, shown(o.members["integrity"], true)))
	}
	sector := o.uint32("sector_size")
	o.want(sector > 0 && sector%sectorSize == 0, "sector_size", sector, "512, 1024, 2048 or 4096")
	o.doubt(sector <= 4096 && validSectorSize(int(sector)), "sector_size", sector, "512, 1024, 2048 or 4096")
	s.sectorSize = max(sectorSize, int(min(sector, 1<<20)))
	if size := o.members["size"]; size != "dynamic" {
		o.want(s.size > 0 && (s.size%int64(s.sectorSize) == 0 || *o.problem != nil), "size", s.size, `"dynamic", or a multiple of sector_size`)
		o.doubt(s.size <= math.MaxInt64-s.offset, "size", s.size, "an end below 2^63")
		if s.size > math.MaxInt64-s.offset {
			s.size = 0
		}
	}
	if t := o.str("iv_tweak"); t != "0" {
		o.refuse("iv_tweak", unsupported("%s.iv_tweak is %q: cryptsetup itself does not use it", o.path, t))
	}
	s.encryption = o.str("encryption")
	return s
}

// decodeDigest reads one digest; section 3.4.
func decodeDigest(n int, o object, slots, segments map[int]bool) digest {
	d := digest{id: n, slots: o.numbers("keyslots", slots), segments: o.numbers("segments", segments)}
	if t := o.str("type"); t != "pbkdf2" {
		o.doubt(false, "type", strconv.Quote(t), `"pbkdf2"`)
		return d
	}
	o.knows("type", "keyslots", "segments", "hash", "iterations", "salt", "digest")
	o = o.inDoubt()
	d.hash, d.iterations = o.str("hash"), o.uint32("iterations")
	d.salt, d.value = o.base64("salt"), o.base64("digest")
	o.want(d.iterations >= 1, "iterations", d.iterations, "at least 1")
	o.want(len(d.salt) == saltSize, "salt", fmt.Sprintf("%d bytes", len(d.salt)), fmt.Sprintf("%d bytes", saltSize))
	// A shorter value would match more than one key, an empty one all keys.
	want := []int{v1DigestSize} // of a header that was converted from LUKS1
	if newHash, err := hashByName(d.hash); err == nil {
		want = append(want, newHash().Size())
	}
	o.want(slices.Contains(want, len(d.value)) || len(want) == 1, "digest", fmt.Sprintf("%d bytes", len(d.value)), fmt.Sprintf("one of %v bytes", want))
	return d
}

// checkDigests checks that all encrypted segments have one digest, and that no key slot has two.
func (h *Header) checkDigests(root object) error {
	slots, segments := make(map[int]bool), make(map[int]int)
	for _, d := range h.digests {
		for _, s := range d.segments {
			segments[s]++
		}
		for _, s := range d.slots {
			if slots[s] {
				return &FormatError{Offset: root.base, Field: "digests", Value: fmt.Sprintf("key slot %d in two", s), Want: "each key slot in one"}
			}
			slots[s] = true
		}
	}
	for _, s := range h.segments {
		if n := segments[s.id]; n > 1 || n == 0 && s.kind == "crypt" {
			return &FormatError{Offset: root.base, Field: "digests", Value: fmt.Sprintf("%d for segment %d", n, s.id), Want: "one"}
		}
	}
	return nil
}
