package luks

// Info is what a header says, as cryptsetup luksDump shows it: no keys and no
// salts. Its JSON form is stable; members may be added.
type Info struct {
	Version      int        `json:"version"`
	UUID         string     `json:"uuid"`
	Label        string     `json:"label,omitempty"`
	Subsystem    string     `json:"subsystem,omitempty"`
	Cipher       string     `json:"cipher"`                  // "aes-xts-plain64"
	KeyBits      int        `json:"key_bits"`                // of the volume key: 512 for AES-256 in XTS mode
	Hash         string     `json:"hash"`                    // of the volume key's digest
	SectorSize   int        `json:"sector_size"`             // bytes
	DataOffset   int64      `json:"data_offset"`             // bytes; 0 for a detached header
	DataSize     int64      `json:"data_size,omitempty"`     // bytes; 0: to the end of the file
	MetadataSize int64      `json:"metadata_size,omitempty"` // LUKS2: bytes of each header copy
	Epoch        uint64     `json:"epoch,omitempty"`         // LUKS2: the header's sequence number
	Flags        []string   `json:"flags,omitempty"`
	Tokens       int        `json:"tokens,omitempty"`
	Keyslots     []SlotInfo `json:"keyslots"` // those in use
	Warnings     []string   `json:"warnings,omitempty"`
}

// SlotInfo is what a header says of a key slot.
type SlotInfo struct {
	Slot       int    `json:"slot"`
	Bound      bool   `json:"bound"` // to the data of the image
	Priority   string `json:"priority"`
	Cipher     string `json:"cipher"`             // of the key material
	KeyBits    int    `json:"key_bits"`           // of the key in the slot
	KDF        string `json:"kdf"`                // [PBKDF2], [Argon2i] or [Argon2id]
	Hash       string `json:"hash,omitempty"`     // of PBKDF2
	Iterations uint32 `json:"iterations"`         // of PBKDF2, or passes of Argon2
	Memory     uint32 `json:"memory,omitempty"`   // of Argon2, KiB
	Parallel   uint32 `json:"parallel,omitempty"` // lanes of Argon2
	AFHash     string `json:"af_hash"`
	Offset     int64  `json:"offset"` // of the key material, bytes
	Size       int64  `json:"size"`   // of its area, bytes
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
		Tokens:       h.tokens,
		Keyslots:     []SlotInfo{},
		Warnings:     h.warnings,
	}
	for _, d := range h.digests {
		if len(d.segments) > 0 {
			i.Hash = d.hash
		}
	}
	for _, s := range h.slots {
		if !s.active {
			continue
		}
		bound := h.digestOf(s) != nil
		if bound {
			i.KeyBits = s.keySize * 8
		}
		i.Keyslots = append(i.Keyslots, SlotInfo{
			Slot:       s.id,
			Bound:      bound,
			Priority:   priorityNames[s.priority],
			Cipher:     s.area.encryption,
			KeyBits:    s.keySize * 8,
			KDF:        s.kdf.Type,
			Hash:       s.kdf.Hash,
			Iterations: s.kdf.Iterations,
			Memory:     s.kdf.Memory,
			Parallel:   s.kdf.Parallel,
			AFHash:     s.afHash,
			Offset:     s.area.offset,
			Size:       s.area.size,
		})
	}
	return i
}
