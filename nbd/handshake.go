package nbd

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
)

const (
	// maxOptions is the maximum number of options before a client uses an export.
	maxOptions = 64

	// maxOption is the maximum size of the data of an option, enough for two names.
	maxOption = 16 << 10

	// readerSize is the size of the receive buffer.
	readerSize = 32 << 10
)

// errClient means that the client violated the protocol. It is disconnected.
var errClient = errors.New("nbd: the client breaks the protocol")

// A handshake is a connection that does not use an export yet.
type handshake struct {
	s  *Server
	nc net.Conn
	r  *bufio.Reader

	enter func() // called before the client learns that it uses an export

	fixed    bool // the client accepts replies to options
	noZeroes bool // the client does not need the padding of old replies
	secure   bool // TLS is on

	structured bool    // the client wants structured replies
	meta       *Export // export whose block status the client wants
}

func newHandshake(s *Server, nc net.Conn) *handshake {
	return &handshake{s: s, nc: nc, r: bufio.NewReaderSize(nc, readerSize), enter: func() {}}
}

// run returns the export that the client uses, or nil.
func (h *handshake) run(ctx context.Context) (*Export, error) {
	if err := h.greet(); err != nil {
		return nil, err
	}
	for range maxOptions {
		var head [16]byte
		if _, err := io.ReadFull(h.r, head[:]); err != nil {
			return nil, err
		}
		n := binary.BigEndian.Uint32(head[12:])
		if binary.BigEndian.Uint64(head[:]) != magicOption || n > maxOption {
			return nil, errClient
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(h.r, data); err != nil {
			return nil, err
		}
		e, end, err := h.option(ctx, binary.BigEndian.Uint32(head[8:]), data)
		if end || err != nil {
			return e, err
		}
	}
	return nil, errClient
}

// greet exchanges the handshake flags.
func (h *handshake) greet() error {
	b := binary.BigEndian.AppendUint64(nil, magicServer)
	b = binary.BigEndian.AppendUint64(b, magicOption)
	b = binary.BigEndian.AppendUint16(b, flagFixedNewstyle|flagNoZeroes)
	if _, err := h.nc.Write(b); err != nil {
		return err
	}
	var flags [4]byte
	if _, err := io.ReadFull(h.r, flags[:]); err != nil {
		return err
	}
	f := binary.BigEndian.Uint32(flags[:])
	if f&^(flagFixedNewstyle|flagNoZeroes) != 0 {
		return errClient
	}
	h.fixed, h.noZeroes = f&flagFixedNewstyle != 0, f&flagNoZeroes != 0
	return nil
}

// option answers an option. end reports whether the handshake is over; e is the export that the
// client uses, if any.
func (h *handshake) option(ctx context.Context, option uint32, data []byte) (e *Export, end bool, err error) {
	locked := h.s.o.TLS != nil && !h.secure
	switch {
	case option == optAbort:
		return nil, true, h.reply(option, repAck, nil)
	case option == optExportName:
		if e = h.s.lookup(string(data)); e == nil || locked {
			return nil, false, errClient // the protocol allows no reply
		}
		h.enter()
		return e, true, h.oldReply(e)
	case !h.fixed:
		return nil, false, errClient
	case option == optStartTLS:
		return nil, false, h.startTLS(ctx, data)
	case locked:
		return nil, false, h.refuse(option, repTLSRequired, "this server demands TLS")
	case ctx.Err() != nil:
		return nil, false, h.refuse(option, repShutdown, "the server is shutting down")
	}
	switch option {
	case optList:
		return nil, false, h.list(data)
	case optInfo:
		_, err := h.info(option, data)
		return nil, false, err
	case optGo:
		e, err := h.info(option, data)
		return e, e != nil, err
	case optStructuredReply:
		if len(data) > 0 {
			return nil, false, h.refuse(option, repInvalid, "the option must have no data")
		}
		h.structured = true
		return nil, false, h.reply(option, repAck, nil)
	case optListMeta, optSetMeta:
		return nil, false, h.contexts(option, data)
	}
	return nil, false, h.refuse(option, repUnsupported, "unknown option")
}

// startTLS starts TLS and discards everything negotiated before.
func (h *handshake) startTLS(ctx context.Context, data []byte) error {
	switch {
	case h.s.o.TLS == nil:
		return h.refuse(optStartTLS, repUnsupported, "this server does not support TLS")
	case h.secure || len(data) > 0:
		return h.refuse(optStartTLS, repInvalid, "TLS is already active, or the option has data")
	case h.r.Buffered() > 0:
		return errClient // plaintext already received would pass as protected
	}
	if err := h.reply(optStartTLS, repAck, nil); err != nil {
		return err
	}
	c := tls.Server(h.nc, h.s.o.TLS)
	if err := c.HandshakeContext(ctx); err != nil {
		if ctx.Err() == nil {
			h.s.report(&TLSError{h.nc.RemoteAddr(), err})
		}
		return err
	}
	*h = handshake{s: h.s, nc: c, r: bufio.NewReaderSize(c, readerSize), enter: h.enter, fixed: true, noZeroes: h.noZeroes, secure: true}
	return nil
}

// oldReply answers a client that chose an export by the old option.
func (h *handshake) oldReply(e *Export) error {
	b := binary.BigEndian.AppendUint64(nil, uint64(e.Source.Size()))
	b = binary.BigEndian.AppendUint16(b, e.transmissionFlags(h.structured))
	if !h.noZeroes {
		b = append(b, make([]byte, 124)...)
	}
	_, err := h.nc.Write(b)
	return err
}

// reply sends one reply to an option.
func (h *handshake) reply(option, kind uint32, data []byte) error {
	b := binary.BigEndian.AppendUint64(nil, magicReply)
	b = binary.BigEndian.AppendUint32(b, option)
	b = binary.BigEndian.AppendUint32(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	_, err := h.nc.Write(append(b, data...))
	return err
}

// refuse sends an error with a text for people.
func (h *handshake) refuse(option, kind uint32, text string) error {
	return h.reply(option, kind, []byte(text))
}
