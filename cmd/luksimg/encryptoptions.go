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

// options returns the options that the flags select.
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

// check validates the flags before any file is opened.
func (o *encryptFlags) check(src, dst string) error {
	inOrder := src == "-" || stdio.IsStream(src)
	switch {
	case stdio.IsStdin(src) && o.key.Stdin():
		return errors.New("standard input cannot be both the disk and the key")
	case o.key.Encoding() != keys.Raw && o.made() == luksimg.VHD:
		return errors.New("--passphrase-encoding applies to passphrases, but the key of an encrypted VHD is raw bytes")
	case o.root.given() && o.made() != luksimg.LUKS2:
		return rest.WithHint(fmt.Errorf("--kms and --root-key-crn put the wrapped key into a LUKS2 header, but the image is %s", o.made()),
			"luksimg wrap --envelope FILE puts it beside the image")
	case dst == "-" && o.verify:
		return errors.New("--verify needs an output that can be read again, not standard output")
	case o.seeks() && inOrder:
		return rest.WithHint(fmt.Errorf("a %s image cannot be made from a stream: writing it needs seeking", o.made()), "write SRC to a file first")
	case o.seeks() && dst == "-":
		return rest.WithHint(fmt.Errorf("a %s image cannot be written to standard output: writing it needs seeking", o.made()),
			"--format luks1 or luks2 can; write others to a file")
	case inOrder && o.verify:
		return errors.New("--verify needs a source that can be read again, not standard input")
	case o.discardZeros && (inOrder || dst == "-" || isCOS(dst)):
		return errors.New("--discard-zeros needs files as source and output: other outputs have no holes")
	case isCOS(o.header) || isCOS(o.generateKey) || isCOS(o.manifestFile):
		return errors.New("--header, --generate-key and --manifest must name files, not cos://")
	case dst == "-":
		return o.ToStdout("DST", "the image")
	}
	return nil
}

// checkCloud checks the size and the name against the limits of the profile's cloud.
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

// hidden reports whether the key is a new one that is stored only in wrapped form.
func (o *encryptFlags) hidden() bool { return o.root.given() && o.generateKey == "" && !o.key.Given() }

// made returns the format that the flags or the profile select.
func (o *encryptFlags) made() luksimg.Format {
	return cmp.Or(o.luks.container(), luksimg.Profile(o.profile).Rules().Format, luksimg.LUKS2)
}

// seeks reports whether the format is a container, whose source and output must be able to seek.
func (o *encryptFlags) seeks() bool {
	return slices.Contains([]luksimg.Format{luksimg.VHD, luksimg.QCOW2}, o.made())
}

// readKey returns the key. If the key is new, it also returns the unfinished key file.
func (o *encryptFlags) readKey(ctx context.Context, t *talk.Talk, dst string) (*output.File, []byte, error) {
	if o.generateKey != "" {
		// The key of a VHD is not text, but the AES-256-XTS key itself.
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
	// Check the key against the profile before the work starts.
	return nil, key, luksimg.Profile(o.profile).CheckKey(key)
}

func stdoutName(name string) string {
	if name == "-" {
		return "the image"
	}
	return name
}
