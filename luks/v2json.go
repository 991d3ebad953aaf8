package luks

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
)

// The metadata of LUKS2: LUKS2 On-Disk Format Specification, section 3.

// maxObjects is the maximum number of key slots, tokens, segments or digests. Their names
// start at "0".
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
	Tokens   map[string]any         `json:"tokens"`
	Segments map[string]jsonSegment `json:"segments"`
	Digests  map[string]jsonDigest  `json:"digests"`
	Config   jsonConfig             `json:"config"`
}

// encodeJSON returns the metadata of a header that New made.
func (h *Header) encodeJSON() ([]byte, error) {
	base64 := base64.StdEncoding.EncodeToString
	m := jsonMetadata{
		Keyslots: make(map[string]jsonKeyslot),
		Tokens:   make(map[string]any),
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
	for n, t := range h.fresh {
		token, err := parseJSON(t)
		if err != nil {
			return nil, fmt.Errorf("luks: token: %w", err)
		}
		m.Tokens[strconv.Itoa(n)] = token
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

// checkTokens validates the tokens in new metadata as a reader will.
func (h *Header) checkTokens(text []byte) error {
	area := make([]byte, h.hdrSize-v2BinarySize)
	if len(text) >= len(area) {
		return fmt.Errorf("luks: the metadata with the tokens need %d bytes, more than the JSON area has", len(text))
	}
	copy(area, text)
	read := &Header{version: 2, hdrSize: h.hdrSize}
	if err := read.decodeJSON(area, v2BinarySize); err != nil {
		return fmt.Errorf("luks: token: %w", err)
	}
	return nil
}

// json returns the JSON object of a key slot.
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
