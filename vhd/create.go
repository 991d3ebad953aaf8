package vhd

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"time"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/target"
)

// A Type is a type of VHD that [Create] makes.
type Type int

// The types of VHD.
const (
	Dynamic Type = iota // a table, and the blocks that are not all zeros
	Fixed               // the bytes of the disk, and a footer
)

// CreateOptions configure [Create]. The zero value makes a dynamic disk with blocks of 2 MiB, which
// all known readers support.
type CreateOptions struct {
	Type Type

	// BlockSize is the block size of a dynamic disk in bytes: a power of two from 4 KiB to 256 MiB,
	// or zero for 2 MiB. XenServer supports only 2 MiB, so an encrypted disk must use that.
	BlockSize int64

	// Key, if not nil, encrypts a dynamic disk as vhd-util does: 32 random bytes for AES-128, 64
	// for AES-256. It is not kept. A fixed disk cannot be encrypted, as it has no place for the
	// hash of the key.
	Key []byte

	// Jobs is the number of workers; zero means one per CPU. Each has a buffer of the size of a
	// block. All buffers together are limited to 64 MiB.
	Jobs int

	// Progress, if not nil, is called with the number of bytes of the source done since the last
	// call. Calls can be concurrent. It must not block.
	Progress func(n int64)

	UniqueID  [16]byte  // of the disk; random if all zeros
	Timestamp time.Time // of creation; now if zero

	// Rand supplies the nonce of the key hash, 32 bytes, and the unique ID, 16 bytes. If it is nil,
	// crypto/rand.Reader is used. Set it in tests only.
	Rand io.Reader
}

// A CreateResult describes the disk that [Create] made.
type CreateResult struct {
	VirtualSize int64  // bytes: size of the source, rounded up to 512 bytes, or to 1 MiB in a fixed disk
	FileSize    int64  // bytes
	Blocks      int64  // allocated blocks of a dynamic disk
	UniqueID    string // a UUID
	KeyNonce    [32]byte
	KeyHash     [32]byte // SHA-256 of KeyNonce and the key, if encrypted
}

const (
	defaultBlockSize = 2 << 20
	minCreateBlock   = 4096
	dataAlign        = 4096    // alignment of the data of a block in the file
	fixedAlign       = 1 << 20 // alignment of the size of a fixed disk, which Azure requires
	createMemory     = 64 << 20
)

// Create writes the guest-visible bytes of src to dst as a VHD. It pads the disk with zeros to the
// virtual size.
//
// Create skips blocks of a dynamic disk, and stretches of a fixed one, that are all zeros. It finds
// them by the extents of src or by their bytes. So dst must be empty, and its unwritten parts must
// read as zeros. Each byte of src is read at most once. dst must support concurrent WriteAt of
// ranges that do not overlap, as an os.File does.
//
// The file does not depend on timing: workers read, test and encrypt blocks concurrently, but
// blocks are in the file in the order of the disk. The data of each block starts at a multiple of 4
// KiB. All sectors of an allocated block are marked as used. With a key, all of them are encrypted,
// even those past the end of the disk.
//
// The geometry is the one that the specification derives from the size, as "vhd-util check"
// demands. The creator is one for which QEMU uses the size instead of the geometry, as Hyper-V,
// Azure and XenServer always do. So all of them see the same size.
//
// Create writes the footer and its copy last, after a Sync if dst has that method. An incomplete
// file is therefore never a VHD, even after a power failure. A disk of more than 2040 GiB, or one
// whose blocks do not fit, is [image.ErrTooLarge]. Other errors are invalid options, those of src
// and dst, and the cause of ctx.
func Create(ctx context.Context, dst io.WriterAt, src image.Source, opts CreateOptions) (*CreateResult, error) {
	w, err := newWriter(src.Size(), opts)
	if err != nil {
		return nil, err
	}
	w.dst, w.src, w.done = &target.File{Format: "vhd", W: dst}, src, parallel.Progress(opts.Progress)
	if err := w.identify(opts); err != nil {
		return nil, err
	}
	if opts.Type == Fixed {
		err = w.fixed(ctx)
	} else {
		err = w.dynamic(ctx, opts.Key)
	}
	if err != nil {
		return nil, err
	}
	return &w.result, nil
}

// CreateSize returns the length in bytes of the file that [Create] would make of a disk of size
// bytes. used are the numbers of the blocks that are not all zeros, in ascending order. They are
// ignored for a fixed disk.
func CreateSize(size int64, used iter.Seq[int64], opts CreateOptions) (int64, error) {
	w, err := newWriter(size, opts)
	if err != nil {
		return 0, err
	}
	if opts.Type == Fixed {
		return w.result.VirtualSize + footerSize, nil
	}
	blocks, last := int64(0), int64(-1)
	for i := range used {
		if i <= last || i >= w.blocks {
			return 0, fmt.Errorf("vhd: block %d follows block %d, want ascending numbers below %d", i, last, w.blocks)
		}
		last = i
		blocks++
	}
	if blocks == 0 {
		return w.metaEnd() + footerSize, nil
	}
	first := w.place(w.metaEnd())
	step := w.place(first+w.span()) - first
	end := first + (blocks-1)*step + w.span()
	if end > maxFile {
		return 0, fmt.Errorf("vhd: file size %d: %w", end, image.ErrTooLarge)
	}
	return end + footerSize, nil
}

