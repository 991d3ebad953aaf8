package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/contents/files"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/term"
)

type lsFlags struct {
	*global
	source    sourceFlags
	long      bool
	recursive bool
}

func newLs(g *global) *cobra.Command {
	o := &lsFlags{global: g}
	c := &cobra.Command{
		Use:   "ls IMAGE [PATH]",
		Short: "List the files on the disk in an image",
		Long: `Ls lists the folder PATH, by default the root, of the filesystem on the disk in IMAGE, without mounting
it. -l adds permissions, owner, size and time in UTC. -R includes subfolders and lists paths.

Ls reads ext2, ext3, ext4 and XFS, in every image format and through encryption. It does not replay the
journal. Without --partition it uses the partition that holds the root of an operating system.

Ls prints control characters in escaped form, such as \x1b.`,
		Example: `  luksimg ls disk.qcow2 /boot
  luksimg ls -l --partition 2 --key-file dek.b64 disk.raw /etc`,
		Args: func(c *cobra.Command, got []string) error {
			if len(got) == 2 {
				return nil
			}
			return flags.Args("IMAGE")(c, got)
		},
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0], append(args, "/")[1]) },
	}
	o.source.add(c, g, "IMAGE")
	o.source.sum.first = true
	o.source.unpack.random = true
	g.kdf.add(c)
	g.web.add(c)
	o.cloud.add(c, serviceCOS)
	c.Flags().BoolVarP(&o.long, "long", "l", false, "show permissions, links, owner, group, size and time too")
	c.Flags().BoolVarP(&o.recursive, "recursive", "R", false, "list subfolders too")
	return c
}

// lsEntry is an element of the array entries in the output of ls --json.
type lsEntry struct {
	Path    string     `json:"path"`
	Type    string     `json:"type,omitempty"`
	Mode    string     `json:"mode,omitempty"` // octal
	Links   uint32     `json:"links,omitempty"`
	UID     uint32     `json:"uid"`
	GID     uint32     `json:"gid"`
	Size    int64      `json:"size"`
	ModTime *time.Time `json:"mtime,omitempty"`
	Inode   uint64     `json:"inode,omitempty"`
	Target  string     `json:"target,omitempty"` // of a symbolic link
	Error   string     `json:"error,omitempty"`  // why the entry could not be read
}

// A lister prints entries while it reads them. It sorts a folder by name if its entries fit its memory limit.
type lister struct {
	o      *lsFlags
	w      *bufio.Writer
	before string // the text before the next element of the JSON array
	kept   int
	failed int
	above  []uint64 // the inodes of the folders around the current one
}

const (
	maxKept  = 1 << 16
	maxDepth = 256
)

func (o *lsFlags) run(c *cobra.Command, name, from string) error {
	if err := o.source.check(c); err != nil {
		return err
	}
	s, err := o.source.open(c, o.global, name)
	if err != nil {
		if img, p := cutImage(name); p != "" && errors.Is(err, fs.ErrNotExist) && c.Flags().NArg() == 1 {
			err = rest.WithHint(err, fmt.Sprintf("the path is an argument of its own: luksimg ls %s %s", img, p))
		}
		return err
	}
	defer s.close()
	tree, _, err := s.files(c.Context(), o.global, o.source.unlock.partition != 0)
	if err != nil {
		return err
	}
	f, err := tree.Find(from)
	if err != nil {
		return s.wrap(err)
	}
	l := &lister{o: o, w: bufio.NewWriter(o.Out), before: "["}
	if o.AsJSON {
		head, err := json.Marshal(from)
		if err != nil {
			return err
		}
		fmt.Fprintf(l.w, "{\n  \"path\": %s,\n  \"entries\": ", term.VisibleJSON(head))
	}
	if f.Mode.IsDir() {
		dir := ""
		if o.recursive {
			dir = path.Clean("/" + from)
		}
		err = l.folder(f, dir)
	} else {
		err = l.show(f, from)
	}
	if o.AsJSON && err == nil {
		if l.before == "[" {
			fmt.Fprint(l.w, "[")
		}
		fmt.Fprint(l.w, "]")
		if len(o.Warnings) > 0 {
			b, e := json.Marshal(o.Warnings)
			fmt.Fprintf(l.w, ",\n  \"warnings\": %s", term.VisibleJSON(b))
			err = e
		}
		fmt.Fprint(l.w, "\n}\n")
	}
	err = errors.Join(err, l.w.Flush())
	if err == nil && l.failed > 0 {
		err = fmt.Errorf("%d entries could not be read", l.failed)
	}
	return s.wrap(errors.Join(err, s.unchanged()))
}

