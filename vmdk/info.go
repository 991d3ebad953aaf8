package vmdk

import (
	"context"
	"fmt"
	"slices"

	"github.com/luksimg/luksimg/internal/disk"
)

// maxWarnings is the maximum number of warnings that are kept.
const maxWarnings = 100

// Info describes an image. Names are as in the file and can contain anything: quote them before
// you print them to a terminal. Its JSON form is stable, but new members can be added.
type Info struct {
	CreateType     string       `json:"create_type"`           // such as "monolithicSparse"
	VirtualSize    int64        `json:"virtual_size"`          // bytes
	AllocatedBytes int64        `json:"allocated_bytes"`       // bytes of the disk that are allocated in this image
	FileSize       int64        `json:"file_size"`             // bytes of the file that was opened
	Version        int          `json:"version,omitempty"`     // of the first sparse extent: 1 to 3
	GrainSize      int64        `json:"grain_size,omitempty"`  // bytes, of the first sparse extent
	Compressed     bool         `json:"compressed,omitempty"`  // grains are compressed
	CID            string       `json:"cid"`                   // content ID, hexadecimal
	ParentCID      string       `json:"parent_cid,omitempty"`  // content ID of the parent of a delta disk
	ParentFile     string       `json:"parent_file,omitempty"` // name of the parent
	AdapterType    string       `json:"adapter_type,omitempty"`
	HWVersion      string       `json:"hw_version,omitempty"` // version of the virtual hardware
	Encoding       string       `json:"encoding,omitempty"`   // encoding of the names in the image
	Extents        []ExtentInfo `json:"extents"`
	Warnings       []string     `json:"warnings,omitempty"` // oddities that do not prevent reading
}

// ExtentInfo describes an extent of the disk.
type ExtentInfo struct {
	Access string `json:"access"`           // "RW", "RDONLY" or "NOACCESS"
	Type   string `json:"type"`             // "SPARSE", "FLAT", "VMFS" or "ZERO"
	File   string `json:"file,omitempty"`   // file name, possibly that of the image itself
	Offset int64  `json:"offset,omitempty"` // offset of flat data in the file, bytes
	Size   int64  `json:"size"`             // bytes
}

// Info returns what the metadata says about the image. It reads all grain tables to compute
// AllocatedBytes, which can take a while for a large image. If that fails or ctx is done, it
// returns the error with the rest of Info. It does not count extents in other files if the image
// was opened with [Options.MetadataOnly].
func (d *Disk) Info(ctx context.Context) (Info, error) {
	i := Info{
		CreateType:  d.desc.createType,
		VirtualSize: d.disk.Size,
		FileSize:    d.fileSize,
		ParentFile:  d.desc.parentHint,
		AdapterType: d.desc.adapterType,
		HWVersion:   d.desc.hwVersion,
		Encoding:    d.desc.encoding,
		Extents:     make([]ExtentInfo, len(d.extents)),
		Warnings:    d.Warnings(),
	}
	if d.desc.hasCID {
		i.CID = hexCID(d.desc.cid)
	}
	if d.desc.parentCID != noParent {
		i.ParentCID = hexCID(d.desc.parentCID)
	}
	for k, x := range d.extents {
		l := x.line
		i.Extents[k] = ExtentInfo{Access: l.access, Type: l.typ, File: l.name, Offset: l.offset * sectorSize, Size: x.size}
		if s := x.sparse; s != nil && i.GrainSize == 0 {
			i.Version, i.GrainSize = int(s.version), 1<<s.grainBits
		}
		i.Compressed = i.Compressed || x.sparse != nil && x.sparse.compressed
	}
	for _, x := range d.extents {
		if err := d.sum(ctx, x, &i.AllocatedBytes); err != nil {
			return i, err
		}
	}
	return i, nil
}

// sum adds the number of allocated bytes of an extent to bytes.
func (d *Disk) sum(ctx context.Context, x *extent, bytes *int64) error {
	switch {
	case x.line.kind == typeFlat:
		*bytes += x.size
		return nil
	case x.sparse == nil:
		return nil
	}
	for pos := int64(0); pos < x.size; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r, err := d.locateSparse(x, pos, x.size)
		if err != nil {
			return x.wrap(err)
		}
		if r.Kind == disk.Data || r.Kind == disk.Packed {
			*bytes += r.N
		}
		pos += r.N
	}
	return nil
}

// Warnings describes oddities of the image that do not prevent reading.
func (d *Disk) Warnings() []string { return slices.Clone(d.warnings) }

func (d *Disk) warnf(format string, args ...any) {
	if len(d.warnings) < maxWarnings {
		d.warnings = append(d.warnings, fmt.Sprintf(format, args...))
	}
}
