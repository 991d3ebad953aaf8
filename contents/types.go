package contents

import "fmt"

// gptTypes lists the common GPT partition types, from UEFI 2.10, section 5.3.3, and the
// Discoverable Partitions Specification.
var gptTypes = map[string]string{
	"c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "efi",
	"21686148-6449-6e6f-744e-656564454649": "bios-boot",
	"9e1a2d38-c612-4316-aa26-8b49521e5a8b": "prep",
	"bc13c2ff-59e6-4262-a352-b275fd6f7172": "linux-boot",
	"0fc63daf-8483-4772-8e79-3d69d8477de4": "linux",
	"4f68bce3-e8cd-4db1-96e7-fbcaf984b709": "linux-root",
	"44479540-f297-41b2-9af7-d131d5f0458a": "linux-root", // x86
	"b921b045-1df0-41c3-af44-4c6f280d3fae": "linux-root", // arm64
	"c31c45e6-3f39-412e-80fb-4809c4980599": "linux-root", // ppc64le
	"5eead9a9-fe09-4a1e-a1d7-520d00531306": "linux-root", // s390x
	"8484680c-9521-48c6-9c11-b0720656f69e": "linux-usr",
	"933ac7e1-2eb4-4f13-b844-0e14e2aef915": "linux-home",
	"3b8f8425-20e0-4f3b-907f-1a25a76f98e8": "linux-srv",
	"4d21b016-b534-45c2-a9fb-5c16e091fd2d": "linux-var",
	"0657fd6d-a4ab-43c4-84e5-0933c84b4f4f": "linux-swap",
	"e6d6d379-f507-44c2-a23c-238f2a3df928": "linux-lvm",
	"a19d880f-05fc-4d3b-a006-743f0f84911e": "linux-raid",
	"ca7d7ccb-63ed-4c53-861c-1742536059cc": "linux-luks",
	"7ffec5c9-2d00-49b7-8941-3ea10a5586b7": "linux-dm-crypt",
	"ebd0a0a2-b9e5-4433-87c0-68b6b72699c7": "microsoft-data",
	"e3c9e316-0b5c-4db8-817d-f92df00215ae": "microsoft-reserved",
	"de94bba4-06d1-4d40-a16a-bfd50179d6ac": "windows-recovery",
	"6a898cc3-1dd2-11b2-99a6-080020736631": "zfs",
	"83bd6b9d-7f41-11dc-be0b-001560b84f0f": "freebsd-boot",
	"516e7cb6-6ecf-11d6-8ff8-00022d09712b": "freebsd-ufs",
	"516e7cba-6ecf-11d6-8ff8-00022d09712b": "freebsd-zfs",
	"516e7cb5-6ecf-11d6-8ff8-00022d09712b": "freebsd-swap",
}

func gptType(id string) string {
	if name, ok := gptTypes[id]; ok {
		return name
	}
	return id
}

// mbrTypes lists the common MBR partition types, under the names of gptTypes where they correspond.
var mbrTypes = map[byte]string{
	0x01: "fat12",
	0x04: "fat16",
	0x05: typeExtended,
	0x06: "fat16",
	0x07: "microsoft-data", // NTFS, exFAT
	0x0b: "fat32",
	0x0c: "fat32",
	0x0e: "fat16",
	0x0f: typeExtended,
	0x27: "windows-recovery",
	0x41: "prep",
	0x82: "linux-swap",
	0x83: "linux",
	0x85: typeExtended,
	0x8e: "linux-lvm",
	0xa5: "freebsd",
	0xe8: "linux-luks",
	0xea: "linux-boot",
	0xee: typeProtective,
	0xef: "efi",
	0xfd: "linux-raid",
}

func mbrType(kind byte) string {
	if name, ok := mbrTypes[kind]; ok {
		return name
	}
	return fmt.Sprintf("0x%02x", kind)
}
