package vdi

import (
	"context"
	"slices"
)

// Info describes an image. Its texts come from the file as they are: quote them for a
// terminal. The JSON field names are API.
type Info struct {
	Type           string   `json:"type"`               // "fixed" or "dynamic"
	VirtualSize    int64    `json:"virtual_size"`       // bytes
	AllocatedBytes int64    `json:"allocated_bytes"`    // bytes of the disk that have room in the image
	FileSize       int64    `json:"file_size"`          // bytes
	BlockSize      int64    `json:"block_size"`         // bytes
	ID             string   `json:"id"`                 // a UUID: what snapshots know the disk by
	Comment        string   `json:"comment,omitempty"`  // the note of whoever made the image
	Warnings       []string `json:"warnings,omitempty"` // what is odd but does not prevent reading
}

// Info returns what the metadata of the image says. It reads all of the block map to sum up
// AllocatedBytes, which may take a while for a large image; if that fails, or ctx ends it, the
// rest of Info is returned along with the error.
func (d *Disk) Info(ctx context.Context) (Info, error) {
	i := Info{
		Type:        "dynamic",
		VirtualSize: d.h.size,
		FileSize:    d.fileSize,
		BlockSize:   d.h.blockSize,
		ID:          d.h.id.String(),
		Comment:     d.h.comment,
		Warnings:    d.Warnings(),
	}
	if d.h.typ == typeFixed {
		i.Type = "fixed"
	}
	err := d.eachBlock(ctx, func(block int64, e uint32) error {
		i.AllocatedBytes += min(d.h.blockSize, d.h.size-block<<d.h.blockShift)
		return d.checkEntry(block, e)
	})
	return i, err
}

// Warnings returns what is odd about the image but does not prevent reading.
func (d *Disk) Warnings() []string { return slices.Clone(d.warnings) }
