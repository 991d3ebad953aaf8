package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
)

// convertFlags are the flags of the verbs that write plaintext.
type convertFlags struct {
	*global
	source   sourceFlags
	progress talk.Progress
	phase    string
	format   string
	jobs     flags.Jobs

	fixed       bool
	blockSize   flags.Size
	sectorSize  flags.Size
	clusterSize flags.Size
	compression string
	force       bool
}

func newConvert(g *global) *cobra.Command {
	o := &convertFlags{global: g, phase: "convert"}
	c := &cobra.Command{
		Use:   "convert SRC DST",
		Short: "Convert a disk image from any format to another",
		Long: `Convert writes the disk in the image SRC to DST: a raw disk, with holes where the disk is zero, or a
VHD, VHDX, VMDK or qcow2 image. A VMDK is streamOptimized (compressed), as in an OVA and as vSphere
imports it. With - for DST, a raw disk or a VMDK goes to standard output.

Some images need other files, such as a qcow2 image with a backing file or a differencing VHD.
Convert refuses them unless --allow-backing is given. It then opens files in the folder of SRC, or below
it, and no others: an image can name any file, and DST would contain a copy of it.

Convert reads a disk in an OVA, a tar archive or a container image in place. oci:FOLDER names an OCI image
layout. --member selects one of several disks.

If SRC is encrypted, convert asks for its key on the terminal unless a flag gives it.

SRC can be an https:// address. --sha256-file compares the file as published with a list of checksums
before DST appears.`,
		Example: `  luksimg convert disk.qcow2 disk.raw
  luksimg convert --sha256-file SHA256SUMS https://example.com/disk.qcow2 disk.raw
  luksimg convert --format qcow2 --compression zstd disk.raw disk.qcow2
  luksimg convert --format vmdk disk.qcow2 disk.vmdk
  luksimg convert --allow-backing overlay.qcow2 disk.raw
  luksimg convert --member data.vmdk appliance.ova data.raw
  luksimg convert --snapshot before-update disk.qcow2 - | sha256sum`,
		Args: flags.Args("SRC", "DST"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1]) },
	}
	o.add(c)
	return c
}

func newDecrypt(g *global) *cobra.Command {
	o := &convertFlags{global: g, phase: "decrypt"}
	c := &cobra.Command{
		Use:   "decrypt SRC DST",
		Short: "Decrypt an encrypted image into a plain one",
		Long: `Decrypt opens the encrypted image SRC (LUKS, qcow2 or VHD) with a key and writes its plaintext to DST:
a raw disk, or a VHD, VHDX, VMDK or qcow2 image. Only you can read DST. Zeros become holes. With - for
DST, a raw disk or a VMDK goes to standard output.

With - for SRC, decrypt reads a LUKS image from standard input. If the image ends early, decrypt
fails and leaves no DST. It cannot detect a cut between two sectors.

With --partition, decrypt opens LUKS in a partition of SRC, and DST is the plaintext of that partition.

DST is as long as the disk in SRC. If encrypt padded the disk, as it does for profile
classic-luks, DST is longer than the original disk.`,
		Example: `  luksimg decrypt disk.luks disk.raw
  luksimg decrypt --key-file dek.b64 disk.luks - | sha256sum
  luksimg decrypt --partition 2 --key-file dek.b64 disk.raw root.raw
  ssh host cat disk.luks | luksimg decrypt --key-file dek.b64 - disk.raw`,
		Args: flags.Args("SRC", "DST"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1]) },
	}
	o.add(c)
	return c
}

func (o *convertFlags) add(c *cobra.Command) {
	f := c.Flags()
	o.source.add(c, o.global, "SRC")
	o.kdf.add(c)
	f.StringVar(&o.format, "format", "raw", "format of DST: "+writtenFormats())
	f.BoolVar(&o.fixed, "fixed", false, "write a fixed VHD, as large as the disk, rounded up to a MiB")
	f.Var(&o.blockSize, "block-size", "block size of a VHDX in bytes, from 1M to 256M (default 32M)")
	f.Var(&o.sectorSize, "sector-size", "size of the sectors of a VHDX in bytes, 512 or 4096 (default: those of SRC)")
	f.Var(&o.clusterSize, "cluster-size", "cluster size of a qcow2 image in bytes (default 64k)")
	f.StringVar(&o.compression, "compression", "", "compress a qcow2 image: zlib or zstd")
	for _, name := range []string{"block-size", "sector-size", "cluster-size"} {
		f.Lookup(name).DefValue = ""
	}
	o.jobs.Add(c)
	f.BoolVar(&o.force, "force", false, "replace DST if it exists")
	o.progress.Add(c)
	o.web.add(c)
	o.cloud.add(c, serviceCOS)
}

// convertResult is the output of convert --json and decrypt --json.
type convertResult struct {
	Output       string   `json:"output"`
	Format       string   `json:"format"`
	SourceFormat string   `json:"source_format"`
	SourceSize   int64    `json:"source_size"`  // size of the disk in SRC
	VirtualSize  int64    `json:"virtual_size"` // size of the disk in DST; larger if the format cannot hold a disk of that size
	FileSize     int64    `json:"file_size"`
	UUID         string   `json:"uuid,omitempty"`            // of the LUKS header
	SourceSum    string   `json:"source_checksum,omitempty"` // of the published file SRC: "sha256:..."
	Warnings     []string `json:"warnings,omitempty"`
}

