package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
)

func newHeader(g *global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "header",
		Short: "Back up, restore, repair, convert or erase the header of a LUKS image",
		Long: `Header saves the header of a LUKS image with its key slots, writes it back, or removes all keys from it.
With --partition it works on LUKS in a partition of a disk.

Whoever loses the header loses the data. A backup opens the image with each key that was valid when the
backup was made.`,
		Example: `  luksimg header backup disk.luks disk.header
  luksimg header restore disk.luks disk.header
  luksimg header erase --force disk.luks`,
	}, newHeaderBackup(g), newHeaderRestore(g), newHeaderErase(g), newHeaderRepair(g), newHeaderConvert(g))
}

// headerResult is the output of the header verbs with --json.
type headerResult struct {
	Output   string   `json:"output"`
	UUID     string   `json:"uuid"`
	Size     int64    `json:"size,omitempty"` // bytes of the backup
	Changed  bool     `json:"changed"`        // whether the image was changed
	Warnings []string `json:"warnings,omitempty"`
}

// editingHeader makes c a verb that changes a whole header. change reports whether it changed anything, and what to
// print.
func (g *global) editingHeader(c *cobra.Command, o *luks.OpenOptions, change func(e *luks.Editor) (bool, string, error)) *cobra.Command {
	return g.editing(c, o, func(_ *cobra.Command, name string, e *luks.Editor) (any, string, error) {
		did, text, err := change(e)
		return headerResult{Output: name, UUID: e.Header().UUID(), Changed: did, Warnings: g.Warnings}, text, err
	})
}

func newHeaderBackup(g *global) *cobra.Command {
	var force bool
	c := g.reading(&cobra.Command{
		Use:     "backup FILE BACKUP",
		Short:   "Save the header and its key slots to a private file, or with - to standard output",
		Example: `  luksimg header backup disk.luks disk.header`,
		Args:    flags.Args("FILE", "BACKUP"),
	}, func(_ *cobra.Command, args []string, in *encrypted) error {
		name, dst := args[0], args[1]
		if dst == "-" {
			if err := g.ToStdout("BACKUP", "the header"); err != nil {
				return err
			}
			if err := in.h.Backup(os.Stdout); err != nil {
				return err
			}
			return stdio.SyncStdout()
		}
		if err := write(dst, 0o600, force, func(f *output.File) error { return in.h.Backup(f) }); err != nil {
			return err
		}
		return g.Result(headerResult{Output: dst, UUID: in.h.UUID(), Size: in.h.HeaderSize(), Warnings: g.Warnings},
			talk.Line("%s: header of %s, %s", dst, name, term.Bytes(in.h.HeaderSize())))
	})
	c.Flags().BoolVar(&force, "force", false, "replace BACKUP if it exists and is not a LUKS header")
	return c
}

func newHeaderRestore(g *global) *cobra.Command {
	var force bool
	var n flags.Partition
	c := &cobra.Command{
		Use:   "restore FILE BACKUP",
		Short: "Write a saved header back",
		Long: `Restore writes the header in BACKUP, a file of "header backup" or cryptsetup luksHeaderBackup, to FILE. The
image must have a header with the same UUID and layout. If its header is lost, use --force.
The key slots of the backup replace all key slots of the image. If the command is interrupted, run it again.

If the data offset of the backup differs from that of the image, restore refuses, even with
--force: it never writes to the data.`,
		Example: `  luksimg header restore disk.luks disk.header`,
		Args:    flags.Args("FILE", "BACKUP"),
		RunE: func(c *cobra.Command, args []string) error {
			name, src := args[0], args[1]
			backup, err := openHeader(c.Context(), g, src)
			if err != nil {
				return err
			}
			defer backup.close()
			in, f, err := g.lock(c.Context(), name, n)
			if err != nil {
				return err
			}
			defer in.close()
			// A backup is whole blocks of 4096 bytes, so a detached header can be shorter by less than one.
			if !force && backup.size-in.size >= 4096 {
				return rest.WithHint(fmt.Errorf("%s has %d bytes, but %s has only %d: it is not a backup of that header", src, backup.size, name, in.size),
					"give FILE first, then BACKUP; if the order is right, use --force")
			}
			h, err := luks.Restore(f, in.size, backup.r, backup.size, force)
			if errors.Is(err, luks.ErrNotLUKS) && !errors.Is(err, luks.ErrBackup) {
				err = rest.WithHint(err, "BACKUP is what luksimg header backup or cryptsetup luksHeaderBackup wrote; FILE comes first")
			}
			if err != nil {
				return in.wrap(err)
			}
			return g.Result(headerResult{Output: name, UUID: h.UUID(), Changed: true, Warnings: g.Warnings},
				talk.Line("%s: header restored from %s", name, src))
		},
	}
	n.Add(c, "FILE")
	c.Flags().BoolVar(&force, "force", false, "restore even if FILE has no header, has another one, or is shorter than BACKUP")
	return c
}

