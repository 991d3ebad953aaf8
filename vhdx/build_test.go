package vhdx

import (
	"bytes"
	"encoding/binary"
	"io"
	"iter"
	"math/rand/v2"
	"unicode/utf16"

	"github.com/luksimg/luksimg/image"
	guids "github.com/luksimg/luksimg/internal/guid"
)

var le = binary.LittleEndian

// A memFile is a file, or a disk, in memory. Parts that were never written take no memory.
type memFile struct {
	size  int64
	parts map[int64][]byte // by part number
}

const partSize = 64 << 10

func newMemFile(size int64) *memFile { return &memFile{size, map[int64][]byte{}} }

func (f *memFile) Size() int64 { return f.size }

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	n := int(max(min(int64(len(p)), f.size-off), 0))
	for done := 0; done < n; {
		at := (off + int64(done)) % partSize
		b := p[done:min(n, done+int(partSize-at))]
		if part := f.parts[(off+int64(done))/partSize]; part != nil {
			copy(b, part[at:])
		} else {
			clear(b)
		}
		done += len(b)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// written is a disk whose unwritten parts are holes.
type written struct{ *memFile }

func (f written) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		written := func(part int64) bool { return f.parts[part] != nil }
		for end := off + n; off < end; {
			k := off / partSize
			e := image.Extent{Offset: off}
			if !written(k) {
				e.Kind = image.Hole
				// The next written part, which can be far away.
				next := (end-1)/partSize + 1
				for p := range f.parts {
					if p > k {
						next = min(next, p)
					}
				}
				k = next - 1
			}
			e.Length = min((k+1)*partSize, end) - off
			if !yield(e, nil) {
				return
			}
			off = e.End()
		}
	}
}

func (f *memFile) put(off int64, b []byte) {
	for len(b) > 0 {
		at := off % partSize
		part := f.parts[off/partSize]
		if part == nil {
			part = make([]byte, partSize)
			f.parts[off/partSize] = part
		}
		n := copy(part[at:], b)
		b, off = b[n:], off+int64(n)
	}
}

// replace is put that does not allocate memory for zeros over zeros.
func (f *memFile) replace(off int64, b []byte) {
	if f.parts[off/partSize] != nil || f.parts[(off+int64(len(b))-1)/partSize] != nil || bytes.Count(b, []byte{0}) != len(b) {
		f.put(off, b)
	}
}

func (f *memFile) get(off, n int64) []byte {
	b := make([]byte, n)
	f.ReadAt(b, off)
	return b
}

func (f *memFile) put16(off int64, v uint16) { f.put(off, le.AppendUint16(nil, v)) }
func (f *memFile) put32(off int64, v uint32) { f.put(off, le.AppendUint32(nil, v)) }
func (f *memFile) put64(off int64, v uint64) { f.put(off, le.AppendUint64(nil, v)) }

// sum updates the checksum of n bytes at off.
func (f *memFile) sum(off, n int64) {
	b := f.get(off, n)
	f.put32(off+offChecksum, checksum(b))
}

// An img describes an image for build. The zero value of a field means the default in its comment.
type img struct {
	size     int64  // size of the disk
	block    int64  // 1 MiB
	sector   int64  // 512
	physical int64  // 4096
	fixed    bool   // LeaveBlocksAllocated
	states   string // states of its blocks, one character each, repeated; see build
	seed     uint64
	shuffle  bool     // blocks are in random order in the file
	tight    bool     // the file ends with the disk instead of its last block
	base     *memFile // the parent disk of a differencing disk
	locator  []string // keys and values; nil means a valid locator
	linkage  guid     // linkage to the parent
	id       guid     // DataWriteGuid
	metaAt   int64    // 2 MiB
	logAt    int64    // 1 MiB
	logLen   int64    // 1 MiB
	creator  string
	extra    []guid // unknown regions that are not required
	userItem bool   // unknown metadata items that are not required
}

// A layout holds a built image and the offsets of its parts.
type layout struct {
	*memFile
	img
	want    *memFile // expected content of the disk
	bat     int64
	batLen  int64
	meta    int64
	items   map[guid]int64 // offsets of the items in the file
	entries map[guid]int64 // offsets of their entries in the metadata table
	blocks  []int64        // offsets in the file, 0 if not allocated
	bitmaps []int64        // the same for sector bitmap blocks
	m       *metadata      // locates entries of the table
}

var testID = guids.Must("01234567-89ab-cdef-0123-456789abcdef")

