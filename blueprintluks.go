package luksimg

import (
	"context"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/engine"
	"github.com/luksimg/luksimg/luks"
)

// drawLUKS makes the LUKS header of the blueprint.
func drawLUKS(ctx context.Context, p *plan, b *Blueprint, src image.Source, key []byte) error {
	j, err := newLUKSJob(ctx, p, key)
	if err != nil {
		return err
	}
	defer j.volume.Close()
	r, err := j.result(src.Size())
	if err != nil {
		return err
	}
	b.VolumeSize, b.FileSize = r.VolumeSize, r.FileSize
	var parts headerParts
	if err := j.header.WriteHeader(&parts); err != nil {
		return err
	}
	b.Header = parts.compact()
	return nil
}

// luksHeader opens the header of a blueprint whose container is LUKS.
func (b *Blueprint) luksHeader(o luks.OpenOptions) (*luks.Header, error) {
	if err := headerParts(b.Header).check(b.FileSize - b.VolumeSize); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBlueprint, err)
	}
	h, err := luks.Open(headerFile{b.Header, b.FileSize}, b.FileSize, o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBlueprint, err)
	}
	sector, version := int64(h.SectorSize()), map[Format]int{LUKS1: 1, LUKS2: 2}[b.Format]
	if h.Version() != version || h.DataOffset() != b.FileSize-b.VolumeSize || b.VolumeSize%sector != 0 || h.DataSize() != 0 {
		return nil, fmt.Errorf("%w: the header is LUKS%d with data at byte %d in sectors of %d bytes", ErrBlueprint, h.Version(), h.DataOffset(), sector)
	}
	return h, nil
}

func describeLUKS(b *Blueprint) (*Result, error) {
	h, err := b.luksHeader(luks.OpenOptions{})
	if err != nil {
		return nil, err
	}
	return b.result(h.Info()), nil
}

// identityBytes is the part of a header that is compared. It includes UUID, salts and digest.
const identityBytes = 64 << 10

// identifyLUKS returns the start of the header.
func identifyLUKS(b *Blueprint) (headerParts, error) {
	if _, err := b.luksHeader(luks.OpenOptions{}); err != nil {
		return nil, err
	}
	return b.startAt(0), nil
}

// startAt returns the first identityBytes of the LUKS header, which is at off in the file.
func (b *Blueprint) startAt(off int64) (parts headerParts) {
	for _, p := range b.Header {
		if p.Offset < identityBytes {
			parts = append(parts, HeaderPart{off + p.Offset, p.Data[:min(int64(len(p.Data)), identityBytes-p.Offset)]})
		}
	}
	return parts
}

// result returns the result that the blueprint and its LUKS header describe.
func (b *Blueprint) result(info luks.Info) *Result {
	return &Result{Format: b.Format, LUKS: info, Cipher: info.Cipher, KeyBits: info.KeyBits, UUID: info.UUID,
		SourceSize: b.SourceSize, VolumeSize: b.VolumeSize, FileSize: b.FileSize}
}

// A luksBuilder makes parts of an image whose container is LUKS.
type luksBuilder struct {
	header headerParts
	data   int64 // the offset of the data
	job    engine.Encryption
	sector int64
	volume *luks.Volume
}

func buildLUKS(ctx context.Context, b *Blueprint, src image.Source, key []byte, o BuildOptions) (rangeWriter, error) {
	h, err := b.luksHeader(o.LUKS)
	if err != nil {
		return nil, err
	}
	v, err := h.Unlock(ctx, key)
	if err != nil {
		return nil, err
	}
	j := luksJob{plan: &plan{workers: o.workers()}, header: h, volume: v}
	return &luksBuilder{b.Header, h.DataOffset(), j.job(src, b.result(h.Info())), int64(h.SectorSize()), v}, nil
}

func (b *luksBuilder) writeRange(ctx context.Context, dst io.WriterAt, from, to int64) error {
	for _, part := range b.header {
		if _, err := dst.WriteAt(part.Data, part.Offset); err != nil {
			return err
		}
	}
	// The ciphertext is made in whole sectors.
	from, to = max(0, from-b.data)/b.sector*b.sector, min(b.job.Length, roundUp(max(0, to-b.data), b.sector))
	if from >= to {
		return nil
	}
	return b.job.WriteRange(ctx, dst, from, to)
}

// Close implements [rangeWriter].
func (b *luksBuilder) Close() error { return b.volume.Close() }
