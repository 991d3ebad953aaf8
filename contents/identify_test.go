package contents

import (
	"bytes"
	"testing"
)

// put returns 256 KiB of zeros with the given bytes at offsets.
func put(all ...any) []byte {
	b := make([]byte, 256<<10)
	for i := 0; i+1 < len(all); i += 2 {
		copy(b[all[i].(int):], all[i+1].(string))
	}
	return b
}

const (
	rawID  = "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"
	textID = "01234567-89ab-cdef-0123-456789abcdef"
	fatBPB = "\xeb\x3c\x90mkfs.fat\x00\x02\x04\x01\x00\x02\x00\x02\x00\x01\xf8\x01\x00" // at 0: 256 sectors, FAT of one sector
)

// TestIdentify checks signatures for which tools are rarely available. Numbers at the start of a field are
// its length.
func TestIdentify(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", put(), "none"},
		{"luks1", put(0, "LUKS\xba\xbe\x00\x01", 168, textID), "{luks1  " + textID + "}"},
		{"luks2", put(0, "LUKS\xba\xbe\x00\x02", 24, "a label", 168, textID), "{luks2 a label " + textID + "}"},
		{"luks of the future", put(0, "LUKS\xba\xbe\x00\x03"), "{luks2  }"},
		{"luks and more", put(0, "LUKS\xba\xbe\x00\x01", 4086, "SWAPSPACE2", 1080, "\x53\xef"), "{luks1  }"},
		{"bitlocker", put(3, "-FVE-FS-", 510, "\x55\xaa"), "{bitlocker  }"},
		{"bitlocker to go", put(0, fatBPB, 3, "MSWIN4.1", 424, "\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01", 510, "\x55\xaa"), "{bitlocker  }"},
		{"lvm", put(512, "LABELONE", 512+20, "\x20\x00\x00\x00LVM2 001abcdefghijklmnopqrstuvwxyz012345"), "{lvm2  abcdef-ghij-klmn-opqr-stuv-wxyz-012345}"},
		{"lvm, last sector", put(1536, "LABELONE", 1536+20, "\xff\xff\xff\xffLVM2 001"), "{lvm2  }"},
		{"lvm, too far", put(2048, "LABELONE", 2048+20, "\x20\x00\x00\x00LVM2 001"), "none"},
		{"md 1.2", put(4096, "\xfc\x4e\x2b\xa9\x01", 4096+16, rawID, 4096+32, "host:0"), "{mdraid host:0 " + textID + "}"},
		{"md 1.1", put(0, "\xfc\x4e\x2b\xa9\x01", 16, rawID), "{mdraid  " + textID + "}"},
		{"swap of old", put(4086, "SWAP-SPACE", 1036, rawID), "{swap  }"},
		{"swap with a hibernated system", put(4086, "S1SUSPEND\x00", 1036, rawID, 1052, "a label longer than 16"), "{swap a label longer t " + textID + "}"},
		{"swap of pages of 16 KiB", put(16384-10, "SWAPSPACE2"), "{swap  }"},
		{"xfs", put(0, "XFSB", 32, rawID, 108, "123456789012345"), "{xfs 123456789012 " + textID + "}"},
		{"ext2 of revision 0", put(1024, "\x10\x00\x00\x00\x10", 1080, "\x53\xef", 1024+96, "\xff"), "{ext2  }"},
		{"ext3", put(1024, "\x10\x00\x00\x00\x10", 1080, "\x53\xef", 1024+76, "\x01", 1024+92, "\x04", 1024+96, "\x06"), "{ext3  }"},
		{"ext4 without a journal", put(1024, "\x10\x00\x00\x00\x10", 1080, "\x53\xef", 1024+76, "\x01", 1024+96, "\x42"), "{ext4  }"},
		{"ext4 by a compatible feature", put(1024, "\x10\x00\x00\x00\x10", 1080, "\x53\xef", 1024+76, "\x01", 1024+100, "\x08"), "{ext4  }"},
		{"ext without blocks", put(1080, "\x53\xef"), "none"},
		{"btrfs", put(65536+64, "_BHRfS_M", 65536+32, rawID, 65536+299, "pool"), "{btrfs pool " + textID + "}"},
		{"squashfs", put(0, "hsqs", 28, "\x04"), "{squashfs  }"},
		{"squashfs of version 77", put(0, "hsqs", 28, "\x4d"), "none"},
		{"iso9660", put(32768, "\x01CD001\x01", 32768+40, "INSTALL   "), "{iso9660 INSTALL }"},
		{"udf", put(32768+1, "BEA01\x01", 32768+2049, "NSR03"), "{udf  }"},
		{"udf in sectors of 4096 bytes", put(32768+1, "BEA01\x01", 32768+4097, "NSR02"), "{udf  }"},
		{"udf and iso9660", put(32768, "\x01CD001\x01", 32768+40, "BOTH", 34816+1, "BEA01\x01", 36864+1, "NSR02"), "{iso9660 BOTH }"},
		{"a sequence without udf", put(32768+1, "BEA01\x01", 32768+2049, "TEA01"), "none"},
		{"ntfs", put(3, "NTFS    ", 72, "\x01\x02\x03\x04\x05\x06\x07\x08", 510, "\x55\xaa"), "{ntfs  0807060504030201}"},
		{"exfat", put(3, "EXFAT   ", 100, "\xcd\xab\x34\x12", 510, "\x55\xaa"), "{exfat  1234-ABCD}"},
		{"fat12", put(0, fatBPB, 38, "\x29\xcd\xab\x34\x12A LABEL    ", 510, "\x55\xaa"), "{fat12 A LABEL 1234-ABCD}"},
		{"fat without a label", put(0, fatBPB, 38, "\x29\xcd\xab\x34\x12NO NAME    ", 510, "\x55\xaa"), "{fat12  1234-ABCD}"},
		{"fat of old", put(0, fatBPB, 38, "\x28\xcd\xab\x34\x12NO NAME    ", 510, "\x55\xaa"), "{fat12  1234-ABCD}"},
		{"fat of older", put(0, fatBPB, 510, "\x55\xaa"), "{fat12  }"},
		{"fat without its mark", put(0, fatBPB), "none"},
		{"fat with sectors of 0 bytes", put(0, fatBPB, 11, "\x00\x00", 510, "\x55\xaa"), "none"},
		{"fat with clusters of 0", put(0, fatBPB, 13, "\x00", 510, "\x55\xaa"), "none"},
		{"fat without tables", put(0, fatBPB, 16, "\x00", 510, "\x55\xaa"), "none"},
		{"fat with more tables than sectors", put(0, fatBPB, 22, "\xff\xff", 510, "\x55\xaa"), "none"},
		{"zfs", put(128<<10+5*1024, "\x0c\xb1\xba\x00\x00\x00\x00\x00"), "{zfs  }"},
		{"zfs of another machine", put(255<<10, "\x00\x00\x00\x00\x00\xba\xb1\x0c"), "{zfs  }"},
		{"control characters", put(0, "XFSB", 108, "a\x1b[31m\xff\x07\xe2\x80\xae"), "{xfs a?[31m??? }"},
	} {
		info := bound(t, &counting{b: c.b})
		if got := describe(info.Filesystem); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if want := bytes.Contains(c.b, []byte("LUKS")) || bytes.Contains(c.b[:1024], []byte("-FVE")) || c.name == "bitlocker to go"; info.Encrypted != want {
			t.Errorf("%s: encrypted is %v", c.name, info.Encrypted)
		}
		// Inspect must not read past the end.
		for _, n := range []int{0, 1, 3, 8, 100, 511, 512, 600, 1024, 1100, 2048, 4096, 4100, 32774, 65536, 65600, 70000, 130 << 10} {
			bound(t, &counting{b: c.b[:n]})
		}
	}
}
