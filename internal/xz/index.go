package xz

import (
	"bufio"
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/luksimg/luksimg/internal/lzma"
)

// An indexInput is the input of an index. It counts the bytes and computes their CRC32.
type indexInput struct {
	r   io.ByteReader
	n   int64
	crc uint32
	buf []byte // bytes that crc does not include yet
}

func (x *indexInput) ReadByte() (byte, error) {
	b, err := x.r.ReadByte()
	if err != nil {
		return 0, err
	}
	x.n++
	if x.buf = append(x.buf, b); len(x.buf) == 512 {
		x.sum()
	}
	return b, nil
}

func (x *indexInput) sum() uint32 {
	x.crc = crc32.Update(x.crc, crc32.IEEETable, x.buf)
	x.buf = x.buf[:0]
	return x.crc
}

// readIndex reads an index (section 4) at byte at of the file and returns its size. It passes the
// number of records to begin, and each record to record: the size of a block without padding, and the
// size of its output. It checks that the sizes and their sums are possible.
func (x *indexInput) readIndex(r io.ByteReader, at int64, begin func(records int64) error, record func(unpadded, size int64) error) (int64, error) {
	x.r, x.n, x.crc, x.buf = r, 0, 0, x.buf[:0]
	err := x.read(begin, record)
	return x.n, early(err, "the index", at)
}

func (x *indexInput) read(begin func(int64) error, record func(unpadded, size int64) error) error {
	first, err := x.ReadByte()
	if err != nil {
		return err
	}
	if first != 0 {
		return corrupt("the first byte of an index is %#02x, not 0", first)
	}
	n, err := readVLI(x, "the number of records in an index")
	if err != nil {
		return err
	}
	if err := begin(n); err != nil {
		return err
	}
	var packed, unpacked int64
	for range n {
		unpadded, err := readVLI(x, "the size of a block in an index")
		if err != nil {
			return err
		}
		size, err := readVLI(x, "the size of a block's output in an index")
		if err != nil {
			return err
		}
		if unpadded < minUnpadded || unpadded > maxUnpadded {
			return corrupt("an index has a block of %d bytes", unpadded)
		}
		// A chunk has at least this many bytes.
		if size/lzma.MaxChunk > unpadded/lzma.MinChunk {
			return corrupt("an index has a block of %d bytes with an impossible output of %d bytes", unpadded, size)
		}
		if unpadded+pad(unpadded) > maxVLI-packed || size > maxVLI-unpacked {
			return corrupt("sizes in an index add up to more than 2^63-1")
		}
		packed += unpadded + pad(unpadded)
		unpacked += size
		if err := record(unpadded, size); err != nil {
			return err
		}
	}
	for range pad(x.n) {
		b, err := x.ReadByte()
		if err != nil {
			return err
		}
		if b != 0 {
			return corrupt("padding of an index is not zero")
		}
	}
	want := x.sum()
	var b [4]byte
	for i := range b {
		if b[i], err = x.ReadByte(); err != nil {
			return err
		}
	}
	if binary.LittleEndian.Uint32(b[:]) != want {
		return corrupt("CRC32 of an index is wrong")
	}
	return nil
}

// maxPadding limits the total stream padding of a file that is read by its index.
const maxPadding = 64 << 20

// A backReader reads the streams of a file from the last to the first.
type backReader struct {
	r     io.ReaderAt
	limit int // maximum number of streams and blocks
	list  []indexed

	// A file can have many small streams, so these are used again.
	in    *bufio.Reader
	index indexInput
	room  [4096]byte
}

// An indexed is a stream with its blocks in order, without the offsets of their output.
type indexed struct {
	check  check
	blocks []Block
}

