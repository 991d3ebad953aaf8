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

// ErrKey means that this is not the key of the disk. Match with [errors.Is].
var ErrKey = errors.New("the key is not that of the disk")

// What follows is the encryption of XenServer's vhd-util and tapdisk, which are its
// only specification: AES-XTS by sectors of 512 bytes, numbered by their place in the
// disk, the number cut to 32 bits. Only sectors whose bitmap bit is set are
// encrypted. The key is known by a hash behind the block allocation table.

// A keyHash is what a disk has to recognise its key by.
type keyHash struct {
	nonce, hash [sha256.Size]byte
}

// hashKey returns SHA-256 of the nonce and the key.
func hashKey(nonce, key []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	h.Write(nonce)
	h.Write(key)
	h.Sum(sum[:0])
	h.Reset()
	return sum
}

// newSectorCipher returns the cipher of a key, 32 or 64 bytes.
func newSectorCipher(key []byte) (*xts.Cipher, error) {
	return xts.New(key, xts.Options{SectorSize: sectorSize, Plain32: true})
}

// Unlock gives the key of an encrypted disk: 32 bytes for AES-128, 64 for AES-256,
// which are not kept. One that is not the disk's is [ErrKey]. For a disk that is not
// encrypted it is an error.
func (d *Disk) Unlock(_ context.Context, key []byte) error {
	if d.keyHash == nil {
		return errors.New("vhd: the disk is not encrypted")
	}
	if len(key) != 32 && len(key) != 64 {
		return fmt.Errorf("vhd: %w: it has %d bytes and keys have 32 or 64", ErrKey, len(key))
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
		c.Close() // it was unlocked already, with the same key
	}
	return nil
}

// Close wipes the key of an encrypted disk, which is locked then. There is nothing
// else to close: the file, and the parent of the resolver, are the caller's. It must
// not run beside other methods.
func (d *Disk) Close() error {
	if c := d.cipher.Swap(nil); c != nil {
		c.Close()
	}
	return nil
}

// encrypted notes the key hash of the disk.
func (d *Disk) encrypted(k *keyHash) {
	d.keyHash = k
	d.file.Opaque, d.disk.Locked, d.disk.ReadData = true, d.locked, d.readEncrypted
	d.info.Encrypted = true
	d.info.KeyNonce = hex.EncodeToString(k.nonce[:])
	d.info.KeyHash = hex.EncodeToString(k.hash[:])
}

// locked tells whether the key of an encrypted disk is missing.
func (d *Disk) locked() error {
	if d.cipher.Load() == nil {
		return fmt.Errorf("vhd: %w", image.ErrLocked)
	}
	return nil
}

// readEncrypted reads data of a run that starts at pos of the disk.
func (d *Disk) readEncrypted(p []byte, r disk.Run, pos int64) (int, error) {
	c := d.cipher.Load()
	if c == nil { // closed meanwhile
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

// readPart reads what p has room for of one encrypted sector at off of the file,
// from its byte skip on.
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
