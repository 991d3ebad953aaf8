package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/clevis"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/wrap"
)

// A wdekToken is a token of type luksimg-wdek in a header.
type wdekToken struct {
	wrap.Token
	number int
}

// A tokenError is an error about a token in an image, or about the key that opens it.
type tokenError struct {
	number int
	err    error
}

func (e *tokenError) Error() string { return fmt.Sprintf("token %d: %v", e.number, e.err) }
func (e *tokenError) Unwrap() error { return e.err }

// wdekTokens returns the valid tokens of the header that hold a wrapped key. err joins what is wrong with the others.
func wdekTokens(h *luks.Header) (all []wdekToken, err error) {
	for _, t := range h.Tokens() {
		if t.Type != wrap.TokenType {
			continue
		}
		parsed, e := wrap.ParseToken(t.JSON)
		if e == nil {
			e = parsed.Of(h.UUID())
		}
		if e != nil {
			err = errors.Join(err, &tokenError{t.Number, e})
			continue
		}
		all = append(all, wdekToken{parsed, t.Number})
	}
	return all, err
}

// An openedToken is a token with its unwrapped key and the key slot that the key opens.
type openedToken struct {
	wdekToken
	root *wrap.RootKey
	key  *wrap.Opened
	slot openedSlot
}

// clear wipes the keys.
func (t *openedToken) clear() {
	t.key.Clear()
	clear(t.slot.volumeKey)
}

