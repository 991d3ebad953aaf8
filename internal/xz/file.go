package xz

import (
	"bufio"
	"io"
	"slices"
	"sort"
	"sync"

	"github.com/luksimg/luksimg/internal/lzma"
)

// A Block is a part of a file that can be decoded alone.
type Block struct {
	Offset int64 // of what it gives, in what the file gives
	Size   int64 // of what it gives
	Start  int64 // in the file
	Packed int64 // bytes of the file, without padding behind it
}

// A File is a .xz file that is read at any place. Its methods may be called at the same time.
type File struct {
	r       io.ReaderAt
	options Options
	size    int64
	streams []stream
	blocks  []Block
	pairs   sync.Pool // of *pair
}

// A stream is one of the file. Its first block is that with the number first.
type stream struct {
	check check
	first int
}

// Open reads the indexes of a .xz file, which has one or more streams (section 2), and checks
// all that can be checked without decoding a block. It is an error if the file has nothing
// but padding.
func Open(r io.ReaderAt, size int64, o Options) (*File, error) {
	x := backReader{r: r, limit: o.maxBlocks()}
	if err := x.streams(size); err != nil {
		return nil, err
	}
	f := &File{r: r, options: o}
	f.pairs.New = func() any { return newPair() }
	// They are from the last one to the first.
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

// Size returns how many bytes the file gives, by its indexes.
func (f *File) Size() int64 { return f.size }

// Blocks returns all blocks, in order. It is not a copy. A block may be empty.
func (f *File) Blocks() []Block { return f.blocks }

// Find returns the number of the block that has the byte at offset in its output, or of none,
// the number of blocks, if offset is the size or more.
func (f *File) Find(offset int64) int {
	return sort.Search(len(f.blocks), func(i int) bool { return f.blocks[i].Offset+f.blocks[i].Size > offset })
}

// Checks tells which checks the blocks have, each once: "none", "CRC32", "CRC64", "SHA-256".
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

// A pair is what decodes two blocks in turns.
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

// start begins with block n of f in lane i.
func (p *pair) start(f *File, i, n int, dst []byte) error {
	b := f.blocks[n]
	in := p.inputs[i]
	in.Reset(io.NewSectionReader(f.r, b.Start, b.Packed+pad(b.Packed)))
	first, err := in.ReadByte()
	if err != nil {
		return early(err, "a block", b.Start)
	}
	if first == 0 {
		return corrupt("at byte %d there is an index, and a block by that at the end", b.Start)
	}
	return p.blocks[i].start(in, first, b.Start, f.checkOf(n), b.Packed, b.Size, dst, f.options)
}

// Decode decodes block n into dst, which must have its size, and checks it. Behind an error dst has
// anything.
func (f *File) Decode(n int, dst []byte) error {
	if int64(len(dst)) != f.blocks[n].Size {
		panic("xz: dst is not of the size of the block")
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

// Stream decodes blocks one after the other, with two of them in turns, which is faster than
// one alone: those that next gives, until that gives false. It hands to emit what they give, in
// parts, with the offset of each: those of one block in order, those of two in any order. The
// part holds until emit returns. The check of a block comes after its last part. Its memory
// is two dictionaries, with a quarter of that, or 2 MiB, more for each.
//
// It stops at the first error, also one of emit. Several goroutines may call it with a
// next that they share.
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
