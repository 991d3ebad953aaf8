package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/archive"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/diskmap"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/manifest"
)

type inspectFlags struct {
	*global
	source sourceFlags
	mapped bool
	check  bool
	svg    svgFlags
}

func newInspect(g *global) *cobra.Command {
	o := &inspectFlags{global: g}
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what an image is and what is in it",
		Long: `Inspect shows the format of an image, its sizes and its header: for a VHD its type and the
program that made it, for LUKS its cipher and key slots. It needs no key. With one, it also shows the
contents of an encrypted image.

It also shows the partitions, the filesystems, the operating system, and whether cloud-init is
installed, which clouds need. It reads very little of the disk. With --partition it shows one partition,
such as one that holds LUKS. For an archive, an OVA or a container image it lists the disks; --member
selects one of several.

--map lists where the disk has data and where it reads as zeros, as qemu-img map does, and draws a
one-line map. --check looks for errors in the structure of the image, as qemu-img check does; if it finds one, the
exit code is 1.

--svg draws the layout of the image to scale: headers, key slots, tables, data, holes, partitions and
filesystems. Open the drawing in a browser.`,
		Example: `  luksimg inspect disk.vhd
  luksimg inspect --json disk.luks
  luksimg inspect --partition 2 disk.raw
  luksimg inspect appliance.ova
  luksimg inspect --map --check disk.qcow2
  luksimg inspect --svg disk.svg disk.luks`,
		Args: flags.Args("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	o.source.add(c, g, "FILE")
	o.source.sum.first = true
	o.source.unpack.random = true
	g.kdf.add(c)
	c.Flags().BoolVar(&o.mapped, "map", false, "list the extents of the disk")
	o.svg.add(c, "the layout of the image")
	g.web.add(c)
	o.cloud.add(c, serviceCOS)
	c.Flags().BoolVar(&o.check, "check", false, "look for errors in the structure of the image")
	return c
}

// inspectResult is the output of inspect --json.
type inspectResult struct {
	*luksimg.Info
	Layers    []string             `json:"layers"`              // from the file to the filesystem
	Partition int                  `json:"partition,omitempty"` // number of the partition that the result describes
	Manifest  *manifest.Manifest   `json:"manifest,omitempty"`  // from the manifest beside the image
	Contents  *contents.Info       `json:"contents,omitempty"`  // of a disk that can be read
	Check     *luksimg.CheckResult `json:"check,omitempty"`
	Map       *diskmap.Map         `json:"-"` // the member map, an array of extents, which print writes as a stream
}

// print prints the result, followed by the map.
func (r inspectResult) print(t *talk.Talk, name string) error {
	if r.Map == nil || t.AsJSON && r.Map.Empty() {
		return t.Result(r, inspectText(name, r))
	}
	if !t.AsJSON {
		if err := t.Result(r, inspectText(name, r)); err != nil {
			return err
		}
		return r.Map.WriteText(t.Out)
	}
	var b bytes.Buffer
	if err := talk.EncodeJSON(&b, r); err != nil {
		return err
	}
	object, end := term.VisibleJSON(b.Bytes()), []byte("\n}\n")
	if _, err := fmt.Fprintf(t.Out, "%s,\n  \"map\": ", bytes.TrimSuffix(object, end)); err != nil {
		return err
	}
	if err := r.Map.WriteJSON(t.Out); err != nil {
		return err
	}
	_, err := t.Out.Write(end)
	return err
}

// errCorrupt means that --check found damage.
var errCorrupt = errors.New("the structure of the image is damaged")

func (o *inspectFlags) run(c *cobra.Command, name string) error {
	if err := errors.Join(o.source.check(c), flags.AtMostOne(c, "partition", "check"), flags.AtMostOne(c, "partition", "allow-backing")); err != nil {
		return err
	}
	svg, abort, err := o.svg.create()
	if err != nil {
		return err
	}
	defer abort()
	in, err := openInput(c.Context(), o.global, name)
	if err != nil {
		return err
	}
	defer func() { in.close() }()
	if err := o.source.sum.watch(c.Context(), o.global, in); err != nil {
		return in.wrap(err)
	}
	switch err := o.source.unpackInput(c.Context(), o.global, in); {
	case errors.Is(err, archive.ErrChoice) && o.source.unpack.member == "":
		return o.list(c.Context(), in, svg)
	case err != nil:
		return in.wrap(err)
	}
	t := &o.Talk
	r := inspectResult{Partition: int(o.source.unlock.partition)}
	if r.Info, err = o.info(c.Context(), in); err != nil {
		return err
	}
	if err := o.kdf.policy.looked(); err != nil {
		return in.wrap(err)
	}
	if r.Format == luksimg.Raw && r.Partition == 0 && o.source.format == "" {
		if text := in.misnamed(); text != "" {
			r.Warnings = append(r.Warnings, text+"; encrypt and convert refuse it unless --source-format raw is given")
		}
	}
	if r.Partition > 0 {
		// The manifest describes the whole image.
	} else if r.Manifest, err = readManifest(c.Context(), name); err != nil {
		r.Warnings = append(r.Warnings, err.Error())
	} else if r.Manifest != nil {
		r.Warnings = append(r.Warnings, r.Manifest.Compare(r.Info)...)
	}
	if o.check {
		if r.Check, err = checkOf(c.Context(), in, r.Info); err != nil {
			return in.wrap(err)
		}
	}
	s, err := o.inside(c, in, name, &r)
	if err != nil {
		return err
	}
	if s != nil {
		defer s.close()
	}
	r.Layers = layersOf(r)
	if !o.AsJSON { // JSON has them as a member
		t.WarnAll("", r.Warnings)
	}
	if err := drawImage(c.Context(), svg, in, r, s); err != nil {
		return in.wrap(err)
	}
	if err := r.print(t, name); err != nil {
		return err
	}
	if r.Check != nil && r.Check.Corruptions > 0 {
		return in.wrap(errCorrupt)
	}
	return nil
}

// list lists the disks of an archive that holds several.
func (o *inspectFlags) list(ctx context.Context, in *input, svg *output.File) error {
	i, err := luksimg.Inspect(ctx, in.r, in.size, luksimg.ImageOptions{Unpack: o.source.unpack.options(&o.Talk, in.name)})
	if err != nil {
		return in.wrap(err)
	}
	r := inspectResult{Info: i, Layers: i.Layers}
	if err := drawImage(ctx, svg, in, r, nil); err != nil {
		return err
	}
	return o.Result(r, inspectText(in.name, r))
}

// checkOf checks the structure of an image. It uses the open disk if there is one.
func checkOf(ctx context.Context, in *input, i *luksimg.Info) (*luksimg.CheckResult, error) {
	if i.Disk != nil {
		return i.Disk.Check(ctx)
	}
	return luksimg.Check(ctx, in.r, in.size, luksimg.ImageOptions{Format: i.Format})
}

// info returns the description of the image, or of its header if that is detached.
func (o *inspectFlags) info(ctx context.Context, in *input) (*luksimg.Info, error) {
	unlock := &o.source.unlock
	opts := luksimg.ImageOptions{Format: luksimg.Format(o.source.format), LUKS: o.kdf.apply(luks.OpenOptions{AllowNullCipher: unlock.allowNull}), Partition: int(unlock.partition), Snapshot: o.source.snapshot}
	if unlock.header == "" {
		i, err := luksimg.Inspect(ctx, in.r, in.size, opts)
		if errors.Is(err, luksimg.ErrEncrypted) && !unlock.byTokens() { // the whole disk around the partition is encrypted
			err = unlock.key.Unlock(ctx, &o.Talk, in.name, func(key []byte) (err error) {
				opts.Key = key
				i, err = luksimg.Inspect(ctx, in.r, in.size, opts)
				return err
			})
			err = hintKeepers(err, tokensIn(ctx, in, opts))
		}
		return i, in.wrap(err)
	}
	if err := in.take(ctx, o.global, unlock.partition); err != nil {
		return nil, err
	}
	opts.Partition = 0
	header, err := openHeader(ctx, o.global, unlock.header)
	if err != nil {
		return nil, err
	}
	defer header.close()
	i, err := luksimg.InspectDetached(ctx, io.NewSectionReader(header.r, 0, header.size), in.size, opts)
	if errors.Is(err, luksimg.ErrOtherHeader) {
		return nil, fmt.Errorf("%s: %s is %w", in.name, header.name, err)
	}
	return i, header.wrap(err)
}

// inside opens the disk in the image, if possible, and inspects its contents. It returns the open source for the
// drawing, or nil.
func (o *inspectFlags) inside(c *cobra.Command, in *input, name string, r *inspectResult) (*source, error) {
	if r.Encrypted && !o.source.unlock.given() && !o.mapped {
		return nil, nil
	}
	s, err := &source{input: in, img: r.Disk}, error(nil)
	// A visible partition was already opened with all flags.
	if r.Disk == nil || r.Partition == 0 && (o.source.unlock.given() || o.source.allowBacking || o.source.snapshot != "") {
		quiet := *o.global
		quiet.Quiet = quiet.Quiet || !bool(o.source.unlock.clevis) // its warnings were already printed
		s, err = o.source.open(c, &quiet, name)
	}
	if err != nil {
		if errors.As(err, new(*image.RefusedError)) && !o.mapped {
			return nil, nil
		}
		return nil, err
	}
	if o.mapped {
		r.Map, err = diskmap.Of(c.Context(), s.img)
	}
	if err == nil {
		r.Contents, err = contents.Inspect(c.Context(), s.img)
	}
	if err != nil {
		defer s.close()
		return nil, s.wrap(err)
	}
	return s, nil
}
