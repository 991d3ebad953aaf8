package luks

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/subtle"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"
	"unsafe"

	"github.com/luksimg/luksimg/internal/af"
)

const (
	sectorSize = 512 // the unit of LUKS itself, whatever the data's sector size
	stripes    = af.Stripes
	saltSize   = 32
	labelSize  = 48

	// cipherXTS is the one cipher written, and read, here.
	cipherXTS = "aes-xts-plain64"
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

	segment segment
	slots   []keyslot
	digests []digest

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
	offset     int64
	size       int64 // bytes; 0 for "dynamic", to the end
	encryption string
	sectorSize int
	hash       string // LUKS1: the one hash of the header
}

// A keyslot is one way to the volume key.
type keyslot struct {
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

// OpenOptions bound what reading a header may cost. The zero value is right for
// images of unknown origin.
type OpenOptions struct {
	// MaxMemory is what Argon2 may use at most, in bytes; zero is 4 GiB, the
	// most that cryptsetup makes.
	MaxMemory int64

	// MaxWork is how many iterations PBKDF2, or blocks of 1 KiB in all passes
	// Argon2, may take at most; zero is 2^28, about a minute or two.
	MaxWork uint64
}

const defaultMaxWork = 1 << 28

// Version returns 1 or 2.
func (h *Header) Version() int { return h.version }

// UUID returns the UUID of the image.
func (h *Header) UUID() string { return h.uuid }

// DataOffset returns where the encrypted data start, in bytes from the start of
// the image. It is the length of what [Header.WriteTo] writes. Zero means that the
// header is detached from its data.
func (h *Header) DataOffset() int64 { return h.segment.offset }

// SectorSize returns the unit of encryption in bytes.
func (h *Header) SectorSize() int { return h.segment.sectorSize }

// Unlock opens the image that h was read from with a passphrase, which may also
// be the content of a key file: each byte counts. It tries the key slots in
// their order, or only those of higher priority first, and returns
// [ErrPassphrase] if none opens. The caller closes the Volume.
//
// It takes as long, and as much memory, as the key derivation functions of the
// key slots ask for, within the limits of [OpenOptions].
func (h *Header) Unlock(passphrase []byte) (*Volume, error) {
	key, err := h.VolumeKey(passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return h.Volume(h.r, h.size, key)
}

// UnlockVolumeKey opens the image that h was read from with its volume key, or
// returns [ErrVolumeKey].
func (h *Header) UnlockVolumeKey(key []byte) (*Volume, error) {
	if err := h.checkVolumeKey(key); err != nil {
		return nil, err
	}
	return h.Volume(h.r, h.size, key)
}

// VolumeKey returns the key of the data, which the caller wipes after use. Most
// callers want [Header.Unlock].
func (h *Header) VolumeKey(passphrase []byte) ([]byte, error) {
	if h.r == nil {
		return nil, fmt.Errorf("luks: this header was not read from an image")
	}
	slots := slices.DeleteFunc(slices.Clone(h.slots), func(s keyslot) bool {
		return !s.active || s.priority == priorityIgnore || h.digestOf(s) == nil
	})
	slices.SortStableFunc(slots, func(a, b keyslot) int { return b.priority - a.priority })
	var failed error
	for _, s := range slots {
		key, err := h.openSlot(s, passphrase)
		if err != nil && failed == nil {
			failed = fmt.Errorf("key slot %d was not tried: %w", s.id, err)
		}
		if key != nil {
			return key, nil
		}
	}
	switch {
	case len(slots) == 0:
		return nil, fmt.Errorf("luks: the image has no key slot for its data: %w", ErrPassphrase)
	case failed != nil:
		return nil, fmt.Errorf("luks: %w; %w", ErrPassphrase, failed)
	}
	return nil, fmt.Errorf("luks: %w", ErrPassphrase)
}

// openSlot returns the volume key in slot s, nil if passphrase is not the slot's,
// or an error if the slot could not be tried.
func (h *Header) openSlot(s keyslot, passphrase []byte) ([]byte, error) {
	newHash, err := hashByName(s.afHash)
	if err != nil {
		return nil, err
	}
	if err := h.checkCost(s.kdf); err != nil {
		return nil, err
	}
	d := h.digestOf(s)
	if err := h.checkDigest(d); err != nil {
		return nil, err
	}
	c, n := s.area, int64(s.keySize)*stripes
	material := make([]byte, roundUp(n, sectorSize))
	if _, err := readFull(h.r, material, c.offset); err != nil {
		return nil, fmt.Errorf("reading key material: %w", err)
	}
	derived, err := s.kdf.derive(passphrase, s.salt, c.keySize)
	if err != nil {
		return nil, err
	}
	defer clear(derived)
	cipher, err := newCipher(c.encryption, derived, sectorSize)
	if err != nil {
		return nil, err
	}
	defer cipher.Close()
	cipher.Decrypt(material, material, 0)
	defer clear(material)
	key := af.Merge(material[:n], s.keySize, newHash)
	if d.matches(key) {
		return key, nil
	}
	clear(key)
	return nil, nil
}

// checkCost refuses what would take more than the caller allows.
func (h *Header) checkCost(k KDF) error {
	memory, work := h.opts.MaxMemory, h.opts.MaxWork
	if memory == 0 {
		memory = maxArgon2Memory << 10
	}
	if work == 0 {
		work = defaultMaxWork
	}
	work = min(work, math.MaxInt) // what crypto/pbkdf2 takes on a 32-bit machine
	if int64(k.Memory) > memory>>10 {
		return fmt.Errorf("%w: %s asks for %d KiB of memory, allowed are %d", ErrLimit, k.Type, k.Memory, memory>>10)
	}
	if k.Memory == 0 && uint64(k.Iterations) > work {
		return fmt.Errorf("%w: %s asks for %d iterations, allowed are %d", ErrLimit, k.Type, k.Iterations, work)
	}
	if n := uint64(k.Iterations) * uint64(k.Memory); n > work {
		return fmt.Errorf("%w: %s asks for %d passes over %d KiB, allowed are %d blocks of 1 KiB", ErrLimit, k.Type, k.Iterations, k.Memory, work)
	}
	return nil
}

// digestOf returns the digest that is for both slot s and the data.
func (h *Header) digestOf(s keyslot) *digest {
	for i := range h.digests {
		d := &h.digests[i]
		if slices.Contains(d.slots, s.id) && slices.Contains(d.segments, 0) {
			return d
		}
	}
	return nil
}

// checkVolumeKey compares key with the digest of the data.
func (h *Header) checkVolumeKey(key []byte) error {
	for _, d := range h.digests {
		if !slices.Contains(d.segments, 0) {
			continue
		}
		if err := h.checkDigest(&d); err != nil {
			return err
		}
		if len(key) > 0 && d.matches(key) {
			return nil
		}
	}
	return fmt.Errorf("luks: %w", ErrVolumeKey)
}

// checkDigest tells whether d can be computed, within the limits.
func (h *Header) checkDigest(d *digest) error {
	if _, err := hashByName(d.hash); err != nil {
		return err
	}
	return h.checkCost(KDF{Type: PBKDF2, Iterations: d.iterations})
}

// matches tells in constant time whether key is the one that d was made of. Its
// hash and the length of its value have been checked.
func (d *digest) matches(key []byte) bool {
	newHash, err := hashByName(d.hash)
	if err != nil || len(d.value) == 0 {
		return false
	}
	sum, err := d.sum(newHash, key, len(d.value))
	return err == nil && subtle.ConstantTimeCompare(sum, d.value) == 1
}

// sum returns the first n bytes of the digest of key.
func (d *digest) sum(newHash func() hash.Hash, key []byte, n int) ([]byte, error) {
	return pbkdf2.Key(newHash, asString(key), d.salt, int(d.iterations), n)
}

// asString returns p as the string that the standard library's PBKDF2 asks for. A
// copy could not be wiped; nobody changes p meanwhile.
func asString(p []byte) string { return unsafe.String(unsafe.SliceData(p), len(p)) }

// readFull reads all of p at off; an early end is io.ErrUnexpectedEOF.
func readFull(r io.ReaderAt, p []byte, off int64) (int, error) {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	if err == io.EOF || err == nil {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// nulTerminated returns the text before the first NUL of a field.
func nulTerminated(field []byte) (string, bool) {
	i := bytes.IndexByte(field, 0)
	if i < 0 {
		return "", false
	}
	return string(field[:i]), true
}
