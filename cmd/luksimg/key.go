package main

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/term"
)

// maxKey bounds the length of a key file, as cryptsetup does.
const maxKey = 8 << 20

// keyFlags are the ways to give a key. There is none to give it as an argument, which
// every user of the machine could see.
type keyFlags struct {
	keyFile        string
	passphraseFile string
	fd             int
}

// add adds the flags, with "new-" before their names if the key is a new one beside one
// that the image has, and "source-" if it is that of SRC beside that of DST.
func (k *keyFlags) add(c *cobra.Command, prefix string) {
	what := map[string]string{"": "the key", "new-": "the new key", "source-": "the key of SRC, if that is encrypted"}[prefix]
	f := c.Flags()
	f.StringVar(&k.keyFile, prefix+"key-file", "", "`FILE` with "+what+", or - for standard input; each byte counts, a final newline too")
	f.StringVar(&k.passphraseFile, prefix+"passphrase-file", "", "`FILE` with "+what+" as text, or -; one final newline is left off")
	f.IntVar(&k.fd, prefix+"key-fd", -1, "read "+what+" from this open file descriptor, as --"+prefix+"key-file does")
}

// atMostOne refuses flags that stand for the same thing.
func atMostOne(c *cobra.Command, names ...string) error {
	var used []string
	for _, n := range names {
		if c.Flags().Changed(n) {
			used = append(used, "--"+n)
		}
	}
	if len(used) > 1 {
		return fmt.Errorf("%s exclude each other", strings.Join(used, " and "))
	}
	return nil
}

// given tells whether any of the flags was used.
func (k *keyFlags) given() bool { return k.keyFile != "" || k.passphraseFile != "" || k.fd >= 0 }

// stdin tells whether the key comes from standard input.
func (k *keyFlags) stdin() bool { return isStdin(k.keyFile) || isStdin(k.passphraseFile) || k.fd == 0 }

// read returns the key, which the caller wipes. If none was given it asks for a
// passphrase, twice if it is a new one.
func (k *keyFlags) read(ctx context.Context, t *talk, name string, isNew bool) ([]byte, error) {
	var key []byte
	var err error
	var from string
	switch {
	case k.keyFile != "":
		from = k.keyFile
		key, err = readKeyFile(ctx, k.keyFile)
	case k.passphraseFile != "":
		from = k.passphraseFile
		key, err = readKeyFile(ctx, k.passphraseFile)
		if text, ok := bytes.CutSuffix(key, []byte("\n")); ok {
			key = bytes.TrimSuffix(text, []byte("\r"))
		}
	case k.fd >= 0:
		from = fmt.Sprintf("file descriptor %d", k.fd)
		f := os.NewFile(uintptr(k.fd), from)
		if f == nil {
			return nil, fmt.Errorf("--key-fd %d is not an open file descriptor", k.fd)
		}
		key, err = readKey(ctx, f)
		f.Close()
	default:
		return prompt(ctx, name, isNew)
	}
	if err != nil {
		return nil, err
	}
	if len(key) == 0 && isNew {
		return nil, fmt.Errorf("the key from %s is empty", stdinName(from))
	}
	t.say("key: %d bytes from %s", len(key), stdinName(from))
	if k.passphraseFile == "" && bytes.HasSuffix(key, []byte("\n")) {
		t.warn("the key ends with a newline, which is a part of it; --passphrase-file leaves it off")
	}
	return key, nil
}

func stdinName(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

func readKeyFile(ctx context.Context, name string) ([]byte, error) {
	key, err := readFile(ctx, name, maxKey)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	return key, nil
}

// readAPIKey reads an API key from a file, without the space around it. The caller wipes it.
func readAPIKey(ctx context.Context, what, name string) ([]byte, error) {
	b, err := readFile(ctx, name, maxKey)
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

// readKey reads all of f, or gives up when ctx is done.
func readKey(ctx context.Context, f *os.File) ([]byte, error) { return readAll(ctx, f, maxKey) }

// readSecret is io.ReadAll, but wipes the buffers that became too small.
func readSecret(r io.Reader) ([]byte, error) {
	buf := make([]byte, 0, 4096)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			clear(buf)
			return nil, err
		}
		if len(buf) == cap(buf) {
			more := make([]byte, len(buf), 2*len(buf))
			copy(more, buf)
			clear(buf)
			buf = more
		}
	}
}

// prompt asks for a passphrase on the terminal.
func prompt(ctx context.Context, name string, isNew bool) ([]byte, error) {
	ask := func(question string) ([]byte, error) {
		state := term.Save()
		var secret []byte
		err := parallel.Await(ctx, func() (err error) {
			secret, err = term.ReadSecret(question)
			return err
		})
		if err != nil {
			state.Restore()
		}
		return secret, err
	}
	name = term.Visible(name)
	what := "Passphrase for " + name + ": "
	if isNew {
		what = "New passphrase for " + name + ": "
	}
	p, err := ask(what)
	switch {
	case errors.Is(err, term.ErrNoTerminal):
		return nil, fmt.Errorf("no key was given, and there is %w", err)
	case err != nil:
		return nil, err
	case len(p) == 0:
		return nil, errors.New("the passphrase is empty")
	case !isNew:
		return p, nil
	}
	again, err := ask("Repeat it: ")
	if err != nil {
		return nil, err
	}
	defer clear(again)
	if subtle.ConstantTimeCompare(p, again) != 1 {
		clear(p)
		return nil, errors.New("the two passphrases are not the same")
	}
	return p, nil
}
