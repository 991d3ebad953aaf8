package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/luks"
)

func newKey(g *global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "key",
		Short: "List and change the key slots of a LUKS image",
		Long: `Key lists the key slots of a LUKS image, or changes them in place. Each key slot opens the image with
its own key; the data stay as they are. The image can be opened at any moment, even if the command is killed.

With --partition, key works on LUKS in a partition of a disk. Changes need a raw disk, and touch only
that partition.

Whoever had a key that was removed may have kept the volume key, or a backup of the header. Only
reencrypt shuts them out.`,
		Example: `  luksimg key list disk.luks
  luksimg key add --key-file dek.b64 --new-passphrase-file recovery.txt disk.luks
  luksimg key change --key-file old.b64 --generate-key new.b64 disk.luks
  luksimg key remove --key-file old.b64 disk.luks
  luksimg key add --partition 2 --key-file dek.b64 disk.raw`,
	}, newKeyList(g), newKeyAdd(g), newKeyRemove(g), newKeyKill(g), newKeyChange(g), newKeyConvert(g), newKeyTest(g))
}

// keyResult is the output of the verbs that change key slots, with --json.
type keyResult struct {
	Output   string          `json:"output"`
	Slot     int             `json:"slot"` // the slot that was added, changed, removed or tested
	Keyslots []luks.SlotInfo `json:"keyslots"`
	Warnings []string        `json:"warnings,omitempty"`
}

// editingSlot makes c a verb that changes a key slot. change returns the number of the slot. did is the format of the
// result's text.
func (g *global) editingSlot(c *cobra.Command, did string, change func(c *cobra.Command, name string, e *luks.Editor) (int, error)) *cobra.Command {
	return g.editing(c, &luks.OpenOptions{}, func(c *cobra.Command, name string, e *luks.Editor) (any, string, error) {
		n, err := change(c, name, e)
		return keyResult{name, n, e.Header().Info().Keyslots, g.Warnings}, talk.Line(did, n), err
	})
}

func newKeyList(g *global) *cobra.Command {
	return g.reading(&cobra.Command{
		Use:     "list FILE",
		Short:   "List the key slots",
		Example: "  luksimg key list disk.luks",
		Args:    flags.Args("FILE"),
	}, func(_ *cobra.Command, _ []string, in *encrypted) error {
		slots, text := []listedSlot{}, talk.NewTable()
		for _, s := range in.h.Info().Keyslots {
			l := listedSlot{s, tokensFor(in.h, s.Slot)}
			text.Row(fmt.Sprintf("key slot %d", s.Slot), "%v", l)
			slots = append(slots, l)
		}
		return g.Result(struct {
			Keyslots []listedSlot `json:"keyslots"`
			Warnings []string     `json:"warnings,omitempty"`
		}{slots, g.Warnings}, text.Text("no key slots"))
	})
}

// A listedSlot is a key slot with the tokens that open it.
type listedSlot struct {
	luks.SlotInfo
	Tokens []slotToken `json:"tokens"`
}

func (l listedSlot) String() string {
	text := l.SlotInfo.String()
	for _, t := range l.Tokens {
		text += fmt.Sprintf("; token %d: %s", t.Token, cmp.Or(t.About, strconv.Quote(t.Type)))
	}
	return text
}

// A slotToken is a token that opens a key slot.
type slotToken struct {
	Token    int    `json:"token"`
	Type     string `json:"type"`
	Keyslots []int  `json:"keyslots"`        // all key slots that the token opens
	About    string `json:"about,omitempty"` // a description for a person
}

// tokensFor returns the tokens that open a key slot.
func tokensFor(h *luks.Header, slot int) []slotToken {
	all := []slotToken{}
	for _, t := range h.Tokens() {
		if slices.Contains(t.Keyslots, slot) {
			all = append(all, slotToken{t.Number, t.Type, t.Keyslots, t.Words()})
		}
	}
	return all
}

func newKeyRemove(g *global) *cobra.Command {
	var key unlockFlags
	var force bool
	c := g.editingSlot(&cobra.Command{
		Use:     "remove FILE",
		Short:   "Remove the key slot that a key opens",
		Example: `  luksimg key remove --key-file old.b64 disk.luks`,
		Args:    flags.Args("FILE"),
		PreRunE: keys.Check,
	}, "key slot %d removed", func(c *cobra.Command, name string, e *luks.Editor) (n int, err error) {
		err = key.unlock(c.Context(), g, name, e.Header(), func(s openedSlot) error {
			n = s.number
			return e.KillSlot(n, force)
		})
		if err == nil {
			g.warnUseless(e.Header())
		}
		return n, err
	})
	key.addKey(c, g)
	g.kdf.add(c)
	c.Flags().BoolVar(&force, "force", false, "remove it even if it is the last one")
	return c
}

func newKeyKill(g *global) *cobra.Command {
	var force bool
	var n int
	c := g.editingSlot(&cobra.Command{
		Use:     "kill FILE SLOT",
		Short:   "Remove a key slot by its number, without its key",
		Example: `  luksimg key kill disk.luks 1`,
		Args:    flags.Args("FILE", "SLOT"),
		PreRunE: func(_ *cobra.Command, args []string) (err error) {
			if n, err = strconv.Atoi(args[1]); err != nil {
				return fmt.Errorf("SLOT %q is not a number", args[1])
			}
			return nil
		},
	}, "key slot %d removed", func(_ *cobra.Command, _ string, e *luks.Editor) (int, error) {
		err := e.KillSlot(n, force)
		if err == nil {
			g.warnUseless(e.Header())
		}
		return n, err
	})
	c.Flags().BoolVar(&force, "force", false, "remove it even if it is the last one")
	return c
}

func newKeyTest(g *global) *cobra.Command {
	var unlock unlockFlags
	c := g.reading(&cobra.Command{
		Use:     "test FILE",
		Short:   "Check whether a key opens the image, and report its key slot",
		Example: `  luksimg key test --key-file dek.b64 disk.luks`,
		Args:    flags.Args("FILE"),
		PreRunE: keys.Check,
	}, func(c *cobra.Command, args []string, in *encrypted) error {
		n := 0
		err := unlock.unlock(c.Context(), g, args[0], in.h, func(s openedSlot) error {
			n = s.number
			return nil
		})
		if err != nil {
			return in.wrap(err)
		}
		return g.Result(keyResult{args[0], n, in.h.Info().Keyslots, g.Warnings}, talk.Line("%s: the key opens key slot %d", args[0], n))
	})
	unlock.addKey(c, g)
	g.kdf.add(c)
	unlock.keySlot = c.Flags().Int("key-slot", luks.AnySlot, "try this key slot only; -1 is any")
	return c
}
