package luks

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	file "github.com/luksimg/luksimg/internal/signature"
)

// ErrAmbiguous means that the primary header was replaced by something else with a known signature, and
// only the secondary header says that this is LUKS. The image can be either. It is read with the
// secondary header, but not changed.
var ErrAmbiguous = errors.New("ambiguous: something else is where the primary header should be")

// A signature identifies the content of a file by bytes at a fixed offset.
type signature struct {
	name   string // with an article
	offset int64
	bytes  string
}

// signatures are those of data that people write to a former LUKS disk: filesystems, swap areas, volume
// managers, RAID members, partition tables and images, as in libblkid. All are at offsets below the
// data of most images. Package signature has those of other files, such as archives.
var signatures = []signature{
	{"an LVM2 physical volume", 0, "LABELONE"},
	{"an LVM2 physical volume", 512, "LABELONE"},
	{"an LVM2 physical volume", 1024, "LABELONE"},
	{"an LVM2 physical volume", 1536, "LABELONE"},
	{"an LVM1 physical volume", 0, "HM\x01\x00"},
	{"an LVM1 physical volume", 0, "HM\x02\x00"},
	{"a GUID partition table", 512, "EFI PART"},
	{"a GUID partition table", 4096, "EFI PART"},
	{"an Apple partition map", 512, "PM\x00\x00"},
	{"a BSD disklabel", 64, "WEV\x82"},
	{"a BSD disklabel", 512, "WEV\x82"},
	{"a Sun disklabel", 508, "\xda\xbe"},
	{"an SGI disklabel", 0, "\x0b\xe5\xa9\x41"},
	{"an ext2, ext3 or ext4 filesystem", 1080, "\x53\xef"},
	{"an XFS filesystem", 0, "XFSB"},
	{"a Btrfs filesystem", 65600, "_BHRfS_M"},
	{"an F2FS filesystem", 1024, "\x10\x20\xf5\xf2"},
	{"an NTFS filesystem", 3, "NTFS    "},
	{"an exFAT filesystem", 3, "EXFAT   "},
	{"a FAT filesystem", 54, "FAT12   "},
	{"a FAT filesystem", 54, "FAT16   "},
	{"a FAT filesystem", 82, "FAT32   "},
	{"a ReFS filesystem", 3, "ReFS\x00"},
	{"an HPFS filesystem", 8192, "\x49\xe8\x95\xf9"},
	{"a BitLocker volume", 3, "-FVE-FS-"},
	{"a SquashFS filesystem", 0, "hsqs"},
	{"a SquashFS filesystem", 0, "sqsh"},
	{"an EROFS filesystem", 1024, "\xe2\xe1\xf5\xe0"},
	{"a cramfs filesystem", 0, "\x45\x3d\xcd\x28"},
	{"a romfs filesystem", 0, "-rom1fs-"},
	{"an ISO 9660 filesystem", 32769, "CD001"},
	{"a UDF filesystem", 32769, "BEA01"},
	{"a JFS filesystem", 32768, "JFS1"},
	{"a ReiserFS filesystem", 65588, "ReIsEr"},
	{"a ReiserFS filesystem", 8244, "ReIsEr"},
	{"a Reiser4 filesystem", 65536, "ReIsEr4"},
	{"a NILFS2 filesystem", 1030, "\x34\x34"},
	{"a Minix filesystem", 1040, "\x7f\x13"},
	{"a Minix filesystem", 1040, "\x8f\x13"},
	{"a Minix filesystem", 1040, "\x68\x24"},
	{"a Minix filesystem", 1040, "\x78\x24"},
	{"a Minix filesystem", 1048, "\x5a\x4d"},
	{"an HFS filesystem", 1024, "BD"},
	{"an HFS+ filesystem", 1024, "H+\x00"},
	{"an HFS+ filesystem", 1024, "HX\x00"},
	{"an APFS container", 32, "NXSB"},
	{"a UFS filesystem", 9564, "\x54\x19\x01\x00"},
	{"a UFS filesystem", 66908, "\x19\x01\x54\x19"},
	{"a GFS2 filesystem", 65536, "\x01\x16\x19\x70"},
	{"an OCFS2 filesystem", 1024, "OCFSV2"},
	{"an OCFS2 filesystem", 2048, "OCFSV2"},
	{"an OCFS2 filesystem", 4096, "OCFSV2"},
	{"an OCFS2 filesystem", 8192, "OCFSV2"},
	{"a VxFS filesystem", 1024, "\xf5\xfc\x01\xa5"},
	{"a VxFS filesystem", 8192, "\xf5\xfc\x01\xa5"},
	{"a BeFS filesystem", 32, "1SFB"},
	{"a BeFS filesystem", 544, "1SFB"},
	{"a boot filesystem (BFS)", 0, "\xce\xfa\xad\x1b"},
	{"a UBI volume", 0, "UBI#"},
	{"a UBIFS filesystem", 0, "\x31\x18\x10\x06"},
	{"a bcache device", 4120, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca"},
	{"a bcachefs filesystem", 4120, "\xc6\x85\x73\xf6\x66\xce\x90\xa9"},
	{"a Stratis pool", 516, "!Stra0tis\x86\xff\x02^\x41rh"},
	{"a Stratis pool", 4612, "!Stra0tis\x86\xff\x02^\x41rh"},
	{"a VDO volume", 0, "dmvdo001"},
	{"a dm-verity device", 0, "verity\x00\x00"},
	{"a dm-integrity device", 0, "integrt\x00"},
	{"a snapshot of device-mapper", 0, "SnAp"},
	{"a member of a Linux RAID", 0, "\xfc\x4e\x2b\xa9"},
	{"a member of a Linux RAID", 4096, "\xfc\x4e\x2b\xa9"},
	{"a Ceph BlueStore device", 0, "bluestore block device"},
	{"a hibernation image", 0, "\xed\xc3\x02\xe9\x98\x56\xe5\x0c"},
	{"a qcow2 image", 0, "QFI\xfb\x00\x00\x00\x02"},
	{"a qcow2 image", 0, "QFI\xfb\x00\x00\x00\x03"},
	{"a VHD", 0, "conectix"},
	{"a VHDX", 0, "vhdxfile"},
	{"a VMDK", 0, "KDMV"},
	{"a VMDK", 0, "COWD"},
	{"a VMDK descriptor", 0, "# Disk DescriptorFile"},
	{"a VDI", 64, "\x7f\x10\xda\xbe"},
}

// swapMarks are the last ten bytes of the first page of a swap area. The page size depends on the
// machine that made it.
var swapMarks = []string{"SWAP-SPACE", "SWAPSPACE2", "S1SUSPEND\x00", "S2SUSPEND\x00", "ULSUSPEND\x00", "LINHIB0001"}

// foreignSignature returns the name of the format, other than LUKS, with whose signature the file r of
// size bytes starts, and the offset of that signature. It returns "" if it finds none.
func foreignSignature(r io.ReaderAt, size int64) (string, int64, error) {
	b := make([]byte, min(zfsEnd, size))
	if err := readFull(r, b, 0); err != nil {
		return "", 0, fmt.Errorf("luks: reading the start of the image: %w", err)
	}
	is := func(off int64, mark string) bool {
		return off < int64(len(b)) && bytes.HasPrefix(b[off:], []byte(mark))
	}
	for _, s := range signatures {
		if is(s.offset, s.bytes) {
			return s.name, s.offset, nil
		}
	}
	for page := int64(4096); page <= 65536; page *= 2 {
		for _, m := range swapMarks {
			if is(page-10, m) {
				return "a swap area", page - 10, nil
			}
		}
	}
	for off := int64(zfsFirst); off < zfsEnd; off += 1024 {
		if is(off, "\x0c\xb1\xba\x00\x00\x00\x00\x00") || is(off, "\x00\x00\x00\x00\x00\xba\xb1\x0c") {
			return "a ZFS pool", off, nil
		}
	}
	if hasMBR(b) {
		return "an MBR partition table", 510, nil
	}
	s, off, err := file.Find(r, size)
	if err != nil || s == nil {
		return "", 0, err
	}
	return s.Name, off, nil
}

// The uberblocks of a ZFS label are an array.
const (
	zfsFirst = 128 << 10
	zfsEnd   = 256 << 10
)

// hasMBR reports whether b starts with a plausible partition table: four entries with a valid active
// flag, at least one with a type.
func hasMBR(b []byte) bool {
	if len(b) < 512 || b[510] != 0x55 || b[511] != 0xaa {
		return false
	}
	used := false
	for e := b[446:510]; len(e) > 0; e = e[16:] {
		if e[0]&^0x80 != 0 {
			return false
		}
		used = used || e[4] != 0
	}
	return used
}

// lookForOthers records what replaced an unusable primary header.
func (h *Header) lookForOthers(r io.ReaderAt, size int64) error {
	name, off, err := foreignSignature(r, size)
	if err != nil || name == "" {
		return err
	}
	h.ambiguous = fmt.Errorf("luks: %w: %s (signature at byte %d)", ErrAmbiguous, name, off)
	h.warn("this may no longer be a LUKS image: in place of its primary header there is %s (signature at byte %d)", name, off)
	return nil
}
