package luks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The LUKS1 header: LUKS1 On-Disk Format Specification, sections 2.1 (phdr) and 2.2 (key slots). All
// integers are big-endian.
const (
	v1HeaderSize    = 592
	v1DigestSize    = 20
	v1Slots         = 8
	v1SlotsOffset   = 208
	v1SlotSize      = 48
	v1Active        = 0x00AC71F3
	v1Inactive      = 0x0000DEAD
	v1FirstArea     = 8    // in sectors: 4096 bytes, as in cryptsetup and QEMU
	v1AreaAlign     = 8    // in sectors
	v1CipherName    = 8    // offsets of fields
	v1CipherMode    = 40   //
	v1HashSpec      = 72   //
	v1Payload       = 104  //
	v1KeyBytes      = 108  //
	v1Digest        = 112  //
	v1DigestSalt    = 132  //
	v1DigestIter    = 164  //
	v1UUID          = 168  //
	v1LeastMaterial = 1024 // the least offset of key material that cryptsetup accepts
)

var magic = [6]byte{'L', 'U', 'K', 'S', 0xba, 0xbe}

// v1AreaSectors returns the distance between two key slots for keys of n bytes, in sectors.
func v1AreaSectors(n int) int64 {
	return roundUp(roundUp(int64(n)*stripes, sectorSize)/sectorSize, v1AreaAlign)
}

// v1Area returns the area of key slot i as cryptsetup and QEMU lay it out.
func v1Area(i, keySize int) area {
	return area{
		offset: (v1FirstArea + int64(i)*v1AreaSectors(keySize)) * sectorSize,
		size:   roundUp(int64(keySize)*stripes, sectorSize),
	}
}

// v1MaterialEnd returns the end of the last key slot: the least data offset.
func v1MaterialEnd(keySize int) int64 { return v1Area(v1Slots, keySize).offset }

// encodeV1 encodes a header whose only key slot is s, with this key material.
func (h *Header) encodeV1(s keyslot, material []byte) {
	h.made = &madeHeader{regions: []region{{0, h.headerV1()}, {s.area.offset, material}}}
}

// headerV1 returns the bytes of the header with its eight key slots.
func (h *Header) headerV1() []byte {
	b := make([]byte, v1HeaderSize)
	be := binary.BigEndian
	copy(b, magic[:])
	be.PutUint16(b[6:], 1)
	name, mode, _ := strings.Cut(h.segment.encryption, "-")
	copy(b[v1CipherName:], name)
	copy(b[v1CipherMode:], mode)
	copy(b[v1HashSpec:], h.segment.hash)
	be.PutUint32(b[v1Payload:], uint32(h.segment.offset/sectorSize))
	d := h.digests[0]
	be.PutUint32(b[v1KeyBytes:], uint32(h.slots[0].keySize))
	copy(b[v1Digest:], d.value)
	copy(b[v1DigestSalt:], d.salt)
	be.PutUint32(b[v1DigestIter:], d.iterations)
	copy(b[v1UUID:], h.uuid)
	for i, s := range h.slots {
		p := b[v1SlotsOffset+i*v1SlotSize:]
		be.PutUint32(p, v1Inactive)
		if s.active {
			be.PutUint32(p, v1Active)
			be.PutUint32(p[4:], s.kdf.Iterations)
			copy(p[8:], s.salt)
		}
		be.PutUint32(p[40:], uint32(s.area.offset/sectorSize))
		be.PutUint32(p[44:], stripes)
	}
	return b
}

// openV1 reads and validates a LUKS1 header. It also validates unused key slots, because a new key can
// be written to their areas.
func openV1(r io.ReaderAt, size int64, o OpenOptions) (*Header, error) {
	b := make([]byte, v1HeaderSize)
	if err := readFull(r, b, 0); err != nil {
		return nil, fmt.Errorf("luks: reading the LUKS1 header: %w", err)
	}
	p := v1Parser{b: b}
	h := &Header{version: 1, r: r, size: size, opts: o, raw: b, uuid: fixedText(b[v1UUID:][:40])}
	name, mode := fixedText(b[v1CipherName:][:32]), fixedText(b[v1CipherMode:][:32])
	h.segment = segment{
		offset:     int64(p.u32(v1Payload)) * sectorSize,
		encryption: name + "-" + mode,
		sectorSize: sectorSize,
		hash:       fixedText(b[v1HashSpec:][:32]),
	}
	keySize := int64(p.u32(v1KeyBytes))
	p.want(keySize >= 1 && keySize <= maxKeySize, v1KeyBytes, "key-bytes", keySize, "from 1 to 512")
	iterations := p.u32(v1DigestIter)
	if iterations < 1 {
		h.dataProblem = &FormatError{Offset: v1DigestIter, Field: "mk-digest-iter", Value: iterations, Want: "at least 1"}
	}
	if p.err != nil {
		return nil, p.err
	}
	h.digests = []digest{{
		problem:    h.dataProblem,
		hash:       h.segment.hash,
		iterations: iterations,
		salt:       b[v1DigestSalt:][:saltSize],
		value:      b[v1Digest:][:v1DigestSize],
		segments:   []int{0},
	}}
	for i := range v1Slots {
		s := p.slot(i, keySize, h.segment)
		h.slots = append(h.slots, s)
		h.digests[0].slots = append(h.digests[0].slots, i)
	}
	p.layout(h)
	if p.err != nil {
		return nil, p.err
	}
	h.noteProblemsV1()
	return h, nil
}

