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
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/target"
)

// A Type is a kind of VHD that [Create] makes.
type Type int

// The types.
const (
	Dynamic Type = iota // blocks that are not all zeros, and a table
	Fixed               // the disk as it is, and a footer
)

// CreateOptions says what [Create] makes. The zero value makes a dynamic disk with
// blocks of 2 MiB, which everything reads.
type CreateOptions struct {
	Type Type

	// BlockSize is that of a dynamic disk: a power of two from 4 KiB to 256 MiB, or
	// zero for 2 MiB. XenServer reads no other, and so an encrypted disk has no
	// other.
	BlockSize int64

	// Key, if not nil, encrypts a dynamic disk as vhd-util does: 32 random bytes for
	// AES-128, 64 for AES-256. It is not kept. A fixed disk has no place for the hash
	// of a key and cannot be encrypted.
	Key []byte

	// Jobs is the number of workers; zero is one for each CPU. Each has a buffer of
	// the size of a block, and there are no more of them than fit in 64 MiB.
	Jobs int

	// Progress, if not nil, is called with the number of bytes of the source done
	// since the last call, from several goroutines at a time. It must not block.
	Progress func(n int64)

	UniqueID  [16]byte  // of the disk; random if it is all zeros
	Timestamp time.Time // of creation; now if it is zero

	// Rand gives the nonce of the key hash, 32 bytes, and then the unique ID, 16
	// bytes, where they are needed. It is crypto/rand.Reader if it is nil, and should
	// be something else in tests only.
	Rand io.Reader
}

// CreateResult says what [Create] made.
type CreateResult struct {
	VirtualSize int64  // bytes: that of the source, rounded up to 512 bytes, or to 1 MiB in a fixed disk
	FileSize    int64  // bytes
	Blocks      int64  // of a dynamic disk that are in the file
	UniqueID    string // a UUID
	KeyNonce    [32]byte
	KeyHash     [32]byte // SHA-256 of KeyNonce and the key, of an encrypted disk
}

const (
	defaultBlockSize = 2 << 20
	minCreateBlock   = 4096
	dataAlign        = 4096    // in the file, of the data of a block
	fixedAlign       = 1 << 20 // of the size of a fixed disk, which Azure wants
	createMemory     = 64 << 20
)

// Create writes the guest-visible bytes of src to dst as a VHD. What a disk needs to
// be rounded up is zeros.
//
// A block of a dynamic disk, or a stretch of a fixed one, that is all zeros is left
// out, whether src tells so by its extents or its bytes are found to be; so dst must
// be new, and read as zeros where nothing is written. Each byte is read once at most.
// Workers read, test and encrypt blocks side by side, but a block gets its place in
// the file only when all blocks in front of it have theirs or were found to be zeros:
// the file does not depend on timing, and what it has of the disk is in order. All
// sectors of a block that is in the file are marked as used and, with a key, are
// encrypted, also those past the end of the disk. The data of each block begin at a
// multiple of 4 KiB.
//
// The geometry is what the specification makes of the size, which "vhd-util check"
// wants, and the creator is one for which qemu goes by the size and not by the
// geometry, as Hyper-V, Azure and XenServer always do: all see the same size.
//
// The footer, and the copy of it in front, are written last, after a Sync if dst has that
// method: what was left unfinished is no VHD, also if the power fails. An error is that of src, of dst, the cause of ctx,
// [image.ErrTooLarge] for a disk of more than 2040 GiB or one whose blocks have no room, or about the
// options. dst must allow concurrent WriteAt of ranges that do not overlap, as an
// os.File does.
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

// CreateSize returns how long, in bytes, the file would be that [Create] makes of a disk of size
// bytes if exactly these blocks of it are not all zeros. They are numbered from the start of the
// disk and come in ascending order. For a fixed disk they do not matter.
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
			return 0, fmt.Errorf("vhd: block %d after %d, of a disk that has %d", i, last, w.blocks)
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
		return 0, fmt.Errorf("vhd: a file of %d bytes: %w", end, image.ErrTooLarge)
	}
	return end + footerSize, nil
}

// maxFile is where the last block must end. Its sector number is below that of absent
// ones then.
const maxFile = math.MaxUint32 * sectorSize

// A writer is one run of Create.
type writer struct {
	dst    *target.File
	src    image.Source
	done   func(n int64)
	opts   CreateOptions // without the key
	result CreateResult

	// What follows is for dynamic disks.

	blockSize int64
	blocks    int64 // that the disk needs
	encrypted bool
	table     []byte // the block allocation table, in whole sectors
	end       int64  // of what is in the file so far
}

// newWriter checks the options for a disk of size bytes.
func newWriter(size int64, opts CreateOptions) (*writer, error) {
	if size < 0 || size > maxUsualSize {
		return nil, fmt.Errorf("vhd: %d bytes: %w", size, image.ErrTooLarge)
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
		return nil, fmt.Errorf("vhd: a key of %d bytes, want 32 or 64", n)
	}
	if subtle.ConstantTimeCompare(opts.Key[:n/2], opts.Key[n/2:]) == 1 {
		return nil, errors.New("vhd: the two halves of the key are equal, which makes XTS weak")
	}
	return w, nil
}

// identify makes what is to be random, and the hash of the key.
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
		id[6] = id[6]&0x0f | 0x40 // version 4, as RFC 9562 has it
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

// jobs returns how many workers there are, with buffers of size bytes.
func (w *writer) jobs(size int64) int {
	return max(1, int(min(int64(parallel.Workers(w.opts.Jobs)), createMemory/size)))
}
