package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/luks"
)

func newToken(g *global) *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "List and change the tokens of a LUKS2 image",
		Long: `Token lists, adds, exports and removes the tokens of a LUKS2 image: JSON objects in its header
in which other software, such as clevis or systemd-cryptenroll, keeps what it needs to open a
key slot. What is in them is theirs: each has a type, and the key slots that it is for. All
verbs that change keys and headers keep them.`,
		Example: `  luksimg token list disk.luks
  luksimg token add --json-file token.json disk.luks
  luksimg token export --token-id 0 disk.luks
  luksimg token remove --token-id 0 disk.luks`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newTokenList(g), newTokenAdd(g), newTokenExport(g), newTokenRemove(g))
	return c
}

// tokenResult is what the verbs that change tokens print with --json.
type tokenResult struct {
	Output   string       `json:"output"`
	Token    int          `json:"token"` // that was added, exported or removed
	Tokens   []luks.Token `json:"tokens"`
	Warnings []string     `json:"warnings,omitempty"`
}

func printToken(t *talk.Talk, name string, n int, h *luks.Header, did string) error {
	return t.Result(tokenResult{name, n, tokensOf(h), t.Warnings}, talk.Line("%s: token %d %s", name, n, did))
}

// tokensOf are the tokens for a JSON array, which is never null.
func tokensOf(h *luks.Header) []luks.Token { return append([]luks.Token{}, h.Tokens()...) }

func newTokenList(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "list FILE",
		Short:   "List the tokens",
		Example: "  luksimg token list disk.luks",
		Args:    flags.Args("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			t := &g.Talk
			in, err := openLUKS(c.Context(), g, args[0], "", luks.OpenOptions{})
			if err != nil {
				return err
			}
			defer in.close()
			all := tokensOf(in.h)
			text := talk.NewTable()
			for _, k := range all {
				text.Row(fmt.Sprintf("token %d", k.Number), "%v", k)
			}
			return t.Result(struct {
				Tokens   []luks.Token `json:"tokens"`
				Warnings []string     `json:"warnings,omitempty"`
			}{all, t.Warnings}, text.Text("no tokens"))
		},
	}
}

func newTokenAdd(g *global) *cobra.Command {
	var file string
	var slots []int
	n := luks.AnyToken
	c := &cobra.Command{
		Use:   "add FILE",
		Short: "Add a token from JSON",
		Long: `Add puts a token, a JSON object with a type as cryptsetup token export and luksimg token export
write it, into the header. The key slots that it is for are those that it names, and those of
--key-slot.`,
		Example: `  luksimg token add --json-file token.json disk.luks
  luksimg token add --token-id 3 --key-slot 1 disk.luks <token.json`,
		Args: flags.Args("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			t, name := &g.Talk, args[0]
			if c.Flags().Changed("token-id") && n < 0 {
				return fmt.Errorf("--token-id %d: want a number from 0 to 31", n)
			}
			text, err := readToken(c.Context(), file, slots)
			if err != nil {
				return err
			}
			return edit(c.Context(), g, name, func(e *luks.Editor) error {
				n, err := e.AddToken(text, n)
				if err != nil {
					return err
				}
				return printToken(t, name, n, e.Header(), "added")
			})
		},
	}
	f := c.Flags()
	f.StringVar(&file, "json-file", "-", "`FILE` with the token, or - for standard input")
	f.IntVar(&n, "token-id", luks.AnyToken, "number of the token (default: the first that is free)")
	f.IntSliceVar(&slots, "key-slot", nil, "number of a key slot that the token is for; may be repeated")
	return c
}

// maxToken is more than fits the largest header.
const maxToken = 4 << 20

// readToken reads a token and adds key slots to those that it names.
func readToken(ctx context.Context, name string, slots []int) ([]byte, error) {
	text, err := stdio.ReadFile(ctx, name, maxToken)
	if err != nil {
		return nil, err
	}
	var o map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		return nil, fmt.Errorf("%s: a token is a JSON object: %w", stdio.Name(name), err)
	}
	if _, there := o["keyslots"]; len(slots) == 0 && there {
		return text, nil // as it is
	}
	if o == nil {
		return text, nil // null, which is refused as every other text that is no object
	}
	list, ok := o["keyslots"].([]any)
	if !ok {
		list = []any{}
	}
	for _, n := range slots {
		if s := strconv.Itoa(n); !slices.Contains(list, any(s)) {
			list = append(list, s)
		}
	}
	o["keyslots"] = list
	return json.Marshal(o)
}

func newTokenExport(g *global) *cobra.Command {
	var file string
	var force bool
	n := -1
	c := &cobra.Command{
		Use:   "export FILE",
		Short: "Write a token as JSON",
		Example: `  luksimg token export --token-id 0 disk.luks
  luksimg token export --token-id 0 --json-file token.json disk.luks`,
		Args: flags.Args("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			t := &g.Talk
			in, err := openLUKS(c.Context(), g, args[0], "", luks.OpenOptions{})
			if err != nil {
				return err
			}
			defer in.close()
			all := tokensOf(in.h)
			i := slices.IndexFunc(all, func(k luks.Token) bool { return k.Number == n })
			if i < 0 {
				return in.wrap(fmt.Errorf("there is no token %d", n))
			}
			text := append(slices.Clone(all[i].JSON), '\n')
			if file == "-" {
				_, err := c.OutOrStdout().Write(text)
				return err
			}
			out, err := output.Create(file, 0o666, force)
			if err != nil {
				return err
			}
			defer out.Abort()
			if _, err := out.Write(text); err != nil {
				return err
			}
			if err := out.Commit(); err != nil {
				return err
			}
			return printToken(t, file, n, in.h, "exported")
		},
	}
	f := c.Flags()
	f.StringVar(&file, "json-file", "-", "`FILE` to write the token to, or - for standard output")
	f.IntVar(&n, "token-id", -1, "number of the token")
	f.BoolVar(&force, "force", false, "replace the file if it is there")
	c.MarkFlagRequired("token-id")
	return c
}

func newTokenRemove(g *global) *cobra.Command {
	n := -1
	c := &cobra.Command{
		Use:     "remove FILE",
		Short:   "Remove a token",
		Example: `  luksimg token remove --token-id 0 disk.luks`,
		Args:    flags.Args("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			t, name := &g.Talk, args[0]
			return edit(c.Context(), g, name, func(e *luks.Editor) error {
				if err := e.RemoveToken(n); err != nil {
					return err
				}
				return printToken(t, name, n, e.Header(), "removed")
			})
		},
	}
	c.Flags().IntVar(&n, "token-id", -1, "number of the token")
	c.MarkFlagRequired("token-id")
	return c
}
