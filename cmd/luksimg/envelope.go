package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/wrap"
)

// envelopeSuffix is what goes after the name of an image for that of its envelope.
const envelopeSuffix = ".envelope.json"

func readEnvelope(name string) (*wrap.Envelope, error) {
	if name == "" {
		return nil, withHint(errors.New("no envelope was named"), "name it with --envelope FILE")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	e, err := wrap.ReadEnvelope(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return e, nil
}

// writeEnvelope writes an envelope to a file, which it replaces as a whole.
func writeEnvelope(name string, e *wrap.Envelope, force bool) error {
	f, err := output.Create(name, 0o666, force)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := e.Write(f); err != nil {
		return err
	}
	return f.Commit()
}

// wrapKey wraps key material by a root key, and unwraps the result to see that it is the
// same, if this identity may. checked tells whether it could.
func wrapKey(ctx context.Context, root *rootKey, c wrap.Convention, material []byte) (e *wrap.Envelope, checked bool, err error) {
	keys, err := c.Keys(material)
	if err != nil {
		return nil, false, err
	}
	defer keys.Clear()
	wdek, err := root.Wrap(ctx, keys.Plaintext)
	if err != nil {
		return nil, false, err
	}
	if checked, err = checkWrapped(ctx, root, wdek, keys.Plaintext); err != nil {
		return nil, false, err
	}
	return &wrap.Envelope{WDEK: wdek, RootKeyCRN: root.crn, KMS: root.kms, Convention: c,
		Created: now(), Tool: toolName()}, checked, nil
}

// checkWrapped unwraps a key that was just wrapped. An identity that may wrap and not
// unwrap is no error.
func checkWrapped(ctx context.Context, root wrap.Unwrapper, wdek string, plaintext []byte) (bool, error) {
	u, err := root.Unwrap(ctx, wdek)
	if errors.Is(err, wrap.ErrDenied) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("checking the wrapped key: %w", err)
	}
	defer u.Clear()
	if subtle.ConstantTimeCompare(u.Plaintext, plaintext) != 1 {
		return false, errors.New("the wrapped key unwraps to another key than the one that was wrapped")
	}
	return true, nil
}

// unwrapKey returns what opens the disk, from an envelope. The caller wipes it. stale
// tells that the root key was rotated since.
func unwrapKey(ctx context.Context, root wrap.Unwrapper, e *wrap.Envelope) (disk []byte, stale bool, err error) {
	u, err := root.Unwrap(ctx, e.WDEK)
	if err != nil {
		return nil, false, err
	}
	defer u.Clear()
	if disk, err = e.Convention.Unwrapped(u.Plaintext); err != nil {
		return nil, false, err
	}
	if e.KeyFingerprint != "" && !wrap.SameKey(disk, e.KeyFingerprint) {
		clear(disk)
		return nil, false, withHint(errors.New("the key that was unwrapped is not the one whose fingerprint the envelope has"),
			"the envelope was changed, or is of two images: wrap the key again")
	}
	return disk, u.Rewrapped != "", nil
}

// imageUUID opens an encrypted image with a key, which so is known to fit, and returns
// the UUID in its header; "" if the format has none.
func imageUUID(ctx context.Context, g *global, name string, disk []byte) (string, error) {
	in, err := openInput(ctx, g, name)
	if err != nil {
		return "", err
	}
	defer in.close()
	var uuid string
	err = parallel.Await(ctx, func() error {
		img, err := in.image(luksimg.ImageOptions{Key: disk})
		if err != nil {
			return err
		}
		defer img.Close()
		if !img.Encrypted {
			return withHint(in.wrap(errors.New("not encrypted")), "name the image that was encrypted with this key")
		}
		uuid = img.UUID
		return nil
	})
	return uuid, err
}

// isDEK tells whether a key was made by a generator, as the profiles of classic
// infrastructure ask for.
//
// Only such a key has a fingerprint in files that stand beside an image. That is a fast
// hash: of a passphrase that a person chose it would let others try guesses without the
// slow derivation that the key slots of the image ask for.
func isDEK(c wrap.Convention) bool { return c == wrap.ClassicLUKS || c == wrap.ClassicVHD }
