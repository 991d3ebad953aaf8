package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/manifest"
)

type encryptFlags struct {
	*global
	key           keys.Flags
	root          rootKeyFlags
	progress      talk.Progress
	luks          luksFlags
	profile       string
	source        sourceFlags
	generateKey   string
	volumeKeyFile string
	header        string
	manifestFile  string
	sha256        bool
	discardZeros  bool
	verify        bool
	jobs          flags.Jobs
	force         bool
	allowEmpty    bool
}

func newEncrypt(g *global) *cobra.Command {
	o := &encryptFlags{global: g}
	c := &cobra.Command{
		Use:   "encrypt SRC DST",
		Short: "Encrypt a disk image into a LUKS image",
		Long: `Encrypt encrypts the disk image SRC with LUKS into DST. SRC is a raw, qcow2, VHD, VHDX,
VMDK or VDI image; encrypt detects which. DST appears when it is complete and synced.

SRC can be compressed, or in an OVA, a tar archive or a container image (oci:FOLDER names an OCI image
layout). Encrypt reads it in place; --member selects one of several disks. If SRC is encrypted,
--source-key-file gives its key. If it needs other files, --allow-backing allows those in its own folder.
If an archive states digests, encrypt compares them before DST appears.

SRC and DST can be - for standard input (a raw disk) and standard output, or
cos://REGION/BUCKET/OBJECT for an object in IBM Cloud Object Storage, without a copy on this machine. With
--verify, encrypt reads a new object back, and removes it if it differs. SRC can also be an https://
address. --sha256-file compares the file as published with a list of checksums before DST appears.

Encrypt asks for the key on the terminal unless a flag gives it. --key-file uses every byte
of a file. --passphrase-file removes one final newline. --generate-key makes a new key of 32 random
bytes and writes it as base64 text.

The default cost of deriving the key does not depend on the machine. For a passphrase it is Argon2id with
64 MiB, 4 passes and 4 lanes (LUKS2), or PBKDF2 with 600000 iterations of SHA-256 (LUKS1). A generated key
needs no stretching: it gets PBKDF2 with 1000 iterations. --pbkdf and related flags set another cost.
--iter-time finds the cost that takes a given time on this machine.

--kms URI, or --root-key-crn CRN, wraps the key with a root key and stores the wrapped key in a token of
the LUKS2 header. Whoever can use that root key can open the image with --kms, without another file. Unless a flag
gives the key, encrypt makes a new one, which is stored nowhere else.

--profile makes an image that a cloud accepts, and checks the key, the size and the name:
classic-luks   IBM Cloud classic (SoftLayer), end-to-end encryption: LUKS1; the passphrase is
               the base64 text of the key, 32 to 512 characters
classic-vhd    the same cloud, as documented since 2019: a VHD encrypted as vhd-util does;
               the key is 32 or 64 bytes, whose base64 text is wrapped
vpc-qcow2      IBM Cloud VPC: qcow2 with LUKS1 inside; the passphrase is text on one line`,
		Example: `  luksimg encrypt disk.vhd disk.luks
  luksimg encrypt --key-file dek.b64 --format luks1 disk.raw disk.luks
  luksimg encrypt --kms local:root.key disk.vhd disk.luks
  luksimg encrypt --profile classic-luks --generate-key dek.b64 disk.vhd disk.raw
  luksimg encrypt --profile vpc-qcow2 --key-file dek.b64 disk.raw disk.qcow2
  luksimg encrypt --profile classic-luks --generate-key dek.b64 disk.vhd cos://us-south/images/disk.raw
  luksimg encrypt --sha256-file https://example.com/SHA256SUMS https://example.com/disk.raw.xz disk.luks
  zcat disk.raw.gz | luksimg encrypt --key-file dek.b64 - - | ssh host 'cat >disk.luks'`,
		Args: flags.Args("SRC", "DST"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1]) },
	}
	f := c.Flags()
	f.StringVar(&o.profile, "profile", "", "make an image for a cloud: "+profileNames())
	o.source.addSecond(c)
	g.kdf.add(c)
	o.key.Add(c, "")
	o.root.add(c, &g.cloud)
	f.Lookup("kms").Usage = "`URI` of a root key that wraps the key into a token of a LUKS2 image: " + kmsNames + "; unless a flag gives the key, it is new and written nowhere else"
	f.Lookup("root-key-crn").Usage = "as --kms ibm:`CRN`"
	f.StringVar(&o.generateKey, "generate-key", "", "make a new key and write it to `FILE`, which must not exist")
	f.StringVar(&o.volumeKeyFile, "volume-key-file", "", "`FILE` with the volume key (default: a random one)")
	o.luks.add(c)
	f.IntVar(&o.luks.keySlot, "key-slot", 0, "number of the new key slot")
	f.StringVar(&o.header, "header", "", "write a detached header to `FILE`, which must not exist; the image opens only with it")
	f.StringVar(&o.manifestFile, "manifest", "", "write a description of the image and its source to `FILE` as JSON; inspect finds it as DST"+manifest.Suffix)
	f.BoolVar(&o.sha256, "sha256", false, "compute the SHA-256 of the disk and the image, for the result and the manifest; this takes longer")
	f.BoolVar(&o.discardZeros, "discard-zeros", false, "leave holes in DST where SRC is zero; they decrypt to noise, and everyone can see where they are")
	f.BoolVar(&o.verify, "verify", false, "read the result back, decrypt it and compare it with SRC before it appears")
	o.jobs.Add(c)
	f.BoolVar(&o.allowEmpty, "allow-empty", false, "accept empty standard input as a disk")
	f.BoolVar(&o.force, "force", false, "replace DST if it exists")
	o.progress.Add(c)
	g.web.add(c)
	g.cloud.add(c, serviceCOS)
	return c
}

