package nbd

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

func TestNewServer(t *testing.T) {
	d := newDisk(1)
	for name, all := range map[string][]Export{
		"none":       nil,
		"no source":  {{}},
		"same name":  {{Source: d}, {Source: d}},
		"no text":    {{Name: "\xff", Source: d}},
		"zero":       {{Name: "a\x00", Source: d}},
		"long":       {{Description: string(make([]byte, 5000)), Source: d}},
		"block size": {{Source: d, BlockSize: 1000}},
		"small":      {{Source: d, BlockSize: 256}},
	} {
		if _, err := NewServer(Options{}, all...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestOptions(t *testing.T) {
	a, b := newDisk(10_000), newDisk(77)
	s := serve(t, Options{}, Export{Name: "a", Description: "first", Source: a, Target: a, BlockSize: 512}, Export{Name: "b", Source: b})
	c := s.dial(3)
	last := func(option uint32, parts ...[]byte) uint32 {
		t.Helper()
		all := c.option(option, parts...)
		return all[len(all)-1].kind
	}
	for _, w := range []struct {
		name   string
		kind   uint32
		option uint32
		data   [][]byte
	}{
		{"unknown", repUnsupported, 11, nil},
		{"huge number", repUnsupported, 1<<32 - 1, [][]byte{[]byte("data")}},
		{"TLS", repUnsupported, optStartTLS, nil},
		{"no export", repUnknown, optInfo, [][]byte{text("c"), u16(0)}},
		{"no default export", repUnknown, optGo, [][]byte{text(""), u16(0)}},
		{"short", repInvalid, optInfo, [][]byte{{0}}},
		{"length past the end", repInvalid, optGo, [][]byte{u32(1 << 31), u16(0)}},
		{"too few infos", repInvalid, optGo, [][]byte{text("a"), u16(7), u16(1)}},
		{"too many bytes", repInvalid, optGo, [][]byte{text("a"), u16(0), u16(0)}},
		{"no text", repInvalid, optGo, [][]byte{text("a\xff"), u16(0)}},
		{"list with data", repInvalid, optList, [][]byte{{1}}},
		{"structured with data", repInvalid, optStructuredReply, [][]byte{{1}}},
		{"contexts too early", repInvalid, optSetMeta, [][]byte{text("a"), u32(1), text(contextAllocation)}},
		{"structured", repAck, optStructuredReply, nil},
		{"contexts of no export", repUnknown, optSetMeta, [][]byte{text("c"), u32(0)}},
		{"context without a namespace", repInvalid, optSetMeta, [][]byte{text("a"), u32(1), text("x")}},
		{"four billion contexts", repInvalid, optSetMeta, [][]byte{text("a"), u32(1<<32 - 1), text(contextAllocation)}},
	} {
		if kind := last(w.option, w.data...); kind != w.kind {
			t.Errorf("%s: reply %#x, want %#x", w.name, kind, w.kind)
		}
	}
	if all := c.mustOption(optList); len(all) != 3 || string(all[0].data) != "\x00\x00\x00\x01afirst" || string(all[1].data) != "\x00\x00\x00\x01b" {
		t.Errorf("list: %v", all)
	}
	all := c.mustOption(optInfo, text("a"), u16(5), u16(infoName), u16(infoDescription), u16(infoBlockSize), u16(infoName), u16(99))
	want := [][]byte{
		[]byte("\x00\x01a"), []byte("\x00\x02first"), slices.Concat(u16(3), u32(1), u32(512), u32(32<<20)),
		slices.Concat(u16(0), u32(0), u32(10_000), u16(flagHasFlags|flagSendFlush|flagSendFUA|flagSendWriteZeroes|flagSendDF|flagCanMultiConn|flagSendFastZero)), nil,
	}
	if len(all) != len(want) {
		t.Fatalf("info: %v", all)
	}
	for i, a := range all {
		if !bytes.Equal(a.data, want[i]) {
			t.Errorf("info: %q, want %q", a.data, want[i])
		}
	}
	if got := last(optAbort, []byte("ignored")); got != repAck {
		t.Errorf("abort: %#x", got)
	}
	c.closed()
}

// TestContexts checks which contexts match the queries.
func TestContexts(t *testing.T) {
	s := serve(t, Options{}, Export{Source: newDisk(1)})
	c := s.dial(1)
	c.mustOption(optStructuredReply)
	for _, w := range []struct {
		option  uint32
		queries []string
		found   bool
	}{
		{optListMeta, nil, true},
		{optListMeta, []string{"base:"}, true},
		{optListMeta, []string{"qemu:dirty-bitmap:x", "base:allocation"}, true},
		{optListMeta, []string{"base:other", "x-y:"}, false},
		{optSetMeta, nil, false},
		{optSetMeta, []string{"base:"}, false},
		{optSetMeta, []string{"base:allocation", "base:allocation"}, true},
	} {
		parts := [][]byte{text(""), u32(uint32(len(w.queries)))}
		for _, q := range w.queries {
			parts = append(parts, text(q))
		}
		all := c.mustOption(w.option, parts...)
		found := len(all) == 2 && all[0].kind == repMetaContext && string(all[0].data[4:]) == contextAllocation
		if found != w.found || len(all) > 2 {
			t.Errorf("%d %q: %v", w.option, w.queries, all)
		}
	}
	// A failed option clears the previous contexts.
	c.option(optSetMeta, text("x"), u32(0))
	c.structured = true
	c.use("")
	c.refused(errInvalid, request{command: cmdBlockStatus, length: 1}, nil)
}

// TestExportName checks the option of old clients.
func TestExportName(t *testing.T) {
	s := serve(t, Options{}, Export{Name: "x", Source: newDisk(4096)})
	for flags, zeros := range map[uint32]int{0: 124, 1: 124, 3: 0} {
		c := s.dial(flags)
		c.sendOption(optExportName, []byte("x"))
		b := c.read(10 + zeros)
		if binary.BigEndian.Uint64(b) != 4096 || binary.BigEndian.Uint16(b[8:]) != flagHasFlags|flagReadOnly|flagCanMultiConn || !bytes.Equal(b[10:], make([]byte, zeros)) {
			t.Errorf("flags %d: %x", flags, b)
		}
		c.must(request{command: cmdRead, length: 10}, nil)
	}
	c := s.dial(3)
	c.sendOption(optExportName, []byte("y"))
	c.closed()
	c = s.dial(0) // such a client knows no other option
	c.sendOption(optList)
	c.closed()
}

// TestBadHandshakes checks that violations of the protocol end the connection.
func TestBadHandshakes(t *testing.T) {
	s := serve(t, Options{}, Export{Source: newDisk(1)})
	s.dial(4).closed() // an unknown flag
	for name, b := range map[string][]byte{
		"magic": []byte("IHAVEOPS\x00\x00\x00\x03\x00\x00\x00\x00"),
		"long":  []byte("IHAVEOPT\x00\x00\x00\x03\xff\xff\xff\xff"),
		"many":  bytes.Repeat([]byte("IHAVEOPT\x00\x00\x00\x08\x00\x00\x00\x00"), maxOptions),
	} {
		c := s.dial(3)
		c.write(b)
		n := 0
		for {
			if _, err := c.r.ReadByte(); err != nil {
				break
			}
			n++
		}
		if name != "many" && n > 0 {
			t.Errorf("%s: a reply of %d bytes", name, n)
		}
	}
}
