package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/term"
)

// unpackFlags say how to unpack a compressed image.
type unpackFlags struct {
	never      bool
	max        flags.Size
	window     flags.Size
	scratchDir string
	member     string
	ociImage   string

	// The verb sets the following fields. random is for verbs that read at random offsets. stream is for verbs that
	// do not need the size of a raw disk.
	random, stream bool
	// shared is for a source that many processes read in parts: none may have to unpack all of it.
	shared bool
}

func (o *unpackFlags) add(c *cobra.Command, what string) {
	f := c.Flags()
	f.BoolVar(&o.never, "no-unpack", false, "use "+what+" as it is, even if it is compressed")
	f.Var(&o.max, "max-unpacked", "largest unpacked size of a compressed "+what+", in bytes (default: 256M plus 1100 times its compressed size)")
	f.Var(&o.window, "max-window", "maximum memory to decompress "+what+", in bytes (default 128M)")
	f.StringVar(&o.scratchDir, "scratch-dir", "", "`FOLDER` for sources that must be unpacked first (default: the system's temporary folder)")
	f.StringVar(&o.member, "member", "", "`NAME` of the disk in "+what+", if it is an archive with several (default: the only one)")
	f.StringVar(&o.ociImage, "oci-image", "", "`NAME` of the container image in "+what+": its platform, tag or digest (default: the only one)")
	f.Lookup("max-unpacked").DefValue, f.Lookup("max-window").DefValue = "", ""
}

// options returns the unpacking options for the file with this name.
func (o *unpackFlags) options(t *talk.Talk, name string) luksimg.Unpacking {
	return luksimg.Unpacking{
		Never: o.never, Random: o.random, KnownSize: o.stream, MaxSize: o.max.N, MaxWindow: o.window.N, Member: o.member, Image: o.ociImage,
		Scratch: func(size int64) (luksimg.ScratchFile, error) { return o.scratch(t, name, size) },
	}
}

// scratch makes a file that no other user can open or find.
func (o *unpackFlags) scratch(t *talk.Talk, name string, size int64) (luksimg.ScratchFile, error) {
	if o.shared {
		return nil, errShared
	}
	dir := cmp.Or(o.scratchDir, os.TempDir())
	hint := "name another with --scratch-dir"
	if o.scratchDir != "" {
		hint = "make it, or name another with --scratch-dir"
	}
	if fi, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, rest.WithHint(fmt.Errorf("the folder %s is missing", dir), hint)
	} else if err == nil && !fi.IsDir() {
		return nil, rest.WithHint(fmt.Errorf("%s is not a folder", dir), "name another with --scratch-dir")
	}
	if free, ok := freeRoom(dir); ok && size > free {
		return nil, fmt.Errorf("%s has %s free, but %s are needed; --scratch-dir names another folder", dir, term.Bytes(free), term.Bytes(size))
	}
	f, err := os.CreateTemp(dir, ".luksimg-*")
	if errors.Is(err, fs.ErrPermission) {
		err = rest.WithHint(err, "name a folder that you may write to with --scratch-dir")
	}
	if err != nil {
		return nil, err
	}
	as := ""
	if size >= 0 {
		as = ", " + term.Bytes(size)
	}
	t.Say("%s: unpacked into a temporary file in %s%s", name, dir, as)
	if os.Remove(f.Name()) != nil { // this system cannot remove an open file
		return scratchFile{f}, nil
	}
	return f, nil
}

// A scratchFile is removed when it is closed.
type scratchFile struct{ *os.File }

func (s scratchFile) Close() error { return errors.Join(s.File.Close(), os.Remove(s.Name())) }
