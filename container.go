package luksimg

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/engine"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vhd"
)

// The functions below make images whose container is not LUKS itself. These formats have holes: zeros
// of the source take no space, and the image shows where they are.

// checkContainer refuses options that no such format supports.
func checkContainer(o EncryptOptions, f Format) error {
	switch {
	case o.Header != nil:
		return fmt.Errorf("a %s image has no header that can be detached", f)
	case o.Digest:
		return fmt.Errorf("a %s image cannot have digests: its data are not written in order", f)
	}
	return nil
}

// The allocation units in bytes.
const (
	vhdUnit   = 2 << 20
	qcow2Unit = 64 << 10
)

var vhdMaker = maker{unit: vhdUnit, check: checkMakeVHD, sizes: vhdSizes, encrypt: encryptVHD,
	draw: drawVHD, build: buildVHD, describe: describeVHD, identity: identifyVHD}

func checkMakeVHD(o EncryptOptions) error {
	l := o.LUKS
	if l.Cipher != "" && l.Cipher != luks.DefaultCipher || l.VolumeKey != nil || l.UUID != "" ||
		l.Label != "" || l.KDF != (luks.KDF{}) || l.SectorSize > 512 || l.KeySize != 0 {
		return errors.New("LUKS options do not apply to a VHD: its key encrypts the sectors directly, with AES-XTS")
	}
	return checkContainer(o, VHD)
}

func vhdSizes(_ *plan, size int64, used *engine.Units) (s Sizes, err error) {
	s = Sizes{Source: size, Volume: roundUp(size, 512)}
	s.File, err = vhd.CreateSize(size, used.All(), vhd.CreateOptions{Key: []byte("any key of thirty-two bytes will")})
	return s, err
}

// errNoKey prevents an unencrypted VHD.
var errNoKey = errors.New("the key is missing: an encrypted VHD needs 32 or 64 bytes")

// encryptVHD makes a dynamic VHD that is encrypted as vhd-util does.
func encryptVHD(ctx context.Context, p *plan, dst io.WriterAt, src image.Source, key []byte) (*Result, error) {
	if len(key) == 0 {
		return nil, errNoKey
	}
	c, err := vhd.Create(ctx, dst, src, vhd.CreateOptions{Key: key, Jobs: p.workers.Count, Progress: p.workers.Done})
	if err != nil {
		return nil, err
	}
	return &Result{Format: VHD, Cipher: "aes-xts-plain", KeyBits: 8 * len(key), UUID: c.UniqueID,
		SourceSize: src.Size(), VolumeSize: c.VirtualSize, FileSize: c.FileSize}, nil
}

var qcow2Maker = maker{version: 1, unit: qcow2Unit, check: checkMakeQCOW2, sizes: qcow2Sizes, encrypt: encryptQCOW2,
	draw: drawQCOW2, build: buildQCOW2, describe: describeQCOW2, identity: identifyQCOW2}

func checkMakeQCOW2(o EncryptOptions) error {
	switch {
	case o.LUKS.SectorSize > 512:
		return errors.New("LUKS inside qcow2 has sectors of 512 bytes only")
	case o.LUKS.Version == 2 || o.LUKS.Label != "":
		return errors.New("qcow2 has LUKS1 inside, and LUKS1 has no label")
	}
	return checkContainer(o, QCOW2)
}

func qcow2Sizes(p *plan, size int64, used *engine.Units) (s Sizes, err error) {
	s = Sizes{Source: size, Volume: roundUp(size, 512)}
	s.File, err = qcow.CreateSize(size, used.All(), qcow.CreateOptions{Passphrase: []byte("x"), LUKS: p.luks})
	return s, err
}

// encryptQCOW2 makes a qcow2 image with LUKS1 inside, as QEMU does.
func encryptQCOW2(ctx context.Context, p *plan, dst io.WriterAt, src image.Source, passphrase []byte) (*Result, error) {
	c, err := qcow.Create(ctx, dst, src, qcow.CreateOptions{Passphrase: passphrase, LUKS: p.luks, Jobs: p.workers.Count, Progress: p.workers.Done})
	if err != nil {
		return nil, err
	}
	return &Result{Format: QCOW2, LUKS: *c.LUKS, Cipher: c.LUKS.Cipher, KeyBits: c.LUKS.KeyBits, UUID: c.LUKS.UUID,
		SourceSize: src.Size(), VolumeSize: c.VirtualSize, FileSize: c.FileSize}, nil
}
