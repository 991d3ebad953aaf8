package vhd

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
	"github.com/luksimg/luksimg/xts"
)

// ErrKey means that the key is not the key of the disk. Match it with [errors.Is].
var ErrKey = errors.New("wrong key for the disk")

// XenServer's vhd-util and tapdisk are the only specification of this encryption: AES-XTS by
// sectors of 512 bytes. The tweak is the sector number on the disk, cut to 32 bits. Only sectors
// whose bitmap bit is set are encrypted. A hash of the key follows the block allocation table.

// A keyHash identifies the key of a disk.
type keyHash struct {
	nonce, hash [sha256.Size]byte
}

// hashKey returns the SHA-256 of the nonce and the key.
func hashKey(nonce, key []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	h.Write(nonce)
	h.Write(key)
	h.Sum(sum[:0])
	h.Reset()
	return sum
}

// newSectorCipher returns the cipher for a key of 32 or 64 bytes.
func newSectorCipher(key []byte) (*xts.Cipher, error) {
	return xts.New(key, xts.Options{SectorSize: sectorSize, Plain32: true})
}

// Unlock unlocks an encrypted disk with a key, which it does not keep: 32 bytes for AES-128, 64 for
// AES-256. If the key is wrong, the error is [ErrKey]. Unlock fails if the disk is not encrypted.
func (d *Disk) Unlock(_ context.Context, key []byte) error {
	if d.keyHash == nil {
		return errors.New("vhd: the disk is not encrypted")
	}
	if len(key) != 32 && len(key) != 64 {
		return fmt.Errorf("vhd: %w: length is %d bytes, want 32 or 64", ErrKey, len(key))
	}
	sum := hashKey(d.keyHash.nonce[:], key)
	if subtle.ConstantTimeCompare(sum[:], d.keyHash.hash[:]) == 0 {
		return fmt.Errorf("vhd: %w", ErrKey)
	}
	c, err := newSectorCipher(key)
	if err != nil {
		return fmt.Errorf("vhd: %w", err)
	}
	if !d.cipher.CompareAndSwap(nil, c) {
		c.Close() // the disk was already unlocked, with the same key
	}
	return nil
}

// Close wipes the key of an encrypted disk and locks it. It does not close the file or the parent,
// which belong to the caller. It must not run concurrently with other methods.
func (d *Disk) Close() error {
	if c := d.cipher.Swap(nil); c != nil {
		c.Close()
	}
	return nil
}

// encrypted records the key hash of the disk.
func (d *Disk) encrypted(k *keyHash) {
	d.keyHash = k
	d.file.Opaque, d.disk.Locked, d.disk.ReadData = true, d.locked, d.readEncrypted
	d.info.Encrypted = true
	d.info.KeyNonce = hex.EncodeToString(k.nonce[:])
	d.info.KeyHash = hex.EncodeToString(k.hash[:])
}

// locked returns an error if the disk is encrypted and has no key.
func (d *Disk) locked() error {
	if d.cipher.Load() == nil {
		return fmt.Errorf("vhd: %w", image.ErrLocked)
	}
	return nil
}

// readEncrypted reads the data of a run that starts at pos of the disk.
func (d *Disk) readEncrypted(p []byte, r disk.Run, pos int64) (int, error) {
	c := d.cipher.Load()
	if c == nil { // closed in the meantime
		return 0, d.locked()
	}
	for done := 0; done < len(p); {
		at, off := pos+int64(done), r.Host+int64(done)
		sector := uint64(at / sectorSize)
		if skip := at % sectorSize; skip != 0 || len(p)-done < sectorSize {
			n, err := d.readPart(c, p[done:], off-skip, sector, skip)
			done += n
			if err != nil {
				return done, err
			}
			continue
		}
		b := p[done:]
		b = b[:len(b)&^(sectorSize-1)]
		n, err := readFull(d.file.R, b, off)
		n &^= sectorSize - 1
		c.Decrypt(b[:n], b[:n], sector)
		done += n
		if err != nil {
			return done, err
		}
	}
	return len(p), nil
}

// readPart reads bytes of the encrypted sector at off of the file into p, from byte skip of the
// sector on.
func (d *Disk) readPart(c *xts.Cipher, p []byte, off int64, sector uint64, skip int64) (int, error) {
	buf := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(buf)
	b := buf[:sectorSize]
	if _, err := readFull(d.file.R, b, off); err != nil {
		return 0, err
	}
	c.Decrypt(b, b, sector)
	n := copy(p, b[skip:])
	clear(b)
	return n, nil
}
