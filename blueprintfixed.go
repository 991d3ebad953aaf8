package luksimg

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/vhd"
)

// fixedVHDMaker makes parts of an unencrypted VHD.
var fixedVHDMaker = maker{build: buildFixedVHD, describe: describeFixedVHD, identity: identifyFixedVHD}

func drawFixedVHD(src image.Source) (*Blueprint, error) {
	id, err := vhd.NewIdentity(nil)
	if err != nil {
		return nil, err
	}
	l, err := vhd.NewFixedLayout(src.Size(), id)
	if err != nil {
		return nil, err
	}
	return &Blueprint{Format: VHD, SourceSize: src.Size(), VolumeSize: l.VirtualSize(), FileSize: l.Size(),
		VHD: &VHDIdentity{UniqueID: id.UniqueID[:], Timestamp: id.Timestamp, Fixed: true}}, nil
}

// fixedLayout checks the blueprint of a fixed VHD and returns its layout.
func (b *Blueprint) fixedLayout() (*vhd.FixedLayout, vhd.Identity, error) {
	v := b.VHD
	if len(v.UniqueID) != 16 || v.KeyBits != 0 || len(v.KeyNonce) > 0 || len(v.KeyHash) > 0 {
		return nil, vhd.Identity{}, fmt.Errorf("%w: vhd is malformed", ErrBlueprint)
	}
	id := vhd.Identity{UniqueID: [16]byte(v.UniqueID), Timestamp: v.Timestamp}
	l, err := vhd.NewFixedLayout(b.SourceSize, id)
	if err == nil {
		err = b.checkVHD(l)
	}
	if err != nil {
		return nil, id, fmt.Errorf("%w: %w", ErrBlueprint, err)
	}
	return l, id, nil
}

func describeFixedVHD(b *Blueprint) (*Result, error) {
	_, id, err := b.fixedLayout()
	if err != nil {
		return nil, err
	}
	return &Result{Format: VHD, UUID: id.UUID(), SourceSize: b.SourceSize, VolumeSize: b.VolumeSize, FileSize: b.FileSize}, nil
}

func identifyFixedVHD(b *Blueprint) (headerParts, error) {
	l, _, err := b.fixedLayout()
	if err != nil {
		return nil, err
	}
	return headerParts{{l.VirtualSize(), l.Footer()}}, nil
}

// A fixedVHDBuilder makes parts of a fixed VHD.
type fixedVHDBuilder struct {
	*vhd.FixedLayout
	src image.Source
	o   RunOptions
}

func buildFixedVHD(_ context.Context, b *Blueprint, src image.Source, key []byte, o BuildOptions) (rangeWriter, error) {
	if key != nil {
		return nil, errors.New("a key was given for an image that is not encrypted")
	}
	l, _, err := b.fixedLayout()
	if err != nil {
		return nil, err
	}
	return &fixedVHDBuilder{l, src, o.RunOptions}, nil
}

func (b *fixedVHDBuilder) writeRange(ctx context.Context, dst io.WriterAt, from, to int64) error {
	w := b.o.workers()
	return b.WriteRange(ctx, dst, b.src, from, to, w.Count, w.Done)
}

// Close implements [rangeWriter].
func (b *fixedVHDBuilder) Close() error { return nil }
