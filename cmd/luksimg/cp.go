package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/contents/files"
	"github.com/luksimg/luksimg/internal/copyout"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/internal/term"
)

type cpFlags struct {
	*global
	source    sourceFlags
	recursive bool
	force     bool
	maxSize   flags.Size
}

func newCp(g *global) *cobra.Command {
	o := &cpFlags{global: g, maxSize: flags.Size{N: -1}}
	c := &cobra.Command{
		Use:   "cp IMAGE:/PATH DST",
		Short: "Copy a file or a folder out of a disk image",
		Long: `Cp copies the file at PATH on the disk in IMAGE to DST, without mounting anything. With -r it copies a
folder and everything in it. If DST is an existing folder, the copy is made inside it. With - for DST, a
file goes to standard output.

Cp reads ext2, ext3, ext4 and XFS, in every image format and through encryption. It never writes to the
image. Without --partition it uses the partition that holds the root of an operating system.

Only you can open DST. Inside a copied folder, cp keeps permissions (without set-user-ID, set-group-ID
and sticky bits), symbolic links and holes. It does not keep owners, and skips devices, pipes and sockets.
Nothing in the image can make cp write outside DST.`,
		Example: `  luksimg cp disk.qcow2:/etc/fstab fstab
  luksimg cp -r --partition 2 --key-file dek.b64 disk.raw:/var/log logs`,
		Args: flags.Args("IMAGE:/PATH", "DST"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1]) },
	}
	f := c.Flags()
	o.source.add(c, g, "IMAGE")
	o.source.sum.first = true
	o.source.unpack.random = true
	g.kdf.add(c)
	g.web.add(c)
	o.cloud.add(c, serviceCOS)
	f.BoolVarP(&o.recursive, "recursive", "r", false, "copy a folder")
	f.BoolVar(&o.force, "force", false, "replace DST if it is a file")
	f.Var(&o.maxSize, "max-size", "copy at most this many bytes of data (default: the size of the filesystem)")
	f.Lookup("max-size").DefValue = ""
	return c
}

// cpResult is the output of cp --json.
type cpResult struct {
	Output   string   `json:"output"`
	Files    int      `json:"files"`
	Folders  int      `json:"folders"` // not counting the top folder
	Links    int      `json:"links"`
	Skipped  int      `json:"skipped"`   // other kinds of files
	DataSize int64    `json:"data_size"` // bytes of data, not counting holes
	Warnings []string `json:"warnings,omitempty"`
}

func (o *cpFlags) run(c *cobra.Command, arg, dst string) error {
	ctx := c.Context()
	name, from := cutImage(arg)
	if image, to := cutImage(dst); to != "" && isFile(image) {
		return rest.WithHint(fmt.Errorf("DST %s is in an image, and cp copies out of images only", dst), "luksimg serve --rw serves the disk to a system that can write to it")
	}
	if from == "" {
		return rest.WithHint(fmt.Errorf("%s names no file in an image", arg), "write the image, a colon, and a path that begins with a slash: disk.raw:/etc/fstab")
	}
	if err := o.source.check(c); err != nil {
		return err
	}
	if dst == "-" {
		if err := o.ToStdout("DST", "the file"); err != nil {
			return err
		}
	}
	s, err := o.source.open(c, o.global, name)
	if err != nil {
		return err
	}
	defer s.close()
	tree, size, err := s.files(ctx, o.global, o.source.unlock.partition != 0)
	if err != nil {
		return err
	}
	f, err := tree.Find(from)
	if err != nil {
		return s.wrap(err)
	}
	// The copy appears under its name at once, so check the digest of the archive first.
	if err := s.intact(ctx); err != nil {
		return err
	}
	if dst == "-" {
		return o.toStdout(c, s, f, from)
	}
	if fi, err := os.Stat(dst); err == nil && fi.IsDir() {
		if path.Base(from) == "/" || path.Base(from) == ".." || path.Base(from) == "." {
			return fmt.Errorf("%s exists: name the folder to create", dst)
		}
		dst = filepath.Join(dst, path.Base(from))
		if err := o.files.Write("DST", dst); err != nil {
			return err
		}
	}
	opts := copyout.Options{MaxBytes: size, Force: o.force, Skipped: func(path string, f *files.File) {
		o.Warn("%s: skipped, because it is a %s", path, kindOf(f.Mode))
	}}
	if o.maxSize.N >= 0 {
		opts.MaxBytes = o.maxSize.N
	}
	var stats copyout.Stats
	switch {
	case f.Mode.IsRegular():
		stats, err = copyout.File(ctx, f, dst, opts)
	case !f.Mode.IsDir():
		err = fmt.Errorf("%s is a %s, which cp cannot copy", from, kindOf(f.Mode))
	case !o.recursive:
		err = rest.WithHint(fmt.Errorf("%s is a folder", from), "-r copies it with everything in it")
	default:
		if stats, err = copyout.Folder(ctx, f, dst, opts); err != nil {
			err = fmt.Errorf("%s: %w", from, err)
		}
	}
	if err == nil {
		err = s.unchanged()
	}
	if err != nil {
		return s.wrap(hintTooMuch(err))
	}
	what := fmt.Sprintf("%d files, %d folders and %d links", stats.Files, stats.Folders, stats.Links)
	if f.Mode.IsRegular() {
		what = "file"
	}
	return o.Result(cpResult{dst, stats.Files, stats.Folders, stats.Links, stats.Skipped, stats.Bytes, o.Warnings},
		talk.Line("%s: %s of %s, %s of data", dst, what, arg, term.Bytes(stats.Bytes)))
}

// hintTooMuch adds a hint to [copyout.ErrTooMuch].
func hintTooMuch(err error) error {
	if errors.Is(err, copyout.ErrTooMuch) {
		err = rest.WithHint(err, "if files share their data, --max-size allows more")
	}
	return err
}

func isFile(name string) bool {
	fi, err := os.Stat(name)
	return err == nil && fi.Mode().IsRegular()
}

func (o *cpFlags) toStdout(c *cobra.Command, s *source, f *files.File, from string) error {
	if f.Mode.IsDir() {
		return rest.WithHint(s.wrap(fmt.Errorf("%s: a folder cannot be written to standard output", from)), "name a new folder for the copy")
	}
	src, err := f.Content()
	if err != nil {
		return s.wrap(fmt.Errorf("%s: %w", from, err))
	}
	if o.maxSize.N >= 0 && src.Size() > o.maxSize.N {
		return hintTooMuch(fmt.Errorf("%s: %w: %d bytes, and the limit is %d", from, copyout.ErrTooMuch, src.Size(), o.maxSize.N))
	}
	stdio.Widen(os.Stdout)
	err = parallel.Await(c.Context(), func() error {
		_, err := luksimg.DecryptInOrder(c.Context(), os.Stdout, src, luksimg.DecryptOptions{RunOptions: luksimg.RunOptions{Jobs: 1}})
		return err
	})
	if err != nil {
		return s.wrap(err)
	}
	return errors.Join(s.unchanged(), stdio.SyncStdout())
}

// kindOf names the type of a file.
func kindOf(m fs.FileMode) string {
	switch m.Type() {
	case 0:
		return "file"
	case fs.ModeDir:
		return "folder"
	case fs.ModeSymlink:
		return "link"
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		return "device"
	case fs.ModeNamedPipe:
		return "pipe"
	case fs.ModeSocket:
		return "socket"
	}
	return "file of unknown type"
}
