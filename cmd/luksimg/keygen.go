package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/kmsuri"
	"github.com/luksimg/luksimg/wrap/local"
)

// defaultKeyBytes is the number of random bytes in a new key: 256 bits.
const defaultKeyBytes = 32

func newKeygen(g *global) *cobra.Command {
	var n int
	var raw bool
	var kms, standard string
	c := &cobra.Command{
		Use:   "keygen [FILE]",
		Short: "Make a new key",
		Long: `Keygen writes a new random key to FILE, which only you can read. The key is base64 text on one line,
without a newline, so that the file works as a passphrase here and in cryptsetup, QEMU and IBM Key
Protect. Keygen never replaces a file. With - for FILE the key goes to standard output, if that is a
pipe or a file.

Keep the key: without it the data are lost.

With --kms local:FILE it makes a root key in that file instead: 32 random bytes, for wrap. Whoever has a
root key can open every image whose key it wrapped.

With --standard-key CRN, keygen does not make a key: it writes a standard key from IBM Key Protect to FILE,
as base64 text, or with --raw as bytes, which an encrypted VHD needs. luksimg rootkey create --standard makes
a standard key. Whoever can read it has the key of the image.` + cloudHelp,
		Example: `  luksimg keygen dek.b64
  luksimg keygen --bytes 64 --raw volume.key
  luksimg keygen --kms local:root.key
  luksimg keygen --standard-key CRN dek.b64`,
		Args: flags.InPlace("kms", "FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			t := &g.Talk
			if kms != "" {
				return localRootKey(c, t, kms)
			}
			out, err := g.keyOutput("FILE", args[0])
			if err != nil {
				return err
			}
			defer out.abort()
			var key []byte
			if standard != "" {
				if c.Flags().Changed("bytes") {
					return errors.New("--bytes and --standard-key exclude each other")
				}
				key, n, err = g.standardKey(c.Context(), standard, raw)
			} else {
				key, err = wrap.NewMaterial(n, raw)
			}
			if err != nil {
				return err
			}
			defer clear(key)
			if err := out.finish(key); err != nil || out.stdout() {
				return err
			}
			r := keygenResult{Output: args[0], Bytes: n, Encoding: "base64", Length: len(key)}
			if raw {
				r.Encoding = "raw"
			}
			if standard != "" {
				r.StandardKey = standard
				return t.Result(r, talk.Line("%s: the %d bytes of a standard key, %d bytes as %s", args[0], n, r.Length, r.Encoding))
			}
			return t.Result(r, talk.Line("%s: %d random bytes, %d bytes as %s", args[0], n, r.Length, r.Encoding))
		},
	}
	c.Flags().IntVar(&n, "bytes", defaultKeyBytes, fmt.Sprintf("how many random bytes, from 16 to %d", wrap.MaxRandom))
	c.Flags().BoolVar(&raw, "raw", false, "write bytes, not base64 text")
	c.Flags().StringVar(&kms, "kms", "", "make a root key in a file: local:`FILE`")
	c.Flags().StringVar(&standard, "standard-key", "", "write the standard key with this `CRN` in Key Protect")
	g.cloud.add(c, serviceKMS)
	return c
}

// standardKey returns the bytes of a standard key, as base64 text unless raw is set. n is the number of bytes before
// encoding. The caller wipes the key.
func (g *global) standardKey(ctx context.Context, crn string, raw bool) (key []byte, n int, err error) {
	k, err := g.cloud.keyProtect(ctx, crn, "")
	if err != nil {
		return nil, 0, err
	}
	if key, err = k.StandardKey(ctx, k.CRN().Resource); err != nil || raw {
		return key, len(key), err
	}
	defer clear(key)
	return base64.StdEncoding.AppendEncode(nil, key), len(key), nil
}

// keygenResult is the output of keygen --json.
type keygenResult struct {
	Output   string `json:"output"`
	Bytes    int    `json:"bytes"`         // random bytes, or bytes of the standard key
	Encoding string `json:"encoding"`      // "base64" or "raw"
	Length   int    `json:"length"`        // of the file
	KMS      string `json:"kms,omitempty"` // the kms of envelopes, for a root key

	StandardKey string `json:"standard_key_crn,omitempty"` // the source of the key
}

// elsewhereMade says how to make a root key that is not in a file.
var elsewhereMade = map[kmsuri.Scheme]string{
	kmsuri.IBM:    "luksimg rootkey create makes one",
	kmsuri.Vault:  "make it in the transit engine: vault write -f MOUNT/keys/KEY",
	kmsuri.AWSKMS: "make it with: aws kms create-key",
	kmsuri.PKCS11: "make it on the token: pkcs11-tool --login --keygen --key-type aes:32 --label KEY",
}

// localRootKey makes a root key in the file that --kms names.
func localRootKey(c *cobra.Command, t *talk.Talk, kms string) error {
	if c.Flags().Changed("bytes") || c.Flags().Changed("raw") {
		return errors.New("--bytes and --raw do not apply to root keys, which have 32 bytes")
	}
	scheme, _, _ := strings.Cut(kms, ":")
	if how := elsewhereMade[kmsuri.Scheme(scheme)]; how != "" {
		return rest.WithHint(fmt.Errorf("keygen makes root keys in files only, not %s keys", scheme), how)
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

// A keyOutput is the destination of a key: a new file, or standard output.
type keyOutput struct{ *output.File }

// keyOutput opens the destination of a key. The name - is standard output, where the key is the result.
func (g *global) keyOutput(argument, name string) (keyOutput, error) {
	if name != "-" {
		f, err := createKeyFile(name)
		return keyOutput{f}, err
	}
	return keyOutput{}, g.ToStdout(argument, "the key")
}

func (o keyOutput) stdout() bool { return o.File == nil }

func (o keyOutput) abort() {
	if o.File != nil {
		o.Abort()
	}
}

// finish writes the key, and commits the file or flushes standard output.
func (o keyOutput) finish(key []byte) error {
	var w io.Writer = os.Stdout
	if o.File != nil {
		w = o.File
	}
	if _, err := w.Write(key); err != nil {
		return err
	}
	if o.stdout() {
		return stdio.SyncStdout()
	}
	return o.Commit()
}

// createKeyFile creates a new key file.
func createKeyFile(name string) (*output.File, error) {
	f, err := output.Create(name, 0o600, false)
	if err != nil {
		return nil, exit.HintKept(fmt.Errorf("key file: %w", err), "a key file is never replaced: choose another name")
	}
	return f, nil
}

// generateKey generates n random bytes and writes them to a new file, which the caller commits. It writes base64
// text, or the bytes if raw is set or e is an encoding. It returns the passphrase, which the caller wipes.
func generateKey(name string, n int, raw bool, e keys.Encoding) (*output.File, []byte, error) {
	key, err := wrap.NewMaterial(n, raw || e != keys.Raw)
	if err != nil {
		return nil, nil, err
	}
	f, err := createKeyFile(name)
	if err != nil {
		clear(key)
		return nil, nil, err
	}
	if _, err := f.Write(key); err != nil {
		clear(key)
		f.Abort()
		return nil, nil, err
	}
	return f, e.Text(key), nil
}