// build makes an image. The states are '.' for blocks that are not present, 'u', 'z' and 'm' for
// undefined, zero and unmapped ones, 'U', 'Z' and 'M' for the same but allocated in the file, 'd'
// for data and 'p' for partially present blocks.
func (c img) build() *layout {
	set := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	set(&c.block, mib)
	set(&c.sector, 512)
	set(&c.physical, 4096)
	set(&c.logAt, mib)
	set(&c.logLen, mib)
	set(&c.metaAt, 2*mib)
	if c.states == "" {
		c.states = "d.zd"
	}
	if c.id == (guid{}) {
		c.id = testID
	}
	w := &layout{memFile: newMemFile(0), img: c, want: newMemFile(c.size), items: map[guid]int64{}, entries: map[guid]int64{}}
	w.meta = c.metaAt
	w.m = &metadata{blockSize: c.block, size: c.size, logicalSector: c.sector, hasParent: c.base != nil}
	for 1<<w.m.blockShift < c.block {
		w.m.blockShift++
	}
	for c.block<<w.m.ratioShift < chunkSectors*c.sector {
		w.m.ratioShift++
	}
	w.bat = max(c.metaAt+mib, c.logAt+c.logLen)
	last := w.m.bitmapIndex((max(w.m.blocks(), 1) - 1) >> w.m.ratioShift)
	w.batLen = (8*(last+1) + mib - 1) &^ (mib - 1)
	w.putMetadata()
	w.putBlocks()
	w.put(0, []byte(fileMagic))
	for i, u := range utf16.Encode([]rune(c.creator)) {
		w.put16(offCreator+2*int64(i), u)
	}
	w.putHeader(header1Offset, 7, guid{})
	w.putHeader(header2Offset, 6, guid{})
	w.putRegions()
	return w
}

func (w *layout) putHeader(off int64, seq uint64, log guid) {
	b := make([]byte, headerSize)
	copy(b, headerMagic)
	le.PutUint64(b[offSequence:], seq)
	copy(b[offDataWrite:], w.id[:])
	copy(b[offLogGUID:], log[:])
	le.PutUint16(b[offVersion:], 1)
	le.PutUint32(b[offLogLength:], uint32(w.logLen))
	le.PutUint64(b[offLogOffset:], uint64(w.logAt))
	w.put(off, b)
	w.sum(off, headerSize)
}

func (w *layout) putRegions() {
	b := make([]byte, regionTableSize)
	copy(b, regionMagic)
	n := 0
	add := func(id guid, off, length int64, required uint32) {
		e := b[regionEntries+n*tableEntrySize:]
		copy(e, id[:])
		le.PutUint64(e[16:], uint64(off))
		le.PutUint32(e[24:], uint32(length))
		le.PutUint32(e[28:], required)
		n++
	}
	add(batGUID, w.bat, w.batLen, 1)
	add(metadataGUID, w.meta, mib, 1)
	for _, id := range w.extra {
		add(id, w.size0(), mib, 0)
		w.memFile.size += mib
	}
	le.PutUint32(b[offEntryCount:], uint32(n))
	for _, off := range []int64{region1Offset, region2Offset} {
		w.put(off, b)
		w.sum(off, regionTableSize)
	}
}

// size0 returns the size of the file, rounded up to a whole MiB.
func (w *layout) size0() int64 {
	w.memFile.size = (w.memFile.size + mib - 1) &^ (mib - 1)
	return w.memFile.size
}

func (w *layout) putMetadata() {
	w.put(w.meta, []byte(metadataMagic))
	n, at := int64(0), w.meta+metadataTableSize
	add := func(id guid, flags uint32, b []byte) {
		e := w.meta + metadataEntries + n*tableEntrySize
		w.put(e, id[:])
		if len(b) > 0 {
			w.put32(e+16, uint32(at-w.meta))
		}
		w.put32(e+20, uint32(len(b)))
		w.put32(e+24, flags)
		w.put(at, b)
		w.items[id], w.entries[id] = at, e
		at += int64(len(b)) + 3 // unaligned, which is allowed
		n++
	}
	flags := uint32(0)
	if w.fixed {
		flags |= flagLeaveAllocated
	}
	if w.base != nil {
		flags |= flagHasParent
	}
	add(physicalSectorGUID, 6, le.AppendUint32(nil, uint32(w.physical)))
	add(fileParametersGUID, 4, le.AppendUint32(le.AppendUint32(nil, uint32(w.block)), flags))
	if w.userItem {
		add(guids.Must("11111111-0000-0000-0000-000000000000"), 1, []byte("of the user"))
		add(guids.Must("22222222-0000-0000-0000-000000000000"), 0, nil)
	}
	add(diskSizeGUID, 6, le.AppendUint64(nil, uint64(w.img.size)))
	add(diskIDGUID, 6, testID[:])
	add(logicalSectorGUID, 6, le.AppendUint32(nil, uint32(w.sector)))
	if w.base != nil || w.locator != nil {
		add(parentLocatorGUID, 4, w.locatorItem())
	}
	w.put16(w.meta+offItemCount, uint16(n))
}

