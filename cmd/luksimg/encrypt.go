package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
)

type encryptFlags struct {
	*global
	key           keyFlags
	progress      progressFlag
	luks          luksFlags
	profile       string
	sourceFormat  string
	generateKey   string
	volumeKeyFile string
	verify        bool
	jobs          int
	force         bool
}

func newEncrypt(g *global) *cobra.Command {
	o := &encryptFlags{global: g}
	c := &cobra.Command{
		Use:   "encrypt SRC DST",
		Short: "Encrypt a disk image into a LUKS image",
		Long: `Encrypt reads the disk image SRC (raw, or a fixed or dynamic VHD; the content tells) and
writes it, encrypted with LUKS, to DST. DST appears when it is whole and on the disk.

With - for SRC a raw disk is read from standard input, with - for DST the image goes to
standard output.

The key is asked for on the terminal unless a flag gives it. --key-file takes a file as
it is, with every byte; --passphrase-file leaves one final newline off, as a text file
has it; --generate-key makes a new key of 32 random bytes and writes it as base64 text.

A passphrase is stretched at a fixed cost, whatever machine this is: LUKS2 with Argon2id,
64 MiB, 4 passes, 4 lanes; LUKS1 with PBKDF2, 600000 iterations of SHA-256. A generated
key needs no stretching: PBKDF2 with 1000 iterations. --pbkdf and the flags beside it set
another cost; --iter-time measures one on this machine.

--profile classic-luks makes what IBM Cloud classic (SoftLayer) takes for end-to-end
encryption: LUKS1, the passphrase is the base64 text of the key, 32 to 512 characters.`,
		Example: `  luksimg encrypt disk.vhd disk.luks
  luksimg encrypt --key-file dek.b64 --format luks1 disk.raw disk.luks
  luksimg encrypt --profile classic-luks --generate-key dek.b64 disk.vhd disk.raw
  zcat disk.raw.gz | luksimg encrypt --key-file dek.b64 - - | ssh host 'cat >disk.luks'`,
		Args: args("SRC", "DST"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1]) },
	}
	f := c.Flags()
	f.StringVar(&o.profile, "profile", "", "make what a cloud wants: classic-luks")
	f.StringVar(&o.sourceFormat, "source-format", "", "format of SRC: raw or vhd (default: the content tells)")
	o.key.add(c)
	f.StringVar(&o.generateKey, "generate-key", "", "make a new key and write it to `FILE`, which must not exist")
	f.StringVar(&o.volumeKeyFile, "volume-key-file", "", "`FILE` with the key of the data, as it is (default: a random one)")
	o.luks.add(c)
	f.BoolVar(&o.verify, "verify", false, "decrypt the result and compare it with SRC before it appears")
	f.IntVar(&o.jobs, "jobs", 0, "number of workers (default: one for each CPU)")
	f.BoolVar(&o.force, "force", false, "replace DST if it is there")
	o.progress.add(c)
	return c
}

// encryptResult is what encrypt --json prints.
type encryptResult struct {
	Output       string    `json:"output"` // "-" for standard output
	Format       string    `json:"format"`
	Profile      string    `json:"profile,omitempty"`
	SourceFormat string    `json:"source_format"`
	SourceSize   int64     `json:"source_size"`
	VolumeSize   int64     `json:"volume_size"`
	FileSize     int64     `json:"file_size"`
	GeneratedKey string    `json:"generated_key,omitempty"` // the name of the file
	Verified     bool      `json:"verified"`
	LUKS         luks.Info `json:"luks"`
	Warnings     []string  `json:"warnings,omitempty"`
}

