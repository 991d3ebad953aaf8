package main

import (
	"errors"
	"fmt"
	"os"

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
		Long: `Header saves the header of a LUKS image, with its key slots, writes it back, or removes all
keys from it. With --partition that is LUKS in a partition of a disk. A header that is lost takes the data with it; a backup opens the image with
each passphrase that was right when it was made.`,
		Example: `  luksimg header backup disk.luks disk.header
  luksimg header restore disk.luks disk.header
  luksimg header erase --force disk.luks`,
	}, newHeaderBackup(g), newHeaderRestore(g), newHeaderErase(g), newHeaderRepair(g), newHeaderConvert(g))
}

// headerResult is what the verbs for headers print with --json.
type headerResult struct {
	Output   string   `json:"output"`
	UUID     string   `json:"uuid"`
	Size     int64    `json:"size,omitempty"` // of the backup, bytes
	Changed  bool     `json:"changed"`        // the image
	Warnings []string `json:"warnings,omitempty"`
}

// editingHeader makes a verb of c that changes a whole header. change tells whether that was
// needed, and what to say.
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
		Short:   "Save the header and its key slots to a file that only you may read, or with - to standard output",
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
	c.Flags().BoolVar(&force, "force", false, "replace BACKUP if it is there and is no LUKS header")
	return c
}

func newHeaderRestore(g *global) *cobra.Command {
	var force bool
	var n flags.Partition
	c := &cobra.Command{
		Use:   "restore FILE BACKUP",
		Short: "Write a saved header back",
		Long: `Restore writes a header that "header backup", or cryptsetup luksHeaderBackup, saved back to
the image it is from: the same UUID and layout as the header that is there. If there is none
any more, that can not be told, and --force is needed. All key slots become those of the
backup. If the command is cut off, repeat it.

Where the data of the image start elsewhere than those of the backup, it is not restored, with
--force neither: nothing is ever written to the data.`,
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
			h, err := luks.Restore(f, in.size, backup.r, backup.size, force)
			if err != nil {
				return in.wrap(err)
			}
			return g.Result(headerResult{Output: name, UUID: h.UUID(), Changed: true, Warnings: g.Warnings},
				talk.Line("%s: header restored from %s", name, src))
		},
	}
	n.Add(c, "FILE")
	c.Flags().BoolVar(&force, "force", false, "restore it whatever is in FILE now")
	return c
}

func newHeaderErase(g *global) *cobra.Command {
	var force bool
	c := g.editingHeader(&cobra.Command{
		Use:   "erase FILE",
		Short: "Remove all keys: nobody opens the image any more",
		Long: `Erase overwrites all key slots of the image. The data are lost to everybody who has neither a
backup of the header nor the volume key.`,
		Example: `  luksimg header erase --force disk.luks`,
		Args:    flags.Args("FILE"),
		PreRunE: func(*cobra.Command, []string) error {
			if !force {
				return rest.WithHint(errors.New("erasing removes all keys, and with them the data"), "say --force if that is meant")
			}
			return nil
		},
	}, &luks.OpenOptions{}, func(e *luks.Editor) (bool, string, error) { return true, "all key slots erased", e.Erase() })
	c.Flags().BoolVar(&force, "force", false, "needed, as there is no way back")
	return c
}

func newHeaderRepair(g *global) *cobra.Command {
	var o luks.OpenOptions
	c := g.editingHeader(&cobra.Command{
		Use:   "repair FILE",
		Short: "Write a damaged copy of a LUKS2 header anew from the other one",
		Long: `Repair writes a copy of a LUKS2 header that is damaged or out of date anew from the other one.

If something else is where the primary copy should be, such as a filesystem, a swap area or a
partition table, somebody may have made that on purpose, and the secondary copy is what was
left of a LUKS image. That is an error, and nothing is written, unless --overwrite-signature
says that the file is a LUKS image all the same.`,
		Example: `  luksimg header repair disk.luks`,
		Args:    flags.Args("FILE"),
	}, &o, func(e *luks.Editor) (bool, string, error) {
		did, err := e.Repair()
		return did, map[bool]string{true: "repaired", false: "nothing to repair"}[did], err
	})
	c.Flags().BoolVar(&o.OverwriteSignature, "overwrite-signature", false, "write the primary copy over the start of something else")
	return c
}

func newHeaderConvert(g *global) *cobra.Command {
	var format string
	versions := map[string]int{"luks1": 1, "luks2": 2}
	c := g.editingHeader(&cobra.Command{
		Use:   "convert FILE",
		Short: "Make a LUKS2 header of a LUKS1 one in place, or the other way round",
		Long: `Convert makes the header one of the other version. Keys and data stay as they are. LUKS1 has
less than LUKS2: key derivation by PBKDF2 only ("key convert" changes it), one hash, sectors
of 512 bytes, no tokens.`,
		Example: `  luksimg header convert --format luks2 disk.luks`,
		Args:    flags.Args("FILE"),
		PreRunE: func(*cobra.Command, []string) error {
			if versions[format] == 0 {
				return fmt.Errorf("--format %q: want luks1 or luks2", format)
			}
			return nil
		},
	}, &luks.OpenOptions{}, func(e *luks.Editor) (bool, string, error) {
		if e.Header().Version() == versions[format] {
			return false, "is " + format + " already", e.Convert(versions[format])
		}
		return true, "converted to " + format, e.Convert(versions[format])
	})
	c.Flags().StringVar(&format, "format", "", "version to convert to: luks1 or luks2")
	return c
}
