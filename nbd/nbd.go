// Package nbd serves disks over the NBD protocol to clients such as QEMU, nbdcopy and the Linux
// kernel.
//
// A [Server] serves one or more [Export]s to the clients of any listener. It supports the fixed
// newstyle handshake with TLS, structured replies and the block status base:allocation, which
// reports holes.
//
// The server does not trust its clients. It limits their options, requests, memory and time, and
// they can only reach the exports. The package never prints and opens no file.
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
	// Name is the name of the export. Clients that give no name get the export named "", or the
	// only export of a server.
	Name string

	// Description is shown to users who list the exports.
	Description string

	// Source is the disk. If it is an [image.Extenter], clients can query its holes.
	Source image.Source

	// Target, if not nil, receives the writes. Source must return what was written to it. If it is
	// nil, the export is read-only.
	Target Target

	// BlockSize is the size in bytes of the smallest write that needs no read first: a power of two
	// from 512 to 32 MiB. Zero means 4096. It is a hint: clients can read and write at any offset
	// and length.
	BlockSize int
}

// A Target receives the writes of clients. Its methods must be safe for concurrent use, with each
// other and with ReadAt of the Source.
type Target interface {
	io.WriterAt
	// Sync makes all earlier writes durable. It is called for a flush of any client.
	Sync() error
}

// A Puncher is a [Target] that can free storage. Clients can then trim, and writing zeros frees
// space.
type Puncher interface {
	// Punch frees the n bytes at off, which then read as zeros. It returns [errors.ErrUnsupported]
	// if it changed nothing.
	Punch(off, n int64) error
}

// Options configure a [Server]. The zero value is right for a Unix socket.
type Options struct {
	// TLS, if not nil, is required of all clients before they learn anything about the exports. For
	// client certificates with RSA keys, set MaxVersion to TLS 1.2: GnuTLS 3.7, which QEMU and
	// libnbd use, does not send them to crypto/tls over TLS 1.3.
	TLS *tls.Config

	// Once ends Serve when the last client that used an export has disconnected.
	Once bool

	// MaxConns is the maximum number of connections over all listeners; zero means 64. Further
	// connections are closed immediately.
	MaxConns int

	// Memory is the maximum size of the shared buffers in bytes; zero means 16 MiB. Each connection
	// needs a further 170 KiB.
	Memory int

	// HandshakeTimeout is the time within which a client must complete the handshake; zero means 10
	// seconds.
	HandshakeTimeout time.Duration

	// SendTimeout is the time within which a client must receive a part of a reply, of at most 256
	// KiB; zero means 30 seconds. A slower client is disconnected.
	SendTimeout time.Duration

	// Report, if not nil, is called with each error of a Source or a Target, which the client
	// receives as an I/O error. It is also called with a [*TLSError] for each failed TLS handshake.
	// Calls can be concurrent.
	Report func(error)
}

// A TLSError reports a failed TLS handshake. The server continues.
type TLSError struct {
	Client net.Addr
	Err    error
}

func (e *TLSError) Error() string {
	if e.Client.Network() == "unix" { // clients of a Unix socket have no address
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

	maxName = 4096 // maximum size of a string in the protocol
)

// NewServer returns a server of these exports. It fails if there are no exports, if one has no
// Source, or if a name is invalid or not unique.
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
			return nil, fmt.Errorf("nbd: the name or description of export %q is not UTF-8 of at most %d bytes", e.Name, maxName)
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

// transmissionFlags returns the transmission flags of an export.
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