func (o *encryptFlags) run(c *cobra.Command, src, dst string) error {
	ctx, t := c.Context(), o.talk(c)
	if err := errors.Join(atMostOne(c, "generate-key", "key-file", "passphrase-file", "key-fd"),
		atMostOne(c, "iter-time", "pbkdf-force-iterations")); err != nil {
		return err
	}
	if err := o.check(src, dst); err != nil {
		return err
	}
	lo, err := o.luks.options()
	if err != nil {
		return err
	}
	opts := luksimg.EncryptOptions{Profile: luksimg.Profile(o.profile), LUKS: lo}
	opts.Jobs = o.jobs
	opts.LUKS.GeneratedKey = o.generateKey != ""

	if err := opts.Check(); err != nil {
		return err
	}

	// All that can go wrong is tried before the person is asked for a passphrase.
	s, err := o.source(src)
	if err != nil {
		return err
	}
	defer s.close()
	for _, w := range s.warnings {
		t.warn("%s: %s", src, w)
	}
	var out *output.File
	var w io.Writer = os.Stdout
	if dst != "-" {
		if out, err = output.Create(dst, 0o666, o.force); err != nil {
			return err
		}
		defer out.Abort()
		w = out
	}
	keyOut, key, err := o.readKey(ctx, t, dst)
	if err != nil {
		return err
	}
	defer clear(key)
	if keyOut != nil {
		defer keyOut.Abort()
	}
	if o.volumeKeyFile != "" {
		if opts.LUKS.VolumeKey, err = readKeyFile(ctx, o.volumeKeyFile); err != nil {
			return err
		}
		defer clear(opts.LUKS.VolumeKey)
	}
	if opts.LUKS.KDF, err = o.luks.kdf(opts); err != nil {
		return err
	}

	p, err := o.progress.start(t, "encrypt", s.size)
	if err != nil {
		return err
	}
	opts.Progress = p.Add
	var r *luksimg.Result
	if s.img != nil && out != nil {
		r, err = luksimg.Encrypt(ctx, out, s.img, key, opts)
	} else {
		// A read from a pipe can not be stopped: when the job is cancelled it goes
		// on until the process ends.
		err = await(ctx, func() (err error) {
			r, err = luksimg.EncryptStream(ctx, w, s.stream, key, opts)
			return err
		})
	}
	p.Done()
	if err != nil {
		return err
	}
	s.label(t, r)
	if o.verify {
		if err := o.compare(ctx, t, s.img, out, r.FileSize, key); err != nil {
			return err
		}
	}
	// The key first: an image whose key is lost is of no use to anybody.
	if keyOut != nil {
		if err := keyOut.Commit(); err != nil {
			return err
		}
		t.say("key: written to %s", o.generateKey)
	}
	if out != nil {
		if err := out.Commit(); err != nil {
			if keyOut != nil {
				os.Remove(o.generateKey)
			}
			return err
		}
	}
	return o.report(t, dst, s, r)
}

func (o *encryptFlags) report(t *talk, dst string, s *diskSource, r *luksimg.Result) error {
	format := fmt.Sprintf("luks%d", r.LUKS.Version)
	text := fmt.Sprintf("%s: %s, %s with a %d-bit key, sectors of %d bytes, disk of %s in a file of %s, UUID %s",
		dst, format, r.LUKS.Cipher, r.LUKS.KeyBits, r.LUKS.SectorSize, term.Bytes(r.SourceSize), term.Bytes(r.FileSize), r.LUKS.UUID)
	if dst == "-" { // where the image itself went
		t.say("%s", text)
		return nil
	}
	return t.result(encryptResult{
		Output: dst, Format: format, Profile: o.profile, SourceFormat: s.format,
		SourceSize: r.SourceSize, VolumeSize: r.VolumeSize, FileSize: r.FileSize,
		GeneratedKey: o.generateKey, Verified: o.verify, LUKS: r.LUKS, Warnings: t.warnings,
	}, text)
}

