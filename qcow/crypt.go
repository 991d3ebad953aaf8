package qcow

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
	"github.com/luksimg/luksimg/luks"
)

// cryptSector is the unit of encryption in qcow2, in bytes.
const cryptSector = 512

// A sectorCipher decrypts whole sectors in place, given their offsets in the file and on the disk.
type sectorCipher interface {
	decrypt(b []byte, host, guest int64)
	wipe()
}

// Unlock unlocks an encrypted disk with a passphrase, which it does not keep. If the passphrase is
// wrong, the error is luks.ErrPassphrase. The old AES encryption cannot detect a wrong passphrase:
// reads then return garbage. Unlock fails if the disk is not encrypted. ctx ends the key
// derivation.
func (d *Disk) Unlock(ctx context.Context, passphrase []byte) error {
	var c sectorCipher
	var err error
	switch d.h.crypt {
	case cryptAES:
		c, err = newCBC(passphrase)
	case cryptLUKS:
		c, err = d.unlockLUKS(ctx, passphrase)
	default:
		err = errors.New("qcow2: the image is not encrypted")
	}
	if err != nil {
		return err
	}
	d.cipher.Store(&c)
	return nil
}

// Close wipes the key of an encrypted disk and locks it. It does not close the image file or the
// files of the resolver, which belong to the caller.
func (d *Disk) Close() error {
	if c := d.cipher.Swap(nil); c != nil {
		(*c).wipe()
	}
	return nil
}

// luksHeader reads the LUKS header in the image. Its offsets count from the start of the header.
// Its payload offset has no meaning in qcow2.
func (d *Disk) luksHeader() (*luks.Header, error) {
	n := d.h.cryptoLength
	h, err := luks.Open(io.NewSectionReader(d.file.R, d.h.cryptoOffset, n), n, d.opts.KeyLimits)
	if err != nil {
		return nil, d.luksError(err)
	}
	if v := h.Version(); v != 1 {
		return nil, unsupported("encryption header of LUKS version %d, want 1", v)
	}
	return h, nil
}

func (d *Disk) unlockLUKS(ctx context.Context, passphrase []byte) (sectorCipher, error) {
	h, err := d.luksHeader()
	if err != nil {
		return nil, err
	}
	key, _, err := h.VolumeKey(ctx, passphrase, luks.AnySlot)
	if err != nil {
		return nil, d.luksError(err)
	}
	defer clear(key)
	v, err := h.Volume(ctx, nil, 0, key)
	if err != nil {
		return nil, d.luksError(err)
	}
	return luksCipher{v}, nil
}

// luksError converts an error of package luks to one that also matches the documented errors of
// this package.
func (d *Disk) luksError(err error) error {
	var fe *luks.FormatError
	switch {
	case errors.As(err, &fe):
		return fieldError(d.h.cryptoOffset+fe.Offset, "encryption header "+fe.Field, fe.Value, "%s", fe.Want)
	case errors.Is(err, luks.ErrNotLUKS):
		return fieldError(d.h.cryptoOffset, "encryption header", "no LUKS header", "a LUKS header, as crypt_method is 2")
	case errors.Is(err, luks.ErrUnsupported):
		return fmt.Errorf("qcow2: %w: %w", image.ErrUnsupported, err)
	}
	return fmt.Errorf("qcow2: %w", err)
}

// luksCipher derives the sector number from the offset in the file.
type luksCipher struct{ v *luks.Volume }

func (c luksCipher) decrypt(b []byte, host, guest int64) { c.v.DecryptSectors(b, b, host) }
func (c luksCipher) wipe()                               { c.v.Close() }

// cbcCipher is the AES encryption that preceded LUKS. It derives the sector number from the offset
// on the disk.
type cbcCipher struct{ block cipher.Block }

func newCBC(passphrase []byte) (sectorCipher, error) {
	var key [16]byte
	copy(key[:], passphrase)
	defer clear(key[:])
	b, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("qcow2: %w", err)
	}
	return cbcCipher{b}, nil
}

func (c cbcCipher) decrypt(b []byte, host, guest int64) {
	var iv [aes.BlockSize]byte
	for ; len(b) > 0; b, guest = b[cryptSector:], guest+cryptSector {
		binary.LittleEndian.PutUint64(iv[:], uint64(guest/cryptSector))
		cipher.NewCBCDecrypter(c.block, iv[:]).CryptBlocks(b[:cryptSector], b[:cryptSector])
	}
}

// wipe does nothing: crypto/aes does not give access to its key.
func (c cbcCipher) wipe() {}

var sectors = sync.Pool{New: func() any { return new([cryptSector]byte) }}

// readEncrypted reads the data of a run that starts at pos of the disk. It decrypts whole sectors
// directly in p.
func (d *Disk) readEncrypted(p []byte, r disk.Run, pos int64) (int, error) {
	cipher := d.cipher.Load()
	if cipher == nil { // closed in the meantime
		return 0, d.locked()
	}
	c, host := *cipher, r.Host
	done := 0
	for done < len(p) {
		host, pos := host+int64(done), pos+int64(done)
		skip := int(host % cryptSector) // same offset on the disk, as clusters are whole sectors
		rest := p[done:]
		if whole := len(rest) &^ (cryptSector - 1); skip == 0 && whole > 0 {
			if _, err := readFull(r.File.R, rest[:whole], host); err != nil {
				return done, err
			}
			c.decrypt(rest[:whole], host, pos)
			done += whole
			continue
		}
		buf := sectors.Get().(*[cryptSector]byte)
		_, err := readFull(r.File.R, buf[:], host-int64(skip))
		if err == nil {
			c.decrypt(buf[:], host-int64(skip), pos-int64(skip))
			done += copy(rest, buf[skip:])
		}
		clear(buf[:])
		sectors.Put(buf)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}