// encryptResult is the output of encrypt --json.
type encryptResult struct {
	Output       string     `json:"output"` // "-" for standard output
	Format       string     `json:"format"`
	Profile      string     `json:"profile,omitempty"`
	SourceFormat string     `json:"source_format"`
	SourceSize   int64      `json:"source_size"`
	VolumeSize   int64      `json:"volume_size"`
	FileSize     int64      `json:"file_size"`
	SourceSHA256 string     `json:"source_sha256,omitempty"`   // of the disk
	SourceSum    string     `json:"source_checksum,omitempty"` // of the published file: "sha256:..."
	FileSHA256   string     `json:"file_sha256,omitempty"`
	Manifest     string     `json:"manifest,omitempty"`      // name of the file
	GeneratedKey string     `json:"generated_key,omitempty"` // name of the file
	RootKey      string     `json:"root_key,omitempty"`      // the root key that wrapped the key in a token
	Verified     bool       `json:"verified"`
	LUKS         *luks.Info `json:"luks,omitempty"`
	Warnings     []string   `json:"warnings,omitempty"`
}

func (o *encryptFlags) run(c *cobra.Command, src, dst string) error {
	if err := errors.Join(flags.AtMostOne(c, "generate-key", "key-file", "passphrase-file", "key-fd"),
		o.luks.kdf.check(c), o.source.check(c)); err != nil {
		return err
	}
	if err := o.check(src, dst); err != nil {
		return err
	}
	opts, err := o.options()
	if err != nil {
		return err
	}
	o.source.sum.first = dst == "-"
	j := &encryptJob{o: o, t: &o.Talk, dst: dst, opts: opts}
	defer j.close()
	// Try everything that can fail before asking for a passphrase.
	if err := j.open(c, src); err != nil {
		return err
	}
	if err := j.keys(c.Context()); err != nil {
		return err
	}
	r, err := j.encrypt(c.Context())
	if err != nil {
		return err
	}
	if err := j.finish(c.Context(), r); err != nil {
		return err
	}
	return j.report(r)
}

func (j *encryptJob) report(r *luksimg.Result) error {
	o, t, dst, s := j.o, j.t, j.dst, j.source
	text := madeLine(dst, r)
	if dst == "-" { // the image itself went to standard output
		t.Say("%s", text)
		return nil
	}
	root := ""
	if j.root != nil {
		root = j.root.String()
	}
	return t.Result(encryptResult{
		RootKey: root,
		Output:  dst, Format: string(r.Format), Profile: o.profile, SourceFormat: s.format,
		SourceSize: r.SourceSize, VolumeSize: r.VolumeSize, FileSize: r.FileSize,
		SourceSHA256: r.SourceSHA256, SourceSum: o.source.sum.published(), FileSHA256: r.FileSHA256, Manifest: o.manifestFile,
		GeneratedKey: o.generateKey, Verified: o.verify, LUKS: luksInfo(r), Warnings: t.Warnings,
	}, text)
}

// madeLine describes the new image in a line.
func madeLine(dst string, r *luksimg.Result) string {
	if r.KeyBits == 0 { // only shard makes this
		return talk.Line("%s: fixed VHD, not encrypted, disk of %s in a file of %s, UUID %s", dst, term.Bytes(r.SourceSize), term.Bytes(r.FileSize), r.UUID)
	}
	return talk.Line("%s: %s, %s with a %d-bit key, sectors of %d bytes, disk of %s in a file of %s, UUID %s",
		dst, r.Format, r.Cipher, r.KeyBits, max(r.LUKS.SectorSize, 512), term.Bytes(r.SourceSize), term.Bytes(r.FileSize), r.UUID)
}

// luksInfo returns the description of the LUKS header, or nil for an image without one.
func luksInfo(r *luksimg.Result) *luks.Info {
	if r.LUKS.Version == 0 {
		return nil
	}
	return &r.LUKS
}
