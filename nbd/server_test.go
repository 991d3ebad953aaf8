package nbd

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// TestShutdown checks that a pending request is answered and writes are made durable when the
// server ends.
func TestShutdown(t *testing.T) {
	d := newDisk(1 << 20)
	d.started, d.wait = make(chan struct{}), make(chan struct{})
	s := serve(t, Options{}, Export{Source: d, Target: d})
	c, idle, fresh := s.open(), s.open(), s.dial(3)
	c.send(request{command: cmdRead, length: 1 << 17}, nil)
	<-d.started
	s.stop()
	idle.closed()
	fresh.closed()
	close(d.wait)
	if k := c.chunk(0); k.kind != chunkData || !bytes.Equal(k.data[8:], d.data[:1<<17]) {
		t.Errorf("chunk of kind %d", k.kind)
	}
	c.closed()
	if err := <-s.done; err != nil || d.synced() != 1 {
		t.Errorf("Serve: %v, %d syncs", err, d.synced())
	}
}

// TestOnce checks that the server ends with its last client. Clients that only list exports do not
// count.
func TestOnce(t *testing.T) {
	s := serve(t, Options{Once: true}, Export{Source: newDisk(1)})
	look := s.dial(3)
	look.mustOption(optList)
	look.mustOption(optAbort)
	look.closed()
	a, b := s.open(), s.open()
	a.send(request{command: cmdDisconnect}, nil)
	a.closed()
	b.must(request{command: cmdRead, length: 1}, nil)
	b.nc.Close()
	if err := <-s.done; err != nil {
		t.Error(err)
	}
}

// TestDisconnect checks that requests before a disconnect are answered.
func TestDisconnect(t *testing.T) {
	c := serve(t, Options{}, Export{Source: newDisk(1 << 20)}).open()
	for i := range 40 {
		c.send(request{command: cmdRead, cookie: uint64(i), length: []uint32{10, 100_000}[i%2]}, nil)
	}
	c.send(request{command: cmdDisconnect}, nil)
	for range 40 {
		c.chunk(0)
	}
	c.closed()
}

