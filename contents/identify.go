package contents

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/luksimg/luksimg/contents/internal/bounded"
)

const (
	headSize = 72 << 10 // bytes that hold the marks of all filesystems but ZFS
	zfsAt    = 128 << 10
	zfsSize  = 128 << 10
)

// A signature recognizes one kind of filesystem in the first headSize bytes of a partition, or in
// all of a shorter one. It returns the label and the UUID.
type signature func(b []byte) *Filesystem

// signatures are tried in this order. Encrypted formats come first, as the mark of an old
// filesystem can remain. FAT comes last, as it is recognized by few values.
var signatures = []signature{luks, bitlocker, lvm, mdraid, swap, xfsMark, extMark, btrfs, squashfs, iso9660, udf, ntfs, exfat, fat}

// identify returns the format of a partition or disk, or nil if it is unknown.
func identify(r *bounded.Reader) (*Filesystem, error) {
	b, err := r.Bytes(0, headSize)
	if err != nil {
		return nil, err
	}
	for _, s := range signatures {
		if f := s(b); f != nil {
			f.Label, f.UUID = clean(strings.TrimRight(f.Label, " ")), clean(f.UUID)
			return f, nil
		}
	}
	return zfs(r)
}

// has reports whether b has a mark at an offset.
func has(b []byte, off int, mark string) bool {
	return off <= len(b) && bytes.HasPrefix(b[off:], []byte(mark))
}

// text returns a field of n bytes up to its first NUL.
func text(b []byte, off, n int) string {
	s, _, _ := strings.Cut(string(b[off:off+n]), "\x00")
	return s
}

