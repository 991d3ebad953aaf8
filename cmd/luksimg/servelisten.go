package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/internal/rest"
)

// listenFlags select the address for clients.
type listenFlags struct {
	socket       string
	address      string
	certificates string
	verifyPeer   bool
}

func (o *listenFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.socket, "socket", "", "listen on a Unix socket with this name, which must not exist; serve removes it at the end")
	f.StringVar(&o.address, "listen", "", "listen on this `HOST:PORT`; port 0 is any free port")
	f.StringVar(&o.certificates, "tls-certificates", "", "require TLS, with server-cert.pem, server-key.pem and ca-cert.pem in this folder, as for QEMU")
	f.BoolVar(&o.verifyPeer, "tls-verify-peer", true, "require client certificates signed by ca-cert.pem; otherwise everyone who can connect can read the disk")
}

// check validates the flags before any file is opened.
func (o *listenFlags) check(c *cobra.Command) error {
	if c.Flags().Changed("tls-verify-peer") && o.certificates == "" {
		return errors.New("--tls-verify-peer needs --tls-certificates")
	}
	if err := flags.AtMostOne(c, "socket", "listen"); err != nil || o.address == "" {
		return err
	}
	_, err := o.tcp()
	return err
}

// tcp returns the TCP address to listen on.
func (o *listenFlags) tcp() (*net.TCPAddr, error) {
	a, err := net.ResolveTCPAddr("tcp", o.address)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	if o.certificates == "" && !a.IP.IsLoopback() {
		return nil, rest.WithHint(fmt.Errorf("--listen %s: other machines can reach this address and read the disk in plain text", o.address),
			"give --tls-certificates, or listen on 127.0.0.1 or a Unix socket")
	}
	return a, nil
}

// tls returns the TLS configuration, or nil without TLS.
func (o *listenFlags) tls() (*tls.Config, error) {
	if o.certificates == "" {
		return nil, nil
	}
	in := func(name string) string { return filepath.Join(o.certificates, name) }
	cert, err := tls.LoadX509KeyPair(in("server-cert.pem"), in("server-key.pem"))
	if err != nil {
		return nil, errTLS(err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if !o.verifyPeer {
		return c, nil
	}
	ca, err := os.ReadFile(in("ca-cert.pem"))
	if err != nil {
		return nil, errTLS(err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("TLS: %s holds no certificate", in("ca-cert.pem"))
	}
	if hasRSA(ca) {
		// Clients probably have RSA keys too. With TLS 1.3, GnuTLS 3.7 does not send such a client certificate,
		// because crypto/tls lists RSA PKCS #1 v1.5 in signature_algorithms_cert only.
		c.MaxVersion = tls.VersionTLS12
	}
	return c, nil
}

// errTLS returns the error for a certificate or a key that cannot be read.
func errTLS(err error) error {
	err = fmt.Errorf("TLS: %w", err)
	if errors.Is(err, fs.ErrNotExist) {
		err = rest.WithHint(err, "--tls-certificates names a folder with server-cert.pem, server-key.pem and ca-cert.pem: certtool makes them")
	}
	return err
}

// hasRSA reports whether one of the certificates has an RSA key.
func hasRSA(certs []byte) bool {
	for {
		var b *pem.Block
		if b, certs = pem.Decode(certs); b == nil {
			return false
		}
		if c, err := x509.ParseCertificate(b.Bytes); err == nil && c.PublicKeyAlgorithm == x509.RSA {
			return true
		}
	}
}

// A listener accepts the connections of clients.
type listener struct {
	net.Listener
	socket string // path of the Unix socket, "" for TCP
	folder string // the temporary folder of the socket, "" if there is none
}

// maxSocketName is the longest path of a Unix socket, in bytes, that all systems accept.
const maxSocketName = 103

// listen opens the listener. Only this user can connect to a Unix socket.
func (o *listenFlags) listen() (*listener, error) {
	if o.address != "" {
		a, err := o.tcp()
		if err != nil {
			return nil, err
		}
		l, err := net.ListenTCP("tcp", a)
		if err != nil {
			return nil, err
		}
		return &listener{Listener: l}, nil
	}
	l := &listener{socket: o.socket}
	if l.socket == "" {
		dir, err := os.MkdirTemp("", "luksimg-serve-")
		if err != nil {
			return nil, err
		}
		l.folder, l.socket = dir, filepath.Join(dir, "nbd.sock")
	}
	if strings.HasPrefix(l.socket, "@") {
		// Otherwise it would be an abstract socket, to which every user can connect.
		l.socket = "./" + l.socket
	}
	var err error
	if l.Listener, err = listenPrivate(l.socket); err != nil {
		l.remove()
		if fi, there := os.Lstat(l.socket); there == nil {
			hint := "choose another name: the socket is made, and removed at the end"
			if fi.Mode()&fs.ModeSocket != 0 {
				hint = "if a server that was killed left it, remove it; otherwise choose another name"
			}
			err = rest.WithHint(fmt.Errorf("%s: %w", l.socket, fs.ErrExist), hint)
		} else if errors.Is(err, fs.ErrNotExist) {
			err = rest.WithHint(err, "make the folder first, or name another one")
		} else if len(l.socket) > maxSocketName {
			err = rest.WithHint(err, "the name of a Unix socket cannot be that long: choose a shorter one")
		}
		return nil, err
	}
	l.socket, err = filepath.Abs(l.socket)
	return l, err
}

// remove closes the listener and removes its socket and folder.
func (l *listener) remove() {
	if l.Listener != nil {
		l.Close()
	}
	if l.folder != "" {
		os.RemoveAll(l.folder)
	}
}

// uri returns the URI for clients.
func (l *listener) uri(secure bool) string {
	u := url.URL{Scheme: "nbd", Host: l.Addr().String(), Path: "/"}
	if secure {
		u.Scheme = "nbds"
	}
	if l.socket == "" {
		return u.String()
	}
	return u.Scheme + "+unix:///?socket=" + strings.NewReplacer("%2F", "/", "+", "%20").Replace(url.QueryEscape(l.socket))
}
