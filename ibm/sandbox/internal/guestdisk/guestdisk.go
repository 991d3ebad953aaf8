// Package guestdisk checks the disks of an emulated cloud like a hypervisor: whether they can boot,
// and whether they are complete.
package guestdisk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const sectorSize = 512

// ErrNoBoot means that the disk has no boot sector. For an encrypted image, the usual cause is a
// wrong key.
var ErrNoBoot = errors.New("the first sector has no boot signature 55 AA")

// ErrTruncated means that a partition extends past the end of the disk.
var ErrTruncated = errors.New("the image is truncated")

// Check reads the boot sector, and the GPT header if there is one, and compares the
// partitions with the size of the disk in bytes. Size zero means unknown.
func Check(disk io.ReaderAt, size int64) error {
	var b [2 * sectorSize]byte
	if n, err := disk.ReadAt(b[:], 0); n < sectorSize {
		return fmt.Errorf("reading the boot sector: %w", noEOF(err))
	}
	if b[510] != 0x55 || b[511] != 0xaa {
		return ErrNoBoot
	}
	if string(b[sectorSize:sectorSize+8]) == "EFI PART" {
		// UEFI specification 5.3.2: AlternateLBA, the last sector of the disk.
		last := binary.LittleEndian.Uint64(b[sectorSize+32:])
		return within("the second GPT header", last, 1, size)
	}
	for i := range 4 {
		p := b[446+16*i:]
		start, count := binary.LittleEndian.Uint32(p[8:]), binary.LittleEndian.Uint32(p[12:])
		if p[4] == 0 || p[4] == 0xee || count == 0 {
			continue // unused, or a protective MBR entry
		}
		if err := within(fmt.Sprintf("partition %d", i+1), uint64(start), uint64(count), size); err != nil {
			return err
		}
	}
	return nil
}

// within returns an error unless count sectors at start are inside the disk.
func within(what string, start, count uint64, size int64) error {
	sectors := uint64(size) / sectorSize
	if size > 0 && (start > sectors || count > sectors-start) {
		return fmt.Errorf("%w: %s ends past byte %d, which is the end of the disk", ErrTruncated, what, size)
	}
	return nil
}

func noEOF(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
