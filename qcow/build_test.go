package qcow

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// An img describes an image for build. The zero value of a field means the default in its comment.
// Tests make other images by editing the bytes that build returns.
type img struct {
	version   uint32 // 3
	bits      uint   // cluster bits, 9
	size      int64
	headerLen int    // 104, or 112 with zstd
	zstd      bool   // compression type
	extended  bool   // extended L2 entries
	exts      []byte // header extensions, without the end marker
	backing   string
	kinds     string // kinds of clusters, see build; "-hzdc"
	features  uint64 // further incompatible features
	snapshot  bool   // one snapshot of the same disk, with ID "1" and name "snap"
	order     uint32 // refcount order, 4
	seed      uint64
}

var be = binary.BigEndian

// A layout holds an image and the offsets of its parts, in bytes.
type layout struct {
	file, guest                               []byte
	bare                                      []byte // 1 for each byte of the disk that is absent from the image
	l1, reftable, refblock, snapshots, snapL1 int64
	l2                                        []int64
	data                                      []int64 // offsets of clusters with data
}

func ext(kind uint32, data string) []byte {
	b := be.AppendUint32(nil, kind)
	b = be.AppendUint32(b, uint32(len(data)))
	b = append(b, data...)
	return append(b, make([]byte, -len(b)&7)...)
}

// build returns an image with a random mix of clusters: - unallocated, h zero and not allocated, z
// zero and allocated, d data, c compressed. Data has no zero bytes.
func (m img) build() *layout {
	if m.version == 0 {
		m.version = 3
	}
	if m.bits == 0 {
		m.bits = 9
	}
	if m.kinds == "" {
		m.kinds = "-hzdc"
		if m.version == 2 {
			m.kinds = "-dc"
		}
	}
	if m.headerLen == 0 {
		if m.headerLen = headerSizeV3; m.zstd {
			m.headerLen = 112
		}
		if m.version == 2 {
			m.headerLen = headerSizeV2
		}
	}
	if m.order == 0 {
		m.order = 4
	}
	cluster := int64(1) << m.bits
	h := &header{version: m.version, clusterBits: m.bits, size: m.size, incompatible: m.features}
	if m.extended {
		h.incompatible |= incompatExtendedL2
	}
	if m.zstd {
		h.incompatible |= incompatCompression
	}
	rnd := rand.New(rand.NewPCG(m.seed, 42))
	w := &layout{guest: make([]byte, m.size), bare: bytes.Repeat([]byte{1}, int(m.size))}
	refs := map[int64]uint64{}
	alloc := func(n int64, count uint64) int64 {
		at := (int64(len(w.file)) + cluster - 1) &^ (cluster - 1)
		w.file = append(w.file, make([]byte, at+(n+cluster-1)&^(cluster-1)-int64(len(w.file)))...)
		for k := at >> m.bits; k < int64(len(w.file))>>m.bits; k++ {
			refs[k] += count
		}
		return at
	}
	alloc(cluster, 1)
	shared := uint64(1)
	if m.snapshot {
		shared = 2
	}
	l1 := h.l1Needed(m.size)
	w.l1 = alloc(l1*8, 1)
	if m.snapshot {
		w.snapL1 = alloc(l1*8, 1)
		w.snapshots = alloc(snapshotFixed+16+8, 1)
	}
	span := int64(1) << h.tableSpanBits()
	copied := uint64(flagCopied)
	if m.snapshot {
		copied = 0
	}
	for i := range l1 {
		if l1 > 2 && rnd.IntN(4) == 0 {
			w.l2 = append(w.l2, 0)
			continue
		}
		table := alloc(cluster, shared)
		w.l2 = append(w.l2, table)
		be.PutUint64(w.file[w.l1+8*i:], uint64(table)|copied)
		for pos := i * span; pos < min((i+1)*span, m.size); pos += cluster {
			at := table + (pos-i*span)>>m.bits<<h.entryBits()
			entry, bitmap := uint64(0), uint64(0)
			data := make([]byte, cluster)
			bare := make([]byte, cluster)
			switch kind := m.kinds[rnd.IntN(len(m.kinds))]; {
			case kind == 'c':
				for j := range data {
					data[j] = "abcd"[rnd.IntN(4)]
				}
				z := compress(data, m.zstd)
				start := int64(len(w.file))
				// Compressed clusters are contiguous, without padding.
				if rnd.IntN(2) == 0 || start&(cluster-1) == 0 {
					start = alloc(int64(len(z)), 0)
					w.file = w.file[:start]
				}
				w.file = append(w.file, z...)
				sectors := (start+int64(len(z))-1)/512 - start/512
				entry = flagCompressed | uint64(sectors)<<(62-(m.bits-8)) | uint64(start)
				for k := start >> m.bits; k <= (start&^511+sectors*512+511)>>m.bits; k++ {
					refs[k] += shared
				}
			case m.extended:
				imagetest.Fill(rnd, data)
				for s := range subclusters {
					part := data[int64(s)*cluster/32:][:cluster/32]
					switch kind = m.kinds[rnd.IntN(len(m.kinds))]; kind {
					case 'd':
						bitmap |= 1 << s
					case 'h', 'z':
						bitmap |= 1 << (32 + s)
						clear(part)
					default:
						clear(part)
						copy(bare[int64(s)*cluster/32:], bytes.Repeat([]byte{1}, len(part)))
					}
				}
				if uint32(bitmap) != 0 || rnd.IntN(2) == 0 {
					entry = uint64(alloc(cluster, shared)) | copied
					noise := w.file[entry&offsetMask:][:cluster]
					imagetest.Fill(rnd, noise)
					for j, v := range data {
						if v != 0 {
							noise[j] = v
						}
					}
				}
			case kind == 'd':
				imagetest.Fill(rnd, data)
				off := alloc(cluster, shared)
				copy(w.file[off:], data)
				w.data = append(w.data, off)
				entry = uint64(off) | copied
			case kind == 'z':
				off := alloc(cluster, shared)
				imagetest.Fill(rnd, w.file[off:][:cluster])
				clear(data)
				entry = uint64(off) | copied | flagZero
			case kind == 'h':
				entry = flagZero
			default:
				bare = bytes.Repeat([]byte{1}, int(cluster))
			}
			be.PutUint64(w.file[at:], entry)
			if m.extended {
				be.PutUint64(w.file[at+8:], bitmap)
			}
			copy(w.guest[pos:], data)
			copy(w.bare[pos:], bare)
		}
	}
	w.finish(m, h, refs, alloc)
	return w
}

