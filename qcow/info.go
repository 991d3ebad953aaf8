package qcow

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/internal/disk"
)

// Info describes an image. Its names come from the file as they are: quote them for
// a terminal. The JSON field names are API.
type Info struct {
	Version         int        `json:"version"`                     // 2 or 3
	VirtualSize     int64      `json:"virtual_size"`                // bytes, of the snapshot if one is open
	AllocatedBytes  int64      `json:"allocated_bytes"`             // bytes of the disk that have room in the image itself
	FileSize        int64      `json:"file_size"`                   // bytes
	ClusterSize     int64      `json:"cluster_size"`                // bytes
	RefcountBits    int        `json:"refcount_bits"`               //
	CompressionType string     `json:"compression_type"`            // "zlib" or "zstd"
	Encryption      string     `json:"encryption,omitempty"`        // "aes" or "luks"
	BackingFile     string     `json:"backing_file,omitempty"`      //
	BackingFormat   string     `json:"backing_format,omitempty"`    //
	ExternalData    bool       `json:"external_data,omitempty"`     // clusters are in a data file
	DataFile        string     `json:"data_file,omitempty"`         // its name
	RawExternalData bool       `json:"raw_external_data,omitempty"` // the data file is a raw image by itself
	Bitmaps         int        `json:"bitmaps,omitempty"`           // persistent dirty bitmaps
	Features        []string   `json:"features,omitempty"`          // those that are set
	Snapshots       []Snapshot `json:"snapshots,omitempty"`         // internal ones
	Warnings        []string   `json:"warnings,omitempty"`          // what is odd but does not prevent reading
}

// Info returns what the metadata of the image says. It reads all L2 tables to sum up
// AllocatedBytes, which may take a while for a large image; if that fails, or ctx
// ends it, the rest of Info is returned along with the error.
func (d *Disk) Info(ctx context.Context) (Info, error) {
	h := d.h
	i := Info{
		Version:         int(h.version),
		VirtualSize:     d.disk.Size,
		FileSize:        h.fileSize,
		ClusterSize:     h.clusterSize(),
		RefcountBits:    1 << h.refcountOrder,
		CompressionType: "zlib",
		BackingFile:     h.backingName,
		BackingFormat:   h.backingFormat,
		ExternalData:    h.dataFile(),
		DataFile:        h.dataFileName,
		RawExternalData: h.dataFile() && h.autoclear&autoclearRawData != 0,
		Bitmaps:         int(h.bitmaps),
		Features:        h.features(),
		Snapshots:       slices.Clone(d.snapshots),
		Warnings:        d.Warnings(),
	}
	if h.compression == compressionZstd {
		i.CompressionType = "zstd"
	}
	i.Encryption = d.Encryption()
	for pos := int64(0); pos < d.disk.Size; {
		if err := ctx.Err(); err != nil {
			return i, context.Cause(ctx)
		}
		run, err := d.locate(pos, d.disk.Size)
		if err != nil {
			return i, err
		}
		switch run.Kind {
		case disk.Data, disk.Zero, disk.Packed:
			i.AllocatedBytes += run.N
		}
		pos += run.N
	}
	return i, nil
}

// Encryption returns "aes", "luks", or "" for an image that is not encrypted.
func (d *Disk) Encryption() string {
	return map[uint32]string{cryptAES: "aes", cryptLUKS: "luks"}[d.h.crypt]
}

// Warnings returns what is odd about the image but does not prevent reading.
func (d *Disk) Warnings() []string { return slices.Clone(d.warnings) }

func (d *Disk) warnf(format string, args ...any) {
	d.warnings = append(d.warnings, fmt.Sprintf(format, args...))
}

// warn notes what is odd.
func (d *Disk) warn() {
	h := d.h
	if h.dirty() {
		d.warnf("the image was not closed properly: its reference counts may be wrong, which does not matter for reading")
	}
	if h.corrupt() {
		d.warnf("the image is marked as corrupt: what is read may be wrong")
	}
	if h.crypt == cryptAES {
		d.warnf("the image has the old AES encryption of qcow2, which is weak and cannot tell a wrong passphrase")
	}
	if h.reftableLen == 0 {
		d.warnf("the image has no reference counts: QEMU will not open it")
	}
	if h.backingName != "" && h.backingFormat == "" {
		d.warnf("the image does not say which format its backing file has")
	}
	if h.backingName != "" && h.dataFile() && h.autoclear&autoclearRawData != 0 {
		d.warnf("the image has both a backing file and a raw external data file, which is not allowed")
	}
	if h.autoclear&autoclearRawData != 0 && !h.dataFile() {
		d.warnf("the image is marked to have raw external data, but has no external data file")
	}
	if len(d.opts.Snapshot) == 0 && d.disk.Size%512 != 0 {
		d.warnf("the disk has %d bytes, which is no whole number of sectors: QEMU reads it longer", d.disk.Size)
	}
	if seen := duplicateNames(d.snapshots); seen != "" {
		d.warnf("several snapshots have the ID %s; the first is used", seen)
	}
}

// duplicateNames returns an ID, quoted, that several snapshots have.
func duplicateNames(all []Snapshot) string {
	seen := make(map[string]bool, len(all))
	for _, s := range all {
		if seen[s.ID] {
			return strings.ToValidUTF8(fmt.Sprintf("%q", s.ID), "?")
		}
		seen[s.ID] = true
	}
	return ""
}
