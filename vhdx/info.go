package vhdx

import (
	"context"
	"fmt"
	"slices"
)

// Info describes an image. Names are as in the file and can contain anything: quote them before
// you print them to a terminal. Its JSON form is stable, but new members can be added.
type Info struct {
	Type               string   `json:"type"`                   // "fixed", "dynamic" or "differencing"
	VirtualSize        int64    `json:"virtual_size"`           // bytes
	AllocatedBytes     int64    `json:"allocated_bytes"`        // bytes of the disk that are allocated in this image
	FileSize           int64    `json:"file_size"`              // bytes, after the replay of the log
	BlockSize          int64    `json:"block_size"`             // bytes
	LogicalSectorSize  int64    `json:"logical_sector_size"`    // bytes
	PhysicalSectorSize int64    `json:"physical_sector_size"`   // bytes
	LogReplayed        bool     `json:"log_replayed,omitempty"` // the file was not closed properly and its log is replayed in memory
	Creator            string   `json:"creator"`                // program that made the file
	DiskID             string   `json:"disk_id"`                // a GUID
	DataWriteID        string   `json:"data_write_id"`          // a GUID by which differencing disks identify their parent
	Parent             *Parent  `json:"parent,omitempty"`       // of a differencing disk
	Warnings           []string `json:"warnings,omitempty"`     // oddities that do not prevent reading
}

// A Parent holds the paths of the parent that a differencing disk records. Any of them can be "".
// Its JSON form is stable, but new members can be added.
type Parent struct {
	RelativePath string `json:"relative_path,omitempty"`
	VolumePath   string `json:"volume_path,omitempty"`
	AbsolutePath string `json:"absolute_win32_path,omitempty"`
	Linkage      string `json:"linkage"` // a GUID: the DataWriteID of the parent
}

// Info returns what the metadata says about the image. It reads the whole block allocation table to
// compute AllocatedBytes, which can take a while for a large image. If that fails or ctx is done,
// it returns the error with the rest of Info.
func (d *Disk) Info(ctx context.Context) (Info, error) {
	m := d.m
	i := Info{
		Type:               "dynamic",
		VirtualSize:        m.size,
		FileSize:           d.fileSize,
		BlockSize:          m.blockSize,
		LogicalSectorSize:  m.logicalSector,
		PhysicalSectorSize: m.physicalSector,
		LogReplayed:        d.log != nil,
		Creator:            d.h.creator,
		DiskID:             m.diskID.String(),
		DataWriteID:        d.h.dataWrite.String(),
		Warnings:           d.Warnings(),
	}
	switch {
	case m.hasParent:
		i.Type = "differencing"
		i.Parent = &Parent{m.locator.relative, m.locator.volume, m.locator.absolute, m.locator.linkage[0].String()}
	case m.leaveAllocated:
		i.Type = "fixed"
	}
	err := d.eachEntry(ctx, func(index int64, e uint64) error {
		n, err := d.checkEntry(index, e)
		if m.isBitmap(index) {
			return err
		}
		if block := m.blockAt(index); d.keepsPlace(block, e) {
			n = d.blockLen(block)
		}
		i.AllocatedBytes += n
		return err
	})
	return i, err
}

// Warnings describes oddities of the image that do not prevent reading.
func (d *Disk) Warnings() []string { return slices.Clone(d.warnings) }

// warn collects the warnings.
func (d *Disk) warn() {
	d.warnings = slices.Concat(d.h.warnings, d.regions.warnings, d.m.warnings)
	if d.log != nil {
		d.warnings = append(d.warnings, fmt.Sprintf("the image was not closed properly: its log was replayed in memory and changes %d parts of the file", len(d.log.segments)))
	}
}
