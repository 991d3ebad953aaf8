// Package contents tells what is inside a plain disk image: its partitions, their
// filesystems, and, from the files of an ext2, ext3, ext4 or XFS root, which system is
// installed and whether cloud-init is.
//
// [Inspect] only reads, and little: it is for a report or a check before an image is
// encrypted, and never in the way of the encryption itself. An image may be hostile:
// what cannot be read is a warning, after a bounded amount of work.
package contents

import (
	"context"
	"fmt"
	"strings"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/image"
)

// Kinds of partition table.
const (
	NoTable = "none" // a filesystem on the whole disk, or nothing
	MBR     = "mbr"
	GPT     = "gpt"
)

// Values of [Info.CloudInit].
const (
	Found    = "found"
	NotFound = "not found"
	Unknown  = "unknown" // see CloudInitReason
)

// Info is what is inside an image. Text from the image has its control characters and
// invalid UTF-8 replaced by "?", and is cut at 255 bytes. The JSON field names are API.
type Info struct {
	PartitionTable  string      `json:"partition_table"`             // "gpt", "mbr" or "none"
	SectorSize      int         `json:"sector_size,omitempty"`       // bytes, of the partition table: 512 or 4096
	DiskID          string      `json:"disk_id,omitempty"`           // UUID of a GPT, 8 hexadecimal digits of an MBR
	Partitions      []Partition `json:"partitions,omitempty"`        // in the order of their numbers
	Filesystem      *Filesystem `json:"filesystem,omitempty"`        // on the whole disk
	Encrypted       bool        `json:"encrypted"`                   // the disk, or a partition, is encrypted already
	RootPartition   int         `json:"root_partition,omitempty"`    // number of the partition with /etc, 0 if none or the whole disk
	OS              *OS         `json:"os,omitempty"`                // of /etc/os-release
	HasFstab        bool        `json:"has_fstab"`                   // /etc/fstab is there
	Mounts          []Mount     `json:"mounts,omitempty"`            // what is in it
	CloudInit       string      `json:"cloud_init"`                  // "found", "not found" or "unknown"
	CloudInitReason string      `json:"cloud_init_reason,omitempty"` // what was found, or why it is not known
	Warnings        []string    `json:"warnings,omitempty"`          // what is odd, and what could not be read
}

// A Partition is an entry of the partition table.
type Partition struct {
	Number     int         `json:"number"`               // as Linux has it: of an MBR, logical ones from 5 on
	Start      int64       `json:"start"`                // bytes
	Size       int64       `json:"size"`                 // bytes
	Type       string      `json:"type"`                 // "linux", "efi", ..., or as TypeID
	TypeID     string      `json:"type_id"`              // UUID, or "0x83"
	Name       string      `json:"name,omitempty"`       // of a GPT
	UUID       string      `json:"uuid,omitempty"`       // of a GPT
	Bootable   bool        `json:"bootable"`             // active, or legacy BIOS bootable
	Filesystem *Filesystem `json:"filesystem,omitempty"` // nil if none is known
}

// A Filesystem is what a partition, or a disk, is formatted as.
type Filesystem struct {
	// Type is "ext2", "ext3", "ext4", "xfs", "btrfs", "fat12", "fat16", "fat32",
	// "exfat", "ntfs", "squashfs", "iso9660", "udf", "zfs", "swap", "lvm2", "mdraid", "luks1",
	// "luks2" or "bitlocker".
	Type  string `json:"type"`
	Label string `json:"label,omitempty"`
	UUID  string `json:"uuid,omitempty"` // or a serial number, as blkid prints it
}

// Encrypted reports whether the content needs a key.
func (f *Filesystem) Encrypted() bool {
	return f != nil && (f.Type == "luks1" || f.Type == "luks2" || f.Type == "bitlocker")
}

// Optical reports whether it is that of a CD, a DVD or a Blu-ray disc.
func (f *Filesystem) Optical() bool {
	return f != nil && (f.Type == "iso9660" || f.Type == "udf")
}

// OS is what /etc/os-release says, see os-release(5).
type OS struct {
	ID      string `json:"id,omitempty"`      // "rhel"
	Version string `json:"version,omitempty"` // VERSION_ID: "9.4"
	Name    string `json:"name,omitempty"`    // PRETTY_NAME
}

// A Mount is a line of /etc/fstab, without its options, which may hold a password.
type Mount struct {
	Device string `json:"device"` // "UUID=...", "LABEL=...", "/dev/..."
	Path   string `json:"path"`
	Type   string `json:"type"`
}

// Limits of one Inspect, and of what a filesystem may take of it.
const (
	maxBytes, maxReads     = 64 << 20, 64 << 10
	fsBytes, fsReads       = 24 << 20, 32 << 10
	probeBytes, probeReads = 1 << 20, 16

	maxPartitions = 256
	maxWarnings   = 32
)

// Inspect tells what is inside src. It reads at most 64 MiB, in at most 65536 pieces,
// and normally less than one MiB. What is malformed, unknown or too large is a warning.
// The error is that of src, or the cause of the end of ctx: what was found until then
// is returned along with it, so the Info is never nil.
func Inspect(ctx context.Context, src image.Source) (*Info, error) {
	i := newInspection(ctx, src)
	i.table()
	i.filesystems()
	i.system()
	if n := len(i.info.Warnings); n > maxWarnings {
		i.info.Warnings = append(i.info.Warnings[:maxWarnings], fmt.Sprintf("and %d more warnings", n-maxWarnings))
	}
	return &i.info, i.disk.Failure()
}

// An inspection is one call of Inspect.
type inspection struct {
	info  Info
	disk  *bounded.Reader
	whole *Filesystem // what looks like one over the whole disk
}

// warnf notes what is odd. After a failure of the source all is odd, and the failure is
// returned.
func (i *inspection) warnf(format string, args ...any) {
	if i.disk.Failure() == nil {
		i.info.Warnings = append(i.info.Warnings, clean(fmt.Sprintf(format, args...)))
	}
}

// part returns a reader of a partition with limits of its own.
func (i *inspection) part(p *Partition, bytes int64, reads int) *bounded.Reader {
	if p == nil {
		return i.disk.Section(0, i.disk.Size(), bytes, reads)
	}
	return i.disk.Section(p.Start, p.Size, bytes, reads)
}

// filesystems finds out how the disk, or each of its partitions, is formatted.
func (i *inspection) filesystems() {
	// An image of an installation medium has both a table and a filesystem.
	if i.info.PartitionTable == NoTable || i.whole.Optical() {
		i.info.Filesystem = i.whole
		i.info.Encrypted = i.whole.Encrypted()
	}
	for n := range i.info.Partitions {
		p := &i.info.Partitions[n]
		if p.Size == 0 || p.Type == typeExtended || p.Type == typeProtective {
			continue
		}
		var err error
		if p.Filesystem, err = identify(i.part(p, probeBytes, probeReads)); err != nil {
			i.warnf("could not read partition %d: %v", p.Number, err)
		}
		if p.Filesystem.Encrypted() {
			i.info.Encrypted = true
		}
	}
}

// clean makes text from an image fit for a terminal and for JSON.
func clean(s string) string {
	const most = 255
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}
