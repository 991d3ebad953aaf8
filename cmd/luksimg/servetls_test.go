package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
)

// servingPKI makes a folder in which the CA, the server and the client share a certificate. It returns the
// configuration of a client.
func servingPKI(t *testing.T, key crypto.Signer) (dir string, client *tls.Config) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"disk"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, b := range map[string][]byte{
		"ca-cert.pem": cert, "server-cert.pem": cert, "server-key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return dir, &tls.Config{ServerName: "disk", RootCAs: pool, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// startTLS connects to an NBD server and returns the TLS version after the server's first answer.
func startTLS(t *testing.T, address string, config *tls.Config) (uint16, error) {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, part := range []struct {
		answer int
		send   string
	}{{18, "\x00\x00\x00\x03IHAVEOPT\x00\x00\x00\x05\x00\x00\x00\x00"}, {20, ""}} {
		if _, err := io.ReadFull(nc, make([]byte, part.answer)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(nc, part.send); err != nil {
			t.Fatal(err)
		}
	}
	c := tls.Client(nc, config)
	if _, err := io.WriteString(c, "IHAVEOPT\x00\x00\x00\x02\x00\x00\x00\x00"); err != nil { // NBD_OPT_ABORT
		return 0, err
	}
	_, err = io.ReadFull(c, make([]byte, 20))
	return c.ConnectionState().Version, err
}

// TestServeTLS checks the TLS version for each kind of CA (see TestServeTLS in internal/interop), and that only some
// failed handshakes are reported.
func TestServeTLS(t *testing.T) {
	_, disk, _ := encryptedDisk(t, t.TempDir())
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key  crypto.Signer
		want uint16
	}{{ec, tls.VersionTLS13}, {rs, tls.VersionTLS12}} {
		pki, client := servingPKI(t, c.key)
		uri, stop := serving(t, "--listen", "127.0.0.1:0", "--tls-certificates", pki, disk)
		u, err := url.Parse(uri)
		if err != nil || u.Scheme != "nbds" {
			t.Fatal(uri, err)
		}
		if got, err := startTLS(t, u.Host, client); err != nil || got != c.want {
			t.Errorf("%T: version %#x, %v", c.key, got, err)
		}
		client.Certificates = nil
		for range maxReports + 3 {
			if _, err := startTLS(t, u.Host, client); err == nil {
				t.Errorf("%T: without a certificate", c.key)
			}
		}
		code, told := stop()
		if code != exit.Done || strings.Count(told, "TLS handshake with 127.0.0.1:") != maxReports || strings.Count(told, "further TLS handshake errors") != 1 {
			t.Errorf("%T: exit code %d\n%s", c.key, code, told)
		}
	}
}
