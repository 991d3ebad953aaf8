package luks

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/luksimg/luksimg/internal/af"
)

const (
	sectorSize = 512 // the unit of the header, whatever the sector size of the data
	stripes    = af.Stripes
	saltSize   = 32
	labelSize  = 48
)

// A Header is the header of a LUKS image. It describes how the data are encrypted, and has the key
// slots that hold their key. It was validated as a whole when it was read or made. A Header does not
// change and is safe for concurrent use.
type Header struct {
	version   int
	uuid      string
	label     string
	subsystem string
	hdrSize   int64 // LUKS2: length of each of the two copies
	seqid     uint64
	flags     []string
	tokens    int
	warnings  []string

	segment  segment   // the segment of the data
	segments []segment // LUKS2: all segments
	slots    []keyslot
	digests  []digest

	// Parts of the header that are unknown or invalid, and so are not used.
	requirements []string        // LUKS2: features that a reader must support
	dataProblem  error           // why the data cannot be read
	unknown      []UnknownMember // in the LUKS2 metadata
	problems     []Problem       // in the order of the header
	refused      error           // why the header must not be changed: the first problem

	raw      []byte            // LUKS1: the header's bytes; LUKS2: its JSON text
	fresh    []json.RawMessage // LUKS2: the tokens of a new header
	keyslots int64             // LUKS2: length of the key slot area
	stale    [2]bool           // LUKS2: whether the primary and the secondary copy is damaged, older or different

	ambiguous error // LUKS2: what replaced the primary copy; nil if nothing did

	opts OpenOptions
	r    io.ReaderAt // the image, to read key material; nil for a new header
	size int64       // length of r
	// made is set only by New.
	made *madeHeader
}

// madeHeader holds the bytes to write of a new header.
type madeHeader struct {
	regions []region // the gaps between them are zeros
	primary int      // the index of the region that makes the file a LUKS image
}

// A region is a run of bytes in the header area.
type region struct {
	offset int64
	data   []byte
}

// A segment describes the place and the encryption of a part of the data.
type segment struct {
	id         int
	kind       string // LUKS2: its type, "crypt"
	flags      []string
	offset     int64
	size       int64 // bytes; 0 for "dynamic": to the end of the file
	encryption string
	sectorSize int
	hash       string // LUKS1: the one hash of the header
	integrity  string // LUKS2: type of the integrity protection; "" for none
}

// A keyslot is one way to unlock the volume key.
type keyslot struct {
	kind     string // LUKS2: its type, "luks2"
	problem  error  // why it cannot be used
	id       int
	active   bool // LUKS1: unused slots have areas too
	keySize  int  // of the volume key in it, in bytes
	priority int
	kdf      KDF
	salt     []byte
	afHash   string
	area     area
}

// An area is the place of a key slot's key material and its encryption.
type area struct {
	offset, size int64
	encryption   string
	keySize      int // of the derived key, in bytes
}

// A digest verifies a volume key.
type digest struct {
	problem    error // why it cannot be used
	id         int
	hash       string
	iterations uint32
	salt       []byte
	value      []byte
	slots      []int
	segments   []int
}

// Priorities of key slots; LUKS2, section 3.3.
const (
	priorityIgnore = 0
	priorityNormal = 1
	priorityPrefer = 2
)

// priorityNames are the priorities as [SlotInfo] names them.
var priorityNames = [...]string{priorityIgnore: "ignored", priorityNormal: "normal", priorityPrefer: "preferred"}

// OpenOptions bound the cost of reading a header. The zero value suits images of unknown origin.
type OpenOptions struct {
	// MaxMemory is the most memory that Argon2 can use, in bytes. Zero means 4 GiB, the most that
	// cryptsetup uses. In any case, a key is only derived if the machine, the limits of the process and
	// its control groups have the memory at that time; see [ErrMemory].
	MaxMemory int64

	// MaxWork bounds the work of one unlocking: all key slots and digests together. A unit is one
	// iteration of PBKDF2 with SHA-256 or SHA-1 for each derived block of the hash's length. SHA-512
	// counts 2 units, Whirlpool 30, other hashes 6. Argon2 counts 4 units for each KiB of memory and
	// pass. Zero means 160 million, about 20 seconds on a fast machine: enough for eight key slots that
	// cryptsetup tuned to 2 seconds. Key slots that exceed the remaining work are not tried.
	MaxWork uint64

	// AllowNullCipher opens images and key slots that are not encrypted (cipher_null-ecb). Otherwise
	// the error is [ErrNullCipher]: such an image looks encrypted but is not, and anybody can have
	// written its content.
	AllowNullCipher bool

	// AllowTruncated opens images that end within a sector, and ignores that partial sector. Otherwise
	// the error is [ErrTruncated].
	AllowTruncated bool

	// Accept, if not nil, decides whether to accept the header. It is called after the header was
	// validated and before a key slot is tried. It sees the same bytes that are used later. [Open] and
	// [Edit] return its error. See package luks/policy.
	Accept func(h *Header) error

	// OverwriteSignature lets [Edit] change an image even if it is ambiguous ([ErrAmbiguous]). The
	// header then overwrites what is in its place.
	OverwriteSignature bool
}

// Version returns 1 or 2.
func (h *Header) Version() int { return h.version }

// UUID returns the UUID of the image.
func (h *Header) UUID() string { return h.uuid }

// DataOffset returns the offset of the encrypted data in the image, in bytes. It is the length of what
// [Header.WriteTo] writes. Zero means that the header is detached.
func (h *Header) DataOffset() int64 { return h.segment.offset }

// DataSize returns the length of the data in bytes. Zero, the usual value, means that they extend to
// the end of the file.
func (h *Header) DataSize() int64 { return h.segment.size }

// SectorSize returns the unit of encryption in bytes.
func (h *Header) SectorSize() int { return h.segment.sectorSize }

// readFull reads all of p at off; an early end is io.ErrUnexpectedEOF.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == io.EOF || err == nil:
		return io.ErrUnexpectedEOF
	}
	return err
}

// fixedText returns the text in a field of fixed length, up to the first NUL. Some software fills the
// whole field.
func fixedText(field []byte) string {
	text, _, _ := bytes.Cut(field, []byte{0})
	return string(text)
}
