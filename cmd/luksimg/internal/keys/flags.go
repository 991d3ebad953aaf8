// Package keys defines the flags that supply keys, and reads the keys.
package keys

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
)

// MaxSize is the largest key file in bytes, the same as in cryptsetup.
const MaxSize = 8 << 20

// Flags are the flags that supply a key. No flag contains the key itself, because every user of the machine could see
// it.
type Flags struct {
	keyFile        string
	passphraseFile string
	fd             *int // nil before the flag is added
	encoding       Encoding
	prefix         string // of the flags' names
}

// Add adds the flags to c. prefix is "" for the key of the image. It is "new-" for a new key of an existing image, and
// "source-" for the key of SRC.
func (k *Flags) Add(c *cobra.Command, prefix string) {
	k.AddPlain(c, prefix)
	c.Flags().Var(&k.encoding, prefix+"passphrase-encoding", "encode the bytes in --"+prefix+"key-file to get the passphrase: hex, as OpenStack encodes a symmetric secret, base64, or raw, which uses the bytes themselves (default raw)")
}

// AddPlain adds the flags of a key that is not a passphrase.
func (k *Flags) AddPlain(c *cobra.Command, prefix string) {
	what := map[string]string{"": "the key", "new-": "the new key", "source-": "the key of an encrypted SRC"}[prefix]
	k.prefix = prefix
	f := c.Flags()
	f.StringVar(&k.keyFile, prefix+"key-file", "", "`FILE` with "+what+", or - for standard input; every byte counts, including a final newline")
	f.StringVar(&k.passphraseFile, prefix+"passphrase-file", "", "`FILE` with "+what+" as text, or -; one final newline is removed")
	k.fd = f.Int(prefix+"key-fd", -1, "read "+what+" from this open file descriptor, as --"+prefix+"key-file does")
	f.Lookup(prefix + "key-fd").DefValue = "0" // the help omits the default, -1
}

// Check returns an error if more than one flag supplies the key of the image.
func Check(c *cobra.Command, _ []string) error {
	return flags.AtMostOne(c, "volume-key-file", "key-file", "passphrase-file", "key-fd", "clevis")
}

// Given reports whether any of the flags is set.
func (k *Flags) Given() bool { return k.keyFile != "" || k.passphraseFile != "" || k.fromFD() }

func (k *Flags) fromFD() bool { return k.fd != nil && *k.fd >= 0 }

// Stdin reports whether the key comes from standard input.
func (k *Flags) Stdin() bool {
	return stdio.IsStdin(k.keyFile) || stdio.IsStdin(k.passphraseFile) || k.fromFD() && *k.fd == 0
}

// Read returns the key, which the caller wipes. Without a flag it asks for a passphrase, twice for a new one.
func (k *Flags) Read(ctx context.Context, t *talk.Talk, name string, isNew bool) ([]byte, error) {
	var key []byte
	var err error
	var from string
	switch {
	case k.keyFile != "":
		from = k.keyFile
		key, err = ReadFile(ctx, k.keyFile)
	case k.passphraseFile != "":
		if err := k.needBytes(); err != nil {
			return nil, err
		}
		from = k.passphraseFile
		key, err = ReadFile(ctx, k.passphraseFile)
		if text, ok := bytes.CutSuffix(key, []byte("\n")); ok {
			key = bytes.TrimSuffix(text, []byte("\r"))
		}
	case k.fromFD():
		from = fmt.Sprintf("file descriptor %d", *k.fd)
		f := os.NewFile(uintptr(*k.fd), from)
		if f == nil {
			return nil, fmt.Errorf("--key-fd %d is not an open file descriptor", *k.fd)
		}
		key, err = stdio.ReadAll(ctx, f, MaxSize)
		f.Close()
		if errors.Is(err, syscall.EBADF) {
			err = rest.WithHint(err, fmt.Sprintf("the shell opens it: --%skey-fd %d %d<FILE", k.prefix, *k.fd, *k.fd))
		}
	default:
		if err := k.needBytes(); err != nil {
			return nil, err
		}
		key, err := prompt(ctx, name, isNew)
		if errors.Is(err, term.ErrNoTerminal) {
			err = k.notGiven(err)
		}
		return key, err
	}
	if err != nil {
		return nil, err
	}
	if len(key) == 0 && isNew {
		return nil, fmt.Errorf("the key from %s is empty", stdio.Name(from))
	}
	t.Say("key: %d bytes from %s", len(key), stdio.Name(from))
	if k.encoding != Raw {
		return k.encoding.Text(key), nil
	}
	if k.passphraseFile == "" && bytes.HasSuffix(key, []byte("\n")) && !luks.IsRecoveryKey(key) {
		t.Warn("the key ends with a newline, which is part of the key; --passphrase-file removes it")
	}
	return key, nil
}

// notGiven returns the error for a missing key, with the flags that supply it as a hint.
func (k *Flags) notGiven(err error) error {
	what := map[string]string{"": "key", "new-": "new key", "source-": "key of SRC"}[k.prefix]
	hint := fmt.Sprintf("give the %s with --%skey-file, --%[2]spassphrase-file or --%[2]skey-fd", what, k.prefix)
	return rest.WithHint(fmt.Errorf("no %s was given, and there is %w", what, err), hint)
}

// ReadFile reads a key from a file, a pipe, or standard input for "-". The caller wipes the key.
func ReadFile(ctx context.Context, name string) ([]byte, error) {
	key, err := stdio.ReadFile(ctx, name, MaxSize)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	return key, nil
}

// ReadAPIKey reads an API key from a file and removes surrounding space. The caller wipes the key.
func ReadAPIKey(ctx context.Context, what, name string) ([]byte, error) {
	b, err := stdio.ReadFile(ctx, name, MaxSize)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer clear(b)
	key := bytes.Clone(bytes.TrimSpace(b))
	if len(key) == 0 {
		return nil, fmt.Errorf("%s: %s is empty", what, name)
	}
	return key, nil
}

// ask asks for a secret on the terminal.
func ask(ctx context.Context, question string) (secret []byte, err error) {
	state := term.Save()
	err = parallel.Await(ctx, func() (err error) {
		secret, err = term.ReadSecret(question)
		return err
	})
	if err != nil {
		state.Restore()
	}
	return secret, err
}

// AskPIN asks for the PIN of a token, for the key with this name. Without a terminal it returns the error needed.
func AskPIN(ctx context.Context, name string, needed error) ([]byte, error) {
	pin, err := ask(ctx, "PIN for "+term.Visible(name)+": ")
	switch {
	case errors.Is(err, term.ErrNoTerminal):
		return nil, needed
	case err == nil && len(pin) == 0:
		return nil, errors.New("the PIN is empty")
	}
	return pin, err
}

// prompt asks for a passphrase on the terminal.
func prompt(ctx context.Context, name string, isNew bool) ([]byte, error) {
	name = term.Visible(name)
	what := "Passphrase for " + name + ": "
	if isNew {
		what = "New passphrase for " + name + ": "
	}
	p, err := ask(ctx, what)
	switch {
	case errors.Is(err, term.ErrNoTerminal):
		return nil, err
	case err != nil:
		return nil, err
	case len(p) == 0:
		return nil, errors.New("the passphrase is empty")
	case !isNew:
		return p, nil
	}
	again, err := ask(ctx, "Repeat it: ")
	if err != nil {
		return nil, err
	}
	defer clear(again)
	if subtle.ConstantTimeCompare(p, again) != 1 {
		clear(p)
		return nil, errors.New("the passphrases differ")
	}
	return p, nil
}