func (w *layout) locatorItem() []byte {
	pairs := w.locator
	if pairs == nil {
		pairs = []string{
			"absolute_win32_path", `\\?\d:\disks\base.vhdx`,
			"parent_linkage", "{" + w.linkage.String() + "}",
			"relative_path", `..\base.vhdx`,
			"something_else", "?",
		}
	}
	n := len(pairs) / 2
	b := append([]byte(nil), vhdxLocatorGUID[:]...)
	b = le.AppendUint32(b, uint32(n)<<16)
	b = append(b, make([]byte, n*locatorEntry)...)
	for i, s := range pairs {
		e := b[locatorHeader+i/2*locatorEntry:]
		u := utf16.Encode([]rune(s))
		le.PutUint32(e[i%2*4:], uint32(len(b)))
		le.PutUint16(e[8+i%2*2:], uint16(2*len(u)))
		for _, v := range u {
			b = le.AppendUint16(b, v)
		}
	}
	return b
}

// pieces returns the parts of a block that have data: the whole of a small block, or the start,
// middle and end of a large one.
func (w *layout) pieces(n int64) [][2]int64 {
	if n <= mib {
		return [][2]int64{{0, n}}
	}
	mid := n / 2 &^ 4095
	return [][2]int64{{0, 70_000}, {mid, min(mid+5000, n)}, {max(mid+5000, n-1000), n}}
}

func (w *layout) putBlocks() {
	blocks := w.m.blocks()
	w.blocks = make([]int64, blocks)
	if w.base != nil {
		w.bitmaps = make([]int64, (blocks-1)>>w.m.ratioShift+1)
		for k, b := range w.base.parts {
			n := min(int64(len(b)), w.want.size-k*partSize)
			if n > 0 {
				w.want.put(k*partSize, b[:n])
			}
		}
	}
	rnd := rand.New(rand.NewPCG(w.seed, 1))
	next := w.bat + w.batLen
	var placed []int64
	state := func(i int64) byte { return w.states[int(i)%len(w.states)] }
	for i := range blocks {
		switch state(i) {
		case 'd', 'p', 'U', 'Z', 'M':
			placed = append(placed, i)
		}
		if state(i) == 'p' && w.bitmaps[i>>w.m.ratioShift] == 0 {
			w.bitmaps[i>>w.m.ratioShift] = next
			next += mib
		}
	}
	if w.shuffle {
		rnd.Shuffle(len(placed), func(i, j int) { placed[i], placed[j] = placed[j], placed[i] })
	}
	end := next
	for _, i := range placed {
		w.blocks[i] = next
		next += w.block
		if end = next; w.tight && i == blocks-1 {
			end = next - w.block + min(w.block, w.img.size-i*w.block)
		}
	}
	w.memFile.size = end
	for i, off := range w.bitmaps {
		if off != 0 {
			w.put64(w.bat+8*w.m.bitmapIndex(int64(i)), uint64(off)|statePresent)
		}
	}
	for i := range blocks {
		v := map[byte]uint64{'.': 0, 'u': 1, 'U': 1, 'z': 2, 'Z': 2, 'm': 3, 'M': 3, 'd': 6, 'p': 7}[state(i)]
		w.put64(w.bat+8*w.m.index(i), uint64(w.blocks[i])|v)
		w.putBlock(i, state(i), rnd)
	}
}

// putBlock writes a block and records what the guest sees of it.
func (w *layout) putBlock(i int64, state byte, rnd *rand.Rand) {
	pos, n := i*w.block, min(w.block, w.img.size-i*w.block)
	if state != '.' && state != 'p' { // the block hides the parent
		for at := pos; at < pos+n; at += partSize {
			if w.want.parts[at/partSize] != nil {
				w.want.put(at, make([]byte, min(partSize, pos+n-at)))
			}
		}
	}
	if w.blocks[i] == 0 {
		return
	}
	random := rand.NewChaCha8([32]byte{byte(w.seed), byte(i), byte(i >> 8)})
	for _, p := range w.pieces(n) {
		b := make([]byte, p[1]-p[0])
		random.Read(b)
		w.put(w.blocks[i]+p[0], b)
	}
	switch state {
	case 'd':
		for _, p := range w.pieces(n) {
			w.want.put(pos+p[0], w.get(w.blocks[i]+p[0], p[1]-p[0]))
		}
	case 'p':
		sectors := n / w.sector
		at := w.bitmaps[i>>w.m.ratioShift] + i&(1<<w.m.ratioShift-1)*(w.block/w.sector/8)
		bitmap := make([]byte, (sectors+7)/8)
		present := rnd.IntN(2) == 0
		for s := int64(0); s < sectors; present = !present {
			run := min(1+rnd.Int64N(1<<rnd.IntN(12)), sectors-s)
			for k := s; present && k < s+run; k++ {
				bitmap[k/8] |= 1 << (k % 8)
			}
			for k := s * w.sector; present && k < (s+run)*w.sector; k += partSize {
				m := min(partSize, (s+run)*w.sector-k)
				w.want.replace(pos+k, w.get(w.blocks[i]+k, m))
			}
			s += run
		}
		w.put(at, bitmap)
	}
}
