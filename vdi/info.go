package vdi

import (
	"context"
	"slices"
)

// Info describes an image. Text is as in the file and can contain anything: quote it before
// you print it to a terminal. Its JSON form is stable, but new members can be added.
type Info struct {
	Type           string   `json:"type"`               // "fixed" or "dynamic"
	VirtualSize    int64    `json:"virtual_size"`       // bytes
	AllocatedBytes int64    `json:"allocated_bytes"`    // bytes of the disk that are allocated in the image
	FileSize       int64    `json:"file_size"`          // bytes
	BlockSize      int64    `json:"block_size"`         // bytes
	ID             string   `json:"id"`                 // a UUID by which snapshots identify the disk
	Comment        string   `json:"comment,omitempty"`  // comment of the image's creator
	Warnings       []string `json:"warnings,omitempty"` // oddities that do not prevent reading
}

// Info returns what the metadata says about the image. It reads the whole block map to compute
// AllocatedBytes, which can take a while for a large image. If that fails or ctx is done, it
// returns the error with the rest of Info.
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

// Warnings describes oddities of the image that do not prevent reading.
func (d *Disk) Warnings() []string { return slices.Clone(d.warnings) }