// folder lists the entries of a folder, with paths below dir.
func (l *lister) folder(f *files.File, dir string) error {
	if slices.Contains(l.above, f.Inode) || len(l.above) == maxDepth {
		l.fail(dir, fmt.Errorf("%w: the folder contains itself, or is nested too deep", files.ErrLimit))
		return nil
	}
	l.above = append(l.above, f.Inode)
	defer func() { l.above = l.above[:len(l.above)-1] }()
	var kept []*files.File
	defer func() { l.kept -= len(kept) }()
	sorted := true
	for n, err := range f.Entries() {
		switch {
		case n == nil:
			return err
		case err != nil:
			l.fail(path.Join(dir, n.Name), err)
			continue
		case sorted && l.kept < maxKept:
			kept = append(kept, n)
			l.kept++
			continue
		case sorted:
			sorted = false
			for _, k := range kept {
				if err := l.entry(k, dir); err != nil {
					return err
				}
			}
		}
		if err := l.entry(n, dir); err != nil {
			return err
		}
	}
	if !sorted {
		return nil
	}
	slices.SortFunc(kept, func(a, b *files.File) int { return strings.Compare(a.Name, b.Name) })
	for _, k := range kept {
		if err := l.entry(k, dir); err != nil {
			return err
		}
	}
	return nil
}

// entry prints an entry of the folder dir, and with -R the entries below it.
func (l *lister) entry(n *files.File, dir string) error {
	at := path.Join(dir, n.Name)
	if err := l.show(n, at); err != nil || !l.o.recursive || !n.Mode.IsDir() {
		return err
	}
	return l.folder(n, at)
}

// fail reports an entry that could not be read.
func (l *lister) fail(at string, err error) {
	l.failed++
	if l.o.AsJSON {
		l.json(lsEntry{Path: at, Error: err.Error()})
	} else {
		l.o.Warn("%s: %v", at, err)
	}
}

func (l *lister) json(e lsEntry) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return err
	}
	_, err := fmt.Fprintf(l.w, "%s\n    %s", l.before, term.VisibleJSON(bytes.TrimSpace(b.Bytes())))
	l.before = ","
	return err
}

// show prints one entry.
func (l *lister) show(f *files.File, at string) error {
	target := ""
	if f.Mode&fs.ModeSymlink != 0 && (l.o.long || l.o.AsJSON) {
		var err error
		if target, err = f.Target(); err != nil {
			l.fail(at, err)
			return nil
		}
	}
	if l.o.AsJSON {
		return l.json(lsEntry{Path: at, Type: kindOf(f.Mode), Mode: fmt.Sprintf("%04o", posixMode(f.Mode)), Links: f.Links, UID: f.UID, GID: f.GID,
			Size: f.Size, ModTime: &f.ModTime, Inode: f.Inode, Target: target})
	}
	text := talk.Line("%s", at)
	if l.o.long {
		text = talk.Line("%s %4d %5d %5d %12d %s %s", modeText(f.Mode), f.Links, f.UID, f.GID, f.Size, f.ModTime.Format("2006-01-02 15:04:05"), at)
		if target != "" {
			text += talk.Line(" -> %s", target)
		}
	}
	_, err := fmt.Fprintln(l.w, text)
	return err
}

// posixMode returns the permissions with the set-user-ID, set-group-ID and sticky bits.
func posixMode(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for i, flag := range []fs.FileMode{fs.ModeSticky, fs.ModeSetgid, fs.ModeSetuid} {
		if m&flag != 0 {
			bits |= 0o1000 << i
		}
	}
	return bits
}

// modeText formats a mode as ls(1) does.
func modeText(m fs.FileMode) string {
	kind := map[fs.FileMode]byte{0: '-', fs.ModeDir: 'd', fs.ModeSymlink: 'l', fs.ModeDevice: 'b', fs.ModeDevice | fs.ModeCharDevice: 'c',
		fs.ModeNamedPipe: 'p', fs.ModeSocket: 's'}[m.Type()]
	if kind == 0 {
		kind = '?'
	}
	b := append([]byte{kind}, m.Perm().String()[1:]...)
	for i, flag := range []fs.FileMode{fs.ModeSetuid, fs.ModeSetgid, fs.ModeSticky} {
		if m&flag == 0 {
			continue
		}
		mark := "sst"[i]
		if b[3*i+3] != 'x' {
			mark -= 'a' - 'A'
		}
		b[3*i+3] = mark
	}
	return string(b)
}
