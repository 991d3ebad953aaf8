package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
)

type reencryptFlags struct {
	*global
	unlock      unlockFlags
	newKey      keys.Flags
	generateKey string
	addKeyFiles []string
	progress    talk.Progress
	luks        luksFlags
	verify      bool
	jobs        flags.Jobs
	force       bool
}

func newReencrypt(g *global) *cobra.Command {
	o := &reencryptFlags{global: g}
	c := &cobra.Command{
		Use:   "reencrypt SRC DST",
		Short: "Copy a LUKS image to another one with a new volume key",
		Long: `Reencrypt opens the LUKS image SRC and writes what is in it to DST, a LUKS image with another
volume key, and if asked for another cipher, version, sector size or key derivation. No
plaintext touches the disk. SRC stays as it is.

Who had a key of SRC once may have kept its volume key; that of DST is new. DST opens with
the key that opened SRC, or with the new one that the flags give, and with those of
--add-key-file. It keeps the label, the subsystem, the flags and the sector size of SRC, but not
its other key slots, which can not be opened, and its tokens: what is left out is named.`,
		Example: `  luksimg reencrypt --key-file old.b64 --generate-key new.b64 disk.luks new.luks
  luksimg reencrypt --key-file dek.b64 --format luks1 disk.luks disk.luks1`,
		Args: flags.Args("SRC", "DST"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1]) },
	}
	f := c.Flags()
	o.unlock.key.Add(c, "")
	o.unlock.addImage(c)
	g.kdf.add(c)
	o.newKey.Add(c, "new-")
	f.StringVar(&o.generateKey, "generate-key", "", "make a new key and write it to `FILE`, which must not exist")
	f.StringArrayVar(&o.addKeyFiles, "add-key-file", nil, "one more key slot of DST, for the key in `FILE`; may be repeated")
	o.luks.add(c)
	f.BoolVar(&o.verify, "verify", false, "decrypt the result and compare it with SRC before it appears")
	o.jobs.Add(c)
	f.BoolVar(&o.force, "force", false, "replace DST if it is there")
	o.progress.Add(c)
	return c
}

// reencryptResult is what reencrypt --json prints.
type reencryptResult struct {
	Output       string    `json:"output"`
	Format       string    `json:"format"`
	SourceUUID   string    `json:"source_uuid"`
	VolumeSize   int64     `json:"volume_size"`
	FileSize     int64     `json:"file_size"`
	GeneratedKey string    `json:"generated_key,omitempty"`
	Verified     bool      `json:"verified"`
	LUKS         luks.Info `json:"luks"`
	Dropped      []string  `json:"dropped,omitempty"` // of SRC: what DST does not have
	Warnings     []string  `json:"warnings,omitempty"`
}

func (o *reencryptFlags) run(c *cobra.Command, src, dst string) error {
	ctx, t := c.Context(), &o.Talk
	if err := errors.Join(flags.AtMostOne(c, "generate-key", "new-key-file", "new-passphrase-file", "new-key-fd"),
		o.unlock.check(c), o.luks.kdf.check(c)); err != nil {
		return err
	}
	lo, err := o.luks.options()
	if err != nil {
		return err
	}
	opts := luksimg.EncryptOptions{Format: o.luks.container(), LUKS: lo}
	if opts.Format == luksimg.VHD || opts.Format == luksimg.QCOW2 {
		return fmt.Errorf("--format %s: reencrypt makes luks1 and luks2; luksimg encrypt --source-key-file makes others", opts.Format)
	}
	opts.Jobs = int(o.jobs)
	opts.LUKS.GeneratedKey = o.generateKey != ""
	in, err := o.unlock.openLUKS(ctx, o.global, src)
	if err != nil {
		return err
	}
	defer in.close()
	dropped := o.keep(c, &opts, in.h.Info())
	if err := opts.Check(); err != nil {
		return err
	}
	out, err := output.Create(dst, 0o666, o.force)
	if err != nil {
		return err
	}
	defer out.Abort()

	var key []byte
	var v *luks.Volume
	var slot int
	err = o.unlock.key.Unlock(ctx, t, src, func(k []byte) (err error) {
		if v, slot, err = o.volume(ctx, in, k); err == nil {
			key = bytes.Clone(k)
		}
		return err
	})
	if err != nil {
		return err
	}
	defer clear(key)
	defer v.Close()
	for _, s := range in.h.Info().Keyslots {
		if s.Slot != slot {
			dropped = append(dropped, fmt.Sprintf("key slot %d", s.Slot))
		}
	}
	keyOut, newKey, err := o.readNewKey(c, t, dst, key)
	if err != nil {
		return err
	}
	defer clear(newKey)
	if keyOut != nil {
		defer keyOut.Abort()
	}
	if opts.LUKS.KDF, err = o.luks.kdf.measure(c.Context(), opts.LUKS.KDF, opts.Calibrate); err != nil {
		return err
	}

	p, err := o.progress.Start(t, "reencrypt", v.Size())
	if err != nil {
		return err
	}
	opts.Progress = p.Add
	flags.SpareProcessor()
	r, err := luksimg.Encrypt(ctx, out, v, newKey, opts)
	p.Done()
	if err == nil {
		err = in.unchanged()
	}
	if err != nil {
		return err
	}
	change{sectorSize: r.LUKS.SectorSize, longer: r.VolumeSize - r.SourceSize}.label(t, v)
	if err := o.addKeys(c, out, r, newKey); err != nil {
		return err
	}
	if o.verify {
		back, err := written(out)
		if err != nil {
			return err
		}
		c := comparison{src: v, out: back, format: r.Format, key: newKey, jobs: int(o.jobs)}
		if err := c.run(ctx, t, &o.progress); err != nil {
			return err
		}
	}
	if err := commit(keyOut, out); err != nil {
		return err
	}
	if keyOut != nil {
		t.Say("key: written to %s", o.generateKey)
	}
	if len(dropped) > 0 {
		t.Warn("%s has this, and %s has not: %s", src, dst, strings.Join(dropped, ", "))
	}
	return t.Result(reencryptResult{
		Dropped: dropped,
		Output:  dst, Format: fmt.Sprintf("luks%d", r.LUKS.Version), SourceUUID: in.h.UUID(),
		VolumeSize: r.VolumeSize, FileSize: r.FileSize, GeneratedKey: o.generateKey, Verified: o.verify, LUKS: r.LUKS, Warnings: t.Warnings,
	}, talk.Line("%s: luks%d, %s with a %d-bit key, sectors of %d bytes, disk of %s in a file of %s, UUID %s", dst,
		r.LUKS.Version, r.LUKS.Cipher, r.LUKS.KeyBits, r.LUKS.SectorSize, term.Bytes(r.SourceSize), term.Bytes(r.FileSize), r.LUKS.UUID))
}

