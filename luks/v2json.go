package luks

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
)

// The metadata of LUKS2. LUKS2 On-Disk Format Specification, section 3.

// maxObjects is how many key slots, tokens, segments or digests there may be, with
// names from "0" on.
const maxObjects = 32

type jsonKDF struct {
	Type       string `json:"type"`
	Hash       string `json:"hash,omitempty"`
	Iterations uint32 `json:"iterations,omitempty"`
	Time       uint32 `json:"time,omitempty"`
	Memory     uint32 `json:"memory,omitempty"`
	CPUs       uint32 `json:"cpus,omitempty"`
	Salt       string `json:"salt"`
}

type jsonAF struct {
	Type    string `json:"type"`
	Stripes int    `json:"stripes"`
	Hash    string `json:"hash"`
}

type jsonArea struct {
	Type       string `json:"type"`
	Offset     int64  `json:"offset,string"`
	Size       int64  `json:"size,string"`
	Encryption string `json:"encryption"`
	KeySize    int    `json:"key_size"`
}

type jsonKeyslot struct {
	Type    string   `json:"type"`
	KeySize int      `json:"key_size"`
	AF      jsonAF   `json:"af"`
	Area    jsonArea `json:"area"`
	KDF     jsonKDF  `json:"kdf"`

	Priority *int `json:"priority,omitempty"`
}

type jsonSegment struct {
	Type       string `json:"type"`
	Offset     int64  `json:"offset,string"`
	Size       string `json:"size"`
	IVTweak    string `json:"iv_tweak"`
	Encryption string `json:"encryption"`
	SectorSize int    `json:"sector_size"`
}

type jsonDigest struct {
	Type       string   `json:"type"`
	Keyslots   []string `json:"keyslots"`
	Segments   []string `json:"segments"`
	Hash       string   `json:"hash"`
	Iterations uint32   `json:"iterations"`
	Salt       string   `json:"salt"`
	Digest     string   `json:"digest"`
}

type jsonConfig struct {
	JSONSize     int64 `json:"json_size,string"`
	KeyslotsSize int64 `json:"keyslots_size,string"`

	Flags []string `json:"flags,omitempty"`
}

type jsonMetadata struct {
	Keyslots map[string]jsonKeyslot `json:"keyslots"`
	Tokens   struct{}               `json:"tokens"`
	Segments map[string]jsonSegment `json:"segments"`
	Digests  map[string]jsonDigest  `json:"digests"`
	Config   jsonConfig             `json:"config"`
}

// encodeJSON returns the metadata of a header that New made.
func (h *Header) encodeJSON() ([]byte, error) {
	base64 := base64.StdEncoding.EncodeToString
	m := jsonMetadata{
		Keyslots: make(map[string]jsonKeyslot),
		Digests:  make(map[string]jsonDigest),
		Segments: map[string]jsonSegment{"0": {
			Type:       "crypt",
			Offset:     h.segment.offset,
			Size:       "dynamic",
			IVTweak:    "0",
			Encryption: h.segment.encryption,
			SectorSize: h.segment.sectorSize,
		}},
		Config: jsonConfig{
			JSONSize:     h.hdrSize - v2BinarySize,
			KeyslotsSize: h.keyslots,
			Flags:        h.flags,
		},
	}
	for _, s := range h.slots {
		m.Keyslots[strconv.Itoa(s.id)] = s.json()
	}
	for _, d := range h.digests {
		m.Digests[strconv.Itoa(d.id)] = jsonDigest{
			Type:       "pbkdf2",
			Keyslots:   names(d.slots),
			Segments:   names(d.segments),
			Hash:       d.hash,
			Iterations: d.iterations,
			Salt:       base64(d.salt),
			Digest:     base64(d.value),
		}
	}
	return json.Marshal(m)
}

// json returns the object of a key slot.
func (s *keyslot) json() jsonKeyslot {
	kdf := jsonKDF{Type: s.kdf.Type, Hash: s.kdf.Hash, Salt: base64.StdEncoding.EncodeToString(s.salt)}
	if s.kdf.Type == PBKDF2 {
		kdf.Iterations = s.kdf.Iterations
	} else {
		kdf.Time, kdf.Memory, kdf.CPUs = s.kdf.Iterations, s.kdf.Memory, s.kdf.Parallel
	}
	j := jsonKeyslot{
		Type:    "luks2",
		KeySize: s.keySize,
		AF:      jsonAF{"luks1", stripes, s.afHash},
		Area:    jsonArea{"raw", s.area.offset, s.area.size, s.area.encryption, s.area.keySize},
		KDF:     kdf,
	}
	if s.priority != priorityNormal {
		j.Priority = &s.priority
	}
	return j
}