// check looks at the flags before anything is opened.
func (o *encryptFlags) check(src, dst string) error {
	switch {
	case src == "-" && o.key.stdin():
		return errors.New("standard input can not be both the disk and the key")
	case dst == "-" && o.verify:
		return errors.New("--verify needs an output that can be read again, not standard output")
	case src == "-" && o.verify:
		return errors.New("--verify needs a source that can be read again, not standard input")
	case dst == "-" && o.json:
		return errors.New("with - for DST the image is the result: there is no room for --json")
	case dst == "-" && term.IsTerminal(os.Stdout):
		return withHint(errors.New("the image will not be written to a terminal"), "redirect standard output, or name a file")
	case o.generateKey == "-":
		return errors.New("--generate-key needs the name of a file")
	case o.generateKey != "" && o.generateKey == dst:
		return errors.New("--generate-key and DST are the same file")
	}
	switch luksimg.Format(o.sourceFormat) {
	case "", luksimg.Raw, luksimg.VHD:
	default:
		return fmt.Errorf("--source-format %s: want raw or vhd", o.sourceFormat)
	}
	if src == "-" || dst == "-" {
		return nil
	}
	return checkApart(src, dst)
}

// readKey returns the key, and the file that it is being written to if it is new.
func (o *encryptFlags) readKey(ctx context.Context, t *talk, dst string) (*output.File, []byte, error) {
	if o.generateKey != "" {
		return generateKey(o.generateKey, defaultKeyBytes, false)
	}
	key, err := o.key.read(ctx, t, stdoutName(dst), true)
	if err != nil {
		return nil, nil, err
	}
	// Profiles look at the key; what they find is better said before the work.
	return nil, key, luksimg.Profile(o.profile).CheckKey(key)
}

func stdoutName(name string) string {
	if name == "-" {
		return "the image"
	}
	return name
}

// compare reads back what was written and compares it with the source.
func (o *encryptFlags) compare(ctx context.Context, t *talk, src image.Source, out *output.File, size int64, key []byte) error {
	v, err := luksimg.Unlock(ctx, out, size, key)
	if err != nil {
		return fmt.Errorf("reading back what was written: %w", err)
	}
	defer v.Close()
	p, err := o.progress.start(t, "verify", v.Size())
	if err != nil {
		return err
	}
	err = luksimg.Verify(ctx, src, v, luksimg.RunOptions{Jobs: o.jobs, Progress: p.Add})
	p.Done()
	return err
}

// A diskSource is the disk to encrypt: an image, or a stream of raw bytes.
type diskSource struct {
	in       *input         // nil for standard input
	img      *luksimg.Image // nil for standard input
	stream   io.Reader
	size     int64 // zero if it is not known
	format   string
	warnings []string
	head     []byte // the first bytes of standard input
}

func (s *diskSource) close() {
	if s.in != nil {
		s.in.f.Close()
	}
}

// peekSize is how much of standard input is looked at.
const peekSize = 64 << 10

