package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/nbd"
)

type serveFlags struct {
	*global
	source  sourceFlags
	luks    luksFlags
	listen  listenFlags
	rw      bool
	once    bool
	encrypt bool
}

// encryptingFlags are the flags of serve that need --encrypt.
var encryptingFlags = []string{"format", "cipher", "key-size", "hash", "sector-size", "luks2-metadata-size", "luks2-keyslots-size", "pbkdf", "pbkdf-memory",
	"pbkdf-parallel", "pbkdf-force-iterations", "iter-time", "uuid", "label", "subsystem"}

func newServe(g *global) *cobra.Command {
	o := &serveFlags{global: g}
	c := &cobra.Command{
		Use:   "serve IMAGE",
		Short: "Serve an image as a disk to QEMU, nbdcopy and others, over NBD",
		Long: `Serve offers the disk in IMAGE to other programs over NBD (Network Block Device), without root and
without a plaintext copy. It prints the URI for clients. It runs until it is interrupted, or with --once until
the last client has left. In the background of a script, where shells ignore SIGINT, stop it with kill PID.

By default serve makes a Unix socket in a temporary folder that no other user can enter. --socket and
--listen choose another address. An address that other machines can reach requires --tls-certificates. Every
user of this machine can connect to a loopback address.

The disk is read-only. With --rw, clients can also write to LUKS images and raw disks, in place. Other
formats stay read-only. No other luksimg process can change the image while it is served.

With --encrypt, serve works the other way round: IMAGE is a plain disk, and clients see the LUKS image that
encrypt would make of it. The flags give the key. Serve makes a new header when it starts.`,
		Example: `  luksimg serve --key-file dek.b64 disk.luks
  luksimg serve --key-file dek.b64 --socket /run/user/1000/disk.sock --rw disk.luks
  luksimg serve --once --encrypt --format luks1 --key-file dek.b64 disk.qcow2 | { read -r uri; nbdcopy "$uri" disk.luks; }
  luksimg serve --listen 0.0.0.0:10809 --tls-certificates pki disk.qcow2`,
		Args: flags.Args("IMAGE"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	f := c.Flags()
	o.source.add(c, g, "IMAGE")
	o.source.sum.first = true
	o.source.unpack.random = true
	g.kdf.add(c)
	o.listen.add(c)
	f.BoolVar(&o.rw, "rw", false, "let clients write to a LUKS image or a raw disk")
	f.BoolVar(&o.once, "once", false, "exit when the last client has left")
	f.BoolVar(&o.encrypt, "encrypt", false, "serve the LUKS image that encrypt would make of IMAGE with the same flags")
	o.luks.add(c)
	f.Lookup("format").Usage = "container: luks1 or luks2 (default luks2)"
	g.web.add(c)
	g.cloud.add(c, serviceCOS)
	return c
}

// check validates the flags before any file is opened.
func (o *serveFlags) check(c *cobra.Command) error {
	if err := errors.Join(o.source.check(c), o.listen.check(c), o.luks.kdf.check(c), flags.AtMostOne(c, "encrypt", "policy")); err != nil {
		return err
	}
	if o.rw && o.source.sum.given() {
		return errors.New("--rw changes the image, so it cannot match a published checksum")
	}
	if !o.encrypt {
		for _, name := range encryptingFlags {
			if c.Flags().Changed(name) {
				return fmt.Errorf("--%s needs --encrypt", name)
			}
		}
		return nil
	}
	if o.rw {
		return errors.New("--encrypt is read-only and cannot be combined with --rw")
	}
	for _, name := range []string{"header", "key-slot", "volume-key-file", "kms", "allow-null-cipher", "allow-truncated"} {
		if c.Flags().Changed(name) {
			return fmt.Errorf("--%s opens an encrypted image, but --encrypt needs a plain one", name)
		}
	}
	switch o.luks.container() {
	case "", luksimg.LUKS1, luksimg.LUKS2:
	default:
		return fmt.Errorf("--format %s: --encrypt serves luks1 or luks2", o.luks.format)
	}
	o.source.plain = true
	return nil
}

// serveResult is the output of serve --json, printed when clients can connect.
type serveResult struct {
	URI      string   `json:"uri"`
	Size     int64    `json:"size"`
	Format   string   `json:"format"`
	ReadOnly bool     `json:"read_only"`
	Warnings []string `json:"warnings,omitempty"`
}

func (o *serveFlags) run(c *cobra.Command, name string) error {
	if err := o.check(c); err != nil {
		return err
	}
	d, err := o.disk(c, name)
	if err != nil {
		return err
	}
	defer d.close()
	tls, err := o.listen.tls()
	if err != nil {
		return err
	}
	s, err := nbd.NewServer(nbd.Options{TLS: tls, Once: o.once, Report: o.reporter(d)}, nbd.Export{Description: d.base, Source: d.disk, Target: d.target, BlockSize: max(d.sectorSize, 4096)})
	if err != nil {
		return err
	}
	l, err := o.listen.listen()
	if err != nil {
		return err
	}
	defer l.remove()
	r := serveResult{l.uri(tls != nil), d.disk.Size(), string(d.format), d.target == nil, o.Warnings}
	if err := o.Result(r, r.URI); err != nil {
		return err
	}
	err = s.Serve(c.Context(), l)
	if err == nil && d.target == nil {
		err = d.changed()
	}
	return d.wrap(err)
}

// maxReports is the largest number of printed errors of the disk, and of TLS handshakes.
const maxReports = 20

// reporter returns a function that prints errors. It counts errors of the disk and of clients separately.
func (o *serveFlags) reporter(d *served) func(error) {
	var disk, shakes atomic.Int32
	return func(err error) {
		n, what := &shakes, "TLS handshake errors"
		if !errors.As(err, new(*nbd.TLSError)) {
			// A damaged disk fails in many places.
			n, what, err = &disk, "disk errors", d.wrap(err)
		}
		switch n := n.Add(1); {
		case n <= maxReports:
			o.Say("%v", err)
		case n == maxReports+1:
			o.Say("further %s are not shown", what)
		}
	}
}

// A served disk is the disk that clients see.
type served struct {
	*source
	disk       image.Source
	target     nbd.Target // nil if read-only
	format     luksimg.Format
	sectorSize int
}

// changed adds a hint if another program has changed the image.
func (d *served) changed() error {
	if err := d.unchanged(); err != nil {
		return rest.WithHint(err, "clients may have read a mixture of old and new data")
	}
	return nil
}

// disk opens the disk to serve.
func (o *serveFlags) disk(c *cobra.Command, name string) (*served, error) {
	if o.rw {
		return o.writable(c, name)
	}
	s, err := o.source.open(c, o.global, name)
	if err != nil {
		return nil, err
	}
	d := &served{source: s, disk: s.img, format: s.img.Format, sectorSize: s.img.SectorSize}
	if o.encrypt {
		err = o.encrypted(c.Context(), d)
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// encrypted replaces the disk by the LUKS image that it would become.
func (o *serveFlags) encrypted(ctx context.Context, d *served) error {
	opts := luksimg.EncryptOptions{Format: o.luks.container()}
	var err error
	if opts.LUKS, err = o.luks.options(); err != nil {
		return err
	}
	if err := errors.Join(opts.Check(), opts.CheckSize(d.disk.Size())); err != nil {
		return err
	}
	key, err := o.source.unlock.key.Read(ctx, &o.Talk, "the image", true)
	if err != nil {
		return err
	}
	defer clear(key)
	if opts.LUKS.KDF, err = o.luks.kdf.measure(ctx, opts.LUKS.KDF, opts.Calibrate); err != nil {
		return err
	}
	e, err := luksimg.NewEncrypted(ctx, d.disk, key, opts)
	if err != nil {
		return err
	}
	d.closes = append(d.closes, func() { e.Close() })
	d.disk, d.format, d.sectorSize = e, e.Format, e.LUKS.SectorSize
	return nil
}