// noteProblemsV1 records the problems of a LUKS1 header. Each part has at most one problem.
func (h *Header) noteProblemsV1() {
	problems := []error{h.dataProblem}
	for _, s := range h.slots {
		problems = append(problems, s.problem)
	}
	for _, err := range problems {
		if f := new(FormatError); errors.As(err, &f) {
			h.problems = append(h.problems, Problem{f.Field, problemText(err)})
		}
	}
	h.noteProblems()
}

// v1Parser reads fields of a LUKS1 header and keeps the first error.
type v1Parser struct {
	b   []byte
	err error
}

func (p *v1Parser) u32(off int) uint32 { return binary.BigEndian.Uint32(p.b[off:]) }

// want records an error unless ok.
func (p *v1Parser) want(ok bool, off int, field string, value any, want string) {
	if !ok && p.err == nil {
		p.err = &FormatError{Offset: int64(off), Field: field, Value: value, Want: want}
	}
}

// slot returns key slot i.
func (p *v1Parser) slot(i int, keySize int64, seg segment) keyslot {
	off := v1SlotsOffset + i*v1SlotSize
	field := func(name string) string { return fmt.Sprintf("key-slot-%d.%s", i, name) }
	active, iterations := p.u32(off), p.u32(off+4)
	var problem error
	if active != v1Active && active != v1Inactive {
		problem = &FormatError{Offset: int64(off), Field: field("active"), Value: fmt.Sprintf("%#x", active),
			Want: fmt.Sprintf("%#x or %#x", v1Active, v1Inactive)}
	}
	if active == v1Active && iterations < 1 {
		problem = &FormatError{Offset: int64(off + 4), Field: field("iterations"), Value: iterations, Want: "at least 1"}
	}
	p.want(p.u32(off+44) == stripes, off+44, field("stripes"), p.u32(off+44), fmt.Sprint(stripes))
	return keyslot{
		id:       i,
		problem:  problem,
		active:   active != v1Inactive,
		keySize:  int(keySize),
		priority: priorityNormal,
		kdf:      KDF{Type: PBKDF2, Hash: seg.hash, Iterations: iterations},
		salt:     p.b[off+8:][:saltSize],
		afHash:   seg.hash,
		area: area{
			offset:     int64(p.u32(off+40)) * sectorSize,
			size:       roundUp(keySize*stripes, sectorSize),
			encryption: seg.encryption,
			keySize:    int(keySize),
		},
	}
}

// layout checks that key material is after the header, before the data, and does not overlap.
func (p *v1Parser) layout(h *Header) {
	areas := make([]namedArea, 0, v1Slots)
	for i, s := range h.slots {
		off := v1SlotsOffset + i*v1SlotSize + 40
		name := fmt.Sprintf("key-slot-%d.key-material-offset", i)
		a := s.area
		p.want(a.offset >= v1LeastMaterial, off, name, a.offset/sectorSize, fmt.Sprintf("at least %d sectors", v1LeastMaterial/sectorSize))
		if data := h.segment.offset; data != 0 {
			p.want(a.offset+a.size <= data, off, name, a.offset/sectorSize,
				fmt.Sprintf("key material that ends before the data, which start at sector %d", data/sectorSize))
		}
		p.want(a.offset+a.size <= h.size, off, name, a.offset/sectorSize,
			fmt.Sprintf("key material inside the file, which has %d bytes", h.size))
		areas = append(areas, namedArea{a, int64(off), name})
	}
	if err := overlap(areas); err != nil && p.err == nil {
		p.err = err
	}
}
