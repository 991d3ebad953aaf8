package xz

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"

	"github.com/luksimg/luksimg/internal/lzma"
)

// A Reader reads a .xz file sequentially. It is not safe for concurrent use.
type Reader struct {
	in      *bufio.Reader
	options Options
	at      int64 // offset of the next stream header, block or index
	check   check
	inside  bool // within a stream
	busy    bool // within a block
	block   block
	records records
	part    []byte // output that was not read yet
	err     error
}

// NewReader returns a Reader of r. It reads to the end of r: data behind the .xz file is an error.
func NewReader(r io.Reader, o Options) *Reader {
	x := &Reader{in: bufio.NewReaderSize(r, inputSize), options: o}
	x.block.dec = new(lzma.Decoder)
	x.records.hash = sha256.New()
	return x
}

// Read implements [io.Reader].
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.part) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.part, r.err = r.next()
	}
	n := copy(p, r.part)
	r.part = r.part[n:]
	return n, nil
}

// WriteTo implements [io.WriterTo]. It avoids a copy of the data.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		if len(r.part) > 0 {
			n, err := w.Write(r.part)
			total += int64(n)
			if r.part = r.part[n:]; err != nil {
				return total, err
			}
		}
		if r.err != nil {
			break
		}
		r.part, r.err = r.next()
	}
	if r.err == io.EOF {
		return total, nil
	}
	return total, r.err
}

// next returns the next part of the output, which can be empty. At the end of the file the error is
// io.EOF.
func (r *Reader) next() ([]byte, error) {
	if r.busy {
		return r.goOn()
	}
	if !r.inside {
		return nil, r.begin()
	}
	first, err := r.in.ReadByte()
	if err != nil {
		return nil, early(err, "a stream without an index", r.at)
	}
	if first == 0 {
		r.in.UnreadByte()
		return nil, r.end()
	}
	r.busy = true
	return nil, r.block.start(r.in, first, r.at, r.check, -1, -1, nil, r.options)
}

// goOn continues a block.
func (r *Reader) goOn() ([]byte, error) {
	part, err := r.block.take(r.block.dec.Next())
	if err != io.EOF {
		return part, err
	}
	r.busy = false
	n := r.block.unpaddedSize()
	r.at += n + pad(n)
	return part, r.records.add(n, r.block.got)
}

// begin reads padding and a stream header, or returns io.EOF at the end of the file.
func (r *Reader) begin() error {
	for r.at > 0 {
		b, err := r.in.Peek(4)
		if len(b) == 0 && err == io.EOF {
			return io.EOF
		}
		if err != nil {
			return early(err, "stream padding or a stream header", r.at)
		}
		if !zero(b) {
			break
		}
		r.in.Discard(4) // peeked before
		r.at += 4
	}
	var b [headerSize]byte
	n, err := io.ReadFull(r.in, b[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	if r.check, err = parseHeader(b[:n], r.at); err != nil {
		return err
	}
	r.at += headerSize
	r.inside = true
	r.records.reset()
	return nil
}

// end reads the index and the footer of a stream.
func (r *Reader) end() error {
	blocks := r.records.end()
	n, err := new(indexInput).readIndex(r.in, r.at, func(records int64) error {
		if records != blocks.count {
			return corrupt("%d records in the index at byte %d, but %d blocks before it", records, r.at, blocks.count)
		}
		return nil
	}, r.records.add)
	if err != nil {
		return err
	}
	if r.records.end() != blocks {
		return corrupt("sizes in the index at byte %d differ from those of the blocks", r.at)
	}
	r.at += n
	var b [headerSize]byte
	if _, err := io.ReadFull(r.in, b[:]); err != nil {
		return early(err, "a stream footer", r.at)
	}
	c, backward, err := parseFooter(b[:], r.at)
	if err != nil {
		return err
	}
	if c != r.check || backward != n {
		return corrupt("the stream footer at byte %d does not match its stream header and index", r.at)
	}
	r.at += headerSize
	r.inside = false
	return nil
}

// records hashes the sizes of blocks, so that a comparison needs no memory per block.
type records struct {
	hash  hash.Hash
	count int64
}

// A recordsSum is compared instead of the records.
type recordsSum struct {
	count int64
	hash  [sha256.Size]byte
}

func (r *records) reset() {
	r.hash.Reset()
	r.count = 0
}

func (r *records) add(unpadded, size int64) error {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(unpadded))
	binary.LittleEndian.PutUint64(b[8:], uint64(size))
	r.hash.Write(b[:])
	r.count++
	return nil
}

// end returns the sum and resets r.
func (r *records) end() (s recordsSum) {
	s.count = r.count
	r.hash.Sum(s.hash[:0])
	r.reset()
	return s
}