func (o *encryptFlags) source(name string) (*diskSource, error) {
	if name != "-" {
		in, err := openInput(name)
		if err != nil {
			return nil, err
		}
		img, err := in.image(o.sourceFormat)
		if err != nil {
			in.f.Close()
			return nil, err
		}
		return &diskSource{in: in, img: img, stream: io.NewSectionReader(img, 0, img.Size()), size: img.Size(),
			format: string(img.Format), warnings: img.Warnings}, nil
	}
	b := bufio.NewReaderSize(os.Stdin, peekSize)
	head, err := b.Peek(peekSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	s := &diskSource{stream: b, format: string(luksimg.Raw), head: bytes.Clone(head)}
	if o.sourceFormat == string(luksimg.Raw) {
		return s, nil
	}
	format, err := luksimg.Detect(bytes.NewReader(head), int64(len(head)))
	if err == nil && (format != luksimg.Raw || o.sourceFormat != "") {
		if o.sourceFormat != "" {
			format = luksimg.Format(o.sourceFormat)
		}
		err = withHint(fmt.Errorf("standard input is taken as a raw disk, but this is %s, which needs seeking", format),
			"write it to a file first")
	}
	return s, err
}

// label warns of a partition table that does not go with what was made.
func (s *diskSource) label(t *talk, r *luksimg.Result) {
	var src image.Source = s.img
	if s.img == nil {
		src = io.NewSectionReader(bytes.NewReader(s.head), 0, int64(len(s.head)))
	}
	l := luksimg.LabelOf(src)
	if l == luksimg.GPT && r.VolumeSize > r.SourceSize {
		t.warn("the disk has a GPT, whose backup header is no longer at the end of the disk: the disk became %d bytes longer. "+
			"Most systems put that right when they boot; sgdisk --move-second-header does it by hand", r.VolumeSize-r.SourceSize)
	}
	if l != luksimg.NoLabel && r.LUKS.SectorSize != 512 {
		t.warn("the disk has a partition table, which counts in sectors of 512 bytes; with sectors of %d bytes "+
			"its partitions will not be found", r.LUKS.SectorSize)
	}
}

// luksFlags are those that say what the container is like.
type luksFlags struct {
	format          string
	cipher          string
	keySize         int
	hash            string
	sectorSize      int
	pbkdf           string
	memory          uint32
	parallel        uint32
	forceIterations uint32
	iterTime        int
	uuid            string
	label           string
}

func (o *luksFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.format, "format", "", "container: luks1 or luks2 (default luks2, or what the profile says)")
	f.StringVar(&o.cipher, "cipher", "aes-xts-plain64", "cipher of the data")
	f.IntVar(&o.keySize, "key-size", 512, "size of the key of the data in bits: 512 for AES-256, 256 for AES-128")
	f.StringVar(&o.hash, "hash", "sha256", "hash of PBKDF2, the digest and the anti-forensic splitter: sha1, sha256, sha512")
	f.IntVar(&o.sectorSize, "sector-size", 512, "unit of encryption in bytes; more than 512, LUKS2 only, changes what a partition table means")
	f.StringVar(&o.pbkdf, "pbkdf", "", "key derivation: argon2id, argon2i or pbkdf2 (see above)")
	f.Uint32Var(&o.memory, "pbkdf-memory", 0, "memory of Argon2 in KiB")
	f.Uint32Var(&o.parallel, "pbkdf-parallel", 0, "lanes of Argon2")
	f.Uint32Var(&o.forceIterations, "pbkdf-force-iterations", 0, "iterations of PBKDF2, or passes of Argon2")
	f.IntVar(&o.iterTime, "iter-time", 0, "measure the cost so that deriving the key takes this many milliseconds on this machine")
	f.StringVar(&o.uuid, "uuid", "", "UUID of the image (default: a random one)")
	f.StringVar(&o.label, "label", "", "label of the image (LUKS2)")
}

// options returns what the flags say, but for the generated key and the cost.
func (o *luksFlags) options() (luks.Options, error) {
	lo := luks.Options{
		KeySize:    o.keySize / 8,
		SectorSize: o.sectorSize,
		Hash:       o.hash,
		UUID:       o.uuid,
		Label:      o.label,
		KDF: luks.KDF{
			Type:       o.pbkdf,
			Iterations: o.forceIterations,
			Memory:     o.memory,
			Parallel:   o.parallel,
		},
	}
	switch o.format {
	case "":
	case "luks1":
		lo.Version = 1
	case "luks2":
		lo.Version = 2
	default:
		return lo, fmt.Errorf("--format %s: want luks1 or luks2", o.format)
	}
	switch {
	case o.cipher != "aes-xts-plain64":
		return lo, fmt.Errorf("--cipher %s: aes-xts-plain64 is the one that is written", o.cipher)
	case o.keySize != 256 && o.keySize != 512:
		return lo, fmt.Errorf("--key-size %d: want 512 or 256 bits", o.keySize)
	case o.iterTime < 0:
		return lo, fmt.Errorf("--iter-time %d: want a number of milliseconds", o.iterTime)
	}
	return lo, nil
}

// kdf measures the cost of key derivation if that was asked for.
func (o *luksFlags) kdf(e luksimg.EncryptOptions) (luks.KDF, error) {
	if o.iterTime == 0 {
		return e.LUKS.KDF, nil
	}
	return e.Calibrate(time.Duration(o.iterTime) * time.Millisecond)
}
