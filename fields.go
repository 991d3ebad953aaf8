package luksimg

import (
	"cmp"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vdi"
	"github.com/luksimg/luksimg/vhd"
	"github.com/luksimg/luksimg/vhdx"
	"github.com/luksimg/luksimg/vmdk"
	"github.com/luksimg/luksimg/wrap"
)

// Fields yields the name and the value of each field of the container and the LUKS header, for display.
// Quoted text is escaped as Go does. Other text is as in the file and can contain anything.
func (i *Info) Fields() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		more := true
		row := func(name, format string, args ...any) {
			more = more && yield(name, fmt.Sprintf(format, args...))
		}
		if i.Archive != nil {
			archiveFields(i.Archive, row)
		}
		if i.VHD != nil {
			vhdFields(i.VHD, row)
		}
		if i.QCOW != nil {
			qcowFields(i.QCOW, row)
		}
		if i.LUKS != nil {
			keepers := i.keepers()
			for name, value := range i.LUKS.Fields() {
				row(name, "%s", value)
				if k, ok := keepers[name]; ok {
					row("  root key", "%s", k)
				}
			}
		}
		if i.VHDX != nil {
			vhdxFields(i.VHDX, row)
		}
		if i.VMDK != nil {
			vmdkFields(i.VMDK, row)
		}
		if i.VDI != nil {
			vdiFields(i.VDI, row)
		}
	}
}

func archiveFields(a *ArchiveInfo, row func(name, format string, args ...any)) {
	for _, d := range a.Disks {
		var more string
		if d.Capacity > 0 {
			more += fmt.Sprintf(", a disk of %d", d.Capacity)
		}
		if d.Compression != "" {
			more += ", " + d.Compression
		}
		if d.Problem != "" {
			more += ": " + d.Problem
		}
		row("disk in "+string(a.Kind), "%q, %d bytes%s", d.Name, d.Size, more)
	}
	if a.Digest != "" {
		row("digest", "%s, which is checked when the disk is read", a.Digest)
	}
}

// keepers returns the root keys of the tokens that hold a wrapped key, by the names of the token
// fields.
func (i *Info) keepers() map[string]string {
	all := map[string]string{}
	for _, t := range i.LUKS.Tokens {
		if t.Type != wrap.TokenType {
			continue
		}
		if w, err := wrap.ParseToken(t.JSON); err == nil {
			all[fmt.Sprintf("token %d", t.Number)] = w.RootKeyCRN + w.KMS
		}
	}
	return all
}

// tokenWarnings describes tokens whose wrapped key is malformed or belongs to another image.
func tokenWarnings(l *luks.Info) []string {
	var all []string
	for _, t := range l.Tokens {
		if t.Type != wrap.TokenType {
			continue
		}
		w, err := wrap.ParseToken(t.JSON)
		if err == nil {
			err = w.Of(l.UUID)
		}
		if err != nil {
			all = append(all, fmt.Sprintf("token %d: %v", t.Number, err))
		}
	}
	return all
}

func vhdFields(v *vhd.Info, row func(name, format string, args ...any)) {
	row("VHD type", "%s", v.Type)
	if v.BlockSize > 0 {
		row("blocks", "%d of %d bytes allocated", v.AllocatedBlocks, v.BlockSize)
	}
	row("created by", "%q %s on %q, %s", v.CreatorApp, v.CreatorVersion, v.CreatorOS, v.Timestamp.Format(time.DateTime))
	row("unique id", "%s", v.UniqueID)
	if v.Encrypted {
		row("key hash", "%s, nonce %s", v.KeyHash, v.KeyNonce)
	}
	if p := v.Parent; p != nil {
		row("parent", "%q, unique id %s", p.Name, p.UniqueID)
	}
}

func qcowFields(q *qcow.Info, row func(name, format string, args ...any)) {
	row("qcow2 version", "%d, clusters of %d bytes, reference counts of %d bits, %s", q.Version, q.ClusterSize, q.RefcountBits, q.CompressionType)
	if q.Encryption != "" {
		row("qcow2 encryption", "%s", q.Encryption)
	}
	if q.BackingFile != "" {
		row("backing file", "%q %s", q.BackingFile, q.BackingFormat)
	}
	if q.ExternalData {
		row("external data file", "%q", q.DataFile)
	}
	for _, s := range q.Snapshots {
		row("snapshot "+s.ID, "%q", s.Name)
	}
	if len(q.Features) > 0 {
		row("features", "%s", strings.Join(q.Features, ", "))
	}
}

func vhdxFields(v *vhdx.Info, row func(name, format string, args ...any)) {
	row("VHDX type", "%s, blocks of %d bytes", v.Type, v.BlockSize)
	row("sectors", "%d bytes, physical ones %d", v.LogicalSectorSize, v.PhysicalSectorSize)
	row("created by", "%q", v.Creator)
	if p := v.Parent; p != nil {
		row("parent", "%q", cmp.Or(p.RelativePath, p.VolumePath, p.AbsolutePath))
	}
}

func vmdkFields(v *vmdk.Info, row func(name, format string, args ...any)) {
	row("VMDK type", "%q, adapter %q", v.CreateType, v.AdapterType)
	if v.GrainSize > 0 {
		row("grains", "%d bytes%s", v.GrainSize, map[bool]string{true: ", compressed"}[v.Compressed])
	}
	for _, e := range v.Extents {
		row("extent", "%s %q, %d bytes", e.Type, e.File, e.Size)
	}
	if v.ParentFile != "" {
		row("parent", "%q", v.ParentFile)
	}
}

func vdiFields(v *vdi.Info, row func(name, format string, args ...any)) {
	row("VDI type", "%s, blocks of %d bytes", v.Type, v.BlockSize)
	row("id", "%s", v.ID)
	if v.Comment != "" {
		row("comment", "%q", v.Comment)
	}
}