// openToken opens a token of the header with the root key that the flags name, and a key slot with the token's key.
// If only is not AnySlot it tries that key slot alone. It contacts no service unless a token is for this image and
// that root key. The caller clears the result.
func (o *rootKeyFlags) openToken(ctx context.Context, h *luks.Header, only int) (*openedToken, error) {
	if _, err := o.uri(); err != nil {
		return nil, err
	}
	if h.Version() == 1 {
		return nil, rest.WithHint(fmt.Errorf("%w: LUKS1 has no tokens", wrap.ErrNoToken), "the wrapped key may be in an envelope: luksimg unwrap --envelope FILE")
	}
	all, errs := wdekTokens(h)
	for _, t := range all {
		opened, err := o.tryToken(ctx, h, t, only)
		if err == nil {
			return opened, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		errs = errors.Join(errs, &tokenError{t.number, err})
	}
	if errs == nil {
		return nil, wrap.ErrNoToken
	}
	return nil, errs
}

// tryToken opens one token.
func (o *rootKeyFlags) tryToken(ctx context.Context, h *luks.Header, t wdekToken, only int) (*openedToken, error) {
	slots := t.Keyslots
	if only != luks.AnySlot {
		slots = slices.DeleteFunc(slices.Clone(slots), func(n int) bool { return n != only })
	}
	switch {
	case len(t.Keyslots) == 0:
		return nil, rest.WithHint(fmt.Errorf("its key slots were removed: %w", luks.ErrNoSlot), "re-create it with luksimg wrap --token IMAGE and the key of the image")
	case len(slots) == 0:
		return nil, fmt.Errorf("it is for key slots %v: %w: %d", t.Keyslots, luks.ErrNoSlot, only)
	}
	root, err := o.rootKeyOf(ctx, t.Envelope)
	if err != nil {
		return nil, err
	}
	key, err := wrap.Open(ctx, root, t.Envelope)
	if err != nil {
		return nil, err
	}
	for _, n := range slots {
		var volumeKey []byte
		if volumeKey, _, err = h.VolumeKey(ctx, key.Disk, n); err == nil {
			return &openedToken{t, root, key, openedSlot{key.Disk, volumeKey, n, root}}, nil
		}
	}
	key.Clear()
	if errors.Is(err, luks.ErrPassphrase) {
		err = rest.WithHint(fmt.Errorf("the key slot has another key since the token was made: %w", err), "re-create it with luksimg wrap --token IMAGE and the key of the image")
	}
	return nil, err
}

// byToken is unlock by a luksimg-wdek token of the header.
func (o *unlockFlags) byToken(ctx context.Context, g *global, name string, h *luks.Header, use func(openedSlot) error) error {
	only := luks.AnySlot
	if o.oneSlot() {
		only = *o.keySlot
	}
	t, err := o.kms.openToken(ctx, h, only)
	if err != nil {
		return err
	}
	defer t.clear()
	g.Say("%s: opened with %s, the root key of token %d", name, t.root, t.number)
	return use(t.slot)
}

// seal has a root key wrap the passphrase of a key slot and returns the token. It warns if it cannot check the
// wrapped key.
func (g *global) seal(ctx context.Context, root *wrap.RootKey, passphrase []byte, o wrap.SealOptions, slot int) (wrap.Token, error) {
	o.RootKeyCRN, o.KMS, o.Created, o.Tool, o.Unwrapper = root.CRN, root.KMS, now(), toolName(), root
	e, checked, err := wrap.Seal(ctx, root, passphrase, o)
	if err != nil {
		return wrap.Token{}, err
	}
	if checked {
		g.Say("wrapped by %s, and checked: it unwraps to the same key", root)
	} else {
		g.Warn("wrapped by %s; this identity may not unwrap, so the wrapped key was not checked", root)
	}
	return wrap.Token{Envelope: e, Keyslots: []int{slot}}, nil
}

// sealInto has a root key wrap the passphrase of a new image into one of its tokens.
func (g *global) sealInto(ctx context.Context, root *wrap.RootKey, passphrase []byte, o *luks.Options) error {
	if o.UUID == "" {
		o.UUID = uuid.NewString()
	}
	t, err := g.seal(ctx, root, passphrase, wrap.SealOptions{ImageUUID: o.UUID, Fingerprint: o.GeneratedKey}, o.KeySlot)
	if err != nil {
		return err
	}
	text, err := t.JSON()
	o.Tokens = append(o.Tokens, text)
	return err
}

// putToken stores a token in a header and returns its number. It replaces a token of the same root key for the same
// key slot, or for no key slot. Otherwise it uses a free number.
func putToken(e *luks.Editor, t wrap.Token) (int, error) {
	text, err := t.JSON()
	if err != nil {
		return 0, err
	}
	all, _ := wdekTokens(e.Header())
	for _, old := range all {
		same := slices.Equal(old.Keyslots, t.Keyslots) || len(old.Keyslots) == 0
		if same && old.RootKeyCRN == t.RootKeyCRN && old.KMS == t.KMS {
			return old.number, e.ReplaceToken(text, old.number)
		}
	}
	return e.AddToken(text, luks.AnyToken)
}

// A tokenPlace is the locked header for a token, and the token's key slot.
type tokenPlace struct {
	in   *input
	e    *luks.Editor
	slot int
}

// placeFor opens an image, or LUKS in a partition of it, to change its tokens.
func (g *global) placeFor(ctx context.Context, name string, n flags.Partition) (*tokenPlace, error) {
	in, f, err := g.lock(ctx, name, n)
	if err != nil {
		return nil, err
	}
	e, err := luks.Edit(f, in.size, g.kdf.apply(luks.OpenOptions{}))
	if err == nil && e.Header().Version() == 1 {
		err = rest.WithHint(fmt.Errorf("%w: LUKS1 has no tokens", luks.ErrUnsupported), "luksimg wrap --envelope FILE puts the wrapped key beside the image")
	}
	if err != nil {
		in.close()
		return nil, in.wrap(err)
	}
	g.WarnAll(in.name+": ", e.Header().Info().Warnings)
	return &tokenPlace{in: in, e: e}, nil
}

// take finds the key slot that the key material opens, and returns the UUID of the image.
func (p *tokenPlace) take(ctx context.Context, c wrap.Convention, material []byte) (uuid string, err error) {
	k, err := c.Keys(material)
	if err != nil {
		return "", err
	}
	defer k.Clear()
	volumeKey, slot, err := p.e.Header().VolumeKey(ctx, k.Disk, luks.AnySlot)
	if err != nil {
		return "", p.in.wrap(err)
	}
	clear(volumeKey)
	p.slot = slot
	return p.e.Header().UUID(), nil
}

// warnStale warns of tokens for the previous key of a key slot.
func (g *global) warnStale(h *luks.Header, name string, slot int) {
	for _, t := range h.Tokens() {
		switch {
		case !slices.Contains(t.Keyslots, slot):
		case t.Type == wrap.TokenType:
			g.Warn("token %d holds the key that key slot %d had: re-create it with luksimg wrap --token %s", t.Number, slot, name)
		case t.Type == clevis.TokenType || strings.HasPrefix(t.Type, "systemd-"):
			g.Warn("token %d, %q, is for the previous key of key slot %d, and no longer opens it", t.Number, t.Type, slot)
		}
	}
}

// warnUseless warns of tokens whose key slots were removed.
func (g *global) warnUseless(h *luks.Header) {
	for _, t := range h.Tokens() {
		known := t.Type == wrap.TokenType || t.Type == clevis.TokenType || strings.HasPrefix(t.Type, "systemd-")
		if known && len(t.Keyslots) == 0 {
			g.Warn("token %d opens no key slot: luksimg token remove --token-id %d removes it", t.Number, t.Number)
		}
	}
}
