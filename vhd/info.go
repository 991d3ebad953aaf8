package vhd

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Info describes a disk. Text from the file is printable; except for the names of a parent, it is
// ASCII. Its JSON form is stable, but new members can be added.
type Info struct {
	Type            string    `json:"type"`                       // "fixed", "dynamic" or "differencing"
	VirtualSize     int64     `json:"virtual_size"`               // bytes
	CHSSize         int64     `json:"chs_size"`                   // bytes, according to the disk geometry
	BlockSize       int64     `json:"block_size,omitempty"`       // bytes; not of fixed disks
	AllocatedBlocks int       `json:"allocated_blocks,omitempty"` // not of fixed disks
	AllocatedBytes  int64     `json:"allocated_bytes"`            // bytes of the disk that are allocated in the file
	CreatorApp      string    `json:"creator_app"`                // such as "win", "vpc", "qemu", "tap"
	CreatorVersion  string    `json:"creator_version"`            // major.minor
	CreatorOS       string    `json:"creator_os"`                 // such as "Wi2k", "Mac"
	Timestamp       time.Time `json:"timestamp"`                  // of creation, UTC
	UniqueID        string    `json:"unique_id"`                  // a UUID
	Batmap          bool      `json:"batmap,omitempty"`           // has XenServer's map of full blocks, which is not used
	Encrypted       bool      `json:"encrypted,omitempty"`        // by XenServer's vhd-util
	KeyNonce        string    `json:"key_nonce,omitempty"`        // hexadecimal, if encrypted
	KeyHash         string    `json:"key_hash,omitempty"`         // SHA-256 of the nonce and the key, hexadecimal, if encrypted
	Parent          *Parent   `json:"parent,omitempty"`           // of a differencing disk
	Warnings        []string  `json:"warnings,omitempty"`         // oddities that do not prevent reading
}

// Info describes the disk as [Open] found it. It reads nothing and always returns a nil error.
func (d *Disk) Info(context.Context) (Info, error) { return d.describe(), nil }

// Warnings describes oddities of the disk that do not prevent reading.
func (d *Disk) Warnings() []string { return slices.Clone(d.info.Warnings) }

func (d *Disk) describe() Info {
	info := d.info
	info.Warnings = d.Warnings()
	if info.Parent != nil {
		parent := info.Parent.printable()
		info.Parent = &parent
	}
	return info
}

func (d *Disk) warnf(format string, args ...any) { d.info.warnf(format, args...) }

func (i *Info) warnf(format string, args ...any) {
	i.Warnings = append(i.Warnings, fmt.Sprintf(format, args...))
}

// newInfo returns the part of Info that the footer provides. size is the virtual size in bytes.
func newInfo(f *footer, size int64) Info {
	id := f.raw[offUniqueID:][:16]
	info := Info{
		Type:           "dynamic",
		VirtualSize:    size,
		CHSSize:        f.chsSize(),
		CreatorApp:     printable(f.creatorApp),
		CreatorVersion: versionText(f.creatorVer),
		CreatorOS:      printable(f.creatorOS),
		Timestamp:      fromSeconds(f.timestamp),
		UniqueID:       uuidText(id),
	}
	switch f.diskType {
	case typeFixed:
		info.Type = "fixed"
	case typeDifferencing:
		info.Type = "differencing"
	}
	if f.isCopy {
		info.warnf("the footer at the end of the file is missing or damaged; its copy at the start was used")
	}
	if f.savedState {
		info.warnf("the disk belongs to a virtual machine in saved state: its filesystems can be inconsistent")
	}
	if f.hidden {
		info.warnf("the disk is marked as hidden, as XenServer does with the base of a snapshot")
	}
	if n := f.chsSectors(); n < maxCHSSectors && uint64(f.chsSize()) != f.current && !f.usualGeometry(size) {
		note := ""
		if f.qemuUsesCHS() {
			note = "; QEMU uses the geometry for this creator"
		}
		info.warnf("the disk geometry is %d bytes, but the current size is %d bytes; luksimg reads %d bytes%s",
			f.chsSize(), f.current, size, note)
	}
	if size > maxUsualSize {
		info.warnf("the disk is larger than 2040 GiB, which Hyper-V and Virtual PC do not accept")
	}
	return info
}

// usualGeometry reports whether a geometry that differs from the size is harmless. It must be the
// one that writers derive from the size, and neither this package nor QEMU takes the size from it.
func (f *footer) usualGeometry(size int64) bool {
	return !f.qemuUsesCHS() && uint64(size) == f.current && binary.BigEndian.Uint32(f.raw[offGeometry:]) == geometry(size)
}

// epoch is the time from which the timestamps of a VHD count seconds.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func fromSeconds(n uint32) time.Time { return epoch.Add(time.Duration(n) * time.Second) }

func uuidText(id []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16])
}

// qemuUsesCHS reports whether QEMU takes the size of the disk from its geometry. It does so for all
// but a few creators.
func (f *footer) qemuUsesCHS() bool {
	switch f.creatorApp {
	case "win ", "qem2", "d2v ", "CTXS":
		return false
	}
	return !isTap(f.creatorApp)
}

// describeBlocks adds the part of Info that the block allocation table provides.
func (d *Disk) describeBlocks(allocated int) {
	d.info.BlockSize = d.blockSize
	d.info.AllocatedBlocks = allocated
	d.info.AllocatedBytes = int64(allocated) << d.blockShift
	if last := len(d.bat) - 1; last >= 0 && d.bat[last] != absent {
		d.info.AllocatedBytes -= d.blockSize - d.blockLen(last)
	}
}

// printable trims the padding of a text field and replaces bytes that a terminal could interpret.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, strings.TrimRight(s, " \x00"))
}