func newHeaderErase(g *global) *cobra.Command {
	var force bool
	c := g.editingHeader(&cobra.Command{
		Use:     "erase FILE",
		Short:   "Remove all keys, so that nobody can open the image",
		Long:    `Erase overwrites all key slots. Without a backup of the header or the volume key, the data are lost.`,
		Example: `  luksimg header erase --force disk.luks`,
		Args:    flags.Args("FILE"),
		PreRunE: func(*cobra.Command, []string) error {
			if !force {
				return rest.WithHint(errors.New("erasing removes all keys, so the data are lost"), "use --force if that is intended")
			}
			return nil
		},
	}, &luks.OpenOptions{}, func(e *luks.Editor) (bool, string, error) { return true, "all key slots erased", e.Erase() })
	c.Flags().BoolVar(&force, "force", false, "confirm: erased keys cannot be restored")
	return c
}

func newHeaderRepair(g *global) *cobra.Command {
	var o luks.OpenOptions
	c := g.editingHeader(&cobra.Command{
		Use:   "repair FILE",
		Short: "Restore a damaged copy of a LUKS2 header from the other one",
		Long: `A LUKS2 image has two copies of its header. Repair overwrites the copy that is damaged or out of date
with the other one.

If something else is where the primary copy should be, such as a filesystem, a swap area or a partition
table, repair refuses: somebody may have replaced the image on purpose, and the secondary copy is a
leftover. --overwrite-signature states that the file is still a LUKS image.`,
		Example: `  luksimg header repair disk.luks`,
		Args:    flags.Args("FILE"),
	}, &o, func(e *luks.Editor) (bool, string, error) {
		did, err := e.Repair()
		return did, map[bool]string{true: "repaired", false: "nothing to repair"}[did], err
	})
	c.Flags().BoolVar(&o.OverwriteSignature, "overwrite-signature", false, "overwrite the data in place of the primary copy")
	return c
}

func newHeaderConvert(g *global) *cobra.Command {
	var format string
	versions := map[string]int{"luks1": 1, "luks2": 2}
	c := g.editingHeader(&cobra.Command{
		Use:   "convert FILE",
		Short: "Convert a header between LUKS1 and LUKS2 in place",
		Long: `Convert changes the version of the header. Keys and data stay as they are. LUKS1 has fewer features:
PBKDF2 only ("key convert" changes a slot), one hash, sectors of 512 bytes, no tokens.`,
		Example: `  luksimg header convert --format luks2 disk.luks`,
		Args:    flags.Args("FILE"),
		PreRunE: func(*cobra.Command, []string) error {
			switch {
			case format == "":
				return rest.WithHint(errors.New("--format is missing"), "give the version to convert to: --format luks1 or --format luks2")
			case versions[format] == 0:
				return fmt.Errorf("--format %q: want luks1 or luks2", format)
			}
			return nil
		},
	}, &luks.OpenOptions{}, func(e *luks.Editor) (bool, string, error) {
		if e.Header().Version() == versions[format] {
			return false, "is " + format + " already", e.Convert(versions[format])
		}
		err := e.Convert(versions[format])
		if errors.Is(err, luks.ErrUnsupported) {
			hint := "LUKS1 has fewer features: see luksimg header convert --help"
			switch h := e.Header(); {
			case len(h.Tokens()) > 0:
				hint = "remove each token first: luksimg token remove --token-id N FILE"
			case slices.ContainsFunc(h.Info().Keyslots, func(s luks.SlotInfo) bool { return s.KDF != luks.PBKDF2 }):
				hint = "change each key slot first: luksimg key convert --pbkdf pbkdf2 IMAGE"
			}
			err = rest.WithHint(err, hint)
		}
		return true, "converted to " + format, err
	})
	c.Flags().StringVar(&format, "format", "", "version to convert to: luks1 or luks2")
	return c
}
