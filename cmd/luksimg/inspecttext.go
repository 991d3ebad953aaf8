package main

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vdi"
	"github.com/luksimg/luksimg/vhd"
	"github.com/luksimg/luksimg/vhdx"
	"github.com/luksimg/luksimg/vmdk"
)

// A table is lines of "name: value", aligned.
type table struct {
	strings.Builder
	w *tabwriter.Writer
}

func newTable() *table {
	t := &table{}
	t.w = tabwriter.NewWriter(&t.Builder, 0, 0, 2, ' ', 0)
	return t
}

func (t *table) row(name, format string, args ...any) {
	fmt.Fprintf(t.w, "%s:\t%s\n", term.Visible(name), term.Visible(fmt.Sprintf(format, args...)))
}

func (t *table) size(name string, n int64) { t.row(name, "%d bytes (%s)", n, term.Bytes(n)) }

func inspectText(name string, i inspectResult) string {
	t := newTable()
	t.row("file", "%s", name)
	t.row("format", "%s", i.Format)
	t.row("encrypted", "%s", map[bool]string{true: "yes", false: "no"}[i.Encrypted])
	t.size("file size", i.FileSize)
	t.size("virtual size", i.VirtualSize)
	t.size("data size", i.DataSize)
	if i.PartitionTable != "" {
		t.row("partition table", "%s", i.PartitionTable)
	}
	if i.VHD != nil {
		t.vhd(i.VHD)
	}
	if i.QCOW != nil {
		t.qcow(i.QCOW)
	}
	if i.LUKS != nil {
		t.luks(i.LUKS)
	}
	if i.VHDX != nil {
		t.vhdx(i.VHDX)
	}
	if i.VMDK != nil {
		t.vmdk(i.VMDK)
	}
	if i.VDI != nil {
		t.vdi(i.VDI)
	}
	if i.Manifest != nil {
		t.manifest(i.Manifest)
	}
	if i.Contents != nil {
		t.contents(i.Contents)
	}
	if i.Check != nil {
		t.row("check", "%d corruptions, %d leaks", i.Check.Corruptions, i.Check.Leaks)
		for _, p := range i.Check.Problems {
			t.row("  problem", "%s", p)
		}
	}
	for _, n := range i.Notes {
		t.row("note", "%s", n)
	}
	if i.Map != nil {
		t.row("map", "%s", picture(i.Map, i.VirtualSize))
	}
	t.w.Flush()
	text := strings.TrimSuffix(t.String(), "\n")
	if i.Map != nil {
		text += "\n" + mapText(i.Map)
	}
	return text
}

func (t *table) manifest(m *manifest) {
	t.row("manifest", "made %s by %s", m.Created.Format(time.DateTime), m.Tool)
	t.row("  source", "%q, %s, disk of %d bytes", m.Source.Name, m.Source.Format, m.Source.VirtualSize)
	if m.Source.SHA256 != "" {
		t.row("  source SHA-256", "%s", m.Source.SHA256)
	}
	if m.Image.SHA256 != "" {
		t.row("  image SHA-256", "%s", m.Image.SHA256)
	}
	if m.Profile != "" {
		t.row("  profile", "%s", m.Profile)
	}
	t.row("  key", "%s", m.KeyConvention)
	if m.KeyFingerprint != "" {
		t.row("  key fingerprint", "%s", m.KeyFingerprint)
	}
}

func (t *table) vhd(v *vhd.Info) {
	t.row("VHD type", "%s", v.Type)
	if v.BlockSize > 0 {
		t.row("blocks", "%d of %d bytes allocated", v.AllocatedBlocks, v.BlockSize)
	}
	t.row("created by", "%q %s on %q, %s", v.CreatorApp, v.CreatorVersion, v.CreatorOS, v.Timestamp.Format(time.DateTime))
	t.row("unique id", "%s", v.UniqueID)
	if v.Encrypted {
		t.row("key hash", "%s, nonce %s", v.KeyHash, v.KeyNonce)
	}
	if p := v.Parent; p != nil {
		t.row("parent", "%q, unique id %s", p.Name, p.UniqueID)
	}
}

func (t *table) vhdx(v *vhdx.Info) {
	t.row("VHDX type", "%s, blocks of %d bytes", v.Type, v.BlockSize)
	t.row("sectors", "%d bytes, physical ones %d", v.LogicalSectorSize, v.PhysicalSectorSize)
	t.row("created by", "%q", v.Creator)
	if p := v.Parent; p != nil {
		t.row("parent", "%q", cmp.Or(p.RelativePath, p.VolumePath, p.AbsolutePath))
	}
}

func (t *table) vdi(v *vdi.Info) {
	t.row("VDI type", "%s, blocks of %d bytes", v.Type, v.BlockSize)
	t.row("id", "%s", v.ID)
	if v.Comment != "" {
		t.row("comment", "%q", v.Comment)
	}
}

func (t *table) vmdk(v *vmdk.Info) {
	t.row("VMDK type", "%q, adapter %q", v.CreateType, v.AdapterType)
	if v.GrainSize > 0 {
		t.row("grains", "%d bytes%s", v.GrainSize, map[bool]string{true: ", compressed"}[v.Compressed])
	}
	for _, e := range v.Extents {
		t.row("extent", "%s %q, %d bytes", e.Type, e.File, e.Size)
	}
	if v.ParentFile != "" {
		t.row("parent", "%q", v.ParentFile)
	}
}

