package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/luks"
)

func newKey(g *global) *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "List and change the key slots of a LUKS image",
		Long: `Key lists the key slots of a LUKS image, or changes them in place. Each of them opens the
image with a key of its own; the data stay as they are. The image opens at each moment, also
if the command is killed.

Whoever had a key that is removed may have kept the volume key, or a backup of the header.
Only encrypting anew shuts them out.`,
		Example: `  luksimg key list disk.luks
  luksimg key add --key-file dek.b64 --new-passphrase-file recovery.txt disk.luks
  luksimg key change --key-file old.b64 --generate-key new.b64 disk.luks
  luksimg key remove --key-file old.b64 disk.luks`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newKeyList(g), newKeyAdd(g), newKeyRemove(g), newKeyKill(g), newKeyChange(g), newKeyConvert(g), newKeyTest(g))
	return c
}

// keyResult is what the verbs that change key slots print with --json.
type keyResult struct {
	Output   string          `json:"output"`
	Slot     int             `json:"slot"` // that was added, changed, removed or tested
	Keyslots []luks.SlotInfo `json:"keyslots"`
	Warnings []string        `json:"warnings,omitempty"`
}

func printSlot(t *talk.Talk, name string, slot int, h *luks.Header, format string, args ...any) error {
	return t.Result(keyResult{name, slot, h.Info().Keyslots, t.Warnings}, talk.Line("%s: ", name)+talk.Line(format, args...))
}

func newKeyList(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "list FILE",
		Short:   "List the key slots",
		Example: "  luksimg key list disk.luks",
		Args:    flags.Args("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			t := &g.Talk
			in, err := openLUKS(c.Context(), g, args[0], "", luks.OpenOptions{})
			if err != nil {
				return err
			}
			defer in.close()
			i := in.h.Info()
			text := talk.NewTable()
			for _, s := range i.Keyslots {
				text.Row(fmt.Sprintf("key slot %d", s.Slot), "%v", s)
			}
			return t.Result(struct {
				Keyslots []luks.SlotInfo `json:"keyslots"`
				Warnings []string        `json:"warnings,omitempty"`
			}{i.Keyslots, t.Warnings}, text.Text("no key slots"))
		},
	}
}

func newKeyAdd(g *global) *cobra.Command {
	var unlock unlockFlags
	var fresh newKeyFlags
	slot := luks.AnySlot
	c := &cobra.Command{
		Use:   "add FILE",
		Short: "Add a key slot",
		Example: `  luksimg key add disk.luks
  luksimg key add --key-file dek.b64 --new-key-file second.b64 disk.luks`,
		Args: flags.Args("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			t, name := &g.Talk, args[0]
			if err := fresh.check(c); err != nil {
				return err
			}
			if unlock.key.Stdin() && fresh.key.Stdin() {
				return errors.New("standard input can not be both the key and the new key")
			}
			return edit(c.Context(), g, name, func(e *luks.Editor) error {
				volumeKey, err := unlock.volumeKey(c, t, name, e.Header())
				if err != nil {
					return err
				}
				defer clear(volumeKey)
				n, err := fresh.apply(c, t, name, e, func(key []byte, o luks.KeyOptions) (int, error) {
					return e.AddKey(c.Context(), volumeKey, key, slot, o)
				})
				if err != nil {
					return err
				}
				return printSlot(t, name, n, e.Header(), "key slot %d added", n)
			})
		},
	}
	unlock.add(c)
	g.kdf.add(c)
	fresh.add(c)
	c.Flags().IntVar(&slot, "key-slot", luks.AnySlot, "number of the new key slot (default: the first that is free)")
	return c
}

// apply reads the new key and gives it to f. A generated key is on the disk before the
// header says so.
func (o *newKeyFlags) apply(c *cobra.Command, t *talk.Talk, name string, e *luks.Editor, f func(key []byte, o luks.KeyOptions) (int, error)) (int, error) {
	file, key, err := o.read(c, t, name)
	if err != nil {
		return 0, err
	}
	defer clear(key)
	if file != nil {
		defer file.Abort()
		if err := file.Commit(); err != nil {
			return 0, err
		}
	}
	n := 0
	ko, err := o.options(c.Context(), e.Header())
	if err == nil {
		n, err = f(key, ko)
	}
	switch {
	case file == nil:
	case err != nil:
		file.Remove()
	default:
		t.Say("key: written to %s", o.generate)
	}
	return n, err
}

func newKeyChange(g *global) *cobra.Command {
	var old keys.Flags
	var fresh newKeyFlags
	c := &cobra.Command{
		Use:   "change FILE",
		Short: "Replace the key of a key slot by another",
		Long: `Change replaces the key slot that opens with the key given by one that opens with a new
key. The new key slot is written to room that is free; the old one is overwritten when the
new one is in place. If there is no room for another one, as in LUKS1 with all eight in use,
the two share their key material but for the first and the last block of it. Either the old
or the new key opens the image at each moment, unless not even a block is free: then, as with
cryptsetup, a command that is killed may leave that key slot with neither.`,
		Example: `  luksimg key change --key-file old.b64 --generate-key new.b64 disk.luks`,
		Args:    flags.Args("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			t, name := &g.Talk, args[0]
			if err := errors.Join(fresh.check(c), flags.AtMostOne(c, "key-file", "passphrase-file", "key-fd")); err != nil {
				return err
			}
			if old.Stdin() && fresh.key.Stdin() {
				return errors.New("standard input can not be both the key and the new key")
			}
			return edit(c.Context(), g, name, func(e *luks.Editor) error {
				var volumeKey []byte
				var slot int
				err := old.Unlock(c.Context(), t, name, func(key []byte) (err error) {
					volumeKey, slot, err = e.Header().FindSlot(c.Context(), key)
					return err
				})
				if err != nil {
					return err
				}
				defer clear(volumeKey)
				n, err := fresh.apply(c, t, name, e, func(new []byte, o luks.KeyOptions) (int, error) {
					return e.ReplaceSlot(c.Context(), volumeKey, slot, new, o)
				})
				if err != nil {
					return err
				}
				return printSlot(t, name, n, e.Header(), "key slot %d has the new key", n)
			})
		},
	}
	old.Add(c, "")
	g.kdf.add(c)
	fresh.add(c)
	return c
}

