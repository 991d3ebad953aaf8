package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vhd"
	"github.com/luksimg/luksimg/vhdx"
	"github.com/luksimg/luksimg/vmdk"
)

type inspectFlags struct {
	*global
	source sourceFlags
	mapped bool
	check  bool
}

func newInspect(g *global) *cobra.Command {
	o := &inspectFlags{global: g}
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Tell what an image is",
		Long: `Inspect tells the format of an image, its sizes, and what its header says: for a VHD its
kind and where it came from, for LUKS the cipher and the key slots. No key is needed; with
one, it looks into an encrypted image too.

--map lists where the disk has data and where it reads as zeros, as qemu-img map does, and
draws it in a line. --check looks for what is wrong with the structure of the image, as
qemu-img check does; if something is, the exit code is 1.

Of a disk that can be seen it also tells the partitions, the filesystems, the operating
system and whether cloud-init is installed, which clouds ask for. Next to nothing is read.`,
		Example: `  luksimg inspect disk.vhd
  luksimg inspect --json disk.luks
  luksimg inspect --map --check disk.qcow2`,
		Args: args("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	o.source.add(c, "FILE")
	c.Flags().BoolVar(&o.mapped, "map", false, "list the extents of the disk")
	o.cloud.add(c, serviceCOS)
	c.Flags().BoolVar(&o.check, "check", false, "look for what is wrong with the structure of the image")
	return c
}

// inspectResult is what inspect --json prints.
type inspectResult struct {
	*luksimg.Info
	Manifest *manifest            `json:"manifest,omitempty"` // of the file beside the image
	Contents *contents.Info       `json:"contents,omitempty"` // of a disk that can be seen
	Check    *luksimg.CheckResult `json:"check,omitempty"`
	Map      []mapExtent          `json:"map,omitempty"`
}

// errCorrupt: --check found something.
var errCorrupt = errors.New("the structure of the image is damaged")

func (o *inspectFlags) run(c *cobra.Command, name string) error {
	if err := o.source.check(c); err != nil {
		return err
	}
	in, err := openInput(c.Context(), o.global, name)
	if err != nil {
		return err
	}
	defer in.close()
	t := o.talk(c)
	r := inspectResult{}
	if r.Info, err = luksimg.Inspect(c.Context(), in.r, in.size, luksimg.ImageOptions{Format: luksimg.Format(o.source.format)}); err != nil {
		return in.wrap(err)
	}
	if r.Manifest, err = readManifest(name); err != nil {
		r.Warnings = append(r.Warnings, err.Error())
	} else if r.Manifest != nil {
		r.Warnings = append(r.Warnings, r.Manifest.compare(r.Info)...)
	}
	if o.check {
		if r.Check, err = luksimg.Check(c.Context(), in.r, in.size, luksimg.ImageOptions{Format: r.Format}); err != nil {
			return in.wrap(err)
		}
	}
	if err := o.inside(c, t, name, &r); err != nil {
		return err
	}
	if !o.json { // where they are members of the object
		for _, w := range r.Warnings {
			t.warn("%s", w)
		}
	}
	if err := t.result(r, inspectText(name, r)); err != nil {
		return err
	}
	if r.Check != nil && r.Check.Corruptions > 0 {
		return in.wrap(errCorrupt)
	}
	return nil
}

// inside looks at the disk in the image, if there is a way to.
func (o *inspectFlags) inside(c *cobra.Command, t *talk, name string, r *inspectResult) error {
	if r.Encrypted && !o.source.unlock.given() && !o.mapped {
		return nil
	}
	s, err := o.source.open(c, &talk{g: &global{quiet: true, cloud: t.g.cloud}, out: t.out, err: t.err}, name) // its warnings are known
	if err != nil {
		if needsFile(err) && !o.mapped {
			return nil
		}
		return err
	}
	defer s.close()
	if o.mapped {
		if r.Map, err = mapOf(s.img); err != nil {
			return s.wrap(err)
		}
	}
	if r.Contents, err = contents.Inspect(c.Context(), s.img); err != nil {
		return s.wrap(err)
	}
	return nil
}

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
	fmt.Fprintf(t.w, "%s:\t%s\n", name, fmt.Sprintf(format, args...))
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
	for _, s := range l.Keyslots {
		t.slot(s)
		t.row("  key", "%d bits, digest %d", s.KeyBits, s.Digest)
		t.row("  key material", "%d bytes at %d, %s with a %d-bit key", s.Size, s.Offset, s.Cipher, s.CipherBits)
		t.row("  anti-forensic", "%d stripes, %s", s.AFStripes, s.AFHash)
		t.row("  salt", "%x", s.Salt)
	}
	for _, d := range l.Digests {
		t.row(fmt.Sprintf("digest %d", d.Digest), "pbkdf2 %s, %d iterations", d.Hash, d.Iterations)
		t.row("  salt", "%x", d.Salt)
		t.row("  value", "%x", d.Value)
	}
	for _, k := range l.Tokens {
		t.row(fmt.Sprintf("token %d", k.Number), "%q, key slots %v", k.Type, k.Keyslots)
	}
}

// slot describes a key slot in a line.
func (t *table) slot(s luks.SlotInfo) {
	cost := fmt.Sprintf("%s %s, %d iterations", s.KDF, s.Hash, s.Iterations)
	if s.KDF != luks.PBKDF2 {
		cost = fmt.Sprintf("%s, %d KiB, %d passes, %d lanes", s.KDF, s.Memory, s.Iterations, s.Parallel)
	}
	if !s.Bound {
		cost += ", not bound to the data"
	}
	if s.Priority != "normal" {
		cost += ", " + s.Priority
	}
	t.row(fmt.Sprintf("key slot %d", s.Slot), "%s", cost)
}
