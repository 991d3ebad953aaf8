package xz

import (
	"bufio"
	"io"
	"slices"
	"sort"
	"sync"

	"github.com/luksimg/luksimg/internal/lzma"
)

// A Block is a part of a file that can be decoded independently.
type Block struct {
	Offset int64 // offset of its output in the output of the file
	Size   int64 // size of its output in bytes
	Start  int64 // offset in the file
	Packed int64 // size in the file in bytes, without padding
}

// A File is a .xz file with random access. It is safe for concurrent use.
type File struct {
	r       io.ReaderAt
	options Options
	size    int64
	streams []stream
	blocks  []Block
	pairs   sync.Pool // of *pair
}

// A stream is a stream of the file. first is the number of its first block.
type stream struct {
	check check
	first int
}

// Open reads the indexes of a .xz file, which has one or more streams (section 2). It checks everything
// that does not need decoding. A file of only padding is an error. Errors match [ErrCorrupt],
// [ErrUnsupported] or [ErrLimit], or are those of r.
func Open(r io.ReaderAt, size int64, o Options) (*File, error) {
	x := backReader{r: r, limit: o.maxBlocks()}
	if err := x.streams(size); err != nil {
		return nil, err
	}
	f := &File{r: r, options: o}
	f.pairs.New = func() any { return newPair() }
	// streams returns them from the last to the first.
	for _, s := range slices.Backward(x.list) {
		f.streams = append(f.streams, stream{s.check, len(f.blocks)})
		for _, b := range s.blocks {
			b.Offset = f.size
			if b.Size > maxVLI-f.size {
				return nil, corrupt("sizes in the indexes add up to more than 2^63-1")
			}
			f.size += b.Size
			f.blocks = append(f.blocks, b)
		}
	}
	return f, nil
}

// Size returns the size of the output in bytes, as recorded in the indexes.
func (f *File) Size() int64 { return f.size }

// Blocks returns all blocks in order. The slice is not a copy. A block can be empty.
func (f *File) Blocks() []Block { return f.blocks }

// Find returns the number of the block with the byte at offset of the output. If offset is at or past
// the end, it returns the number of blocks.
func (f *File) Find(offset int64) int {
	return sort.Search(len(f.blocks), func(i int) bool { return f.blocks[i].Offset+f.blocks[i].Size > offset })
}

// Checks returns the types of checks in the file, without duplicates: "none", "CRC32", "CRC64",
// "SHA-256".
func (f *File) Checks() []string {
	var names []string
	for _, s := range f.streams {
		if name := s.check.String(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// checkOf returns the check of a block.
func (f *File) checkOf(i int) check {
	n := sort.Search(len(f.streams), func(k int) bool { return f.streams[k].first > i })
	return f.streams[n-1].check
}

// A pair decodes two blocks in turns.
type pair struct {
	decs   lzma.Pair
	blocks [2]block
	inputs [2]*bufio.Reader
}

func newPair() *pair {
	p := new(pair)
	for i := range p.blocks {
		p.blocks[i].dec = &p.decs[i]
		p.inputs[i] = bufio.NewReaderSize(nil, inputSize)
	}
	return p
}

// start begins to decode block n of f in lane i.
func (p *pair) start(f *File, i, n int, dst []byte) error {
	b := f.blocks[n]
	in := p.inputs[i]
	in.Reset(io.NewSectionReader(f.r, b.Start, b.Packed+pad(b.Packed)))
	first, err := in.ReadByte()
	if err != nil {
		return early(err, "a block", b.Start)
	}
	if first == 0 {
		return corrupt("byte %d begins an index, but the file's index has a block there", b.Start)
	}
	return p.blocks[i].start(in, first, b.Start, f.checkOf(n), b.Packed, b.Size, dst, f.options)
}

// Decode decodes block n into dst and verifies its check. The length of dst must be the size of the
// block. After an error the content of dst is undefined.
func (f *File) Decode(n int, dst []byte) error {
	if int64(len(dst)) != f.blocks[n].Size {
		panic("xz: dst does not have the size of the block")
	}
	p := f.pairs.Get().(*pair)
	defer f.pairs.Put(p)
	if dst == nil {
		dst = []byte{}
	}
	if err := p.start(f, 0, n, dst); err != nil {
		return err
	}
	return p.blocks[0].fill(dst)
}

// Stream decodes the blocks that next returns, until ok is false. It decodes two blocks in turns, which
// is faster than one after the other. It passes the output to emit in parts, with their offsets: in
// order within a block, but not between blocks. A part is valid until emit returns. A check is verified
// after the last part of its block. Stream uses the memory of two dictionaries, plus a quarter or 2 MiB
// for each.
//
// It stops at the first error, including errors of emit. Several goroutines can call Stream with a
// shared next, if that is safe for concurrent use.
func (f *File) Stream(next func() (n int, ok bool), emit func(offset int64, p []byte) error) error {
	p := f.pairs.Get().(*pair)
	defer f.pairs.Put(p)
	p.decs[0].Stop()
	p.decs[1].Stop()
	var offset [2]int64
	begin := func(i int) error {
		n, ok := next()
		if !ok {
			return nil
		}
		offset[i] = f.blocks[n].Offset
		return p.start(f, i, n, nil)
	}
	for i := range p.blocks {
		if err := begin(i); err != nil {
			return err
		}
	}
	for {
		i, chunk, err := p.decs.Next()
		if i < 0 {
			return nil
		}
		part, err := p.blocks[i].take(chunk, err)
		if err != nil && err != io.EOF {
			return err
		}
		if len(part) > 0 {
			if err := emit(offset[i], part); err != nil {
				return err
			}
			offset[i] += int64(len(part))
		}
		if err == io.EOF {
			p.decs[i].Stop()
			if err := begin(i); err != nil {
				return err
			}
		}
	}
}