// check validates the flags before any file is opened.
func (o *convertFlags) check(c *cobra.Command, dst string) error {
	if err := o.source.check(c); err != nil {
		return err
	}
	if !slices.Contains(luksimg.WrittenFormats(), luksimg.Format(o.format)) {
		return fmt.Errorf("--format %s: want %s", o.format, writtenFormats())
	}
	if err := o.checkOptions(); err != nil {
		return err
	}
	switch {
	case dst != "-":
		o.checkName(dst)
		return nil
	case !luksimg.WrittenInOrder(luksimg.Format(o.format)):
		return rest.WithHint(fmt.Errorf("a %s image cannot be written to standard output: writing it needs seeking", o.format),
			"--format "+formatNames(slices.DeleteFunc(luksimg.WrittenFormats(), func(f luksimg.Format) bool { return !luksimg.WrittenInOrder(f) }))+" can; write others to a file")
	}
	return o.ToStdout("DST", "the disk")
}

// checkOptions validates the flags for DST.
func (o *convertFlags) checkOptions() error {
	err := o.options().Check()
	e := new(luksimg.OptionError)
	if !errors.As(err, &e) {
		return err
	}
	flag := map[string]string{"Fixed": "fixed", "BlockSize": "block-size", "SectorSize": "sector-size", "ClusterSize": "cluster-size", "Compression": "compression"}[e.Option]
	return rest.WithHint(fmt.Errorf("--%s does not apply to format %q", flag, e.Format), fmt.Sprintf("it is for --format %s; omit it for other formats", e.For))
}

// checkName warns if the name suggests another format. luksimg refuses to open a raw disk with such a name.
func (o *convertFlags) checkName(dst string) {
	kind, ok := containerNames[extension(dst)]
	format := luksimg.Format(strings.ToLower(kind))
	switch {
	case !ok || format == luksimg.Format(o.format):
	case slices.Contains(luksimg.WrittenFormats(), format):
		o.Warn("%s: named like %s %s file, but its format is %s: --format %s makes one", dst, article(kind), kind, o.format, format)
	default:
		o.Warn("%s: named like %s %s file, but its format is %s", dst, article(kind), kind, o.format)
	}
}

// writtenFormats lists the values of --format.
func writtenFormats() string {
	return formatNames(luksimg.WrittenFormats())
}

// options returns the options that the flags select for DST.
func (o *convertFlags) options() luksimg.DecryptOptions {
	return luksimg.DecryptOptions{Format: luksimg.Format(o.format), Fixed: o.fixed, BlockSize: o.blockSize.N, SectorSize: o.sectorSize.N,
		ClusterSize: o.clusterSize.N, Compression: o.compression,
		RunOptions: luksimg.RunOptions{Jobs: int(o.jobs)}}
}

func (o *convertFlags) run(c *cobra.Command, src, dst string) error {
	ctx, t := c.Context(), &o.Talk
	if err := o.check(c, dst); err != nil {
		return err
	}
	// Try everything that can fail before asking for a passphrase. A source that needs a passphrase comes last.
	var out *output.File
	var err error
	if dst != "-" {
		if out, err = output.Create(dst, 0o600, o.force); err != nil {
			return err
		}
		defer out.Abort()
	}
	if o.phase == "decrypt" && stdio.IsStream(src) {
		return o.decryptStream(c, t, src, dst, out)
	}
	o.source.sum.first = out == nil
	s, err := o.source.open(c, o.global, src)
	if err != nil {
		return err
	}
	defer s.close()
	if o.phase == "decrypt" && !s.img.Encrypted {
		if s.img.Format == luksimg.Raw {
			s.number = o.source.unlock.partition
			return s.wrap(luks.ErrNotLUKS)
		}
		return rest.WithHint(fmt.Errorf("%s: a %s image that is not encrypted", src, s.img.Format), "luksimg convert SRC DST makes it raw")
	}
	p, err := o.progress.Start(t, o.phase, s.img.Size())
	if err != nil {
		return err
	}
	opts := o.options()
	opts.Progress = p.Add
	made, err := writePlain(ctx, out, s.img, opts)
	p.Done()
	if err == nil {
		err = s.intact(ctx)
	}
	if err != nil {
		return s.wrap(err)
	}
	change := luksimg.DiskChange{SectorSize: int(made.SectorSize), Longer: made.VirtualSize - s.img.Size(),
		Why: fmt.Sprintf("the disk of a %s image has whole sectors of %d bytes", o.format, made.SectorSize)}
	if o.fixed {
		change.Why = whyWholeMiB
	}
	t.WarnAll("", change.Warnings(s.looked()))
	if out == nil {
		return stdio.SyncStdout()
	}
	size, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if err := out.Commit(); err != nil {
		return err
	}
	return t.Result(convertResult{
		Output: dst, Format: o.format, SourceFormat: string(s.img.Format),
		SourceSize: s.img.Size(), VirtualSize: made.VirtualSize, FileSize: size, UUID: s.img.UUID, SourceSum: o.source.sum.published(), Warnings: t.Warnings,
	}, talk.Line("%s: %s disk of %s", dst, o.format, term.Bytes(made.VirtualSize)))
}

// whyWholeMiB explains why the disk in a fixed VHD became longer.
const whyWholeMiB = "the disk of a fixed VHD has whole MiB"

// writePlain writes a disk to out, or to standard output if out is nil.
func writePlain(ctx context.Context, out *output.File, disk image.Source, opts luksimg.DecryptOptions) (made *luksimg.DecryptResult, err error) {
	if out != nil {
		flags.SpareProcessor()
		return luksimg.Decrypt(ctx, out, disk, opts)
	}
	stdio.Widen(os.Stdout)
	result := make(chan *luksimg.DecryptResult, 1) // buffered: after a cancellation nobody receives
	err = parallel.Await(ctx, func() error {
		r, err := luksimg.DecryptInOrder(ctx, os.Stdout, disk, opts)
		result <- r
		return err
	})
	if err != nil {
		return nil, err
	}
	return <-result, nil
}
