package main

import (
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
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/wrap"
)

type reencryptFlags struct {
	*global
	unlock      unlockFlags
	newKey      newKeyFlags
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
		Long: `Reencrypt copies the LUKS image SRC to DST with a new volume key and, on request, another cipher,
version, sector size or key derivation. No plaintext touches the disk. SRC does not change.

Use it when somebody who had a key of SRC must lose access: they may have kept its volume key.

DST opens with the key that opened SRC, or with the new key that a flag gives, and also with the keys of
--add-key-file. DST keeps the label, subsystem, flags and sector size of SRC. Reencrypt cannot copy other
key slots and tokens; it lists them. With --kms, it wraps the key for DST into a new token with the same
root key.`,
		Example: `  luksimg reencrypt --key-file old.b64 --generate-key new.b64 disk.luks new.luks
  luksimg reencrypt --key-file dek.b64 --format luks1 disk.luks disk.luks1`,
		Args: flags.Args("SRC", "DST"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1]) },
	}
	f := c.Flags()
	o.unlock.addKey(c, g)
	o.unlock.addImage(c, g, "SRC")
	g.kdf.add(c)
	o.newKey.key.Add(c, "new-")
	f.StringVar(&o.newKey.generate, "generate-key", "", "make a new key and write it to `FILE`, which must not exist")
	f.StringArrayVar(&o.addKeyFiles, "add-key-file", nil, "add a key slot to DST for the key in `FILE`; may be repeated")
	o.luks.add(c)
	f.Lookup("format").Usage = "container: luks1 or luks2 (default luks2)"
	f.Lookup("sector-size").Usage, f.Lookup("sector-size").DefValue = "sector size of the encryption in bytes (default: that of SRC)", "0"
	f.Lookup("label").Usage = "label of the image (LUKS2; default: that of SRC)"
	f.Lookup("subsystem").Usage = "subsystem label of the image (LUKS2; default: that of SRC)"
	f.BoolVar(&o.verify, "verify", false, "decrypt the result and compare it with SRC before it appears")
	o.jobs.Add(c)
	f.BoolVar(&o.force, "force", false, "replace DST if it exists")
	o.progress.Add(c)
	return c
}

// reencryptResult is the output of reencrypt --json.
type reencryptResult struct {
	Output       string    `json:"output"`
	Format       string    `json:"format"`
	SourceUUID   string    `json:"source_uuid"`
	VolumeSize   int64     `json:"volume_size"`
	FileSize     int64     `json:"file_size"`
	GeneratedKey string    `json:"generated_key,omitempty"`
	Verified     bool      `json:"verified"`
	LUKS         luks.Info `json:"luks"`
	Dropped      []string  `json:"dropped,omitempty"` // what SRC has and DST lacks
	Warnings     []string  `json:"warnings,omitempty"`
}

