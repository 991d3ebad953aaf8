package qcow

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/internal/disk"
)

// Info describes an image. Names are as in the file and can contain anything: quote them
// before you print them to a terminal. Its JSON form is stable, but new members can be
// added.
type Info struct {
	Version         int        `json:"version"`                     // 2 or 3
	VirtualSize     int64      `json:"virtual_size"`                // bytes; size of the snapshot if one is open
	AllocatedBytes  int64      `json:"allocated_bytes"`             // bytes of the disk that are allocated in this image
	FileSize        int64      `json:"file_size"`                   // bytes
	ClusterSize     int64      `json:"cluster_size"`                // bytes
	RefcountBits    int        `json:"refcount_bits"`               // width of a reference count
	CompressionType string     `json:"compression_type"`            // "zlib" or "zstd"
	Encryption      string     `json:"encryption,omitempty"`        // "aes" or "luks"
	BackingFile     string     `json:"backing_file,omitempty"`      // name of the backing file
	BackingFormat   string     `json:"backing_format,omitempty"`    // its format, if the image gives it
	ExternalData    bool       `json:"external_data,omitempty"`     // data clusters are in another file
	DataFile        string     `json:"data_file,omitempty"`         // name of the external data file
	RawExternalData bool       `json:"raw_external_data,omitempty"` // the data file is also a valid raw image
	Bitmaps         int        `json:"bitmaps,omitempty"`           // number of persistent dirty bitmaps
	Features        []string   `json:"features,omitempty"`          // features that are set
	Snapshots       []Snapshot `json:"snapshots,omitempty"`         // internal snapshots
	Warnings        []string   `json:"warnings,omitempty"`          // oddities that do not prevent reading
}

// Info returns what the metadata says about the image. It reads all L2 tables to compute
// AllocatedBytes, which can take a while for a large image. If that fails or ctx is done, it
// returns the error with the rest of Info.
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

// Warnings describes oddities of the image that do not prevent reading.
func (d *Disk) Warnings() []string { return slices.Clone(d.warnings) }

func (d *Disk) warnf(format string, args ...any) {
	d.warnings = append(d.warnings, fmt.Sprintf(format, args...))
}

// warn collects the warnings.
func (d *Disk) warn() {
	h := d.h
	if h.dirty() {
		d.warnf("the image was not closed properly: its reference counts can be wrong, which does not affect reading")
	}
	if h.corrupt() {
		d.warnf("the image is marked as corrupt: its data can be wrong")
	}
	if h.crypt == cryptAES {
		d.warnf("the image uses the old AES encryption of qcow2, which is weak and cannot detect a wrong passphrase")
	}
	if h.reftableLen == 0 {
		d.warnf("the image has no reference counts: QEMU will not open it")
	}
	if h.backingName != "" && h.backingFormat == "" {
		d.warnf("the image does not give the format of its backing file")
	}
	if h.backingName != "" && h.dataFile() && h.autoclear&autoclearRawData != 0 {
		d.warnf("the image has both a backing file and a raw external data file, which is not allowed")
	}
	if h.autoclear&autoclearRawData != 0 && !h.dataFile() {
		d.warnf("the image is marked as having raw external data, but has no external data file")
	}
	if len(d.opts.Snapshot) == 0 && d.disk.Size%512 != 0 {
		d.warnf("the disk has %d bytes, not a whole number of sectors: QEMU rounds its size up", d.disk.Size)
	}
	if seen := duplicateNames(d.snapshots); seen != "" {
		d.warnf("several snapshots have the ID %s; the first is used", seen)
	}
}

// duplicateNames returns an ID, quoted, that more than one snapshot has.
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