// finish writes refcounts, the snapshot and the header.
func (w *layout) finish(m img, h *header, refs map[int64]uint64, alloc func(int64, uint64) int64) {
	cluster := h.clusterSize()
	perBlock := cluster * 8 >> m.order
	blocks := int64(len(w.file))>>m.bits/perBlock + 2
	w.reftable = alloc(blocks*8, 1)
	reftableLen := (blocks*8 + cluster - 1) >> m.bits
	for i := range blocks {
		at := alloc(cluster, 1)
		if i == 0 {
			w.refblock = at
		}
		be.PutUint64(w.file[w.reftable+8*i:], uint64(at))
	}
	for k, n := range refs {
		block := int64(be.Uint64(w.file[w.reftable+8*(k/perBlock):]))
		putRefcount(w.file[block:], k%perBlock, m.order, n)
	}
	b := w.file
	if m.snapshot {
		copy(b[w.snapL1:], b[w.l1:w.l1+h.l1Needed(m.size)*8])
		s := b[w.snapshots:]
		be.PutUint64(s, uint64(w.snapL1))
		be.PutUint32(s[8:], uint32(h.l1Needed(m.size)))
		be.PutUint16(s[12:], 1)
		be.PutUint16(s[14:], 4)
		be.PutUint32(s[16:], 86400)
		be.PutUint32(s[36:], 16)
		be.PutUint64(s[48:], uint64(m.size))
		copy(s[56:], "1snap")
		be.PutUint32(b[offSnapshots:], 1)
		be.PutUint64(b[offSnapshotTable:], uint64(w.snapshots))
	}
	copy(b, headerMagic)
	be.PutUint32(b[offVersion:], m.version)
	be.PutUint32(b[offClusterBits:], uint32(m.bits))
	be.PutUint64(b[offSize:], uint64(m.size))
	be.PutUint32(b[offL1Size:], uint32(h.l1Needed(m.size)))
	be.PutUint64(b[offL1Offset:], uint64(w.l1))
	be.PutUint64(b[offReftable:], uint64(w.reftable))
	be.PutUint32(b[offReftableSize:], uint32(reftableLen))
	if m.version >= 3 {
		be.PutUint64(b[offIncompatible:], h.incompatible)
		be.PutUint32(b[offRefcountOrder:], m.order)
		be.PutUint32(b[offHeaderLength:], uint32(m.headerLen))
		if m.zstd {
			b[offCompression] = compressionZstd
		}
	}
	n := m.headerLen + copy(b[m.headerLen:], m.exts)
	if m.backing != "" {
		be.PutUint64(b[offBackingOffset:], uint64(n+8))
		be.PutUint32(b[offBackingSize:], uint32(len(m.backing)))
		copy(b[n+8:], m.backing)
	}
}