func (o *reencryptFlags) run(c *cobra.Command, src, dst string) error {
	ctx, t := c.Context(), &o.Talk
	opts, err := o.options(c)
	if err != nil {
		return err
	}
	in, err := o.unlock.openLUKS(ctx, o.global, src)
	if err != nil {
		return err
	}
	defer in.close()
	dropped, err := opts.Keep(in.h.Info())
	if err != nil {
		return err
	}
	out, err := output.Create(dst, 0o666, o.force)
	if err != nil {
		return err
	}
	defer out.Abort()
	v, by, err := o.unlock.openBy(ctx, o.global, in, src)
	if err != nil {
		return err
	}
	key := by.passphrase
	defer clear(by.passphrase)
	defer v.Close()
	for _, s := range in.h.Info().Keyslots {
		if s.Slot != by.number {
			dropped = append(dropped, fmt.Sprintf("key slot %d", s.Slot))
		}
	}
	var keyOut *output.File
	if o.newKey.generate != "" || o.newKey.key.Given() {
		if keyOut, key, err = o.newKey.read(ctx, t, dst); err != nil {
			return err
		}
		defer clear(key)
		if keyOut != nil {
			defer keyOut.Abort()
		}
	}
	if by.root != nil {
		if err := o.sealNew(ctx, by.root, key, &opts); err != nil {
			return err
		}
		if len(opts.LUKS.Tokens) > 0 {
			dropped = withoutTokens(dropped, in.h, by.root)
		}
	}
	for _, name := range o.addKeyFiles {
		k, err := keys.ReadFile(ctx, name)
		if err != nil {
			return err
		}
		defer clear(k)
		opts.Keys = append(opts.Keys, k)
	}
	if opts.LUKS.KDF, err = o.luks.kdf.measure(ctx, opts.LUKS.KDF, opts.Calibrate); err != nil {
		return err
	}
	p, err := o.progress.Start(t, "reencrypt", v.Size())
	if err != nil {
		return err
	}
	opts.Progress = p.Add
	flags.SpareProcessor()
	r, err := luksimg.Reencrypt(ctx, out, in.h, v, key, opts)
	p.Done()
	if err == nil {
		err = in.intact(ctx)
	}
	if err != nil {
		return err
	}
	t.WarnAll("", r.Change().Warnings(v))
	if o.verify {
		back, err := written(out)
		if err != nil {
			return err
		}
		c := comparison{src: v, out: back, format: r.Format, key: key, jobs: int(o.jobs)}
		if err := c.run(ctx, t, &o.progress); err != nil {
			return err
		}
	}
	if err := output.CommitAll(keyOut, out); err != nil {
		return err
	}
	if keyOut != nil {
		t.Say("key: written to %s", o.newKey.generate)
	}
	if len(dropped) > 0 {
		t.Warn("not copied from %s to %s: %s", src, dst, strings.Join(dropped, ", "))
	}
	return t.Result(reencryptResult{
		Dropped: dropped,
		Output:  dst, Format: string(r.Format), SourceUUID: in.h.UUID(),
		VolumeSize: r.VolumeSize, FileSize: r.FileSize, GeneratedKey: o.newKey.generate, Verified: o.verify, LUKS: r.LUKS, Warnings: t.Warnings,
	}, madeLine(dst, r))
}

// withoutTokens removes the tokens of root from dropped, because DST has a new one.
func withoutTokens(dropped []string, h *luks.Header, root *wrap.RootKey) []string {
	all, _ := wdekTokens(h)
	for _, t := range all {
		if root.Opens(t.Envelope) == nil {
			name := fmt.Sprintf("token %d (%q)", t.number, wrap.TokenType)
			dropped = slices.DeleteFunc(dropped, func(d string) bool { return d == name })
		}
	}
	return dropped
}

// sealNew wraps the key of DST into a token too, because nobody may know a passphrase that a root key protects.
func (o *reencryptFlags) sealNew(ctx context.Context, root *wrap.RootKey, key []byte, opts *luksimg.ReencryptOptions) error {
	if opts.Format == luksimg.LUKS1 {
		o.Warn("LUKS1 has no tokens, so DST does not contain its wrapped key: luksimg unwrap --image SRC gets the key from SRC")
		return nil
	}
	return o.sealInto(ctx, root, key, &opts.LUKS)
}

// options returns the options that the flags select.
func (o *reencryptFlags) options(c *cobra.Command) (opts luksimg.ReencryptOptions, err error) {
	if err := errors.Join(flags.AtMostOne(c, "generate-key", "new-key-file", "new-passphrase-file", "new-key-fd"),
		keys.Check(c, nil), o.luks.kdf.check(c)); err != nil {
		return opts, err
	}
	opts.Format = o.luks.container()
	if opts.LUKS, err = o.luks.options(); err != nil {
		return opts, err
	}
	if opts.Format == luksimg.VHD || opts.Format == luksimg.QCOW2 {
		return opts, fmt.Errorf("--format %s: want luks1 or luks2; luksimg encrypt --source-key-file makes other formats", opts.Format)
	}
	opts.Jobs = int(o.jobs)
	opts.LUKS.GeneratedKey = o.newKey.generate != ""
	changed := c.Flags().Changed
	if !changed("sector-size") {
		opts.LUKS.SectorSize = 0
	}
	opts.NoLabel, opts.NoSubsystem = changed("label"), changed("subsystem")
	opts.KeyOptions = luks.KeyOptions{Hash: o.luks.hash, KDF: o.luks.kdf.kdf()}
	return opts, nil
}
