package vmdk

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// An img describes a sparse extent for build. The zero value of a field selects the default given in its
// comment. Tests make other changes by editing the built bytes.
type img struct {
	version   uint32 // 1
	flags     uint32 // in addition to those that the other fields set
	sectors   int64
	grain     int64  // sectors, 128
	entries   int64  // of a grain table, 512
	kinds     string // of the grains, chosen at random: - absent, h zeros, d data; "-d"
	redundant bool   // with a redundant directory
	late      bool   // tables follow their grains, and the directory follows everything
	compress  bool
	markers   bool
	footer    bool // with late
	level     int  // of compression, 6
	noEnd     bool // without an end-of-stream marker
	padding   int  // zero bytes at the end
	unclean   bool

	bare    bool   // without a descriptor
	nominal int64  // sectors in the descriptor; those of the header
	cid     string // "fffffffe"
	parent  string // parentCID
	hint    string // parentFileNameHint
	lines   string // additional lines of the descriptor
	crlf    bool
	area    int64 // sectors for the descriptor, 20
	seed    uint64
}

const descriptorSectors = 20

var le = binary.LittleEndian

// A layout has the byte offsets of the structures that build wrote.
type layout struct {
	file, guest []byte
	none        []bool // by grain: true if no file has it
	header      int64  // or of the footer
	directory   int64
	redundant   int64
	tables      []int64
	grains      []int64 // by number; 0 if absent
}

func (m *img) defaults() {
	if m.version == 0 {
		m.version = 1
	}
	if m.grain == 0 {
		m.grain = 128
	}
	if m.entries == 0 {
		m.entries = 512
	}
	if m.kinds == "" {
		m.kinds = "-d"
	}
	if m.nominal == 0 {
		m.nominal = m.sectors
	}
	if m.level == 0 {
		m.level = 6
	}
	if m.area == 0 {
		m.area = descriptorSectors
	}
	if m.cid == "" {
		m.cid = "fffffffe"
	}
	if m.parent == "" {
		m.parent = "ffffffff"
	}
	if strings.Contains(m.kinds, "h") {
		m.flags |= flagZeroGrain
	}
	if m.redundant {
		m.flags |= flagRedundant
	}
	if m.compress {
		m.flags |= flagCompressed
	}
	if m.markers {
		m.flags |= flagMarkers
	}
	m.flags |= flagLineEnds
}

func (m *img) text(name, typ string) string {
	create := "monolithicSparse"
	if m.compress {
		create = "streamOptimized"
	}
	s := fmt.Sprintf("# Disk DescriptorFile\nversion=1\nCID=%s\nparentCID=%s\ncreateType=\"%s\"\n", m.cid, m.parent, create)
	if m.hint != "" {
		s += fmt.Sprintf("parentFileNameHint=\"%s\"\n", m.hint)
	}
	s += fmt.Sprintf("\n# Extent description\nRW %d %s \"%s\"\n\n# The Disk Data Base\n#DDB\n\nddb.adapterType = \"ide\"\nddb.virtualHWVersion = \"4\"\n%s", m.nominal, typ, name, m.lines)
	if m.crlf {
		s = strings.ReplaceAll(s, "\n", "\r\n")
	}
	return s
}

