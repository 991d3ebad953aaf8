package luks

import (
	"slices"
	"strings"
)

// Info describes a header, with all that cryptsetup luksDump shows. It contains no secret. Its JSON
// form is stable, but new members can be added.
type Info struct {
	Version      int          `json:"version"`
	UUID         string       `json:"uuid"`
	Label        string       `json:"label,omitempty"`
	Subsystem    string       `json:"subsystem,omitempty"`
	Cipher       string       `json:"cipher"`                  // "aes-xts-plain64"
	KeyBits      int          `json:"key_bits"`                // length of the volume key: 512 for AES-256 in XTS mode
	Hash         string       `json:"hash"`                    // hash of the volume key's digest
	SectorSize   int          `json:"sector_size"`             // bytes
	DataOffset   int64        `json:"data_offset"`             // bytes; 0 for a detached header
	DataSize     int64        `json:"data_size,omitempty"`     // bytes; 0: to the end of the file
	MetadataSize int64        `json:"metadata_size,omitempty"` // LUKS2: bytes of each header copy
	KeyslotsSize int64        `json:"keyslots_size,omitempty"` // LUKS2: bytes for all key slots
	Epoch        uint64       `json:"epoch,omitempty"`         // LUKS2: the header's sequence number
	Flags        []string     `json:"flags,omitempty"`
	Requirements []string     `json:"requirements,omitempty"` // LUKS2: mandatory requirements; this package supports none
	Keyslots     []SlotInfo   `json:"keyslots"`               // the used key slots
	Digests      []DigestInfo `json:"digests"`
	Tokens       []Token      `json:"tokens,omitempty"`

	// Segments are the LUKS2 segments. They are left out if there is only one, and it is of type
	// "crypt".
	Segments []SegmentInfo `json:"segments,omitempty"`

	// Unfit names the copies of a LUKS2 header, "primary" or "secondary", that are damaged, older than
	// the other, or different with the same sequence number.
	Unfit []string `json:"unfit_copies,omitempty"`

	// Unknown lists the members of a LUKS2 header that this package does not know. All software ignores
	// unknown members, so they can mean something to other programs. Tokens can have any members.
	Unknown []UnknownMember `json:"unknown_members,omitempty"`

	// Problems lists the unknown and invalid parts in the order of the header. They are also in
	// Warnings.
	Problems []Problem `json:"problems,omitempty"`

	// Refused is the reason why [Edit] refuses to change the header: the first of Problems that
	// matters.
	Refused string `json:"refused,omitempty"`

	Warnings []string `json:"warnings,omitempty"`
}

// Problem is an unknown or invalid part of a header. This package does not use that part and does not
// change the header.
type Problem struct {
	Field string `json:"field"` // its path in the JSON of LUKS2, "segments.0.iv_tweak", or its name in LUKS1
	Text  string `json:"text"`  // a clause with the field: "segments.0.iv_tweak is ..."
}

// UnknownMember is a JSON member of a LUKS2 header that this package does not know.
type UnknownMember struct {
	Field string `json:"field"` // its path: "segments.0.x"
	Value string `json:"value"` // its JSON, the first 64 bytes
}

// SegmentInfo describes a segment of the data.
type SegmentInfo struct {
	Segment    int      `json:"segment"`
	Type       string   `json:"type"`
	Offset     int64    `json:"offset"`           // bytes
	Size       int64    `json:"size,omitempty"`   // bytes; 0: to the end
	Cipher     string   `json:"cipher,omitempty"` // "" if it is not encrypted
	SectorSize int      `json:"sector_size,omitempty"`
	Flags      []string `json:"flags,omitempty"`
	Integrity  string   `json:"integrity,omitempty"` // type of its integrity protection: "hmac(sha256)"
}

// DigestInfo describes a digest of a volume key.
type DigestInfo struct {
	Digest     int    `json:"digest"`
	Hash       string `json:"hash"`       // of PBKDF2
	Iterations uint32 `json:"iterations"` // of PBKDF2
	Salt       []byte `json:"salt"`
	Value      []byte `json:"value"`
	Keyslots   []int  `json:"keyslots"`          // the key slots that hold the key
	Data       bool   `json:"data"`              // whether the key is the key of the data
	Problem    string `json:"problem,omitempty"` // why it cannot be used
}

