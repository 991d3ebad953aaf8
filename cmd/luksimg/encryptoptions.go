package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/wrap"
)

// options returns what the flags say.
func (o *encryptFlags) options() (luksimg.EncryptOptions, error) {
	opts := luksimg.EncryptOptions{Profile: luksimg.Profile(o.profile), Format: o.luks.container(), DiscardZeros: o.discardZeros, Digest: o.sha256}
	opts.Jobs = int(o.jobs)
	var err error
	if opts.LUKS, err = o.luks.options(); err != nil {
		return opts, err
	}
	opts.LUKS.GeneratedKey = o.generateKey != "" || o.hidden()
	return opts, opts.Check()
}

// check looks at the flags before anything is opened.
func (o *encryptFlags) check(src, dst string) error {
	inOrder := src == "-" || stdio.IsStream(src)
	switch {
	case stdio.IsStdin(src) && o.key.Stdin():
		return errors.New("standard input can not be both the disk and the key")
	case o.key.Encoding() != keys.Raw && o.made() == luksimg.VHD:
		return errors.New("--passphrase-encoding is for passphrases: the key of an encrypted VHD is the bytes themselves")
	case o.root.given() && o.made() != luksimg.LUKS2:
		return rest.WithHint(fmt.Errorf("--kms and --root-key-crn put the wrapped key into a LUKS2 header, and the image is %s", o.made()),
			"luksimg wrap --envelope FILE puts it beside the image")
	case dst == "-" && o.verify:
		return errors.New("--verify needs an output that can be read again, not standard output")
	case o.seeks() && inOrder:
		return rest.WithHint(fmt.Errorf("a %s image can not be made of what is read in order: it needs seeking", o.made()), "write SRC to a file first")
	case o.seeks() && dst == "-":
		return rest.WithHint(fmt.Errorf("a %s image can not be written to standard output, where nothing can be changed any more", o.made()),
			"--format luks1 or luks2 can; write others to a file")
	case inOrder && o.verify:
		return errors.New("--verify needs a source that can be read again, not standard input")
	case o.discardZeros && (inOrder || dst == "-" || isCOS(dst)):
		return errors.New("--discard-zeros needs a source and an output that can seek and has holes: a file")
	case isCOS(o.header) || isCOS(o.generateKey) || isCOS(o.manifestFile):
		return errors.New("--header, --generate-key and --manifest are files, not cos://")
	case dst == "-":
		return o.ToStdout("DST", "the image")
	}
	return nil
}

// checkCloud looks at what the cloud of the profile takes, before any work.
func (o *encryptFlags) checkCloud(t *talk.Talk, dst string, size int64) error {
	p := luksimg.Profile(o.profile)
	if err := (luksimg.EncryptOptions{Profile: p}).CheckSize(max(size, 0)); err != nil {
		return err
	}
	for _, n := range p.Notes(size) {
		t.Say("%s", n)
	}
	if dst == "-" {
		return nil
	}
	err := p.CheckName(filepath.Base(dst))
	if err != nil && p.Rules().AtUpload {
		t.Warn("%v", err)
		return nil
	}
	return err
}

// hidden tells that the key is a new one that nobody gets to see: the root key keeps it.
func (o *encryptFlags) hidden() bool { return o.root.given() && o.generateKey == "" && !o.key.Given() }

// made is the format that the flags or the profile ask for.
func (o *encryptFlags) made() luksimg.Format {
	return cmp.Or(o.luks.container(), luksimg.Profile(o.profile).Rules().Format, luksimg.LUKS2)
}

// seeks tells that what is made is a container, which needs a source and an output that can seek.
func (o *encryptFlags) seeks() bool {
	return slices.Contains([]luksimg.Format{luksimg.VHD, luksimg.QCOW2}, o.made())
}

// readKey returns the key, and the file that it is being written to if it is new.
func (o *encryptFlags) readKey(ctx context.Context, t *talk.Talk, dst string) (*output.File, []byte, error) {
	if o.generateKey != "" {
		// Where the key is not text, it is the key of AES-256 in XTS mode itself.
		if o.made() == luksimg.VHD {
			return generateKey(o.generateKey, 64, true, keys.Raw)
		}
		return generateKey(o.generateKey, defaultKeyBytes, false, o.key.Encoding())
	}
	if o.hidden() {
		key, err := wrap.NewMaterial(defaultKeyBytes, false)
		return nil, key, err
	}
	key, err := o.key.Read(ctx, t, stdoutName(dst), true)
	if err != nil {
		return nil, nil, err
	}
	// Profiles look at the key; what they find is better said before the work.
	return nil, key, luksimg.Profile(o.profile).CheckKey(key)
}

func stdoutName(name string) string {
	if name == "-" {
		return "the image"
	}
	return name
}
