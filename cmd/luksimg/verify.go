package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/term"
)

type verifyFlags struct {
	*global
	encrypted sourceFlags
	progress  talk.Progress
	source    sourceFlags
	skipZeros bool
	jobs      flags.Jobs
}

func newVerify(g *global) *cobra.Command {
	o := &verifyFlags{global: g}
	c := &cobra.Command{
		Use:   "verify SRC ENCRYPTED",
		Short: "Compare an encrypted image with the disk image it was made of",
		Long: `Verify decrypts the image ENCRYPTED (LUKS, qcow2 or VHD) and compares it with the disk image SRC, byte
for byte. Past the end of SRC there must be only zeros. If they differ, verify prints the first offset
on the disk and exits with code 3.`,
		Example: `  luksimg verify --key-file dek.b64 disk.vhd disk.luks`,
		Args:    flags.Args("SRC", "ENCRYPTED"),
		RunE:    func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1]) },
	}
	o.encrypted.unlock.add(c, g)
	o.encrypted.unlock.addImage(c, g, "ENCRYPTED")
	o.source.addSecond(c)
	g.kdf.add(c)
	c.Flags().BoolVar(&o.skipZeros, "discard-zeros", false, "ignore parts where SRC is zero: ENCRYPTED was made with --discard-zeros")
	o.jobs.Add(c)
	o.progress.Add(c)
	g.web.add(c)
	o.cloud.add(c, serviceCOS)
	return c
}

// verifyResult is the output of verify --json. Mismatch is the first offset that differs.
type verifyResult struct {
	Equal      bool     `json:"equal"`
	Mismatch   *int64   `json:"mismatch,omitempty"`
	SourceSize int64    `json:"source_size"`
	VolumeSize int64    `json:"volume_size"`
	UUID       string   `json:"uuid,omitempty"`
	SourceSum  string   `json:"source_checksum,omitempty"` // of the published file SRC: "sha256:..."
	Warnings   []string `json:"warnings,omitempty"`
}

func (o *verifyFlags) run(c *cobra.Command, src, encrypted string) error {
	ctx, t := c.Context(), &o.Talk
	if err := errors.Join(o.source.check(c), o.encrypted.check(c)); err != nil {
		return err
	}
	o.encrypted.unpack = o.source.unpack
	o.encrypted.unpack.member, o.encrypted.unpack.ociImage = "", "" // these flags are for SRC
	s, err := o.source.open(c, o.global, src)
	if errors.Is(err, luksimg.ErrEncrypted) && !o.source.unlock.key.Given() {
		return rest.WithHint(err, "the order is SRC ENCRYPTED; if SRC is encrypted too, give its key with --source-key-file")
	}
	if err != nil {
		return err
	}
	defer s.close()
	img := s.img
	in, err := o.encrypted.open(c, o.global, encrypted)
	if err != nil {
		return err
	}
	defer in.close()
	v := in.img
	if !v.Encrypted {
		return rest.WithHint(in.wrap(fmt.Errorf("a %s image that is not encrypted", v.Format)), "the order is SRC ENCRYPTED; luksimg inspect FILE shows what it is")
	}
	p, err := o.progress.Start(t, "verify", v.Size())
	if err != nil {
		return err
	}
	err = luksimg.Verify(ctx, img, v, luksimg.VerifyOptions{SkipZeros: o.skipZeros, RunOptions: luksimg.RunOptions{Jobs: int(o.jobs), Progress: p.Add}})
	p.Done()
	if err == nil {
		err = errors.Join(s.intact(ctx), in.intact(ctx))
	}
	if errors.Is(err, luksimg.ErrFixedVHD) {
		err = s.wrap(err)
	}
	if err != nil && !errors.Is(err, luksimg.ErrMismatch) {
		return err
	}
	r := verifyResult{Equal: err == nil, SourceSize: img.Size(), VolumeSize: v.Size(), UUID: v.UUID, SourceSum: o.source.sum.published(), Warnings: t.Warnings}
	if m := new(luksimg.MismatchError); errors.As(err, &m) {
		r.Mismatch = &m.Offset
	}
	if err == nil || t.AsJSON {
		if e := t.Result(r, talk.Line("%s: holds %s, %s, byte for byte", encrypted, src, term.Bytes(img.Size()))); e != nil {
			return e
		}
	}
	if r.Mismatch != nil && *r.Mismatch >= img.Size() {
		return rest.WithHint(fmt.Errorf("%s holds all %d bytes of %s, but is longer: %w", encrypted, img.Size(), src, err),
			"an image on a longer device ends where its disk ends; the rest of the device does not belong to it")
	}
	if err != nil {
		return rest.WithHint(err, "if SRC is the disk that was encrypted, encrypt it again; if it is in use, first stop the program that writes to it")
	}
	return err
}
