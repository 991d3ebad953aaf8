package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/local"
)

// defaultKeyBytes is how much randomness a key has: 256 bits.
const defaultKeyBytes = 32

func newKeygen(g *global) *cobra.Command {
	var n int
	var raw bool
	var kms string
	c := &cobra.Command{
		Use:   "keygen [FILE]",
		Short: "Make a new key",
		Long: `Keygen writes a new random key to FILE, which only you may read: base64 text, on one
line without a newline, so that the file is a passphrase with every byte of it, here and
in cryptsetup, QEMU and IBM Key Protect. A key file is never replaced. With - for FILE the key
goes to standard output, if that is a pipe or a file.

Keep it: without the key there is no way to the data.

With --kms local:FILE it makes a root key in that file instead, for wrap: 32 random bytes.
Who has a root key can open every image whose key it wrapped.`,
		Example: `  luksimg keygen dek.b64
  luksimg keygen --bytes 64 --raw volume.key
  luksimg keygen --kms local:root.key`,
		Args: func(c *cobra.Command, got []string) error {
			if kms != "" {
				return flags.Args()(c, got)
			}
			return flags.Args("FILE")(c, got)
		},
		RunE: func(c *cobra.Command, args []string) error {
			t := &g.Talk
			if kms != "" {
				return localRootKey(c, t, kms)
			}
			if args[0] == "-" {
				return printKey(g, n, raw)
			}
			f, key, err := generateKey(args[0], n, raw)
			if err != nil {
				return err
			}
			clear(key)
			defer f.Abort()
			if err := f.Commit(); err != nil {
				return err
			}
			r := keygenResult{Output: args[0], Bytes: n, Encoding: "base64", Length: len(key)}
			if raw {
				r.Encoding = "raw"
			}
			return t.Result(r, talk.Line("%s: %d random bytes, %d bytes as %s", args[0], n, r.Length, r.Encoding))
		},
	}
	c.Flags().IntVar(&n, "bytes", defaultKeyBytes, fmt.Sprintf("how many random bytes, from 16 to %d", wrap.MaxRandom))
	c.Flags().BoolVar(&raw, "raw", false, "write the bytes themselves, not base64 text")
	c.Flags().StringVar(&kms, "kms", "", "make a root key in a file: local:`FILE`")
	return c
}

// keygenResult is what keygen --json prints.
type keygenResult struct {
	Output   string `json:"output"`
	Bytes    int    `json:"bytes"`         // of randomness
	Encoding string `json:"encoding"`      // "base64" or "raw"
	Length   int    `json:"length"`        // of the file
	KMS      string `json:"kms,omitempty"` // the name of a root key in envelopes
}

// localRootKey makes a root key in the file that a value of --kms names.
func localRootKey(c *cobra.Command, t *talk.Talk, kms string) error {
	if c.Flags().Changed("bytes") || c.Flags().Changed("raw") {
		return errors.New("--bytes and --raw are not for root keys, which have 32 bytes")
	}
	name, err := local.FileOf(kms)
	if err != nil {
		return err
	}
	k, err := local.Create(name)
	if err != nil {
		return exit.HintKept(fmt.Errorf("root key: %w", err), "a key file is never replaced: choose another name")
	}
	return t.Result(keygenResult{Output: name, Bytes: 32, Encoding: "raw", Length: 32, KMS: k.String()},
		talk.Line("%s: a root key, %s", name, k))
}

// printKey makes a key and writes it to standard output.
func printKey(g *global, n int, raw bool) error {
	if g.AsJSON {
		return errors.New("with - for FILE the key is the result: there is no room for --json")
	}
	if err := stdio.CheckStdout("the key"); err != nil {
		return err
	}
	key, err := wrap.NewMaterial(n, raw)
	if err != nil {
		return err
	}
	defer clear(key)
	if _, err := os.Stdout.Write(key); err != nil {
		return err
	}
	return stdio.SyncStdout()
}

// generateKey makes a key of n random bytes and writes it to a file that is yet to be
// committed. The caller wipes the key, which is what the file holds.
func generateKey(name string, n int, raw bool) (*output.File, []byte, error) {
	key, err := wrap.NewMaterial(n, raw)
	if err != nil {
		return nil, nil, err
	}
	f, err := output.Create(name, 0o600, false)
	if err != nil {
		clear(key)
		return nil, nil, exit.HintKept(fmt.Errorf("key file: %w", err), "a key file is never replaced: choose another name")
	}
	if _, err := f.Write(key); err != nil {
		clear(key)
		f.Abort()
		return nil, nil, err
	}
	return f, key, nil
}
