package luks

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/luksimg/luksimg/internal/af"
)

const (
	sectorSize = 512 // the unit of LUKS itself, whatever the data's sector size
	stripes    = af.Stripes
	saltSize   = 32
	labelSize  = 48
)

// A Header is the header of a LUKS image: how the data are encrypted, and the key
// slots that hold their key. It was validated as a whole when it was read or
// made, and does not change. It is safe for concurrent use.
type Header struct {
	version   int
	uuid      string
	label     string
	subsystem string
	hdrSize   int64 // LUKS2: of each of the two copies
	seqid     uint64
	flags     []string
	tokens    int
	warnings  []string

	segment  segment   // that of the data
	segments []segment // LUKS2: all that were read
	slots    []keyslot
	digests  []digest

	// What of the header is not known here, or not as it should be, and so is not used.
	requirements []string        // LUKS2: what software has to know to read the data
	dataProblem  error           // why the data can not be read
	unknown      []UnknownMember // of LUKS2's metadata
	problems     []Problem       // all of them, in the order of the header
	refused      error           // why the header is not changed: the first problem that there is

	raw      []byte            // LUKS1: the header's bytes; LUKS2: its JSON text
	fresh    []json.RawMessage // LUKS2: the tokens of a header just made
	keyslots int64             // LUKS2: length of the area of the key slots
	stale    [2]bool           // LUKS2: which copy, primary and secondary, is damaged, older or another one

	ambiguous error // LUKS2: what else is where the primary copy should be; nil if nothing is

	opts OpenOptions
	r    io.ReaderAt // where key material is read from; nil for a header just made
	size int64       // of r
	// made holds what New made and what is not in the fields above.
	made *madeHeader
}

// madeHeader is what only a header just made has: the bytes to write.
type madeHeader struct {
	regions []region // without the gaps between them, which are zeros
	primary int      // the index of the region that makes the file a LUKS image
}

// A region is a run of bytes of the header area.
type region struct {
	offset int64
	data   []byte
}

// A segment is where and how the data are encrypted.
type segment struct {
	id         int
	kind       string // LUKS2: its type, "crypt"
	flags      []string
	offset     int64
	size       int64 // bytes; 0 for "dynamic", to the end
	encryption string
	sectorSize int
	hash       string // LUKS1: the one hash of the header
	integrity  string // LUKS2: type of the integrity protection; "" for none
}

// A keyslot is one way to the volume key.
type keyslot struct {
	kind     string // LUKS2: its type, "luks2"
	problem  error  // why it can not be used
	id       int
	active   bool // LUKS1: a slot not in use has its place all the same
	keySize  int  // of the volume key in it, in bytes
	priority int
	kdf      KDF
	salt     []byte
	afHash   string
	area     area
}

// An area is where a key slot's key material is and how it is encrypted.
type area struct {
	offset, size int64
	encryption   string
	keySize      int // of the key that the KDF makes, in bytes
}

// A digest tells whether a volume key is the right one.
type digest struct {
	problem    error // why it can not be used
	id         int
	hash       string
	iterations uint32
	salt       []byte
	value      []byte
	slots      []int
	segments   []int
}

// Priorities of key slots. LUKS2, section 3.3.
const (
	priorityIgnore = 0
	priorityNormal = 1
	priorityPrefer = 2
)

// priorityNames are the priorities as [SlotInfo] has them.
var priorityNames = [...]string{priorityIgnore: "ignored", priorityNormal: "normal", priorityPrefer: "preferred"}

// OpenOptions bound what reading a header may cost. The zero value is right for
// images of unknown origin.
type OpenOptions struct {
	// MaxMemory is what Argon2 may use at most, in bytes. Zero is 4 GiB, the most
	// that cryptsetup makes. Whatever is allowed here, a key is only derived if
	// the machine, the limits of the process and its control groups have the memory at
	// the time: see [ErrMemory].
	MaxMemory int64

	// MaxWork is how much work all key slots and digests together may take in one
	// unlocking. A unit is an iteration of PBKDF2 with SHA-256 or SHA-1 for each block
	// that is derived, as long as the hash; SHA-512 counts twice, Whirlpool 30 times, other
	// hashes six times. With Argon2 each KiB of memory in each pass is 4 units. Zero is 160
	// million, 20 seconds of a fast machine: enough to try eight key slots that cryptsetup
	// measured to take 2 seconds each. Key slots that would take more than is left are not
	// tried.
	MaxWork uint64

	// AllowNullCipher opens images whose data are not encrypted at all, by
	// cipher_null-ecb, and key slots of that kind. Otherwise they are
	// [ErrNullCipher]: such an image looks encrypted and is not, and anybody can have
	// put its content there.
	AllowNullCipher bool

	// AllowTruncated opens images that end within a sector, which were cut off: what is left
	// of that sector is not read. Otherwise they are [ErrTruncated].
	AllowTruncated bool

	// Accept, if not nil, decides on the header once it is read and found valid: before any key slot
	// is tried, and of the same bytes that are used later. If it returns an error, [Open] and
	// [Edit] return that. See package luks/policy.
	Accept func(h *Header) error

	// OverwriteSignature lets [Edit] change an image that is [ErrAmbiguous]: its header is
	// written over what is there now, which is lost.
	OverwriteSignature bool
}

// Version returns 1 or 2.
func (h *Header) Version() int { return h.version }

// UUID returns the UUID of the image.
func (h *Header) UUID() string { return h.uuid }

// DataOffset returns where the encrypted data start, in bytes from the start of
// the image. It is the length of what [Header.WriteTo] writes. Zero means that the
// header is detached from its data.
func (h *Header) DataOffset() int64 { return h.segment.offset }

// DataSize returns the length of the data in bytes, or zero if they go on to the end of
// the file, as nearly always.
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

// fixedText returns the text in a field of fixed length: up to the first NUL, or all of it.
// Some software fills the field up.
func fixedText(field []byte) string {
	text, _, _ := bytes.Cut(field, []byte{0})
	return string(text)
}
