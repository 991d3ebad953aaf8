package luksimg

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/engine"
	"github.com/luksimg/luksimg/luks"
)

// A plan holds the resolved options of an encryption. All later steps use the plan, not the options.
type plan struct {
	profile Profile
	rules   Rules
	format  Format
	make    *maker
	luks    luks.Options // with the settings of the profile, the format and a detached header
	header  io.WriterAt  // nil if the header is not detached
	sparse  bool         // zeros are left out
	digest  bool
	workers engine.Workers
}

// plan resolves the options, or returns an error if they conflict.
func (o EncryptOptions) plan() (*plan, error) {
	p := &plan{profile: o.Profile, rules: o.Profile.Rules(), luks: o.LUKS, header: o.Header, sparse: o.DiscardZeros, digest: o.Digest, workers: o.workers()}
	want := p.rules.Format
	switch {
	case o.Profile != "" && want == "":
		return nil, fmt.Errorf("no such profile: %q, want one of %s", o.Profile, strings.Join(profileNames(), ", "))
	case want != "" && o.Format != "" && o.Format != want:
		return nil, fmt.Errorf("profile %s requires format %s, not %s", o.Profile, want, o.Format)
	}
	p.format = cmp.Or(o.Format, want)
	if p.format == "" {
		p.format = LUKS2
		if o.LUKS.Version == 1 {
			p.format = LUKS1
		}
	}
	f, err := formatOf(p.format, nil, 0)
	if err != nil || f.make == nil {
		return nil, fmt.Errorf("%w: an encrypted image of format %q cannot be made", ErrUnsupportedFormat, p.format)
	}
	p.make = f.make
	if p.make.check != nil {
		if err := p.make.check(o); err != nil {
			return nil, err
		}
	}
	p.luks.Version = cmp.Or(o.LUKS.Version, p.make.version)
	if v := p.make.version; v != 0 && v != p.luks.Version {
		return nil, fmt.Errorf("format %s is LUKS version %d, not %d", p.format, v, p.luks.Version)
	}
	if p.luks, err = o.Profile.luks(p.luks); err != nil {
		return nil, err
	}
	if o.Header != nil {
		if o.Profile != "" {
			return nil, fmt.Errorf("profile %s does not allow a detached header", o.Profile)
		}
		p.luks.Detached = true
	}
	return p, nil
}

// checkSize checks that the format and the cloud allow a disk of size bytes.
func (p *plan) checkSize(size int64) error {
	if err := p.profile.checkSize(size); err != nil {
		return err
	}
	_, err := p.make.sizes(p, size, &engine.Units{})
	return err
}

// A maker makes encrypted images of one format.
type maker struct {
	// version is the LUKS version, 0 if the format has no LUKS inside.
	version int
	// unit is the size of an allocation unit in bytes, or 0 if the format allocates the whole disk.
	unit int64
	// check refuses options that the format does not support, except for the version.
	check func(o EncryptOptions) error
	// sizes returns the sizes of the image of a disk of size bytes with the used units.
	sizes func(p *plan, size int64, used *engine.Units) (Sizes, error)
	// encrypt makes an image. The size of the disk and the key have been checked.
	encrypt func(ctx context.Context, p *plan, dst io.WriterAt, src image.Source, key []byte) (*Result, error)
	// draw fills in the parts of a blueprint that do not depend on the data.
	draw func(ctx context.Context, p *plan, b *Blueprint, src image.Source, key []byte) error
	// build returns the writer of parts of an image that was drawn, with its key.
	build func(ctx context.Context, b *Blueprint, src image.Source, key []byte, o BuildOptions) (rangeWriter, error)
	// describe returns the result of a blueprint.
	describe func(b *Blueprint) (*Result, error)
	// identity returns bytes of the drawn image that no other image has.
	identity func(b *Blueprint) (headerParts, error)
}
