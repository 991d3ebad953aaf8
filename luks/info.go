package luks

import (
	"slices"
	"strings"
)

// Info is what a header says, all that cryptsetup luksDump shows. There is no secret in
// it. Its JSON form is stable; members may be added.
type Info struct {
	Version      int          `json:"version"`
	UUID         string       `json:"uuid"`
	Label        string       `json:"label,omitempty"`
	Subsystem    string       `json:"subsystem,omitempty"`
	Cipher       string       `json:"cipher"`                  // "aes-xts-plain64"
	KeyBits      int          `json:"key_bits"`                // of the volume key: 512 for AES-256 in XTS mode
	Hash         string       `json:"hash"`                    // of the volume key's digest
	SectorSize   int          `json:"sector_size"`             // bytes
	DataOffset   int64        `json:"data_offset"`             // bytes; 0 for a detached header
	DataSize     int64        `json:"data_size,omitempty"`     // bytes; 0: to the end of the file
	MetadataSize int64        `json:"metadata_size,omitempty"` // LUKS2: bytes of each header copy
	KeyslotsSize int64        `json:"keyslots_size,omitempty"` // LUKS2: bytes for all key slots
	Epoch        uint64       `json:"epoch,omitempty"`         // LUKS2: the header's sequence number
	Flags        []string     `json:"flags,omitempty"`
	Requirements []string     `json:"requirements,omitempty"` // LUKS2: mandatory ones, none of which is known here
	Keyslots     []SlotInfo   `json:"keyslots"`               // those in use
	Digests      []DigestInfo `json:"digests"`
	Tokens       []Token      `json:"tokens,omitempty"`

	// Segments are those of LUKS2, if they are not one that is encrypted, and nothing else.
	Segments []SegmentInfo `json:"segments,omitempty"`

	// Unfit are the copies of a LUKS2 header, "primary" or "secondary", that are damaged, older than
	// the one that is used, or as new and another one.
	Unfit []string `json:"unfit_copies,omitempty"`

	// Unknown are members of a LUKS2 header that are not known here. All software ignores
	// those that it does not know, so they may mean something to other software. Tokens may have any.
	Unknown []UnknownMember `json:"unknown_members,omitempty"`

	// Problems are all that is not known here, or not as it should be, in the order of the header.
	// They are in Warnings too.
	Problems []Problem `json:"problems,omitempty"`

	// Refused says why the header is not changed: something in it is not known here, or not
	// as it should be. It is the first one of Problems that matters.
	Refused string `json:"refused,omitempty"`

	Warnings []string `json:"warnings,omitempty"`
}

// Problem is something in a header that is not known here, or not as it should be. The part of the
// header that has it is not used, and the header is not changed.
type Problem struct {
	Field string `json:"field"` // its path in the JSON of LUKS2, "segments.0.iv_tweak", or its name in LUKS1
	Text  string `json:"text"`  // a clause that names the field: "segments.0.iv_tweak is ..."
}

// UnknownMember is a member of the JSON of a LUKS2 header that is not known here.
type UnknownMember struct {
	Field string `json:"field"` // its path: "segments.0.x"
	Value string `json:"value"` // its JSON, the first 64 bytes
}

// SegmentInfo is what a header says of a part of the data.
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

// DigestInfo is what a header says of a digest of a volume key.
type DigestInfo struct {
	Digest     int    `json:"digest"`
	Hash       string `json:"hash"`       // of PBKDF2
	Iterations uint32 `json:"iterations"` // of PBKDF2
	Salt       []byte `json:"salt"`
	Value      []byte `json:"value"`
	Keyslots   []int  `json:"keyslots"`          // that hold the key
	Data       bool   `json:"data"`              // whether the key is that of the data
	Problem    string `json:"problem,omitempty"` // why it can not be used
}

// SlotInfo is what a header says of a key slot.
type SlotInfo struct {
	Slot       int    `json:"slot"`
	Type       string `json:"type,omitempty"`    // if it is not that of all: "reencrypt"
	Problem    string `json:"problem,omitempty"` // why it can not be used
	Bound      bool   `json:"bound"`             // to the data of the image
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
	Digest     int    `json:"digest"`        // that the key belongs to; -1 for none
	CipherBits int    `json:"area_key_bits"` // of the key that the key material is encrypted with
	Offset     int64  `json:"offset"`        // of the key material, bytes
	Size       int64  `json:"size"`          // of its area, bytes
}

// Info returns what the header says.
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

// problemText is a problem as a member of [Info], "" for nil.
func problemText(err error) string {
	if err == nil {
		return ""
	}
	return strings.TrimPrefix(err.Error(), "luks: ")
}