// keep makes of DST what SRC is, as far as no flag says otherwise, and returns what is not
// kept.
func (o *reencryptFlags) keep(c *cobra.Command, opts *luksimg.EncryptOptions, src luks.Info) (dropped []string) {
	for _, k := range src.Tokens {
		dropped = append(dropped, fmt.Sprintf("token %d (%q)", k.Number, k.Type))
	}
	lo := &opts.LUKS
	if opts.Format == luksimg.LUKS1 {
		for name, value := range map[string]string{"label": src.Label, "subsystem": src.Subsystem, "flags": strings.Join(src.Flags, " ")} {
			if value != "" {
				dropped = append(dropped, fmt.Sprintf("%s %q", name, value))
			}
		}
		if src.SectorSize != lo.SectorSize {
			dropped = append(dropped, fmt.Sprintf("sectors of %d bytes", src.SectorSize))
		}
		slices.Sort(dropped)
		return dropped
	}
	if !c.Flags().Changed("sector-size") {
		lo.SectorSize = src.SectorSize
	}
	if !c.Flags().Changed("label") {
		lo.Label = src.Label
	}
	if !c.Flags().Changed("subsystem") {
		lo.Subsystem = src.Subsystem
	}
	lo.Flags = src.Flags
	return dropped
}

// volume opens SRC and tells which key slot the key opens.
func (o *reencryptFlags) volume(ctx context.Context, in *encrypted, passphrase []byte) (*luks.Volume, int, error) {
	var key []byte
	var slot int
	var err error
	if o.unlock.oneSlot() {
		slot = *o.unlock.keySlot
		key, err = in.h.OpenSlot(ctx, slot, passphrase)
	} else {
		key, slot, err = in.h.FindSlot(ctx, passphrase)
	}
	if err != nil {
		return nil, 0, in.header.wrap(err)
	}
	defer clear(key)
	v, err := in.h.Volume(ctx, in.r, in.size, key)
	return v, slot, in.wrap(err)
}

// readNewKey returns the key for the first key slot of DST: the old one if no flag gives
// another.
func (o *reencryptFlags) readNewKey(c *cobra.Command, t *talk.Talk, dst string, old []byte) (*output.File, []byte, error) {
	switch {
	case o.generateKey != "":
		return generateKey(o.generateKey, defaultKeyBytes, false)
	case o.newKey.Given():
		key, err := o.newKey.Read(c.Context(), t, dst, true)
		return nil, key, err
	}
	return nil, append([]byte(nil), old...), nil
}

// addKeys adds the key slots of --add-key-file before the image appears.
func (o *reencryptFlags) addKeys(c *cobra.Command, out *output.File, r *luksimg.Result, key []byte) error {
	if len(o.addKeyFiles) == 0 {
		return nil
	}
	e, err := luks.Edit(out.File, r.FileSize, made)
	if err != nil {
		return err
	}
	volumeKey, err := e.Header().VolumeKey(c.Context(), key)
	if err != nil {
		return err
	}
	defer clear(volumeKey)
	for _, name := range o.addKeyFiles {
		k, err := keys.ReadFile(c.Context(), name)
		if err != nil {
			return err
		}
		_, err = e.AddKey(c.Context(), volumeKey, k, luks.AnySlot, luks.KeyOptions{Hash: o.luks.hash, KDF: o.luks.kdf.kdf()})
		clear(k)
		if err != nil {
			return err
		}
	}
	r.LUKS = e.Header().Info()
	return nil
}