func newKeyConvert(g *global) *cobra.Command {
	var key keys.Flags
	var kdf newKeyFlags
	c := &cobra.Command{
		Use:   "convert FILE",
		Short: "Give a key slot another key derivation function or cost",
		Long: `Convert makes the key slot that opens with the key given anew, for the same key, with the key
derivation function and cost that the flags say.`,
		Example: `  luksimg key convert --key-file dek.b64 --pbkdf pbkdf2 disk.luks`,
		Args:    flags.Args("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			t, name := &g.Talk, args[0]
			if err := errors.Join(kdf.kdf.check(c), flags.AtMostOne(c, "key-file", "passphrase-file", "key-fd")); err != nil {
				return err
			}
			return edit(c.Context(), g, name, func(e *luks.Editor) error {
				var n int
				err := key.Unlock(c.Context(), t, name, func(k []byte) error {
					o, err := kdf.options(c.Context(), e.Header())
					if err != nil {
						return err
					}
					n, err = e.ChangeKey(c.Context(), k, k, o)
					return err
				})
				if err != nil {
					return err
				}
				return printSlot(t, name, n, e.Header(), "key slot %d was made anew", n)
			})
		},
	}
	key.Add(c, "")
	g.kdf.add(c)
	kdf.kdf.add(c)
	return c
}

func newKeyRemove(g *global) *cobra.Command {
	var key keys.Flags
	var force bool
	c := &cobra.Command{
		Use:     "remove FILE",
		Short:   "Remove the key slot that a key opens",
		Example: `  luksimg key remove --key-file old.b64 disk.luks`,
		Args:    flags.Args("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			t, name := &g.Talk, args[0]
			if err := flags.AtMostOne(c, "key-file", "passphrase-file", "key-fd"); err != nil {
				return err
			}
			return edit(c.Context(), g, name, func(e *luks.Editor) error {
				var n int
				err := key.Unlock(c.Context(), t, name, func(k []byte) (err error) {
					n, err = e.RemoveKey(c.Context(), k, force)
					return err
				})
				if err != nil {
					return err
				}
				return printSlot(t, name, n, e.Header(), "key slot %d removed", n)
			})
		},
	}
	key.Add(c, "")
	g.kdf.add(c)
	c.Flags().BoolVar(&force, "force", false, "remove it even if it is the last one")
	return c
}

func newKeyKill(g *global) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:     "kill FILE SLOT",
		Short:   "Remove a key slot by its number, without its key",
		Example: `  luksimg key kill disk.luks 1`,
		Args:    flags.Args("FILE", "SLOT"),
		RunE: func(c *cobra.Command, args []string) error {
			t, name := &g.Talk, args[0]
			n, err := strconv.Atoi(args[1])
			if err != nil {
				return fmt.Errorf("SLOT %q is not a number", args[1])
			}
			return edit(c.Context(), g, name, func(e *luks.Editor) error {
				if err := e.KillSlot(n, force); err != nil {
					return err
				}
				return printSlot(t, name, n, e.Header(), "key slot %d removed", n)
			})
		},
	}
	c.Flags().BoolVar(&force, "force", false, "remove it even if it is the last one")
	return c
}

func newKeyTest(g *global) *cobra.Command {
	var key keys.Flags
	slot := luks.AnySlot
	c := &cobra.Command{
		Use:     "test FILE",
		Short:   "Tell whether a key opens the image, and which key slot",
		Example: `  luksimg key test --key-file dek.b64 disk.luks`,
		Args:    flags.Args("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			t, name := &g.Talk, args[0]
			if err := flags.AtMostOne(c, "key-file", "passphrase-file", "key-fd"); err != nil {
				return err
			}
			in, err := openLUKS(c.Context(), g, name, "", luks.OpenOptions{})
			if err != nil {
				return err
			}
			defer in.close()
			h := in.h
			n := slot
			err = key.Unlock(c.Context(), t, name, func(k []byte) (err error) {
				var volumeKey []byte
				if slot == luks.AnySlot {
					volumeKey, n, err = h.FindSlot(c.Context(), k)
				} else {
					volumeKey, err = h.OpenSlot(c.Context(), slot, k)
				}
				clear(volumeKey)
				return err
			})
			if err != nil {
				return in.wrap(err)
			}
			return printSlot(t, name, n, h, "the key opens key slot %d", n)
		},
	}
	key.Add(c, "")
	g.kdf.add(c)
	c.Flags().IntVar(&slot, "key-slot", luks.AnySlot, "try this key slot only")
	return c
}