// SlotInfo describes a key slot.
type SlotInfo struct {
	Slot       int    `json:"slot"`
	Type       string `json:"type,omitempty"`    // "" for the usual type, "luks2"; else such as "reencrypt"
	Problem    string `json:"problem,omitempty"` // why it cannot be used
	Bound      bool   `json:"bound"`             // whether its key is the key of the data
	Priority   string `json:"priority"`
	Cipher     string `json:"cipher"`             // of the key material
	KeyBits    int    `json:"key_bits"`           // of the key in the slot
	KDF        string `json:"kdf"`                // [PBKDF2], [Argon2i] or [Argon2id]
	Hash       string `json:"hash,omitempty"`     // of PBKDF2
	Iterations uint32 `json:"iterations"`         // of PBKDF2, or passes of Argon2
	Memory     uint32 `json:"memory,omitempty"`   // of Argon2, KiB
	Parallel   uint32 `json:"parallel,omitempty"` // lanes of Argon2
	Salt       []byte `json:"salt"`
	AFHash     string `json:"af_hash"`
	AFStripes  int    `json:"af_stripes"`
	Digest     int    `json:"digest"`        // number of the key's digest; -1 for none
	CipherBits int    `json:"area_key_bits"` // length of the key that encrypts the key material
	Offset     int64  `json:"offset"`        // of the key material, bytes
	Size       int64  `json:"size"`          // of its area, bytes
}

// Info returns a description of the header.
func (h *Header) Info() Info {
	s := h.segment
	i := Info{
		Version:      h.version,
		UUID:         h.uuid,
		Label:        h.label,
		Subsystem:    h.subsystem,
		Cipher:       s.encryption,
		SectorSize:   s.sectorSize,
		DataOffset:   s.offset,
		DataSize:     s.size,
		MetadataSize: h.hdrSize,
		Epoch:        h.seqid,
		Flags:        h.flags,
		Requirements: h.requirements,
		Unknown:      h.unknown,
		Problems:     h.problems,
		Refused:      problemText(h.refused),
		KeyslotsSize: h.keyslots,
		Tokens:       h.Tokens(),
		Keyslots:     []SlotInfo{},
		Warnings:     h.warnings,
	}
	for _, d := range h.digests {
		data := slices.Contains(d.segments, s.id)
		if data {
			i.Hash = d.hash
		}
		keyslots := slices.DeleteFunc(slices.Clone(d.slots), func(n int) bool { return h.slot(n) == nil })
		i.Digests = append(i.Digests, DigestInfo{d.id, d.hash, d.iterations, d.salt, d.value, keyslots, data, problemText(d.problem)})
	}
	for _, s := range h.slots {
		if !s.active {
			continue
		}
		bound := h.digestOf(s) != nil
		if bound {
			i.KeyBits = s.keySize * 8
		}
		digest, kind := -1, s.kind
		if kind == "luks2" {
			kind = ""
		}
		for _, d := range h.digests {
			if slices.Contains(d.slots, s.id) {
				digest = d.id
			}
		}
		i.Keyslots = append(i.Keyslots, SlotInfo{
			Slot:       s.id,
			Type:       kind,
			Problem:    problemText(s.problem),
			Bound:      bound,
			Priority:   priorityNames[s.priority],
			Cipher:     s.area.encryption,
			KeyBits:    s.keySize * 8,
			KDF:        s.kdf.Type,
			Hash:       s.kdf.Hash,
			Iterations: s.kdf.Iterations,
			Memory:     s.kdf.Memory,
			Parallel:   s.kdf.Parallel,
			Salt:       s.salt,
			AFHash:     s.afHash,
			AFStripes:  stripes,
			Digest:     digest,
			CipherBits: s.area.keySize * 8,
			Offset:     s.area.offset,
			Size:       s.area.size,
		})
	}
	if len(h.segments) > 1 || s.kind != "" && s.kind != "crypt" || len(s.flags) > 0 || s.integrity != "" {
		for _, s := range h.segments {
			i.Segments = append(i.Segments, SegmentInfo{s.id, s.kind, s.offset, s.size, s.encryption, s.sectorSize, s.flags, s.integrity})
		}
	}
	for n, name := range []string{"primary", "secondary"} {
		if h.stale[n] {
			i.Unfit = append(i.Unfit, name)
		}
	}
	return i
}

// problemText returns a problem as a member of [Info], "" for nil.
func problemText(err error) string {
	if err == nil {
		return ""
	}
	return strings.TrimPrefix(err.Error(), "luks: ")
}