func names(numbers []int) []string {
	out := make([]string, len(numbers))
	for i, n := range numbers {
		out[i] = strconv.Itoa(n)
	}
	return out
}

// decodeJSON checks the JSON area, which is at offset base, and takes from it what
// the header needs.
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
	if err != nil {
		return &FormatError{Offset: base, Field: "json", Value: err.Error(), Want: "valid JSON"}
	}
	root := object{members: tree, base: base, err: &err}
	h.decodeConfig(root)
	if err == nil {
		err = h.decodeObjects(root)
	}
	return err
}

// decodeConfig reads the object "config" and refuses what it requires and is not
// known here.
func (h *Header) decodeConfig(root object) {
	config := root.object("config")
	jsonSize := config.size("json_size")
	config.want(jsonSize == h.hdrSize-v2BinarySize, "json_size", jsonSize, fmt.Sprint(h.hdrSize-v2BinarySize))
	n := config.size("keyslots_size")
	config.want(n%4096 == 0 && n <= v2MaxKeyslotsSize, "keyslots_size", n, "a multiple of 4096, at most 134217728")
	h.keyslots = n
	if config.has("flags") {
		h.flags = config.strings("flags")
	}
	if config.has("requirements") {
		// An object; only "mandatory" is specified, and none of its members is known
		// here: each changes how the data are read.
		requirements := config.object("requirements")
		if requirements.has("mandatory") {
			if m := requirements.strings("mandatory"); len(m) > 0 && *root.err == nil {
				*root.err = unsupported("mandatory requirement %q", m[0])
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
		s := decodeKeyslot(n, o)
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
		segments[n] = true
		if len(segments) == 1 {
			h.segment = decodeSegment(o)
		}
	})
	root.want(segments[0] && len(segments) == 1, "segments", fmt.Sprintf("%d segments", len(segments)), "one, with the name 0")
	root.each("digests", func(n int, o object) {
		h.digests = append(h.digests, decodeDigest(n, o, slots, segments))
	})
	if *root.err != nil {
		return *root.err
	}
	if err := overlap(areas); err != nil {
		return err
	}
	s := h.segment
	if s.offset != 0 && s.offset < last {
		return &FormatError{Offset: root.base, Field: "segments.0.offset", Value: s.offset, Want: fmt.Sprintf("at least %d, the end of the key slots", last)}
	}
	return h.checkDigests(root)
}

// each calls f for every member of the object with this name, in the order of their
// numbers.
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

// decodeKeyslot reads one key slot. Section 3.2.
func decodeKeyslot(n int, o object) keyslot {
	s := keyslot{id: n, active: true, priority: priorityNormal}
	if t := o.str("type"); t != "luks2" && *o.err == nil {
		// "reencrypt" marks an image whose encryption is being changed.
		*o.err = unsupported("%s of type %q", o.path, t)
	}
	s.keySize = int(o.uint32("key_size"))
	o.want(s.keySize >= 1 && s.keySize <= maxKeySize, "key_size", s.keySize, "from 1 to 512")
	if o.has("priority") {
		p := o.uint32("priority")
		o.want(p <= priorityPrefer, "priority", p, "0, 1 or 2")
		s.priority = int(p)
	}
	a := o.object("area")
	a.is("type", "raw")
	s.area = area{offset: a.size("offset"), size: a.size("size"), encryption: a.str("encryption"), keySize: int(a.uint32("key_size"))}
	a.want(s.area.keySize >= 1 && s.area.keySize <= maxKeySize, "key_size", s.area.keySize, "from 1 to 512")
	need := roundUp(int64(s.keySize)*stripes, sectorSize)
	a.want(s.area.size >= need, "size", s.area.size, fmt.Sprintf("at least %d, for %d stripes of the key", need, stripes))

	f := o.object("af")
	f.is("type", "luks1")
	f.want(f.uint32("stripes") == stripes, "stripes", shown(f.members["stripes"], true), fmt.Sprint(stripes))
	s.afHash = f.str("hash")

	k := o.object("kdf")
	s.salt = k.base64("salt")
	k.want(len(s.salt) == saltSize, "salt", fmt.Sprintf("%d bytes", len(s.salt)), fmt.Sprintf("%d bytes", saltSize))
	s.kdf.Type = k.str("type")
	switch s.kdf.Type {
	case PBKDF2:
		s.kdf.Hash = k.str("hash")
		s.kdf.Iterations = k.uint32("iterations")
		k.want(s.kdf.Iterations >= 1, "iterations", s.kdf.Iterations, "at least 1")
	case Argon2i, Argon2id:
		s.kdf.Iterations, s.kdf.Memory, s.kdf.Parallel = k.uint32("time"), k.uint32("memory"), k.uint32("cpus")
		k.want(s.kdf.Iterations >= 1, "time", s.kdf.Iterations, "at least 1")
		k.want(s.kdf.Parallel >= 1 && s.kdf.Parallel <= maxArgon2LanesRead, "cpus", s.kdf.Parallel, fmt.Sprintf("from 1 to %d", maxArgon2LanesRead))
		// RFC 9106, section 3.1: at least 8 blocks of 1 KiB a lane.
		k.want(s.kdf.Memory >= 8*s.kdf.Parallel, "memory", s.kdf.Memory, "at least 8 for each of cpus")
	default:
		k.fail("type", strconv.Quote(s.kdf.Type), `"pbkdf2", "argon2i" or "argon2id"`)
	}
	return s
}

// decodeSegment reads the one segment of the data. Section 3.3.
func decodeSegment(o object) segment {
	var s segment
	if t := o.str("type"); t != "crypt" && *o.err == nil {
		*o.err = unsupported("%s of type %q", o.path, t)
	}
	if o.has("integrity") && *o.err == nil {
		*o.err = unsupported("%s has integrity protection: %s", o.path, shown(o.members["integrity"], true))
	}
	if o.has("flags") && *o.err == nil {
		if flags := o.strings("flags"); len(flags) > 0 {
			*o.err = unsupported("%s has the flag %q", o.path, flags[0])
		}
	}
	s.offset = o.size("offset")
	o.want(s.offset%sectorSize == 0, "offset", s.offset, "a multiple of 512")
	sector := o.uint32("sector_size")
	o.want(sector <= 4096 && validSectorSize(int(sector)), "sector_size", sector, "512, 1024, 2048 or 4096")
	s.sectorSize = int(sector)
	if size, _ := o.members["size"].(string); size != "dynamic" {
		s.size = o.size("size")
		o.want(s.size > 0 && s.size%max(1, int64(s.sectorSize)) == 0, "size", s.size, `"dynamic", or a multiple of sector_size`)
		o.want(s.size <= math.MaxInt64-s.offset, "size", s.size, "an end below 2^63")
	}
	if t := o.str("iv_tweak"); t != "0" && *o.err == nil {
		*o.err = unsupported("%s.iv_tweak is %q: cryptsetup itself does not use it", o.path, t)
	}
	s.encryption = o.str("encryption")
	return s
}

// decodeDigest reads one digest. Section 3.4.
func decodeDigest(n int, o object, slots, segments map[int]bool) digest {
	o.is("type", "pbkdf2")
	d := digest{
		id:         n,
		hash:       o.str("hash"),
		iterations: o.uint32("iterations"),
		salt:       o.base64("salt"),
		value:      o.base64("digest"),
		slots:      o.numbers("keyslots", slots),
		segments:   o.numbers("segments", segments),
	}
	o.want(d.iterations >= 1, "iterations", d.iterations, "at least 1")
	o.want(len(d.salt) == saltSize, "salt", fmt.Sprintf("%d bytes", len(d.salt)), fmt.Sprintf("%d bytes", saltSize))
	// A shorter value would fit more keys than one, an empty one all.
	want := []int{v1DigestSize} // of a header that was LUKS1 once
	if newHash, err := hashByName(d.hash); err == nil {
		want = append(want, newHash().Size())
	}
	ok := false
	for _, w := range want {
		ok = ok || len(d.value) == w
	}
	o.want(ok || len(want) == 1, "digest", fmt.Sprintf("%d bytes", len(d.value)), fmt.Sprintf("one of %v bytes", want))
	return d
}

// checkDigests checks that the data have one digest and no key slot has two.
func (h *Header) checkDigests(root object) error {
	seen, data := make(map[int]bool), 0
	for _, d := range h.digests {
		data += len(d.segments)
		for _, s := range d.slots {
			if seen[s] {
				return &FormatError{Offset: root.base, Field: "digests", Value: fmt.Sprintf("key slot %d in two", s), Want: "each key slot in one"}
			}
			seen[s] = true
		}
	}
	if data != 1 {
		return &FormatError{Offset: root.base, Field: "digests", Value: fmt.Sprintf("%d for segment 0", data), Want: "one"}
	}
	return nil
}
