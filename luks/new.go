package luks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/internal/af"
	"github.com/luksimg/luksimg/internal/dmcrypt"
)

// New makes a header with one key slot for passphrase. It returns the header and the volume key, which
// the caller wipes after use. The passphrase can be the content of a key file: each byte counts. New
// writes nothing. Write the header with [Header.WriteTo] or [Header.WriteHeader], and the data with
// [Header.Volume] and [Volume.EncryptSectors].
func New(ctx context.Context, passphrase []byte, o Options) (*Header, []byte, error) {
	if len(passphrase) == 0 {
		return nil, nil, errEmptyPassphrase
	}
	o, err := o.resolve()
	if err != nil {
		return nil, nil, err
	}
	key, err := randomBytes(o.Rand, o.KeySize)
	if err != nil {
		return nil, nil, err
	}
	if o.VolumeKey != nil {
		copy(key, o.VolumeKey)
	}
	h := &Header{
		version:   o.Version,
		uuid:      o.UUID,
		label:     o.Label,
		subsystem: o.Subsystem,
		hdrSize:   o.MetadataSize,
		keyslots:  o.KeyslotsSize,
		flags:     o.Flags,
		fresh:     o.Tokens,
		seqid:     1,
		segment: segment{
			offset:     o.DataOffset,
			encryption: o.Cipher,
			sectorSize: o.SectorSize,
			hash:       o.Hash,
		},
	}
	if err := h.make(ctx, passphrase, key, o); err != nil {
		clear(key)
		return nil, nil, err
	}
	return h, key, nil
}

// make adds the digest and the key slot, and encodes the header.
func (h *Header) make(ctx context.Context, passphrase, key []byte, o Options) error {
	d, err := newDigest(ctx, key, o)
	if err != nil {
		return err
	}
	h.digests = []digest{d}
	s := keyslot{id: o.KeySlot, active: true, keySize: len(key), priority: priorityNormal, kdf: o.KDF, afHash: o.Hash}
	s.area = area{offset: 2 * h.hdrSize, size: roundUp(int64(len(key))*stripes, 4096)}
	s.area.encryption, s.area.keySize = slotCipher(o.Cipher, len(key))
	if o.Version == 1 {
		s.area = v1Area(s.id, len(key))
		s.area.encryption, s.area.keySize = o.Cipher, len(key)
	}
	if s.salt, err = randomBytes(o.Rand, saltSize); err != nil {
		return err
	}
	material, err := s.seal(ctx, passphrase, key, o.Rand)
	if err != nil {
		return err
	}
	if o.Version == 1 {
		for i := range v1Slots { // unused slots have areas too
			h.slots = append(h.slots, keyslot{id: i, keySize: len(key), area: v1Area(i, len(key))})
		}
		h.slots[s.id] = s
		h.encodeV1(s, material)
		return nil
	}
	h.slots = []keyslot{s}
	return h.encodeV2(material, o.Rand)
}

// seal returns the key material of s: key, split and encrypted with the key that the KDF derives from
// passphrase.
func (s *keyslot) seal(ctx context.Context, passphrase, key []byte, rand io.Reader) ([]byte, error) {
	newHash, err := hashByName(s.afHash)
	if err != nil {
		return nil, err
	}
	cipher, err := s.cipher(ctx, passphrase)
	if err != nil {
		return nil, err
	}
	defer cipher.Close()
	material, err := af.Split(key, newHash, rand)
	if err != nil {
		return nil, fmt.Errorf("luks: %w", err)
	}
	// Key material for a key of 24 bytes does not end at a sector boundary.
	material = append(material, make([]byte, roundUp(int64(len(material)), sectorSize)-int64(len(material)))...)
	cipher.Encrypt(material, material, 0)
	return material, nil
}

// cipher returns the cipher of the key material of s, with the key that the KDF derives from
// passphrase.
func (s *keyslot) cipher(ctx context.Context, passphrase []byte) (dmcrypt.SectorCipher, error) {
	derived, err := s.kdf.derive(ctx, passphrase, s.salt, s.area.keySize)
	if err != nil {
		return nil, err
	}
	defer clear(derived)
	return newCipher(s.area.encryption, derived, sectorSize, false)
}

// newDigest returns the digest of key. The key is random, so the minimum number of iterations suffices
// for any passphrase.
func newDigest(ctx context.Context, key []byte, o Options) (digest, error) {
	newHash, err := hashByName(o.Hash)
	if err != nil {
		return digest{}, err
	}
	d := digest{hash: o.Hash, iterations: minPBKDF2Iterations, slots: []int{o.KeySlot}, segments: []int{0}}
	if d.salt, err = randomBytes(o.Rand, saltSize); err != nil {
		return d, err
	}
	n := newHash().Size()
	if o.Version == 1 {
		n = v1DigestSize
	}
	d.value, err = d.sum(ctx, newHash, key, n)
	return d, err
}

func randomBytes(r io.Reader, n int) ([]byte, error) {
	p := make([]byte, n)
	if _, err := io.ReadFull(r, p); err != nil {
		return nil, fmt.Errorf("luks: reading random bytes: %w", err)
	}
	return p, nil
}

// WriteTo writes the whole header area in order: [Header.DataOffset] bytes, after which the data
// follow, or [Header.HeaderSize] bytes for a detached header. The header must have been made by [New].
func (h *Header) WriteTo(w io.Writer) (int64, error) {
	if h.made == nil {
		return 0, errNotMade
	}
	var done int64
	gap := make([]byte, 64<<10)
	fill := func(end int64) error {
		for done < end {
			n, err := w.Write(gap[:min(int64(len(gap)), end-done)])
			done += int64(n)
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, r := range h.made.regions {
		if err := fill(r.offset); err != nil {
			return done, err
		}
		n, err := w.Write(r.data)
		done += int64(n)
		if err != nil {
			return done, err
		}
	}
	return done, fill(cmp.Or(h.segment.offset, h.HeaderSize()))
}

// WriteHeader writes the header to a file that can already have the data. It writes the magic last,
// after a Sync if w has that method. So an incomplete file is not a LUKS image. It does not write the
// gaps of the header: w must be new, so that they read as zeros. The header must have been made by
// [New].
func (h *Header) WriteHeader(w io.WriterAt) error {
	if h.made == nil {
		return errNotMade
	}
	for i, r := range h.made.regions {
		if i == h.made.primary {
			continue
		}
		if _, err := w.WriteAt(r.data, r.offset); err != nil {
			return err
		}
	}
	if s, ok := w.(interface{ Sync() error }); ok {
		if err := s.Sync(); err != nil {
			return err
		}
	}
	r := h.made.regions[h.made.primary]
	_, err := w.WriteAt(r.data, r.offset)
	return err
}

var (
	errEmptyPassphrase = errors.New("luks: empty passphrase")
	errNotMade         = errors.New("luks: only a header made by New can be written")
)
