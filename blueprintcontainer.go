package luksimg

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/pieces"
	"github.com/luksimg/luksimg/internal/spans"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vhd"
	"github.com/luksimg/luksimg/xts"
)

// A VHDIdentity holds the bytes that are unique to one VHD.
type VHDIdentity struct {
	UniqueID  []byte    `json:"unique_id"` // 16 bytes
	Timestamp time.Time `json:"timestamp"`
	Fixed     bool      `json:"fixed,omitempty"` // not encrypted; the fields below are zero

	KeyBits  int    `json:"key_bits,omitempty"`
	KeyNonce []byte `json:"key_nonce,omitempty"` // 32 bytes
	KeyHash  []byte `json:"key_hash,omitempty"`  // 32 bytes: SHA-256 of the nonce and the key
}

// drawUnits records which units of the disk are not known to be zeros.
func (b *Blueprint) drawUnits(ctx context.Context, src image.Source, unit int64) (spans.List, error) {
	var l spans.List
	cut := pieces.Cut{Unit: unit, Most: 1 << 40}
	end := roundUp(src.Size(), unit)
	for p, err := range cut.Pieces(ctx, src, 0, end) {
		if err == nil && !p.Zero {
			err = l.Add(p.Offset/unit, (p.Length+unit-1)/unit)
		}
		if err != nil {
			return nil, err
		}
	}
	b.Units = l.Encode()
	return l, nil
}

// units decodes the units.
func (b *Blueprint) units(unit int64) (spans.List, error) {
	l, err := spans.Decode(b.Units, (b.SourceSize+unit-1)/unit)
	if err != nil {
		err = fmt.Errorf("%w: units: %w", ErrBlueprint, err)
	}
	return l, err
}

func drawVHD(ctx context.Context, _ *plan, b *Blueprint, src image.Source, key []byte) error {
	if len(key) == 0 {
		return errNoKey
	}
	blocks, err := b.drawUnits(ctx, src, vhdUnit)
	if err != nil {
		return err
	}
	id, err := vhd.NewIdentity(key)
	if err != nil {
		return err
	}
	l, err := vhd.NewLayout(src.Size(), blocks, id)
	if err != nil {
		return err
	}
	b.VolumeSize, b.FileSize = l.VirtualSize(), l.Size()
	b.VHD = &VHDIdentity{UniqueID: id.UniqueID[:], Timestamp: id.Timestamp, KeyBits: 8 * len(key), KeyNonce: id.KeyNonce[:], KeyHash: id.KeyHash[:]}
	return nil
}

// checkVHD compares the sizes in a blueprint with the layout of a VHD.
func (b *Blueprint) checkVHD(l interface {
	Size() int64
	VirtualSize() int64
}) error {
	if l.Size() != b.FileSize || l.VirtualSize() != b.VolumeSize {
		return fmt.Errorf("it describes a file of %d bytes with a disk of %d", l.Size(), l.VirtualSize())
	}
	return nil
}

// vhdLayout checks the blueprint of a VHD and returns its layout.
func (b *Blueprint) vhdLayout() (*vhd.Layout, vhd.Identity, error) {
	v := b.VHD
	if v == nil || len(v.UniqueID) != 16 || len(v.KeyNonce) != 32 || len(v.KeyHash) != 32 || v.KeyBits != 256 && v.KeyBits != 512 {
		return nil, vhd.Identity{}, fmt.Errorf("%w: vhd is missing, or malformed", ErrBlueprint)
	}
	id := vhd.Identity{UniqueID: [16]byte(v.UniqueID), Timestamp: v.Timestamp, KeyNonce: [32]byte(v.KeyNonce), KeyHash: [32]byte(v.KeyHash)}
	blocks, err := b.units(vhdUnit)
	if err != nil {
		return nil, id, err
	}
	l, err := vhd.NewLayout(b.SourceSize, blocks, id)
	if err == nil {
		err = b.checkVHD(l)
	}
	if err != nil {
		return nil, id, fmt.Errorf("%w: %w", ErrBlueprint, err)
	}
	return l, id, nil
}

func describeVHD(b *Blueprint) (*Result, error) {
	_, id, err := b.vhdLayout()
	if err != nil {
		return nil, err
	}
	return &Result{Format: VHD, Cipher: "aes-xts-plain", KeyBits: b.VHD.KeyBits, UUID: id.UUID(),
		SourceSize: b.SourceSize, VolumeSize: b.VolumeSize, FileSize: b.FileSize}, nil
}

func identifyVHD(b *Blueprint) (headerParts, error) {
	l, _, err := b.vhdLayout()
	if err != nil {
		return nil, err
	}
	return headerParts{{0, l.Head()}}, nil
}

// A vhdBuilder makes parts of an encrypted VHD.
type vhdBuilder struct {
	*vhd.Layout
	src    image.Source
	cipher *xts.Cipher
	o      RunOptions
}

