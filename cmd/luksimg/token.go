package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/luks"
)

func newToken(g *global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "token",
		Short: "List and change the tokens of a LUKS2 image",
		Long: `Token lists, adds, exports and removes the tokens of a LUKS2 image. A token is a JSON object in the
header in which software such as clevis or systemd-cryptenroll keeps what it needs to open a key slot.
Each token has a type and names its key slots. All verbs that change keys and headers keep tokens.`,
		Example: `  luksimg token list disk.luks
  luksimg token add --json-file token.json disk.luks
  luksimg token export --token-id 0 disk.luks
  luksimg token remove --token-id 0 disk.luks`,
	}, newTokenList(g), newTokenAdd(g), newTokenExport(g), newTokenRemove(g))
}

// tokenResult is the output of the verbs that change tokens, with --json.
type tokenResult struct {
	Output   string       `json:"output"`
	Token    int          `json:"token"` // the token that was added, exported or removed
	Tokens   []luks.Token `json:"tokens"`
	Warnings []string     `json:"warnings,omitempty"`
}

// editingToken makes c a verb that changes a token. change returns the number of the token.
func (g *global) editingToken(c *cobra.Command, did string, change func(e *luks.Editor) (int, error)) *cobra.Command {
	return g.editing(c, &luks.OpenOptions{}, func(_ *cobra.Command, name string, e *luks.Editor) (any, string, error) {
		n, err := change(e)
		return tokenResult{name, n, tokensOf(e.Header()), g.Warnings}, talk.Line(did, n), err
	})
}

// tokensOf returns the tokens as a slice that is never nil, so that JSON has an array.
func tokensOf(h *luks.Header) []luks.Token { return append([]luks.Token{}, h.Tokens()...) }

func newTokenList(g *global) *cobra.Command {
	return g.reading(&cobra.Command{
		Use:     "list FILE",
		Short:   "List the tokens",
		Example: "  luksimg token list disk.luks",
		Args:    flags.Args("FILE"),
	}, func(_ *cobra.Command, _ []string, in *encrypted) error {
		all, text := tokensOf(in.h), talk.NewTable()
		for _, k := range all {
			text.Row(fmt.Sprintf("token %d", k.Number), "%v", k)
		}
		return g.Result(struct {
			Tokens   []luks.Token `json:"tokens"`
			Warnings []string     `json:"warnings,omitempty"`
		}{all, g.Warnings}, text.Text("no tokens"))
	})
}

func newTokenAdd(g *global) *cobra.Command {
	var file string
	var slots []int
	var text []byte
	n := luks.AnyToken
	c := g.editingToken(&cobra.Command{
		Use:   "add FILE",
		Short: "Add a token from JSON",
		Long: `Add stores a token in the header: a JSON object with a type, as cryptsetup token export and luksimg
token export write it. The token is for the key slots that it names, and those of --key-slot.`,
		Example: `  luksimg token add --json-file token.json disk.luks
  luksimg token add --token-id 3 --key-slot 1 disk.luks <token.json`,
		Args: flags.Args("FILE"),
		PreRunE: func(c *cobra.Command, _ []string) (err error) {
			if c.Flags().Changed("token-id") && n < 0 {
				return fmt.Errorf("--token-id %d: want a number from 0 to 31", n)
			}
			text, err = readToken(c.Context(), file, slots)
			return err
		},
	}, "token %d added", func(e *luks.Editor) (int, error) { return e.AddToken(text, n) })
	f := c.Flags()
	f.StringVar(&file, "json-file", "-", "`FILE` with the token, or - for standard input")
	f.IntVar(&n, "token-id", luks.AnyToken, "number of the token; -1 is the first free one")
	f.IntSliceVar(&slots, "key-slot", nil, "number of a key slot that the token is for; may be repeated")
	return c
}

// maxToken is the largest token file in bytes, more than fits in a header.
const maxToken = 4 << 20

// readToken reads a token and adds key slots to those in it.
func readToken(ctx context.Context, name string, slots []int) ([]byte, error) {
	text, err := stdio.ReadFile(ctx, name, maxToken)
	if err != nil {
		return nil, err
	}
	if text, err = luks.TokenFor(text, slots...); err != nil {
		return nil, fmt.Errorf("%s: %w", stdio.Name(name), err)
	}
	return text, nil
}

func newTokenExport(g *global) *cobra.Command {
	var file string
	var force bool
	n := -1
	c := g.reading(&cobra.Command{
		Use:   "export FILE",
		Short: "Write a token as JSON",
		Example: `  luksimg token export --token-id 0 disk.luks
  luksimg token export --token-id 0 --json-file token.json disk.luks`,
		Args: flags.Args("FILE"),
	}, func(_ *cobra.Command, _ []string, in *encrypted) error {
		all := tokensOf(in.h)
		i := slices.IndexFunc(all, func(k luks.Token) bool { return k.Number == n })
		if i < 0 {
			return in.wrap(rest.WithHint(fmt.Errorf("no token %d", n), "luksimg token list FILE shows the tokens and their numbers"))
		}
		text := append(slices.Clone(all[i].JSON), '\n')
		if file == "-" {
			if err := stdio.CheckOpen("the token"); err != nil {
				return err
			}
			_, err := g.Out.Write(text)
			return err
		}
		err := write(file, 0o666, force, func(f *output.File) error {
			_, err := f.Write(text)
			return err
		})
		if err != nil {
			return err
		}
		return g.Result(tokenResult{file, n, all, g.Warnings}, talk.Line("%s: token %d exported", file, n))
	})
	f := c.Flags()
	f.StringVar(&file, "json-file", "-", "`FILE` to write the token to, or - for standard output")
	tokenID(c, &n)
	f.BoolVar(&force, "force", false, "replace the file if it exists")
	return c
}

// tokenID adds the flag --token-id to c, which needs it.
func tokenID(c *cobra.Command, n *int) {
	c.Flags().IntVar(n, "token-id", -1, "number of the token")
	c.Flags().Lookup("token-id").DefValue = "0" // the help omits this default
	c.PreRunE = needTokenID
}

// needTokenID returns an error unless --token-id is given.
func needTokenID(c *cobra.Command, _ []string) error {
	if c.Flags().Changed("token-id") {
		return nil
	}
	return rest.WithHint(errors.New("--token-id is missing"), "luksimg token list FILE shows the tokens and their numbers")
}

func newTokenRemove(g *global) *cobra.Command {
	n := -1
	c := g.editingToken(&cobra.Command{
		Use:     "remove FILE",
		Short:   "Remove a token",
		Example: `  luksimg token remove --token-id 0 disk.luks`,
		Args:    flags.Args("FILE"),
	}, "token %d removed", func(e *luks.Editor) (int, error) { return n, e.RemoveToken(n) })
	tokenID(c, &n)
	return c
}
