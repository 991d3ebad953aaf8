package vhd

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
	"github.com/luksimg/luksimg/internal/spans"
	"github.com/luksimg/luksimg/internal/target"
	"github.com/luksimg/luksimg/xts"
)

// An Identity holds the values that distinguish a disk from all others. It contains no secret.
type Identity struct {
	UniqueID  [16]byte
	Timestamp time.Time // of creation
	KeyNonce  [32]byte  // all zeros if not encrypted
	KeyHash   [32]byte  // SHA-256 of KeyNonce and the key, or all zeros
}

// NewIdentity returns the identity of a new disk. key has 32 or 64 bytes, or is nil for an
// unencrypted disk.
func NewIdentity(key []byte) (Identity, error) {
	w, err := newWriter(0, CreateOptions{Key: key})
	if err == nil {
		err = w.identify(CreateOptions{Key: key, Rand: rand.Reader})
	}
	if err != nil {
		return Identity{}, err
	}
	return Identity{w.opts.UniqueID, w.opts.Timestamp.UTC().Truncate(time.Second), w.result.KeyNonce, w.result.KeyHash}, nil
}

// check refuses zero values, which [Create] would replace.
func (id Identity) check() error {
	if id.UniqueID == [16]byte{} || id.Timestamp.IsZero() {
		return errors.New("vhd: the identity has no unique ID or no timestamp")
	}
	return nil
}

// UUID returns the unique ID as text.
func (id Identity) UUID() string { return uuidText(id.UniqueID[:]) }

// A Layout is the layout of an encrypted dynamic disk as [Create] would make it. The offsets of all
// blocks are known in advance, so any part of the file can be written independently. A Layout is
// safe for concurrent use.
type Layout struct {
	w      *writer
	id     Identity
	blocks spans.List
	head   []byte // the metadata in front of the blocks
	first  int64  // offset of the first block
	step   int64  // distance between blocks
	end    int64  // end of the last block
}

// NewLayout returns the layout of a disk of size bytes. blocks are the blocks of 2 MiB in the file;
// all others are zeros. It is for package luksimg: other programs make parts of an image with luksimg.Draw.
func NewLayout(size int64, blocks spans.List, id Identity) (*Layout, error) {
	w, err := newWriter(size, CreateOptions{Key: []byte("any key of thirty-two bytes will"), UniqueID: id.UniqueID, Timestamp: id.Timestamp})
	if err != nil {
		return nil, err
	}
	if n := len(blocks); n > 0 && blocks[n-1].First+blocks[n-1].Count > w.blocks {
		return nil, fmt.Errorf("vhd: block %d is outside the disk of %d blocks", blocks[n-1].First+blocks[n-1].Count-1, w.blocks)
	}
	if err := id.check(); err != nil {
		return nil, err
	}
	if err := w.identify(CreateOptions{Key: []byte("any key of thirty-two bytes will")}); err != nil {
		return nil, err
	}
	w.result.KeyNonce, w.result.KeyHash = id.KeyNonce, id.KeyHash
	l := &Layout{w: w, id: id, blocks: blocks, first: w.place(w.metaEnd())}
	l.step, l.end = w.place(l.first+w.span())-l.first, w.metaEnd()
	if n := blocks.Len(); n > 0 {
		l.end = l.first + (n-1)*l.step + w.span()
	}
	if l.end > maxFile {
		return nil, fmt.Errorf("vhd: file size %d: %w", l.end, image.ErrTooLarge)
	}
	l.head = l.makeHead()
	return l, nil
}

// makeHead returns the metadata in front of the blocks.
func (l *Layout) makeHead() []byte {
	w := l.w
	w.table = make([]byte, w.tableBytes())
	for i := range w.table {
		w.table[i] = 0xff
	}
	place := l.first
	for b := range l.blocks.All() {
		binary.BigEndian.PutUint32(w.table[4*b:], uint32(place/sectorSize))
		place += l.step
	}
	head := make([]byte, w.metaEnd())
	copy(head, w.footer())
	copy(head[footerSize:], w.header())
	copy(head[tableStart:], w.table)
	copy(head[tableStart+w.tableBytes():], w.batmap())
	return head
}

// Size returns the length of the file in bytes.
func (l *Layout) Size() int64 { return l.end + footerSize }

// VirtualSize returns the size of the disk in bytes.
func (l *Layout) VirtualSize() int64 { return l.w.result.VirtualSize }

// Cipher returns the cipher for the data. It returns [ErrKey] if key is not the key of the disk.
func (l *Layout) Cipher(key []byte) (*xts.Cipher, error) {
	if len(key) != 32 && len(key) != 64 {
		return nil, fmt.Errorf("vhd: %w: length is %d bytes, want 32 or 64", ErrKey, len(key))
	}
	if sum := hashKey(l.id.KeyNonce[:], key); subtle.ConstantTimeCompare(sum[:], l.id.KeyHash[:]) == 0 {
		return nil, fmt.Errorf("vhd: %w", ErrKey)
	}
	return newSectorCipher(key)
}

// Head returns the start of the file, which is unique to the disk.
func (l *Layout) Head() []byte { return l.head[:footerSize] }

// WriteRange writes the bytes [from, to) of the file, and possibly some around them, to dst. It
// calls done with the number of bytes read of the disk src.
func (l *Layout) WriteRange(ctx context.Context, dst io.WriterAt, src image.Source, c *xts.Cipher, from, to int64, jobs int, done func(int64)) error {
	w := *l.w
	w.dst = &target.File{Format: "vhd", W: dst}
	if from < int64(len(l.head)) {
		if _, err := w.dst.WriteAt(l.head, 0); err != nil {
			return err
		}
	}
	if to > l.end {
		if _, err := w.dst.WriteAt(w.footer(), l.end); err != nil {
			return err
		}
	}
	w.opts.Jobs = jobs
	size, bitmap := w.span(), w.bitmapBytes()
	return parallel.Run(ctx, w.jobs(size), int(size), l.between(from, to), func(buf []byte, b placedBlock) error {
		data := buf[bitmap:]
		n := max(0, min(w.blockSize, src.Size()-b.disk))
		if err := pieces.ReadFull(src, data[:n], b.disk); err != nil {
			return err
		}
		clear(data[n:])
		err := w.writeBlock(c, buf, b.place, b.disk)
		done(n)
		return err
	})
}

// A placedBlock holds the offsets of a block on the disk and in the file.
type placedBlock struct{ disk, place int64 }

// between yields the blocks that overlap the range [from, to) of the file.
func (l *Layout) between(from, to int64) iter.Seq2[placedBlock, error] {
	return func(yield func(placedBlock, error) bool) {
		n := max(0, from-l.first) / l.step
		for b := range l.blocks.From(n) {
			place := l.first + n*l.step
			n++
			if place >= to || !yield(placedBlock{b * l.w.blockSize, place}, nil) {
				return
			}
		}
	}
}
