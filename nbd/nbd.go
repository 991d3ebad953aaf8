// Package nbd serves disks over the NBD protocol, so that QEMU, nbdcopy, the Linux kernel and
// others read and write them as disks of their own.
//
// A [Server] has one [Export] or several, and serves them to the clients of any listener. It
// speaks the fixed newstyle handshake with TLS, structured replies and the block status
// base:allocation, which tells clients where the holes are.
//
// What a client sends is not trusted: its options, requests, memory and time are bounded, and it
// reaches nothing but the exports. The package never prints and opens no file.
//
// The protocol is specified in doc/proto.md of https://github.com/NetworkBlockDevice/nbd.
package nbd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/luksimg/luksimg/image"
)

// An Export is a disk that a [Server] serves.
type Export struct {
	// Name is the name of the export. Clients that give no name get the export "". If a server
	// has one export only, they get that.
	Name string

	// Description is for people who list the exports.
	Description string

	// Source is the disk. If it is an [image.Extenter], clients learn where its holes are.
	Source image.Source

	// Target, if not nil, is where writes go. What is written to it must be read from Source.
	// If it is nil the export is read-only.
	Target Target

	// BlockSize is the least length in bytes of a write that costs no more than a write: a power
	// of two from 512 to 32 MiB. Zero is 4096. Clients may read and write at any offset and length.
	BlockSize int
}

// A Target takes the writes of clients. Its methods must be safe for concurrent use, also with
// the ReadAt of the Source.
type Target interface {
	io.WriterAt
	// Sync makes durable what was written before. A flush of any client is a Sync.
	Sync() error
}

// A Puncher is a [Target] that can free storage. With one, clients may trim, and zeros take no room.
type Puncher interface {
	// Punch frees the n bytes at off, which then read as zeros. [errors.ErrUnsupported] means
	// that nothing was changed.
	Punch(off, n int64) error
}

// Options say how a [Server] serves. The zero value is right on a Unix socket.
type Options struct {
	// TLS, if not nil, is demanded of all clients, before they learn anything of the exports.
	// With TLS 1.3, GnuTLS 3.7, which QEMU and libnbd use, sends crypto/tls no client certificate
	// with an RSA key: for these set MaxVersion to TLS 1.2.
	TLS *tls.Config

	// Once ends Serve when the last client is gone that got as far as an export.
	Once bool

	// MaxConns bounds the connections of all listeners, 64 if it is zero. More than that are
	// closed at once.
	MaxConns int

	// Memory bounds the shared buffers in bytes, 16 MiB if it is zero. Each connection has some
	// 170 KiB besides.
	Memory int

	// HandshakeTimeout is the time that a client has until it uses an export, 10 seconds if it
	// is zero.
	HandshakeTimeout time.Duration

	// SendTimeout is the time that a client may take to receive a part of a reply, 256 KiB at
	// most. 30 seconds if it is zero. A client that is slower is disconnected.
	SendTimeout time.Duration

	// Report, if not nil, is told of each error of a Source or a Target, which a client learns
	// of as an I/O error, and of each TLS handshake that failed, as a [*TLSError]. Several
	// goroutines call it.
	Report func(error)
}

// A TLSError is a TLS handshake that failed. The server goes on.
type TLSError struct {
	Client net.Addr
	Err    error
}

func (e *TLSError) Error() string {
	if e.Client.Network() == "unix" { // clients have no address
		return fmt.Sprintf("nbd: a TLS handshake failed: %v", e.Err)
	}
	return fmt.Sprintf("nbd: the TLS handshake with %v failed: %v", e.Client, e.Err)
}

func (e *TLSError) Unwrap() error { return e.Err }

const (
	defaultConns  = 64
	defaultMemory = 16 << 20
	defaultShake  = 10 * time.Second
	defaultSend   = 30 * time.Second

	maxName = 4096 // bytes of a string in the protocol
)

// NewServer returns a server of these exports. It refuses names that are not text, too long or
// not unique.
func NewServer(o Options, exports ...Export) (*Server, error) {
	if len(exports) == 0 {
		return nil, errors.New("nbd: no export")
	}
	s := &Server{o: o, exports: make(map[string]*Export, len(exports))}
	for i := range exports {
		e := exports[i]
		switch {
		case e.Source == nil:
			return nil, fmt.Errorf("nbd: export %q has no source", e.Name)
		case !isText(e.Name) || !isText(e.Description):
			return nil, fmt.Errorf("nbd: the name or description of export %q is no text of at most %d bytes", e.Name, maxName)
		case s.exports[e.Name] != nil:
			return nil, fmt.Errorf("nbd: two exports with the name %q", e.Name)
		case e.BlockSize == 0:
			e.BlockSize = 4096
		case e.BlockSize < 512 || e.BlockSize > maxRequest || e.BlockSize&(e.BlockSize-1) != 0:
			return nil, fmt.Errorf("nbd: block size %d, want a power of two from 512 to %d", e.BlockSize, maxRequest)
		}
		s.exports[e.Name] = &e
		s.order = append(s.order, &e)
	}
	s.o.MaxConns = orElse(o.MaxConns, defaultConns)
	s.o.HandshakeTimeout = orElse(o.HandshakeTimeout, defaultShake)
	s.o.SendTimeout = orElse(o.SendTimeout, defaultSend)
	s.buffers.max = max(orElse(o.Memory, defaultMemory)/bufferSize, 1)
	return s, nil
}

func orElse[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

func isText(s string) bool {
	return len(s) <= maxName && utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// transmissionFlags are those of an export for a client.
func (e *Export) transmissionFlags(structured bool) uint16 {
	flags := uint16(flagHasFlags | flagCanMultiConn)
	if structured {
		flags |= flagSendDF
	}
	if e.Target == nil {
		return flags | flagReadOnly
	}
	flags |= flagSendFlush | flagSendFUA | flagSendWriteZeroes | flagSendFastZero
	if _, ok := e.Target.(Puncher); ok {
		flags |= flagSendTrim
	}
	return flags
}
