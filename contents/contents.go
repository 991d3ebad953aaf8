// Package contents describes the content of a plain disk image: its partitions, their filesystems,
// and the installed system. From the files of an ext2, ext3, ext4 or XFS root, it finds out which
// system is installed and whether it has cloud-init.
//
// [Inspect] reads little and never writes. Use it for a report or a check before you encrypt an
// image. An image can be hostile: what cannot be read becomes a warning, after a bounded amount of
// work.
package contents

import (
	"context"
	"fmt"
	"strings"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/image"
)

// Kinds of partition tables.
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

// Info describes the content of an image. In text from the image, control characters and invalid
// UTF-8 are replaced by "?", and it is cut at 255 bytes. Its JSON form is stable, but new members
// can be added.
type Info struct {
	PartitionTable  string      `json:"partition_table"`             // "gpt", "mbr" or "none"
	SectorSize      int         `json:"sector_size,omitempty"`       // bytes, of the partition table: 512 or 4096
	DiskID          string      `json:"disk_id,omitempty"`           // UUID of a GPT, 8 hexadecimal digits of an MBR
	Partitions      []Partition `json:"partitions,omitempty"`        // in the order of their numbers
	Filesystem      *Filesystem `json:"filesystem,omitempty"`        // on the whole disk
	Encrypted       bool        `json:"encrypted"`                   // the disk or a partition is encrypted
	RootPartition   int         `json:"root_partition,omitempty"`    // number of the partition with /etc, 0 if none or the whole disk
	OS              *OS         `json:"os,omitempty"`                // from /etc/os-release
	HasFstab        bool        `json:"has_fstab"`                   // /etc/fstab exists
	Mounts          []Mount     `json:"mounts,omitempty"`            // the lines of /etc/fstab
	CloudInit       string      `json:"cloud_init"`                  // "found", "not found" or "unknown"
	CloudInitReason string      `json:"cloud_init_reason,omitempty"` // what was found, or why it is unknown
	Warnings        []string    `json:"warnings,omitempty"`          // oddities, and what could not be read
}

// A Partition is an entry of the partition table.
type Partition struct {
	Number     int         `json:"number"`               // as in Linux: logical partitions of an MBR start at 5
	Start      int64       `json:"start"`                // bytes
	Size       int64       `json:"size"`                 // bytes
	Type       string      `json:"type"`                 // "linux", "efi", ..., or the value of TypeID
	TypeID     string      `json:"type_id"`              // UUID, or "0x83"
	Name       string      `json:"name,omitempty"`       // in a GPT
	UUID       string      `json:"uuid,omitempty"`       // in a GPT
	Bootable   bool        `json:"bootable"`             // active, or legacy BIOS bootable
	Filesystem *Filesystem `json:"filesystem,omitempty"` // nil if unknown
}

// A Filesystem describes the format of a partition or a disk.
type Filesystem struct {
	// Type is "ext2", "ext3", "ext4", "xfs", "btrfs", "fat12", "fat16", "fat32",
	// "exfat", "ntfs", "squashfs", "iso9660", "udf", "zfs", "swap", "lvm2", "mdraid", "luks1",
	// "luks2" or "bitlocker".
	Type  string `json:"type"`
	Label string `json:"label,omitempty"`
	UUID  string `json:"uuid,omitempty"` // or a serial number, in the format of blkid
}

// Encrypted reports whether reading the content requires a key.
func (f *Filesystem) Encrypted() bool {
	return f != nil && (f.Type == "luks1" || f.Type == "luks2" || f.Type == "bitlocker")
}

// Optical reports whether it is the filesystem of a CD, DVD or Blu-ray disc.
func (f *Filesystem) Optical() bool {
	return f != nil && (f.Type == "iso9660" || f.Type == "udf")
}

// An OS holds values of /etc/os-release; see os-release(5).
type OS struct {
	ID      string `json:"id,omitempty"`      // "rhel"
	Version string `json:"version,omitempty"` // VERSION_ID: "9.4"
	Name    string `json:"name,omitempty"`    // PRETTY_NAME
}

// A Mount is a line of /etc/fstab. It omits the options, which can contain a password.
type Mount struct {
	Device string `json:"device"` // "UUID=...", "LABEL=...", "/dev/..."
	Path   string `json:"path"`
	Type   string `json:"type"`
}

// Limits of an Inspect call, and of the reads of one filesystem in it.
const (
	maxBytes, maxReads     = 64 << 20, 64 << 10
	fsBytes, fsReads       = 24 << 20, 32 << 10
	probeBytes, probeReads = 1 << 20, 16

	maxPartitions = 256
	maxWarnings   = 32
)

// Inspect describes the content of src. It reads at most 64 MiB, in at most 65536 pieces, and
// normally less than 1 MiB. Anything malformed, unknown or too large becomes a warning. The error
// is that of src or the cause of ctx. The Info is never nil: with an error, it holds what was found
// before.
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

// An inspection holds the state of one call of Inspect.
type inspection struct {
	info  Info
	disk  *bounded.Reader
	whole *Filesystem // the apparent filesystem of the whole disk
}

// warnf adds a warning. It does nothing after a failure of the source, which makes everything look
// odd and is returned as the error.
func (i *inspection) warnf(format string, args ...any) {
	if i.disk.Failure() == nil {
		i.info.Warnings = append(i.info.Warnings, clean(fmt.Sprintf(format, args...)))
	}
}

// part returns a reader of a partition with its own limits.
func (i *inspection) part(p *Partition, bytes int64, reads int) *bounded.Reader {
	if p == nil {
		return i.disk.Section(0, i.disk.Size(), bytes, reads)
	}
	return i.disk.Section(p.Start, p.Size, bytes, reads)
}

// filesystems identifies the filesystem of the disk, or of each of its partitions.
func (i *inspection) filesystems() {
	// An image of an installation medium has both a partition table and a filesystem.
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

// clean makes text from an image safe for a terminal and for JSON.
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