// TestListenerFails checks that Serve fails if someone else closes the listener.
func TestListenerFails(t *testing.T) {
	s, err := NewServer(Options{}, Export{Source: newDisk(1)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := s.Serve(t.Context(), l); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// TestSlowReader checks that a client that does not receive its replies is disconnected. Until then
// its memory is limited, and other clients are not delayed.
func TestSlowReader(t *testing.T) {
	d := newDisk(1 << 20)
	s := serve(t, Options{Memory: 1, SendTimeout: time.Second}, Export{Source: d, Target: d})
	slow, other := s.open(), s.open()
	for i := range 200 {
		slow.send(request{command: cmdRead, cookie: uint64(i), length: 1 << 20}, nil)
	}
	for range 3 {
		if got := other.must(request{command: cmdRead, length: 1 << 20}, nil); !bytes.Equal(got, d.content(0, 1<<20)) {
			t.Fatal("the other client read wrong data")
		}
		p := d.content(0, 1<<20)
		other.must(request{command: cmdWrite, length: 1 << 20}, p)
	}
	if s.buffers.made > 1 {
		t.Errorf("%d buffers", s.buffers.made)
	}
	time.Sleep(1300 * time.Millisecond)
	if n, err := io.Copy(io.Discard, slow.r); n >= 200<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// TestMany has clients read and write their parts of a disk concurrently with few buffers.
func TestMany(t *testing.T) {
	const part = 1 << 20
	d := newDisk(4 * part)
	s := serve(t, Options{Memory: 2 * bufferSize}, Export{Source: d, Target: d})
	var clients sync.WaitGroup
	for i := range 4 {
		c := s.open()
		want := d.content(i*part, part)
		clients.Go(func() {
			rnd := mathrand.New(mathrand.NewPCG(3, uint64(i)))
			type asked struct {
				q    request
				want []byte
			}
			for range 30 {
				// The requests of a round do not overlap.
				waiting := make(map[uint64]asked)
				var sent sync.WaitGroup
				var all []asked
				for off := 0; off < part; {
					n := min(rnd.IntN([]int{5000, 50_000, 400_000}[rnd.IntN(3)])+1, part-off)
					q := request{command: uint16(rnd.IntN(2)), cookie: uint64(off), off: uint64(i*part + off), length: uint32(n)}
					if q.command == cmdWrite {
						mathrand.NewChaCha8([32]byte{byte(off)}).Read(want[off : off+n])
					}
					all = append(all, asked{q, bytes.Clone(want[off : off+n])})
					waiting[q.cookie] = all[len(all)-1]
					off += n
				}
				sent.Go(func() {
					for _, a := range all {
						if a.q.command == cmdWrite {
							c.send(a.q, a.want)
						} else {
							c.send(a.q, nil)
						}
					}
				})
				for len(waiting) > 0 {
					k := c.chunk(0)
					a, ok := waiting[k.cookie]
					if !ok || k.code != 0 {
						t.Errorf("chunk %+v", k)
						return
					}
					if k.kind == chunkData {
						at := binary.BigEndian.Uint64(k.data) - a.q.off
						if !bytes.Equal(k.data[8:], a.want[at:at+uint64(len(k.data)-8)]) {
							t.Errorf("%+v: wrong data", a.q)
							return
						}
					}
					if k.done {
						delete(waiting, k.cookie)
					}
				}
				sent.Wait()
			}
			if !bytes.Equal(d.content(i*part, part), want) {
				t.Error("the disk has wrong data")
			}
		})
	}
	clients.Wait()
	s.stop()
	<-s.done
	if s.buffers.made != 0 {
		t.Errorf("%d buffers were not released", s.buffers.made)
	}
}

// TestHostile opens a thousand hostile connections. They must be limited, and honest clients must
// be served.
func TestHostile(t *testing.T) {
	s := serve(t, Options{MaxConns: 20, HandshakeTimeout: 300 * time.Millisecond}, Export{Source: newDisk(1 << 20)})
	rnd := mathrand.New(mathrand.NewPCG(1, 2))
	// The options have the maximum size and never end.
	option := append([]byte("IHAVEOPT\x00\x00\x00\x0a\x00\x00\x40\x00"), make([]byte, maxOption-1)...)
	var silent, refused int
	for i := range 1000 {
		nc, err := net.Dial("unix", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		b := binary.BigEndian.AppendUint32(nil, 3)
		switch i % 4 {
		case 1:
			b = append(b, option...)
		case 2:
			b = binary.BigEndian.AppendUint64(b, rnd.Uint64())
			b = binary.BigEndian.AppendUint64(b, rnd.Uint64())
		case 3:
			b = append(b, "GET / HTTP/1.1\r\n\r\n"...)
		}
		if _, err := nc.Write(b); err != nil {
			refused++
		} else {
			silent++
		}
		s.mu.Lock()
		if s.conns > 20 {
			t.Errorf("%d connections", s.conns)
		}
		s.mu.Unlock()
	}
	t.Logf("%d connections were accepted for a while, %d refused immediately", silent, refused)
	for range 100 { // until the other connections time out
		nc, err := net.Dial("unix", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(nc, make([]byte, 18)); err == nil {
			nc.Close()
			for left := 1; left > 0; time.Sleep(time.Millisecond) { // the server may still have all that it may have
				s.mu.Lock()
				left = s.conns
				s.mu.Unlock()
			}
			s.open().must(request{command: cmdRead, length: 1 << 20}, nil)
			if s.buffers.made > 1 {
				t.Errorf("%d buffers", s.buffers.made)
			}
			return
		}
		nc.Close()
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the server no longer serves clients")
}

// certificate returns a self-signed certificate and a pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"disk"},
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestTLS checks that the server reveals nothing before TLS, and serves only clients with a
// certificate.
func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	other, _ := certificate(t)
	d := newDisk(1 << 20)
	reports := make(chan error, 9)
	s := serve(t, Options{TLS: &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool},
		Report: func(err error) { reports <- err }},
		Export{Source: d})
	upgrade := func(c *client, own ...tls.Certificate) error {
		c.mustOption(optStartTLS)
		tc := tls.Client(c.nc, &tls.Config{ServerName: "disk", RootCAs: pool, Certificates: own})
		c.nc = tc
		c.r.Reset(tc)
		return tc.HandshakeContext(t.Context())
	}
	c := s.dial(3)
	for _, option := range []uint32{optList, optInfo, optGo, optStructuredReply, optListMeta, 77} {
		if all := c.option(option, text(""), u16(0)); all[0].kind != repTLSRequired {
			t.Errorf("option %d: %#x", option, all[0].kind)
		}
	}
	if err := upgrade(c, cert); err != nil {
		t.Fatal(err)
	}
	if all := c.option(optStartTLS); all[0].kind != repInvalid {
		t.Errorf("TLS twice: %#x", all[0].kind)
	}
	c.mustOption(optStructuredReply)
	c.structured = true
	c.use("")
	if got := c.must(request{command: cmdRead, off: 5, length: 1<<20 - 5}, nil); !bytes.Equal(got, d.data[5:]) {
		t.Error("other data")
	}
	c.send(request{command: cmdDisconnect}, nil)
	c.closed()
	for _, own := range [][]tls.Certificate{nil, {other}} {
		c := s.dial(3)
		if upgrade(c, own...) == nil { // with TLS 1.3 the client learns of it later
			c.closed()
		}
		if err := <-reports; !errors.As(err, new(*TLSError)) {
			t.Errorf("reported: %v", err)
		}
	}
	old := s.dial(3)
	old.sendOption(optExportName)
	old.closed()
	// Plaintext sent after the option must not pass as protected.
	inject := s.dial(3)
	inject.write(bytes.Repeat([]byte("IHAVEOPT\x00\x00\x00\x05\x00\x00\x00\x00"), 2))
	inject.closed()
}

// TestTLSForgets checks that everything negotiated before TLS is discarded.
func TestTLSForgets(t *testing.T) {
	cert, pool := certificate(t)
	h := &handshake{s: &Server{o: Options{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}}, fixed: true, structured: true, meta: &Export{}}
	server, nc := net.Pipe()
	defer nc.Close()
	*h = func() handshake {
		n := newHandshake(h.s, server)
		n.fixed, n.structured, n.meta = true, true, h.meta
		return *n
	}()
	var client sync.WaitGroup
	client.Go(func() {
		io.ReadFull(nc, make([]byte, 20))
		tls.Client(nc, &tls.Config{ServerName: "disk", RootCAs: pool}).HandshakeContext(context.Background())
	})
	if err := h.startTLS(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	client.Wait()
	if h.structured || h.meta != nil || !h.secure || !h.fixed {
		t.Errorf("%+v", h)
	}
}