// uuid returns the 16 bytes at an offset as a UUID, or "" if they are zero.
func uuid(b []byte, off int) string {
	u := b[off : off+16]
	if bytes.Count(u, []byte{0}) == 16 {
		return ""
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// luks recognizes LUKS1 ("LUKS On-Disk Format Specification", version 1.2.3) and LUKS2 ("LUKS2
// On-Disk Format Specification", version 1.1.2).
func luks(b []byte) *Filesystem {
	if !has(b, 0, "LUKS\xba\xbe") || len(b) < 512 {
		return nil
	}
	f := &Filesystem{Type: "luks1", UUID: text(b, 168, 40)}
	if binary.BigEndian.Uint16(b[6:]) >= 2 {
		f.Type, f.Label = "luks2", text(b, 24, 48)
	}
	return f
}

// bitlocker recognizes BitLocker by its mark. On a removable medium, the boot sector is that of
// FAT, except for a GUID.
func bitlocker(b []byte) *Filesystem {
	const toGo = "\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01"
	if has(b, 3, "-FVE-FS-") || has(b, 3, "MSWIN4.1") && has(b, 424, toGo) {
		return &Filesystem{Type: "bitlocker"}
	}
	return nil
}

// lvm recognizes LVM by the label in one of the first four sectors, which gives the place of the
// UUID.
func lvm(b []byte) *Filesystem {
	for at := 0; at < 4*512 && at+512 <= len(b); at += 512 {
		if !has(b, at, "LABELONE") || !has(b, at+24, "LVM2 001") {
			continue
		}
		f := &Filesystem{Type: "lvm2"}
		if off := le.Uint32(b[at+20:]); off <= 512-32 {
			id := text(b, at+int(off), 32)
			for i, n := range []int{6, 4, 4, 4, 4, 4, 6} {
				if len(id) < n {
					break
				}
				if i > 0 {
					f.UUID += "-"
				}
				f.UUID += id[:n]
				id = id[n:]
			}
		}
		return f
	}
	return nil
}

// mdraid recognizes superblocks of versions 1.1 and 1.2, which precede the content.
func mdraid(b []byte) *Filesystem {
	for _, at := range []int{0, 4096} {
		if has(b, at, "\xfc\x4e\x2b\xa9\x01\x00\x00\x00") && len(b) >= at+256 {
			return &Filesystem{Type: "mdraid", UUID: uuid(b, at+16), Label: text(b, at+32, 32)}
		}
	}
	return nil
}

// swap recognizes swap space by the mark at the end of the first page. The page size depends on the
// machine.
func swap(b []byte) *Filesystem {
	for page := 4096; page <= 65536 && page <= len(b); page *= 2 {
		switch mark := string(b[page-10 : page]); {
		case mark == "SWAPSPACE2", mark == "SWAP-SPACE", mark == "ULSUSPEND\x00",
			strings.HasPrefix(mark, "S1SUSPEND"), strings.HasPrefix(mark, "S2SUSPEND"), mark == "LINHIB0001":
			f := &Filesystem{Type: "swap"}
			if mark != "SWAP-SPACE" {
				f.UUID, f.Label = uuid(b, 1036), text(b, 1052, 16)
			}
			return f
		}
	}
	return nil
}

func xfsMark(b []byte) *Filesystem {
	if !has(b, 0, "XFSB") || len(b) < 512 {
		return nil
	}
	return &Filesystem{Type: "xfs", UUID: uuid(b, 32), Label: text(b, 108, 12)}
}

// extMark distinguishes ext2, ext3 and ext4 by their features, as blkid does. ext3 has a journal;
// ext4 has features that ext3 lacks.
func extMark(b []byte) *Filesystem {
	const super = 1024
	if !has(b, super+56, "\x53\xef") || len(b) < super+1024 {
		return nil
	}
	s := b[super:]
	if le.Uint32(s) == 0 || le.Uint32(s[4:]) == 0 || le.Uint32(s[24:]) > 6 {
		return nil
	}
	f := &Filesystem{Type: "ext2", UUID: uuid(s, 104), Label: text(s, 120, 16)}
	const (
		compatJournal   = 0x4
		incompatOfExt3  = 0x2 | 0x4 | 0x10 // filetype, recover, meta_bg
		roCompatOfExt3  = 0x1 | 0x2 | 0x4  // sparse_super, large_file, btree_dir
		firstWithFields = 1                // revision
	)
	if le.Uint32(s[76:]) < firstWithFields {
		return f
	}
	switch {
	case le.Uint32(s[96:])&^incompatOfExt3 != 0 || le.Uint32(s[100:])&^roCompatOfExt3 != 0:
		f.Type = "ext4"
	case le.Uint32(s[92:])&compatJournal != 0:
		f.Type = "ext3"
	}
	return f
}

func btrfs(b []byte) *Filesystem {
	const super = 64 << 10
	if !has(b, super+64, "_BHRfS_M") || len(b) < super+4096 {
		return nil
	}
	return &Filesystem{Type: "btrfs", UUID: uuid(b, super+32), Label: text(b, super+299, 256)}
}

func squashfs(b []byte) *Filesystem {
	// The current major version, at offset 28, is 4.
	if !has(b, 0, "hsqs") || len(b) < 96 || le.Uint16(b[28:]) > 4 {
		return nil
	}
	return &Filesystem{Type: "squashfs"}
}

// iso9660 recognizes ISO 9660 (ECMA-119, section 8.4).
func iso9660(b []byte) *Filesystem {
	const descriptor = 32 << 10
	if !has(b, descriptor+1, "CD001") || len(b) < descriptor+2048 {
		return nil
	}
	return &Filesystem{Type: "iso9660", Label: text(b, descriptor+40, 32)}
}

// udf recognizes UDF by its volume recognition sequence (ECMA-167, part 2, section 9), in sectors
// of 2048 bytes or more. If the sequence contains ISO 9660, that takes precedence.
func udf(b []byte) *Filesystem {
	const sequence = 32 << 10
	for _, sector := range []int{2048, 4096} {
		next := sequence + sector + 1
		if has(b, sequence+1, "BEA01") && (has(b, next, "NSR02") || has(b, next, "NSR03")) {
			return &Filesystem{Type: "udf"}
		}
	}
	return nil
}

func ntfs(b []byte) *Filesystem {
	if !has(b, 3, "NTFS    ") || len(b) < 512 {
		return nil
	}
	return &Filesystem{Type: "ntfs", UUID: fmt.Sprintf("%016X", le.Uint64(b[72:]))}
}

// exfat recognizes exFAT (exFAT specification, section 3.1).
func exfat(b []byte) *Filesystem {
	if !has(b, 3, "EXFAT   ") || len(b) < 512 {
		return nil
	}
	return &Filesystem{Type: "exfat", UUID: serial(b[100:])}
}

// fat recognizes FAT, which has no mark. Microsoft's specification (fatgen103) gives the valid
// values. The number of clusters alone distinguishes the kinds.
func fat(b []byte) *Filesystem {
	if len(b) < 512 || le.Uint16(b[510:]) != 0xaa55 || b[0] != 0xeb && b[0] != 0xe9 {
		return nil
	}
	sector, perCluster := int64(le.Uint16(b[11:])), int64(b[13])
	reserved, fats, rootEntries := int64(le.Uint16(b[14:])), int64(b[16]), int64(le.Uint16(b[17:]))
	sectors, fatSectors := int64(le.Uint16(b[19:])), int64(le.Uint16(b[22:]))
	if sectors == 0 {
		sectors = int64(le.Uint32(b[32:]))
	}
	wide := fatSectors == 0
	if wide {
		fatSectors = int64(le.Uint32(b[36:]))
	}
	powerOfTwo := func(n int64) bool { return n > 0 && n&(n-1) == 0 }
	if !powerOfTwo(sector) || sector < 512 || sector > 4096 || !powerOfTwo(perCluster) || reserved == 0 || fats == 0 || fats > 4 || b[21] < 0xf0 || fatSectors == 0 {
		return nil
	}
	data := sectors - reserved - fats*fatSectors - (rootEntries*32+sector-1)/sector
	if data <= 0 {
		return nil
	}
	f, at := &Filesystem{Type: "fat32"}, 64
	if clusters := data / perCluster; clusters < 4085 {
		f.Type = "fat12"
	} else if clusters < 65525 {
		f.Type = "fat16"
	}
	if wide {
		f.Type = "fat32"
	} else {
		at = 36
	}
	// An extended boot signature of 0x28 has no label.
	if sign := b[at+2]; sign == 0x28 || sign == 0x29 {
		f.UUID = serial(b[at+3:])
		if label := text(b, at+7, 11); sign == 0x29 && strings.TrimRight(label, " ") != "NO NAME" {
			f.Label = label
		}
	}
	return f
}

// serial formats the serial number of a volume as Windows does.
func serial(b []byte) string {
	return fmt.Sprintf("%04X-%04X", le.Uint16(b[2:]), le.Uint16(b))
}

// zfs recognizes ZFS ("ZFS On-Disk Specification", section 1.3). The uberblocks are in the second
// half of the first label, in slots of at least 1 KiB, in either byte order.
func zfs(r *bounded.Reader) (*Filesystem, error) {
	if r.Size() < zfsAt+zfsSize {
		return nil, nil
	}
	b, err := r.Bytes(zfsAt, zfsSize)
	if err != nil {
		return nil, err
	}
	little, _ := hex.DecodeString("0cb1ba0000000000")
	big, _ := hex.DecodeString("0000000000bab10c")
	for at := 0; at < len(b); at += 1024 {
		if mark := b[at : at+8]; bytes.Equal(mark, little) || bytes.Equal(mark, big) {
			return &Filesystem{Type: "zfs"}, nil
		}
	}
	return nil, nil
}
