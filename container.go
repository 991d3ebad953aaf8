package luksimg

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vhd"
)

// What follows makes images whose container is not LUKS itself. They know holes: what is
// zero in the source takes no room in them, and everybody sees where that is.

// container returns the format of the image, and whether the options go with it.
func (o EncryptOptions) container() (Format, error) {
	format := o.Format
	if of := o.Profile.format(); of != "" {
		if format != "" && format != of {
			return "", fmt.Errorf("profile %s is %s, not %s", o.Profile, of, format)
		}
		format = of
	}
	switch format {
	case "", LUKS1, LUKS2:
		version := map[Format]int{LUKS1: 1, LUKS2: 2}[format]
		if version != 0 && o.LUKS.Version != 0 && o.LUKS.Version != version {
			return "", fmt.Errorf("format %s is LUKS version %d, not %d", format, version, o.LUKS.Version)
		}
		return format, nil
	case VHD, QCOW2:
	default:
		return "", fmt.Errorf("%w: an encrypted image of format %q can not be made", ErrUnsupportedFormat, format)
	}
	switch {
	case o.Header != nil:
		return "", fmt.Errorf("a %s image has no header that can be detached", format)
	case o.Digest:
		return "", fmt.Errorf("digests are not made of a %s image, whose data are not written in order", format)
	case format == QCOW2 && o.LUKS.SectorSize > 512:
		return "", errors.New("qcow2 has sectors of 512 bytes only")
	case format == QCOW2 && (o.LUKS.Version == 2 || o.LUKS.Label != ""):
		return "", errors.New("qcow2 has LUKS1 inside, which has no label")
	case format == VHD && (o.LUKS.Cipher != "" && o.LUKS.Cipher != luks.DefaultCipher || o.LUKS.VolumeKey != nil || o.LUKS.UUID != "" ||
		o.LUKS.Label != "" || o.LUKS.KDF != (luks.KDF{}) || o.LUKS.SectorSize > 512 || o.LUKS.KeySize != 0):
		return "", errors.New("a VHD is encrypted with the key itself, AES in XTS mode: nothing of LUKS can be chosen")
	}
	return format, nil
}

// encryptVHD makes a dynamic VHD that is encrypted as vhd-util does.
func encryptVHD(ctx context.Context, dst io.WriterAt, src image.Source, key []byte, o EncryptOptions) (*Result, error) {
	c, err := vhd.Create(ctx, dst, src, vhd.CreateOptions{Key: key, Jobs: o.Jobs, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	return &Result{Format: VHD, Cipher: "aes-xts-plain", KeyBits: 8 * len(key), UUID: c.UniqueID,
		SourceSize: src.Size(), VolumeSize: c.VirtualSize, FileSize: c.FileSize}, nil
}

// encryptQCOW2 makes a qcow2 image with LUKS1 inside, as QEMU does.
func encryptQCOW2(ctx context.Context, dst io.WriterAt, src image.Source, passphrase []byte, o EncryptOptions) (*Result, error) {
	c, err := qcow.Create(ctx, dst, src, qcow.CreateOptions{Passphrase: passphrase, LUKS: o.LUKS, Jobs: o.Jobs, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	return &Result{Format: QCOW2, LUKS: *c.LUKS, Cipher: c.LUKS.Cipher, KeyBits: c.LUKS.KeyBits, UUID: c.LUKS.UUID,
		SourceSize: src.Size(), VolumeSize: c.VirtualSize, FileSize: c.FileSize}, nil
}

// ConvertOptions say what [Convert] makes. The zero value is a raw disk.
type ConvertOptions struct {
	// Format is Raw, VHD or QCOW2; "" is Raw.
	Format Format

	// Fixed makes a VHD that has room for all of the disk, in place of a dynamic one.
	Fixed bool

	// ClusterSize is that of qcow2 in bytes, zero for 64 KiB.
	ClusterSize int64

	// Compression of qcow2 is "zlib", "zstd" or "" for none.
	Compression string

	RunOptions
}

// A ConvertResult says what [Convert] made.
type ConvertResult struct {
	// VirtualSize is the length of the disk in bytes. It is more than that of the source
	// where the format has no disk of such a length: a VHD and a qcow2 image have whole
	// sectors of 512 bytes, a fixed VHD has whole MiB. Zeros fill the rest.
	VirtualSize int64
	// FileSize is the length of dst in bytes.
	FileSize int64
}

// Convert writes the disk src, not encrypted, to dst, which must be new. What is zero takes
// no room, as far as the format has a way to say so.
func Convert(ctx context.Context, dst io.WriterAt, src image.Source, o ConvertOptions) (*ConvertResult, error) {
	if o.Fixed && o.Format != VHD || (o.ClusterSize != 0 || o.Compression != "") && o.Format != QCOW2 {
		return nil, fmt.Errorf("options that do not go with format %q", o.Format)
	}
	switch o.Format {
	case "", Raw:
		if err := Decrypt(ctx, dst, src, o.RunOptions); err != nil {
			return nil, err
		}
		return &ConvertResult{src.Size(), src.Size()}, nil
	case VHD:
		opts := vhd.CreateOptions{Jobs: o.Jobs, Progress: o.Progress}
		if o.Fixed {
			opts.Type = vhd.Fixed
		}
		c, err := vhd.Create(ctx, dst, src, opts)
		if err != nil {
			return nil, err
		}
		return &ConvertResult{c.VirtualSize, c.FileSize}, nil
	case QCOW2:
		c, err := qcow.Create(ctx, dst, src, qcow.CreateOptions{ClusterSize: o.ClusterSize, Compression: o.Compression, Jobs: o.Jobs, Progress: o.Progress})
		if err != nil {
			return nil, err
		}
		return &ConvertResult{c.VirtualSize, c.FileSize}, nil
	}
	return nil, fmt.Errorf("%w: %q can not be written", ErrUnsupportedFormat, o.Format)
}