// build returns an extent and the disk in it. Data grains have no zero bytes.
func (m img) build() *layout {
	m.defaults()
	rnd := rand.New(rand.NewPCG(m.seed, 42))
	guestSize := min(m.nominal, m.sectors) * sectorSize
	grainSize := m.grain * sectorSize
	grains := (m.sectors + m.grain - 1) / m.grain
	tables := (grains + m.entries - 1) / m.entries
	w := &layout{guest: make([]byte, guestSize), none: make([]bool, grains), grains: make([]int64, grains), tables: make([]int64, tables)}
	alloc := func(n int64) int64 {
		at := (int64(len(w.file)) + sectorSize - 1) &^ (sectorSize - 1)
		w.file = append(w.file, make([]byte, at+(n+sectorSize-1)&^(sectorSize-1)-int64(len(w.file)))...)
		return at
	}
	mark := func(kind uint32, n int64) {
		if m.markers {
			at := alloc(sectorSize)
			le.PutUint64(w.file[at:], uint64(n+sectorSize-1)/sectorSize)
			le.PutUint32(w.file[at+12:], kind)
		}
	}
	alloc(headerSize)
	if !m.bare {
		at := alloc(m.area * sectorSize)
		copy(w.file[at:], m.text("disk.vmdk", "SPARSE"))
	}
	tableSize := 4 * m.entries
	other := make([]int64, tables)
	if m.redundant {
		w.redundant = alloc(4 * tables)
		for i := range other {
			other[i] = alloc(tableSize)
		}
	}
	if !m.late {
		w.directory = alloc(4 * tables)
		for i := range w.tables {
			w.tables[i] = alloc(tableSize)
		}
	}
	overHead := int64(len(w.file))
	for i := range tables {
		table := make([]byte, tableSize)
		any := !m.late
		for k := i * m.entries; k < min((i+1)*m.entries, grains); k++ {
			e := uint32(entryNone)
			pos := k * grainSize
			switch m.kinds[rnd.IntN(len(m.kinds))] {
			case '-':
				w.none[k] = true
			case 'h':
				e = entryZero
			case 'd':
				data := make([]byte, grainSize)
				if imagetest.Fill(rnd, data); m.compress && rnd.IntN(4) > 0 {
					for j := range data {
						data[j] = "abcd"[rnd.IntN(4)]
					}
				}
				if pos < guestSize {
					copy(w.guest[pos:], data)
				}
				if m.compress {
					z := zlibData(data, m.level)
					if m.markers {
						head := le.AppendUint64(nil, uint64(k*m.grain))
						z = append(le.AppendUint32(head, uint32(len(z))), z...)
					}
					data = z
				}
				w.grains[k] = alloc(int64(len(data)))
				copy(w.file[w.grains[k]:], data)
				e = uint32(w.grains[k] / sectorSize)
			}
			any = any || e != 0
			le.PutUint32(table[4*(k-i*m.entries):], e)
		}
		if m.late && any {
			mark(markerTable, tableSize)
			w.tables[i] = alloc(tableSize)
		}
		if w.tables[i] != 0 {
			copy(w.file[w.tables[i]:], table)
		}
		if m.redundant {
			copy(w.file[other[i]:], table)
			le.PutUint32(w.file[w.redundant+4*i:], uint32(other[i]/sectorSize))
		}
	}
	if m.late {
		mark(markerDirectory, 4*tables)
		w.directory = alloc(4 * tables)
	}
	for i, at := range w.tables {
		le.PutUint32(w.file[w.directory+4*int64(i):], uint32(at/sectorSize))
	}
	m.putHeader(w, 0, overHead)
	if m.footer {
		mark(markerFooter, sectorSize)
		w.header = alloc(headerSize)
		m.putHeader(w, w.header, overHead)
		le.PutUint64(w.file[offDirectory:], directoryAtEnd)
		if !m.noEnd {
			alloc(sectorSize)
		}
	}
	w.file = append(w.file, make([]byte, m.padding)...)
	return w
}

func (m img) putHeader(w *layout, at, overHead int64) {
	b := w.file[at:]
	copy(b, magicSparse)
	le.PutUint32(b[offVersion:], m.version)
	le.PutUint32(b[offFlags:], m.flags)
	le.PutUint64(b[offCapacity:], uint64(m.sectors))
	le.PutUint64(b[offGrainSize:], uint64(m.grain))
	if !m.bare {
		le.PutUint64(b[offDescriptor:], 1)
		le.PutUint64(b[offDescriptorSize:], uint64(m.area))
	}
	le.PutUint32(b[offEntries:], uint32(m.entries))
	le.PutUint64(b[offRedundant:], uint64(w.redundant/sectorSize))
	le.PutUint64(b[offDirectory:], uint64(w.directory/sectorSize))
	le.PutUint64(b[offOverHead:], uint64(overHead/sectorSize))
	if m.unclean {
		b[offUncleanShutdown] = 1
	}
	copy(b[offLineEnds:], lineEnds)
	if m.compress {
		b[offCompressAlgorithm] = 1
	}
}

