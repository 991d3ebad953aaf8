package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/image/folder"
	"github.com/luksimg/luksimg/internal/rest"
)

// sourceFlags say how to read an image of any format.
type sourceFlags struct {
	format       string
	allowBacking bool
	snapshot     string
	unpack       unpackFlags
	sum          sumFlags

	// unlock opens an encrypted image. If it is the verb's only key, its flags have no prefix, and luksimg asks for a
	// missing key.
	unlock unlockFlags
	prefix string

	// plain refuses an encrypted image, because the verb's key is for another image.
	plain bool
}

var sourceFormats = luksimg.Formats()

func formatNames(formats []luksimg.Format) string {
	var names []string
	for _, f := range formats {
		names = append(names, string(f))
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// add adds the flags for the argument called what, with all flags for its key.
func (o *sourceFlags) add(c *cobra.Command, g *global, what string) {
	o.addImage(c, what)
	o.unlock.add(c, g)
	o.unlock.addImage(c, g, what)
}

// addSecond adds the flags for a verb that has another key too.
func (o *sourceFlags) addSecond(c *cobra.Command) {
	o.addImage(c, "SRC")
	o.prefix = "source-"
	o.unlock.key.Add(c, o.prefix)
}

func (o *sourceFlags) addImage(c *cobra.Command, what string) {
	f := c.Flags()
	f.StringVar(&o.format, "source-format", "", "format of "+what+": "+formatNames(sourceFormats)+" (default: detected from the content)")
	f.BoolVar(&o.allowBacking, "allow-backing", false, "let "+what+" use other files in its folder that it names: backing files, parents, extents")
	f.StringVar(&o.snapshot, "snapshot", "", "read the internal snapshot with this ID or `NAME` of a qcow2 image")
	o.unpack.add(c, what)
	o.sum.add(c, what)
}

// check validates the flags before any file is opened.
func (o *sourceFlags) check(c *cobra.Command) error {
	if o.format != "" && !slices.Contains(sourceFormats, luksimg.Format(o.format)) {
		return fmt.Errorf("--source-format %s: want %s", o.format, formatNames(sourceFormats))
	}
	if err := o.sum.check(c); err != nil {
		return err
	}
	if o.prefix != "" {
		return flags.AtMostOne(c, "source-key-file", "source-passphrase-file", "source-key-fd")
	}
	if err := flags.AtMostOne(c, "policy", "allow-backing"); err != nil {
		return err
	}
	return keys.Check(c, nil)
}

// A source is an open image with the files that it depends on.
type source struct {
	*input
	img    *luksimg.Image
	closes []func()
}

func (s *source) close() {
	if s.img != nil {
		s.img.Close()
	}
	for _, c := range slices.Backward(s.closes) {
		c()
	}
}

// open opens the image. If it needs a key, open gets it from the flags.
func (o *sourceFlags) open(c *cobra.Command, g *global, name string) (*source, error) {
	if !o.plain && (o.unlock.header != "" || o.unlock.volumeKeyFile != "" || o.unlock.byTokens() || o.unlock.oneSlot()) {
		return o.openLUKS(c, g, name)
	}
	in, err := openInput(c.Context(), g, name)
	if err != nil {
		return nil, err
	}
	s := &source{input: in, closes: []func(){func() { in.close() }}}
	err = o.sum.watch(c.Context(), g, in)
	if err == nil {
		err = o.unpackInput(c.Context(), g, in)
	}
	if err == nil {
		err = o.openImage(c, g, s)
	}
	if err == nil && o.prefix == "" && !o.plain {
		err = g.kdf.policy.looked()
	}
	if err != nil {
		s.close()
		return nil, in.wrap(err)
	}
	g.WarnAll(in.name+": ", s.img.Warnings)
	return s, nil
}

// unpackInput unpacks an image from compression and archives.
func (o *sourceFlags) unpackInput(ctx context.Context, g *global, in *input) error {
	opts := o.unpack.options(&g.Talk, in.name)
	opts.Random = opts.Random || o.unlock.partition != 0
	return in.unpack(ctx, luksimg.Format(o.format), opts)
}

func (o *sourceFlags) openImage(c *cobra.Command, g *global, s *source) error {
	opts := luksimg.ImageOptions{
		Format:   luksimg.Format(o.format),
		LUKS:     g.kdf.apply(o.unlock.openOptions()),
		Snapshot: o.snapshot, Partition: int(o.unlock.partition), Unpack: luksimg.Unpacking{Never: true},
		ID: s.base,
	}
	if o.allowBacking && (s.f == nil || s.f == os.Stdin) {
		return errors.New("--allow-backing needs a file in a folder, not an object, a URL or standard input")
	}
	if o.allowBacking {
		root, err := os.OpenRoot(filepath.Dir(s.name))
		if err != nil {
			return err
		}
		d := folder.New(root)
		d.Opened = func(f *os.File) error { return g.files.ReadFile("a file that the image needs", f) }
		s.closes = append(s.closes, func() { d.Close() })
		opts.Resolve = d.Resolve
	}
	var err error
	s.img, err = s.image(c.Context(), opts)
	if !errors.Is(err, luksimg.ErrEncrypted) || o.plain {
		return err
	}
	if o.prefix != "" && !o.unlock.key.Given() {
		return rest.WithHint(err, "give its key with --source-key-file, or decrypt it first: luksimg decrypt SRC DST")
	}
	err = o.unlock.key.Unlock(c.Context(), &g.Talk, s.name, func(key []byte) (err error) {
		opts.Key = key
		s.img, err = s.image(c.Context(), opts)
		return err
	})
	return hintKeepers(err, tokensIn(c.Context(), s.input, opts))
}

// openLUKS opens a LUKS image with a detached header, with its volume key, by a token, or by one key slot.
func (o *sourceFlags) openLUKS(c *cobra.Command, g *global, name string) (*source, error) {
	in, err := openInput(c.Context(), g, name)
	if err != nil {
		return nil, err
	}
	unlock := &o.unlock
	if err = o.sum.watch(c.Context(), g, in); err == nil {
		err = o.unpackInput(c.Context(), g, in)
	}
	if err = in.wrap(err); err == nil {
		err = in.take(c.Context(), g, unlock.partition)
	}
	if err != nil {
		in.close()
		return nil, err
	}
	e, err := readHeader(c.Context(), g, in, unlock.header, unlock.openOptions())
	if err != nil {
		return nil, err
	}
	return o.volume(c, g, e)
}

// volume opens the data of a LUKS image with the key that the flags give. On failure it closes in.
func (o *sourceFlags) volume(c *cobra.Command, g *global, in *encrypted) (*source, error) {
	v, err := o.unlock.open(c, g, in)
	if err != nil {
		in.close()
		return nil, err
	}
	format := luksimg.LUKS2
	if in.h.Version() == 1 {
		format = luksimg.LUKS1
	}
	return &source{
		input:  in.input,
		img:    &luksimg.Image{Source: v, Format: format, Encrypted: true, UUID: in.h.UUID()},
		closes: []func(){in.close, func() { v.Close() }},
	}, nil
}
