package vhdx

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"slices"

	guids "github.com/luksimg/luksimg/internal/guid"
)

const (
	metadataMagic     = "metadata"
	metadataTableSize = 64 << 10
	metadataEntries   = 32 // offset of the entries
	offItemCount      = 10
	maxItem           = mib
	maxUserItems      = 1024

	flagUser     = 1
	flagDisk     = 2 // the item describes the disk instead of the file
	flagRequired = 4

	flagLeaveAllocated = 1
	flagHasParent      = 2

	minBlockSize = mib
	maxBlockSize = 256 * mib
	maxDiskSize  = 64 << 40

	// A sector bitmap block has a bit for each sector of a chunk of the disk (section 2.4).
	bitmapBlockSize = mib
	chunkSectors    = bitmapBlockSize * 8
)

var (
	fileParametersGUID = guids.Must("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
	diskSizeGUID       = guids.Must("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
	diskIDGUID         = guids.Must("beca12ab-b2e6-4523-93ef-c309e000c746")
	logicalSectorGUID  = guids.Must("8141bf1d-a96f-4709-ba47-f233a8faab5f")
	physicalSectorGUID = guids.Must("cda348c7-445d-4471-9cc9-e9885251c556")
	parentLocatorGUID  = guids.Must("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
)

// metadata is the checked content of the metadata region (section 2.6).
type metadata struct {
	blockSize       int64 // bytes, a power of two
	blockShift      uint  // log2(blockSize)
	leaveAllocated  bool
	hasParent       bool
	size            int64 // size of the disk in bytes
	diskID          guid
	logicalSector   int64 // bytes
	logicalSectorAt int64 // offset of logicalSector in the file
	physicalSector  int64 // bytes
	ratioShift      uint  // log2 of the number of payload blocks in a chunk
	locator         *locator
	warnings        []string
}

// blocks returns the number of payload blocks of the disk.
func (m *metadata) blocks() int64 { return (m.size + m.blockSize - 1) >> m.blockShift }

// An item is an item of the metadata region.
type item struct {
	entry int64 // offset of its table entry in the file
	off   int64 // offset of its data in the file
	n     int64 // bytes
}

func readMetadata(r io.ReaderAt, region span) (*metadata, error) {
	table := make([]byte, metadataTableSize)
	if _, err := readFull(r, table, region.off); err != nil {
		return nil, err
	}
	items, err := parseItems(table, region)
	if err != nil {
		return nil, err
	}
	p := &itemReader{r: r, region: region, items: items}
	m := &metadata{}
	params := p.get(fileParametersGUID, "FileParameters", 8)
	size := p.get(diskSizeGUID, "VirtualDiskSize", 8)
	id := p.get(diskIDGUID, "VirtualDiskId", 16)
	logical := p.get(logicalSectorGUID, "LogicalSectorSize", 4)
	physical := p.get(physicalSectorGUID, "PhysicalSectorSize", 4)
	if p.err != nil {
		return nil, p.err
	}
	le := binary.LittleEndian
	m.diskID = guid(id)
	if err := m.setParameters(items[fileParametersGUID].off, le.Uint32(params), le.Uint32(params[4:])); err != nil {
		return nil, err
	}
	m.logicalSectorAt = items[logicalSectorGUID].off
	m.logicalSector, m.physicalSector = int64(le.Uint32(logical)), int64(le.Uint32(physical))
	if m.logicalSector != 512 && m.logicalSector != 4096 {
		return nil, fieldError(items[logicalSectorGUID].off, "LogicalSectorSize", m.logicalSector, "512 or 4096")
	}
	if m.physicalSector != 512 && m.physicalSector != 4096 {
		return nil, fieldError(items[physicalSectorGUID].off, "PhysicalSectorSize", m.physicalSector, "512 or 4096")
	}
	m.size = clampInt64(le.Uint64(size))
	switch at := items[diskSizeGUID].off; {
	case m.size > maxDiskSize:
		return nil, fieldError(at, "VirtualDiskSize", le.Uint64(size), "at most %d bytes, 64 TiB", int64(maxDiskSize))
	case m.size%m.logicalSector != 0:
		return nil, fieldError(at, "VirtualDiskSize", m.size, "a multiple of the logical sector size %d", m.logicalSector)
	}
	m.setRatio()
	return m, m.readLocator(p)
}

// setRatio sets the chunk ratio (section 2.5).
func (m *metadata) setRatio() {
	m.ratioShift = uint(bits.TrailingZeros64(uint64(chunkSectors * m.logicalSector / m.blockSize)))
}

// setParameters parses the file parameters (section 2.6.2.1).
func (m *metadata) setParameters(at int64, blockSize, flags uint32) error {
	m.blockSize = int64(blockSize)
	if m.blockSize < minBlockSize || m.blockSize > maxBlockSize || m.blockSize&(m.blockSize-1) != 0 {
		return fieldError(at, "BlockSize", m.blockSize, "a power of two, at least 1 MiB and at most 256 MiB")
	}
	m.blockShift = uint(bits.TrailingZeros64(uint64(m.blockSize)))
	m.leaveAllocated = flags&flagLeaveAllocated != 0
	m.hasParent = flags&flagHasParent != 0
	if flags&^(flagLeaveAllocated|flagHasParent) != 0 {
		return unsupported("file parameters %#x at offset %d have unknown bits", flags, at+4)
	}
	return nil
}

// readLocator reads the parent locator if the disk has a parent.
func (m *metadata) readLocator(p *itemReader) error {
	it, ok := p.items[parentLocatorGUID]
	if !m.hasParent {
		if ok {
			m.warnings = append(m.warnings, "the image has a parent locator but is not a differencing disk: the locator is ignored")
		}
		return nil
	}
	b := p.get(parentLocatorGUID, "ParentLocator", -1)
	if p.err != nil {
		return p.err
	}
	var err error
	m.locator, err = parseLocator(b, it.off)
	return err
}

// parseItems checks the metadata table (section 2.6.1) and returns the system items.
func parseItems(b []byte, region span) (map[guid]item, error) {
	le := binary.LittleEndian
	if string(b[:8]) != metadataMagic {
		return nil, fieldError(region.off, "metadata table signature", fmt.Sprintf("%q", b[:8]), "%q", metadataMagic)
	}
	n := le.Uint16(b[offItemCount:])
	if n > maxEntries {
		return nil, fieldError(region.off+offItemCount, "metadata table EntryCount", n, "at most %d", maxEntries)
	}
	type key struct {
		id   guid
		user bool
	}
	all := make([]item, 0, n)
	seen := make(map[key]bool, n)
	system := make(map[guid]item)
	users := 0
	for i := range int64(n) {
		at := metadataEntries + i*tableEntrySize
		e := b[at:][:tableEntrySize]
		id, flags := guid(e[:16]), le.Uint32(e[24:])
		off, length := int64(le.Uint32(e[16:])), int64(le.Uint32(e[20:]))
		fail := func(in int64, field string, value any, want string, args ...any) error {
			return fieldError(region.off+at+in, fmt.Sprintf("metadata table entry %d %s", i, field), value, want, args...)
		}
		k := key{id, flags&flagUser != 0}
		switch {
		case seen[k]:
			return nil, fail(0, "ItemId", id, "an item that occurs only once")
		case length > maxItem:
			return nil, fail(20, "Length", length, "at most %d", maxItem)
		case length == 0 && off != 0:
			return nil, fail(16, "Offset", off, "0, as the item is empty")
		case length > 0 && off < metadataTableSize:
			return nil, fail(16, "Offset", off, "at least %d, the size of the table", metadataTableSize)
		case length > 0 && off+length > region.length:
			return nil, fail(16, "Offset", off, "an item of %d bytes inside the metadata region of %d bytes", length, region.length)
		}
		seen[k] = true
		if k.user {
			if users++; users > maxUserItems {
				return nil, fail(24, "IsUser", flags, "at most %d user items", maxUserItems)
			}
		}
		it := item{region.off + at, region.off + off, length}
		if length > 0 {
			all = append(all, it)
		}
		known := false
		if !k.user {
			system[id] = it
			switch id {
			case fileParametersGUID, diskSizeGUID, diskIDGUID, logicalSectorGUID, physicalSectorGUID, parentLocatorGUID:
				known = true
			}
		}
		if !known && flags&flagRequired != 0 {
			return nil, unsupported("unknown required metadata item %s at offset %d of the file", id, it.entry)
		}
	}
	slices.SortFunc(all, func(a, b item) int { return cmp.Compare(a.off, b.off) })
	for i := 1; i < len(all); i++ {
		if all[i].off < all[i-1].off+all[i-1].n {
			return nil, fieldError(all[i].entry+16, "metadata item Offset", all[i].off-region.off,
				"an item that does not overlap the item at %d to %d", all[i-1].off-region.off, all[i-1].off-region.off+all[i-1].n)
		}
	}
	return system, nil
}

// An itemReader reads metadata items until the first error.
type itemReader struct {
	r      io.ReaderAt
	region span
	items  map[guid]item
	err    error
}

// get returns an item of n bytes, or of any length if n is negative.
func (p *itemReader) get(id guid, name string, n int64) []byte {
	if p.err != nil {
		return nil
	}
	it, ok := p.items[id]
	switch {
	case !ok:
		p.err = fieldError(p.region.off, "metadata table", fmt.Sprintf("no %s", name), "an item %s", id)
	case n >= 0 && it.n != n:
		p.err = fieldError(it.entry+20, name+" Length", it.n, "%d", n)
	default:
		b := make([]byte, it.n)
		if _, p.err = readFull(p.r, b, it.off); p.err == nil {
			return b
		}
	}
	return nil
}