func zlibData(b []byte, level int) []byte {
	var out bytes.Buffer
	z, err := zlib.NewWriterLevel(&out, level)
	if err != nil {
		panic(err)
	}
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func open(t testing.TB, file []byte, opts Options) *Disk {
	t.Helper()
	d, err := Open(context.Background(), bytes.NewReader(file), int64(len(file)), opts)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// imgs returns sparse files of all kinds.
func imgs() map[string]img {
	stream := img{version: 3, compress: true, markers: true, late: true, footer: true}
	with := func(m img, edit func(*img)) img { edit(&m); return m }
	return map[string]img{
		"sparse":             {sectors: 2000},
		"redundant":          {sectors: 3000, redundant: true, seed: 1},
		"one sector":         {sectors: 1, kinds: "d"},
		"empty":              {sectors: 20_000, kinds: "-"},
		"full":               {sectors: 2048, kinds: "d"},
		"zeros only":         {sectors: 20_000, version: 2, kinds: "h"},
		"zero grains":        {sectors: 5000, version: 2, kinds: "-hd", seed: 2},
		"zero grains of v3":  {sectors: 5000, version: 3, kinds: "-hd", seed: 3},
		"4 KiB grains":       {sectors: 3000, grain: 8, kinds: "-dd", seed: 4},
		"8 KiB grains":       {sectors: 3001, grain: 16, seed: 5},
		"1 MiB grains":       {sectors: 9000, grain: 2048, seed: 6},
		"2 MiB grains":       {sectors: 10_000, grain: 4096, kinds: "d-", seed: 7},
		"1 entry":            {sectors: 1000, grain: 8, entries: 1, seed: 8},
		"16 entries":         {sectors: 5000, grain: 8, entries: 16, kinds: "-hd", seed: 9},
		"64 entries":         {sectors: 9000, grain: 8, entries: 64, redundant: true, seed: 10},
		"128 entries":        {sectors: 9000, grain: 8, entries: 128, seed: 11},
		"4096 entries":       {sectors: 34_000, grain: 8, entries: 4096, kinds: "----d", seed: 12},
		"late tables":        {sectors: 9000, grain: 8, entries: 16, late: true, seed: 13},
		"late, some missing": {sectors: 9000, grain: 8, entries: 2, late: true, kinds: "---d", seed: 14},
		"rounded":            {sectors: 2048, nominal: 2001, kinds: "d", seed: 15},
		"unclean":            {sectors: 1000, unclean: true},
		"CRLF":               {sectors: 1000, crlf: true, seed: 16},
		"unknown high flags": {sectors: 1000, flags: 1 << 20},
		"partial last grain": {sectors: 1999, kinds: "d", seed: 17},

		"stream":                {version: 3, compress: true, markers: true, late: true, footer: true, sectors: 5000, seed: 20},
		"stream zero grains":    with(stream, func(m *img) { m.sectors, m.kinds, m.seed = 5000, "-hd", 21 }),
		"stream early":          {version: 3, compress: true, markers: true, sectors: 3000, seed: 22},
		"stream without footer": with(stream, func(m *img) { m.sectors, m.footer, m.seed = 3000, false, 23 }),
		"stream small tables":   with(stream, func(m *img) { m.sectors, m.grain, m.entries, m.seed = 3000, 8, 4, 24 }),
		"stream full":           with(stream, func(m *img) { m.sectors, m.kinds, m.seed = 4000, "d", 25 }),
		"stream empty":          with(stream, func(m *img) { m.sectors, m.kinds = 4000, "-" }),
		"stream stored":         with(stream, func(m *img) { m.sectors, m.level, m.seed = 4000, -2, 26 }),
		"stream fast":           with(stream, func(m *img) { m.sectors, m.level, m.seed = 4000, 1, 27 }),
		"stream best":           with(stream, func(m *img) { m.sectors, m.level, m.seed = 4000, 9, 28 }),
		"stream no end":         with(stream, func(m *img) { m.sectors, m.noEnd, m.seed = 4000, true, 29 }),
		"stream padded":         with(stream, func(m *img) { m.sectors, m.padding, m.seed = 4000, 10_000, 30 }),
		"stream no markers":     {version: 3, compress: true, sectors: 3000, seed: 31},
		"stream big grains":     with(stream, func(m *img) { m.sectors, m.grain, m.level, m.seed = 10_000, 4096, 1, 32 }),
		"stream odd size":       with(stream, func(m *img) { m.sectors, m.seed = 3333, 33 }),
		"stream rounded":        with(stream, func(m *img) { m.sectors, m.nominal, m.kinds, m.seed = 3328, 3300, "d", 34 }),
	}
}

// memory returns a resolver for files in memory.
func memory(files map[string][]byte, asked *[]image.Ref) func(image.Ref) (image.Source, error) {
	return func(r image.Ref) (image.Source, error) {
		*asked = append(*asked, r)
		b, ok := files[r.Name()]
		if !ok {
			return nil, fmt.Errorf("no file %q", r.Name())
		}
		if r.What != "parent disk" || !Detect(bytes.NewReader(b), int64(len(b))) {
			return bytes.NewReader(b), nil
		}
		opts := r.Options.(Options)
		opts.ID = r.Name()
		return Open(context.Background(), bytes.NewReader(b), int64(len(b)), opts)
	}
}
