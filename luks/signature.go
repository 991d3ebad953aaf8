package luks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ErrAmbiguous: where the primary header should be there is something else, known by its
// signature, and only the secondary header says that this is LUKS. Which of the two the
// image is can not be told: it is read by the secondary header, and not changed.
var ErrAmbiguous = errors.New("ambiguous: something else is where the primary header should be")

// A signature tells what starts in a file by bytes at a fixed place.
type signature struct {
	name   string
	offset int64
	bytes  string
}

// signatures are those of what people make on a disk that was LUKS: filesystems, swap
// areas, volume managers, RAID members, partition tables and images, as libblkid knows
// them. All lie before the least place of the data in most images.
var signatures = []signature{
	{"LVM2 physical volume", 0, "LABELONE"},
	{"LVM2 physical volume", 512, "LABELONE"},
	{"LVM2 physical volume", 1024, "LABELONE"},
	{"LVM2 physical volume", 1536, "LABELONE"},
	{"LVM1 physical volume", 0, "HM\x01\x00"},
	{"LVM1 physical volume", 0, "HM\x02\x00"},
	{"GUID partition table", 512, "EFI PART"},
	{"GUID partition table", 4096, "EFI PART"},
	{"Apple partition map", 512, "PM\x00\x00"},
	{"BSD disklabel", 64, "WEV\x82"},
	{"BSD disklabel", 512, "WEV\x82"},
	{"Sun disklabel", 508, "\xda\xbe"},
	{"SGI disklabel", 0, "\x0b\xe5\xa9\x41"},
	{"ext2, ext3 or ext4 filesystem", 1080, "\x53\xef"},
	{"XFS filesystem", 0, "XFSB"},
	{"Btrfs filesystem", 65600, "_BHRfS_M"},
	{"F2FS filesystem", 1024, "\x10\x20\xf5\xf2"},
	{"NTFS filesystem", 3, "NTFS    "},
	{"exFAT filesystem", 3, "EXFAT   "},
	{"FAT filesystem", 54, "FAT12   "},
	{"FAT filesystem", 54, "FAT16   "},
	{"FAT filesystem", 82, "FAT32   "},
	{"ReFS filesystem", 3, "ReFS\x00"},
	{"HPFS filesystem", 8192, "\x49\xe8\x95\xf9"},
	{"BitLocker volume", 3, "-FVE-FS-"},
	{"SquashFS filesystem", 0, "hsqs"},
	{"SquashFS filesystem", 0, "sqsh"},
	{"EROFS filesystem", 1024, "\xe2\xe1\xf5\xe0"},
	{"cramfs filesystem", 0, "\x45\x3d\xcd\x28"},
	{"romfs filesystem", 0, "-rom1fs-"},
	{"ISO 9660 filesystem", 32769, "CD001"},
	{"UDF filesystem", 32769, "BEA01"},
	{"JFS filesystem", 32768, "JFS1"},
	{"ReiserFS filesystem", 65588, "ReIsEr"},
	{"ReiserFS filesystem", 8244, "ReIsEr"},
	{"Reiser4 filesystem", 65536, "ReIsEr4"},
	{"NILFS2 filesystem", 1030, "\x34\x34"},
	{"Minix filesystem", 1040, "\x7f\x13"},
	{"Minix filesystem", 1040, "\x8f\x13"},
	{"Minix filesystem", 1040, "\x68\x24"},
	{"Minix filesystem", 1040, "\x78\x24"},
	{"Minix filesystem", 1048, "\x5a\x4d"},
	{"HFS filesystem", 1024, "BD"},
	{"HFS+ filesystem", 1024, "H+\x00"},
	{"HFS+ filesystem", 1024, "HX\x00"},
	{"APFS container", 32, "NXSB"},
	{"UFS filesystem", 9564, "\x54\x19\x01\x00"},
	{"UFS filesystem", 66908, "\x19\x01\x54\x19"},
	{"GFS2 filesystem", 65536, "\x01\x16\x19\x70"},
	{"OCFS2 filesystem", 1024, "OCFSV2"},
	{"OCFS2 filesystem", 2048, "OCFSV2"},
	{"OCFS2 filesystem", 4096, "OCFSV2"},
	{"OCFS2 filesystem", 8192, "OCFSV2"},
	{"VxFS filesystem", 1024, "\xf5\xfc\x01\xa5"},
	{"VxFS filesystem", 8192, "\xf5\xfc\x01\xa5"},
	{"BeFS filesystem", 32, "1SFB"},
	{"BeFS filesystem", 544, "1SFB"},
	{"UBI volume", 0, "UBI#"},
	{"UBIFS filesystem", 0, "\x31\x18\x10\x06"},
	{"bcache device", 4120, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca"},
	{"bcachefs filesystem", 4120, "\xc6\x85\x73\xf6\x66\xce\x90\xa9"},
	{"Stratis pool", 516, "!Stra0tis\x86\xff\x02^\x41rh"},
	{"Stratis pool", 4612, "!Stra0tis\x86\xff\x02^\x41rh"},
	{"VDO volume", 0, "dmvdo001"},
	{"dm-verity device", 0, "verity\x00\x00"},
	{"dm-integrity device", 0, "integrt\x00"},
	{"snapshot of device-mapper", 0, "SnAp"},
	{"member of a Linux RAID", 0, "\xfc\x4e\x2b\xa9"},
	{"member of a Linux RAID", 4096, "\xfc\x4e\x2b\xa9"},
	{"Ceph BlueStore device", 0, "bluestore block device"},
	{"hibernation image", 0, "\xed\xc3\x02\xe9\x98\x56\xe5\x0c"},
	{"qcow2 image", 0, "QFI\xfb"},
	{"QED image", 0, "QED\x00"},
	{"VHD", 0, "conectix"},
	{"VHDX", 0, "vhdxfile"},
	{"VMDK", 0, "KDMV"},
	{"VMDK", 0, "COWD"},
	{"VMDK descriptor", 0, "# Disk DescriptorFile"},
	{"VDI", 64, "\x7f\x10\xda\xbe"},
	{"Parallels image", 0, "WithoutFreeSpace"},
	{"Parallels image", 0, "WithouFreSpacExt"},
	{"gzip-compressed file", 0, "\x1f\x8b\x08"},
	{"xz-compressed file", 0, "\xfd7zXZ\x00"},
	{"zstd-compressed file", 0, "\x28\xb5\x2f\xfd"},
	{"bzip2-compressed file", 0, "BZh"},
	{"zip archive", 0, "PK\x03\x04"},
	{"7z archive", 0, "7z\xbc\xaf\x27\x1c"},
	{"tar archive", 257, "ustar"},
	{"ELF file", 0, "\x7fELF"},
}

// swapMarks stand in the last ten bytes of the first page of a swap area, whatever the size
// of a page was where it was made.
var swapMarks = []string{"SWAP-SPACE", "SWAPSPACE2", "S1SUSPEND\x00", "S2SUSPEND\x00", "ULSUSPEND\x00", "LINHIB0001"}

// foreignSignature returns what the size bytes of r start with, other than LUKS, and where
// its signature is. It returns "" if it knows none.
func foreignSignature(r io.ReaderAt, size int64) (string, int64, error) {
	b := make([]byte, min(zfsEnd, size))
	if _, err := readFull(r, b, 0); err != nil {
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
				return "swap area", page - 10, nil
			}
		}
	}
	for off := int64(zfsFirst); off < zfsEnd; off += 1024 {
		if is(off, "\x0c\xb1\xba\x00\x00\x00\x00\x00") || is(off, "\x00\x00\x00\x00\x00\xba\xb1\x0c") {
			return "ZFS pool", off, nil
		}
	}
	if hasMBR(b) {
		return "MBR partition table", 510, nil
	}
	return "", 0, nil
}

// The uberblocks of a ZFS label.
const (
	zfsFirst = 128 << 10
	zfsEnd   = 256 << 10
)

// hasMBR tells whether b starts with a partition table that could be one: four entries with
// no flag but that of the active one, and a type somewhere.
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

// lookForOthers notes what else is where the primary header, which can not be used, should
// be.
func (h *Header) lookForOthers(r io.ReaderAt, size int64) error {
	name, off, err := foreignSignature(r, size)
	if err != nil || name == "" {
		return err
	}
	h.ambiguous = fmt.Errorf("luks: %w: a %s, by its signature at byte %d", ErrAmbiguous, name, off)
	h.warn("this may not be a LUKS image any more: where its primary header should be there is a %s, by its signature at byte %d", name, off)
	return nil
}