// streams reads all streams of a file of size bytes.
func (x *backReader) streams(size int64) error {
	var head [headerSize]byte
	if err := x.read(head[:min(size, headerSize)], 0); err != nil {
		return err
	}
	if _, err := parseHeader(head[:], 0); err != nil {
		return err
	}
	if size%4 != 0 {
		return corrupt("file size %d is not a multiple of 4: the file is truncated, or other data follows it", size)
	}
	padding := int64(0)
	for end := size; end > 0; {
		zeros, err := x.padding(end, maxPadding-padding)
		if err != nil {
			return err
		}
		padding += zeros
		if end, err = x.stream(end - zeros); err != nil {
			return err
		}
	}
	return nil
}

// read fills p. The file may be shorter than the given size.
func (x *backReader) read(p []byte, at int64) error {
	n, err := x.r.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	return early(err, "a part", at)
}

// padding returns the number of zeros before end (section 2.2). The footer of a stream, which does not
// end with a zero, precedes them.
func (x *backReader) padding(end, limit int64) (int64, error) {
	zeros := int64(0)
	for zeros < end {
		b := x.room[:min(end-zeros, int64(len(x.room)))]
		if err := x.read(b, end-zeros-int64(len(b))); err != nil {
			return 0, err
		}
		n := len(b)
		for n > 0 && b[n-1] == 0 {
			n--
		}
		zeros += int64(len(b) - n)
		if zeros > limit {
			return 0, unsupported("more than %d bytes of stream padding", maxPadding)
		}
		if n > 0 {
			break
		}
	}
	if zeros%4 != 0 {
		return 0, corrupt("%d bytes of stream padding before byte %d, not a multiple of 4", zeros, end)
	}
	return zeros, nil
}

// stream reads the footer and the index of the stream that ends at end, and returns the start of the
// stream.
func (x *backReader) stream(end int64) (int64, error) {
	if x.limit--; x.limit < 0 {
		return 0, blocksLimit()
	}
	var b [headerSize]byte
	foot := end - headerSize
	if foot < headerSize {
		return 0, corrupt("%d bytes are too few for a stream", end)
	}
	if err := x.read(b[:], foot); err != nil {
		return 0, err
	}
	c, backward, err := parseFooter(b[:], foot)
	if err != nil {
		return 0, err
	}
	at := foot - backward
	if at < headerSize {
		return 0, corrupt("invalid index size %d in the stream footer at byte %d", backward, foot)
	}
	blocks, packed, err := x.blocks(at, backward)
	if err != nil {
		return 0, err
	}
	begin := at - packed - headerSize
	if begin < 0 {
		return 0, corrupt("the index at byte %d has %d bytes of blocks, more than precede it", at, packed)
	}
	if err := x.read(b[:], begin); err != nil {
		return 0, err
	}
	head, err := parseHeader(b[:], begin)
	if err != nil {
		return 0, err
	}
	if head != c {
		return 0, corrupt("flags in the header of the stream at byte %d differ from those in its footer", begin)
	}
	for i := range blocks {
		blocks[i].Start += begin + headerSize
	}
	x.list = append(x.list, indexed{c, blocks})
	return begin, nil
}

// blocks reads the index of size bytes at byte at. It returns the blocks, with starts relative to the
// first one, and their total size in the file.
func (x *backReader) blocks(at, size int64) (blocks []Block, packed int64, err error) {
	part := io.NewSectionReader(x.r, at, size)
	if x.in == nil {
		x.in = bufio.NewReaderSize(part, 32<<10)
	} else {
		x.in.Reset(part)
	}
	n, err := x.index.readIndex(x.in, at, func(records int64) error {
		// A record takes at least 2 bytes. Memory is reserved only for as many as fit.
		if records > size/2 {
			return corrupt("%d records in the index at byte %d, which has %d bytes", records, at, size)
		}
		if records > int64(x.limit) {
			return blocksLimit()
		}
		x.limit -= int(records)
		blocks = make([]Block, 0, records)
		return nil
	}, func(unpadded, size int64) error {
		blocks = append(blocks, Block{Start: packed, Packed: unpadded, Size: size})
		packed += unpadded + pad(unpadded)
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	if n != size {
		return nil, 0, corrupt("the index at byte %d has %d bytes, but %d according to the stream footer", at, n, size)
	}
	return blocks, packed, nil
}
