package nbd

import (
	"encoding/binary"
	"slices"
	"strings"
)

// A parser reads the data of an option. After the first failure, it returns zeros.
type parser struct {
	b      []byte
	failed bool
}

func (p *parser) take(n uint32) []byte {
	if uint64(n) > uint64(len(p.b)) {
		p.b, p.failed = nil, true
		return nil
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

func (p *parser) uint16() uint16 {
	if b := p.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (p *parser) uint32() uint32 {
	if b := p.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// text reads a length and a string of that length.
func (p *parser) text() string {
	s := string(p.take(p.uint32()))
	p.failed = p.failed || !isText(s)
	return s
}

// list sends the names of all exports.
func (h *handshake) list(data []byte) error {
	if len(data) > 0 {
		return h.refuse(optList, repInvalid, "the option must have no data")
	}
	for _, e := range h.s.order {
		b := binary.BigEndian.AppendUint32(nil, uint32(len(e.Name)))
		b = append(b, e.Name...)
		if err := h.reply(optList, repServer, append(b, e.Description...)); err != nil {
			return err
		}
	}
	return h.reply(optList, repAck, nil)
}

// info describes an export and returns it. If the option cannot be answered, it sends an error and
// returns nil.
func (h *handshake) info(option uint32, data []byte) (*Export, error) {
	p := parser{b: data}
	name := p.text()
	n := p.uint16()
	asked := make([]uint16, 0, 4)
	for range n {
		kind := p.uint16()
		if p.failed {
			break
		}
		if kind <= infoBlockSize && !slices.Contains(asked, kind) {
			asked = append(asked, kind)
		}
	}
	if p.failed || len(p.b) > 0 {
		return nil, h.refuse(option, repInvalid, "malformed option")
	}
	e := h.s.lookup(name)
	if e == nil {
		return nil, h.refuse(option, repUnknown, "no such export")
	}
	if !slices.Contains(asked, infoExport) {
		asked = append(asked, infoExport)
	}
	for _, kind := range asked {
		if err := h.reply(option, repInfo, h.describe(e, kind)); err != nil {
			return nil, err
		}
	}
	if option == optGo {
		h.enter()
	}
	return e, h.reply(option, repAck, nil)
}

// describe returns one item of information about an export.
func (h *handshake) describe(e *Export, kind uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, kind)
	switch kind {
	case infoExport:
		b = binary.BigEndian.AppendUint64(b, uint64(e.Source.Size()))
		b = binary.BigEndian.AppendUint16(b, e.transmissionFlags(h.structured))
	case infoName:
		b = append(b, e.Name...)
	case infoDescription:
		b = append(b, e.Description...)
	case infoBlockSize:
		b = binary.BigEndian.AppendUint32(b, 1)
		b = binary.BigEndian.AppendUint32(b, uint32(e.BlockSize))
		b = binary.BigEndian.AppendUint32(b, maxRequest)
	}
	return b
}

// contexts lists the metadata contexts of an export, or selects those that the client wants.
func (h *handshake) contexts(option uint32, data []byte) error {
	set := option == optSetMeta
	if set {
		h.meta = nil // even if this option fails
	}
	p := parser{b: data}
	name := p.text()
	n := p.uint32()
	found := n == 0 && !set // an empty query lists all contexts
	for range n {
		q := p.text()
		if p.failed {
			break
		}
		if !strings.Contains(q, ":") {
			return h.refuse(option, repInvalid, "a context needs a namespace and a colon")
		}
		found = found || q == contextAllocation || q == contextBase && !set
	}
	e := h.s.lookup(name)
	switch {
	case p.failed || len(p.b) > 0:
		return h.refuse(option, repInvalid, "malformed option")
	case set && !h.structured:
		return h.refuse(option, repInvalid, "contexts need structured replies")
	case e == nil:
		return h.refuse(option, repUnknown, "no such export")
	}
	if found {
		id := uint32(0)
		if set {
			id, h.meta = contextID, e
		}
		b := binary.BigEndian.AppendUint32(nil, id)
		if err := h.reply(option, repMetaContext, append(b, contextAllocation...)); err != nil {
			return err
		}
	}
	return h.reply(option, repAck, nil)
}