func buildVHD(_ context.Context, b *Blueprint, src image.Source, key []byte, o BuildOptions) (rangeWriter, error) {
	l, _, err := b.vhdLayout()
	if err != nil {
		return nil, err
	}
	c, err := l.Cipher(key)
	if err != nil {
		return nil, err
	}
	return &vhdBuilder{l, src, c, o.RunOptions}, nil
}

func (b *vhdBuilder) writeRange(ctx context.Context, dst io.WriterAt, from, to int64) error {
	w := b.o.workers()
	return b.WriteRange(ctx, dst, b.src, b.cipher, from, to, w.Count, w.Done)
}

// Close implements [rangeWriter].
func (b *vhdBuilder) Close() error {
	b.cipher.Close()
	return nil
}

func drawQCOW2(ctx context.Context, p *plan, b *Blueprint, src image.Source, key []byte) error {
	clusters, err := b.drawUnits(ctx, src, qcow2Unit)
	if err != nil {
		return err
	}
	lo := p.luks
	size, err := lo.Layout()
	if err != nil {
		return err
	}
	lo.DataOffset = size.HeaderSize // right after the key slots, as in QEMU
	h, volumeKey, err := luks.New(ctx, key, lo)
	if err != nil {
		return err
	}
	clear(volumeKey)
	l, err := qcow.NewLayout(qcow.LayoutOptions{Size: src.Size(), Clusters: clusters, LUKSSize: size.HeaderSize})
	if err != nil {
		return err
	}
	b.VolumeSize, b.FileSize = roundUp(src.Size(), 512), l.Size()
	var parts headerParts
	if err := h.WriteHeader(&parts); err != nil {
		return err
	}
	b.Header = parts.compact()
	return nil
}

// qcow2Layout checks the blueprint of a qcow2 image and returns its layout.
func (b *Blueprint) qcow2Layout(o luks.OpenOptions) (*qcow.Layout, *luks.Header, error) {
	bad := func(err error) (*qcow.Layout, *luks.Header, error) {
		return nil, nil, fmt.Errorf("%w: %w", ErrBlueprint, err)
	}
	if err := headerParts(b.Header).check(b.FileSize); err != nil {
		return bad(err)
	}
	h, err := luks.Open(headerFile{b.Header, b.FileSize}, b.FileSize, o)
	if err != nil {
		return bad(err)
	}
	if err := headerParts(b.Header).check(h.DataOffset()); err != nil {
		return bad(err)
	}
	clusters, err := b.units(qcow2Unit)
	if err != nil {
		return nil, nil, err
	}
	l, err := qcow.NewLayout(qcow.LayoutOptions{Size: b.SourceSize, Clusters: clusters, LUKSSize: h.DataOffset()})
	if err == nil && (l.Size() != b.FileSize || b.VolumeSize != roundUp(b.SourceSize, 512) || h.Version() != 1 || h.SectorSize() != 512) {
		err = fmt.Errorf("it describes a file of %d bytes, with LUKS%d inside", l.Size(), h.Version())
	}
	if err != nil {
		return bad(err)
	}
	return l, h, nil
}

func describeQCOW2(b *Blueprint) (*Result, error) {
	_, h, err := b.qcow2Layout(luks.OpenOptions{})
	if err != nil {
		return nil, err
	}
	return b.result(h.Info()), nil
}

func identifyQCOW2(b *Blueprint) (headerParts, error) {
	l, _, err := b.qcow2Layout(luks.OpenOptions{})
	if err != nil {
		return nil, err
	}
	return b.startAt(l.LUKSOffset()), nil
}

// A qcow2Builder makes parts of a qcow2 image.
type qcow2Builder struct {
	*qcow.Layout
	header headerParts
	src    image.Source
	volume *luks.Volume
	o      RunOptions
}

func buildQCOW2(ctx context.Context, b *Blueprint, src image.Source, key []byte, o BuildOptions) (rangeWriter, error) {
	l, h, err := b.qcow2Layout(o.LUKS)
	if err != nil {
		return nil, err
	}
	v, err := h.Unlock(ctx, key)
	if err != nil {
		return nil, err
	}
	return &qcow2Builder{l, b.Header, src, v, o.RunOptions}, nil
}

func (b *qcow2Builder) writeRange(ctx context.Context, dst io.WriterAt, from, to int64) error {
	for _, part := range b.header {
		if _, err := dst.WriteAt(part.Data, b.LUKSOffset()+part.Offset); err != nil {
			return err
		}
	}
	w := b.o.workers()
	return b.WriteRange(ctx, dst, b.src, b.volume, from, to, w.Count, w.Done)
}

// Close implements [rangeWriter].
func (b *qcow2Builder) Close() error { return b.volume.Close() }