// contents shows what is on the disk.
func (t *table) contents(c *contents.Info) {
	show := func(f *contents.Filesystem) string {
		if f == nil {
			return ""
		}
		text := ", " + f.Type
		if f.Label != "" {
			text += fmt.Sprintf(" %q", f.Label)
		}
		return text
	}
	for _, p := range c.Partitions {
		t.row(fmt.Sprintf("partition %d", p.Number), "%s at %d, %s%s", term.Bytes(p.Size), p.Start, p.Type, show(p.Filesystem))
	}
	if c.Filesystem != nil {
		t.row("filesystem", "%s", strings.TrimPrefix(show(c.Filesystem), ", "))
	}
	if c.OS != nil {
		t.row("system", "%s", cmp.Or(c.OS.Name, c.OS.ID+" "+c.OS.Version))
	}
	if len(c.Partitions) > 0 || c.Filesystem != nil {
		reason := ""
		if c.CloudInitReason != "" {
			reason = ": " + c.CloudInitReason
		}
		t.row("cloud-init", "%s%s", c.CloudInit, reason)
	}
	for _, w := range c.Warnings {
		t.row("  note", "%s", w)
	}
}

func (t *table) qcow(q *qcow.Info) {
	t.row("qcow2 version", "%d, clusters of %d bytes, reference counts of %d bits, %s", q.Version, q.ClusterSize, q.RefcountBits, q.CompressionType)
	if q.Encryption != "" {
		t.row("qcow2 encryption", "%s", q.Encryption)
	}
	if q.BackingFile != "" {
		t.row("backing file", "%q %s", q.BackingFile, q.BackingFormat)
	}
	if q.ExternalData {
		t.row("external data file", "%q", q.DataFile)
	}
	for _, s := range q.Snapshots {
		t.row("snapshot "+s.ID, "%q", s.Name)
	}
	if len(q.Features) > 0 {
		t.row("features", "%s", strings.Join(q.Features, ", "))
	}
}

func (t *table) luks(l *luks.Info) {
	t.row("UUID", "%s", l.UUID)
	if l.Label != "" {
		t.row("label", "%s", l.Label)
	}
	if l.Subsystem != "" {
		t.row("subsystem", "%s", l.Subsystem)
	}
	t.row("cipher", "%s, %d-bit key", l.Cipher, l.KeyBits)
	t.row("sector size", "%d bytes", l.SectorSize)
	t.row("data offset", "%d bytes (sector %d)", l.DataOffset, l.DataOffset/512)
	t.row("hash", "%s", l.Hash)
	if l.Version == 2 {
		t.row("metadata size", "%d bytes", l.MetadataSize)
		t.row("epoch", "%d", l.Epoch)
		t.row("key slots size", "%d bytes", l.KeyslotsSize)
	}
	if len(l.Flags) > 0 {
		t.row("flags", "%s", strings.Join(l.Flags, " "))
	}
	if len(l.Requirements) > 0 {
		t.row("requirements", "%s", strings.Join(l.Requirements, " "))
	}
	for _, s := range l.Segments {
		t.row(fmt.Sprintf("segment %d", s.Segment), "%s at byte %d, %s %s", s.Type, s.Offset, s.Cipher, strings.Join(s.Flags, " "))
	}
	for _, s := range l.Keyslots {
		t.slot(s)
		if s.Type != "" {
			t.row("  area", "%d bytes at %d", s.Size, s.Offset)
			continue
		}
		t.row("  key", "%d bits, digest %d", s.KeyBits, s.Digest)
		t.row("  key material", "%d bytes at %d, %s with a %d-bit key", s.Size, s.Offset, s.Cipher, s.CipherBits)
		t.row("  anti-forensic", "%d stripes, %s", s.AFStripes, s.AFHash)
		t.row("  salt", "%x", s.Salt)
	}
	for _, d := range l.Digests {
		if d.Problem != "" {
			t.row(fmt.Sprintf("digest %d", d.Digest), "can not be used")
			continue
		}
		t.row(fmt.Sprintf("digest %d", d.Digest), "pbkdf2 %s, %d iterations", d.Hash, d.Iterations)
		t.row("  salt", "%x", d.Salt)
		t.row("  value", "%x", d.Value)
	}
	for _, k := range l.Tokens {
		t.token(k)
	}
}

func (t *table) token(k luks.Token) {
	t.row(fmt.Sprintf("token %d", k.Number), "%q, key slots %v", k.Type, k.Keyslots)
}

// slot describes a key slot in a line.
func (t *table) slot(s luks.SlotInfo) {
	cost := fmt.Sprintf("%s %s, %d iterations", s.KDF, s.Hash, s.Iterations)
	if s.KDF != luks.PBKDF2 {
		cost = fmt.Sprintf("%s, %d KiB, %d passes, %d lanes", s.KDF, s.Memory, s.Iterations, s.Parallel)
	}
	if s.Type != "" {
		cost = fmt.Sprintf("of type %q", s.Type)
	}
	if s.Problem != "" {
		cost += ", can not be used"
	}
	if !s.Bound {
		cost += ", not bound to the data"
	}
	if s.Priority != "normal" {
		cost += ", " + s.Priority
	}
	t.row(fmt.Sprintf("key slot %d", s.Slot), "%s", cost)
}
