package web

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/luksimg/luksimg/internal/rest"
)

// Is reports whether a name is a web address: whether it begins with https:// or http://, in upper
// or lower case.
func Is(name string) bool {
	scheme, _, ok := strings.Cut(name, "://")
	return ok && (strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "http"))
}

// Redacted returns an address in the form of [File.Name], for messages and records. It omits the
// user and the query, which can be secret.
func Redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		scheme, _, _ := strings.Cut(address, "://")
		return scheme + "://..."
	}
	return redacted(u)
}

// Base returns the file name in an address, or ""; see [File.Base].
func Base(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return base(u)
}

func redacted(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if u.RawQuery != "" {
		return shown.String() + "?..."
	}
	return shown.String()
}

// maxURL is the maximum length of an address in bytes. Servers reject longer ones.
const maxURL = 16 << 10

// tooLong returns the error for an address that exceeds maxURL.
func tooLong(address string) error {
	return fmt.Errorf("%w: length is %d bytes, want at most %d", ErrURL, len(address), maxURL)
}

// host returns the scheme and the host of an address that is too long for a message.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil || len(u.Host) > maxHost {
		return "https://..."
	}
	return u.Scheme + "://" + u.Host + "/..."
}

// maxHost is the maximum length of a host name with a port in bytes.
const maxHost = 253 + len(":65535")

// parse parses and checks the address of a file.
func parse(address string, allowHTTP bool) (*url.URL, error) {
	if len(address) > maxURL {
		return nil, fmt.Errorf("%s: %w", host(address), tooLong(address))
	}
	u, err := url.Parse(address)
	if err != nil { // err holds the address with its secrets
		return nil, fmt.Errorf("%s: %w: invalid URL syntax", Redacted(address), ErrURL)
	}
	if strings.Contains(address, "#") {
		return nil, fmt.Errorf("%s: %w: it contains a fragment", redacted(u), ErrURL)
	}
	return u, check(u, allowHTTP)
}

// check checks an address from the caller or from a redirect.
func check(u *url.URL, allowHTTP bool) error {
	var what string
	switch {
	case u.Scheme == "http" && !allowHTTP && !rest.Loopback(u.Hostname()):
		return rest.WithHint(fmt.Errorf("%s: %w: http is not encrypted, so the data can be altered in transit", redacted(u), ErrURL),
			"is there an https:// address of it? --allow-http reads it anyway; then compare its checksum with --sha256-file or --source-sha256")
	case u.Scheme != "https" && u.Scheme != "http":
		what = "the scheme is not https"
	case u.Hostname() == "":
		what = "the host is missing"
	case u.User != nil:
		what = "it contains a user name, but luksimg sends no credentials"
	case u.Opaque != "":
		what = "the path is missing"
	default:
		return nil
	}
	return fmt.Errorf("%s: %w: %s", redacted(u), ErrURL, what)
}

// redirect returns the target of a redirect. It refuses a redirect from https to http.
func redirect(from *url.URL, location string, allowHTTP bool) (*url.URL, error) {
	if len(location) > maxURL {
		return nil, fmt.Errorf("redirect: %w", tooLong(location))
	}
	to, err := from.Parse(location)
	if err != nil || location == "" {
		return nil, fmt.Errorf("redirect: %w: invalid URL syntax", ErrURL)
	}
	to.Fragment, to.RawFragment = "", "" // fragments are for browsers
	if from.Scheme == "https" && to.Scheme == "http" {
		return nil, fmt.Errorf("redirect: %s: %w: the scheme is not https", redacted(to), ErrURL)
	}
	if err := check(to, allowHTTP); err != nil {
		return nil, fmt.Errorf("redirect: %w", err)
	}
	return to, nil
}

// maxHeader is the maximum size of response headers in bytes.
const maxHeader = 256 << 10

// newTransport returns a transport for a few large bodies. It uses HTTP/1.1, as many ranges over
// one HTTP/2 connection would wait for each other. It never requests compression.
func newTransport(proxy func(*http.Request) (*url.URL, error)) *http.Transport {
	t := &http.Transport{
		Proxy: proxy, DialContext: (&net.Dialer{Timeout: 20 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 20 * time.Second, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 16,
		ReadBufferSize: 128 << 10, MaxResponseHeaderBytes: maxHeader, DisableCompression: true, Protocols: new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}