// maxFile is the limit for the end of the last block. It keeps sector numbers below absent.
const maxFile = math.MaxUint32 * sectorSize

// A writer holds the state of one call of Create.
type writer struct {
	dst    *target.File
	src    image.Source
	done   func(n int64)
	opts   CreateOptions // Key is nil
	result CreateResult

	// The following fields are for dynamic disks.

	blockSize int64
	blocks    int64 // number of blocks of the disk
	encrypted bool
	table     []byte // the block allocation table, in whole sectors
	end       int64  // end of the file so far
}

// newWriter checks the options for a disk of size bytes.
func newWriter(size int64, opts CreateOptions) (*writer, error) {
	if size < 0 || size > maxUsualSize {
		return nil, fmt.Errorf("vhd: disk size %d: %w", size, image.ErrTooLarge)
	}
	w := &writer{opts: opts, encrypted: opts.Key != nil}
	w.opts.Key = nil
	unit := int64(sectorSize)
	switch {
	case opts.Type != Fixed && opts.Type != Dynamic:
		return nil, fmt.Errorf("vhd: type %d, want Dynamic or Fixed", opts.Type)
	case opts.Type == Fixed && w.encrypted:
		return nil, errors.New("vhd: a fixed disk cannot be encrypted: it has no place for the hash of the key")
	case opts.Type == Fixed && opts.BlockSize != 0:
		return nil, errors.New("vhd: a fixed disk has no blocks")
	case opts.Type == Fixed:
		unit = fixedAlign
	}
	w.result.VirtualSize = (size + unit - 1) / unit * unit
	if opts.Type == Fixed {
		return w, nil
	}
	w.blockSize = opts.BlockSize
	if w.blockSize == 0 {
		w.blockSize = defaultBlockSize
	}
	if b := w.blockSize; b < minCreateBlock || b > maxBlockSize || b&(b-1) != 0 {
		return nil, fmt.Errorf("vhd: block size %d, want a power of two from %d to %d", b, minCreateBlock, maxBlockSize)
	}
	w.blocks = (w.result.VirtualSize + w.blockSize - 1) / w.blockSize
	if w.blocks > maxBlocks {
		return nil, fmt.Errorf("vhd: %d blocks of %d bytes, want at most %d", w.blocks, w.blockSize, maxBlocks)
	}
	if !w.encrypted {
		return w, nil
	}
	if w.blockSize != defaultBlockSize {
		return nil, fmt.Errorf("vhd: block size %d, want %d for an encrypted disk", w.blockSize, defaultBlockSize)
	}
	n := len(opts.Key)
	if n != 32 && n != 64 {
		return nil, advice.With(fmt.Errorf("vhd: key of %d bytes, want 32 or 64", n), "the key is the bytes themselves, not their base64 text: luksimg encrypt --generate-key FILE makes one that fits")
	}
	if subtle.ConstantTimeCompare(opts.Key[:n/2], opts.Key[n/2:]) == 1 {
		return nil, errors.New("vhd: the two halves of the key are equal, which makes XTS weak")
	}
	return w, nil
}

// identify generates the random values and the hash of the key.
func (w *writer) identify(opts CreateOptions) error {
	rnd := opts.Rand
	if rnd == nil {
		rnd = rand.Reader
	}
	if w.encrypted {
		if _, err := io.ReadFull(rnd, w.result.KeyNonce[:]); err != nil {
			return fmt.Errorf("vhd: random nonce: %w", err)
		}
		w.result.KeyHash = hashKey(w.result.KeyNonce[:], opts.Key)
	}
	if id := &w.opts.UniqueID; *id == [16]byte{} {
		if _, err := io.ReadFull(rnd, id[:]); err != nil {
			return fmt.Errorf("vhd: random unique ID: %w", err)
		}
		id[6] = id[6]&0x0f | 0x40 // version 4 (RFC 9562)
		id[8] = id[8]&0x3f | 0x80
	}
	w.result.UniqueID = uuidText(w.opts.UniqueID[:])
	if w.opts.Timestamp.IsZero() {
		w.opts.Timestamp = time.Now()
	}
	if s := w.opts.Timestamp.Unix() - epoch.Unix(); s < 0 || s > math.MaxUint32 {
		return fmt.Errorf("vhd: timestamp %s, want one from 2000 to 2136", w.opts.Timestamp.Format(time.RFC3339))
	}
	return nil
}

// jobs returns the number of workers with buffers of size bytes.
func (w *writer) jobs(size int64) int {
	return max(1, int(min(int64(parallel.Workers(w.opts.Jobs)), createMemory/size)))
}