func putRefcount(b []byte, i int64, order uint32, n uint64) {
	switch order {
	case 3:
		b[i] = byte(n)
	case 4:
		be.PutUint16(b[2*i:], uint16(n))
	case 5:
		be.PutUint32(b[4*i:], uint32(n))
	case 6:
		be.PutUint64(b[8*i:], n)
	default:
		bit := i << order
		b[bit/8] |= byte(n << (bit % 8))
	}
}

// Compressors are reused: they are large, and there are many clusters.
var (
	deflaters = sync.Pool{New: func() any {
		w, err := flate.NewWriter(nil, flate.BestSpeed)
		if err != nil {
			panic(err)
		}
		return w
	}}
	zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
		w, err := zstd.NewWriter(nil)
		if err != nil {
			panic(err)
		}
		return w
	})
)

func compress(b []byte, z bool) []byte {
	if z {
		return zstdEncoder().EncodeAll(b, nil)
	}
	var out bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func open(t testing.TB, file []byte, opts Options) *Disk {
	t.Helper()
	d, err := Open(t.Context(), bytes.NewReader(file), int64(len(file)), opts)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// imgs returns images of all kinds.
func imgs() map[string]img {
	return map[string]img{
		"v2":               {version: 2, size: 100_000},
		"v3":               {size: 100_001},
		"v3 112 bytes":     {size: 40_000, headerLen: 112, bits: 10},
		"v3 long header":   {size: 40_000, headerLen: 256, bits: 10},
		"zlib 4k":          {size: 500_000, bits: 12, kinds: "ccc-d"},
		"zstd 4k":          {size: 500_000, bits: 12, kinds: "ccc-d", zstd: true},
		"zstd":             {size: 60_000, zstd: true, seed: 1},
		"data 64k":         {size: 3_000_000, bits: 16, kinds: "dd-"},
		"extended":         {size: 700_000, bits: 14, extended: true, seed: 3},
		"extended 64k":     {size: 2_000_000, bits: 16, extended: true, zstd: true, seed: 4},
		"snapshot":         {size: 90_000, snapshot: true, seed: 5},
		"refcount 64 bits": {size: 50_000, order: 6, seed: 7},
		"refcount 8 bits":  {size: 50_000, order: 3, seed: 8},
		"refcount 2 bits":  {size: 50_000, kinds: "-hzd", order: 1, seed: 9},
		"extensions":       {size: 30_000, exts: append(ext(0x12345678, "unknown"), ext(extFeatureNames, string(make([]byte, 96)))...), seed: 10},
		"empty":            {size: 0},
		"one byte":         {size: 1, kinds: "d"},
	}
}
