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

// Is reports whether a name is an address of the web: whether it begins with https:// or http://,
// in whatever case.
func Is(name string) bool {
	scheme, _, ok := strings.Cut(name, "://")
	return ok && (strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "http"))
}

// Redacted returns an address as [File.Name] does, for messages and records: without a user and the values
// of a query, which may be secrets.
func Redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		scheme, _, _ := strings.Cut(address, "://")
		return scheme + "://..."
	}
	return redacted(u)
}

// Base returns the name of the file in an address; see [File.Base].
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

// maxURL bounds an address in bytes: servers take no longer ones.
const maxURL = 16 << 10

// parse reads the address of a file, and checks it.
func parse(address string, allowHTTP bool) (*url.URL, error) {
	if len(address) > maxURL {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrURL, len(address))
	}
	u, err := url.Parse(address)
	if err != nil { // whose text has the address in it, with its secrets
		return nil, fmt.Errorf("%s: %w: it can not be read", Redacted(address), ErrURL)
	}
	if strings.Contains(address, "#") {
		return nil, fmt.Errorf("%s: %w: it has a fragment", redacted(u), ErrURL)
	}
	return u, check(u, allowHTTP)
}

// check checks an address that was asked for, or that a server redirects to.
func check(u *url.URL, allowHTTP bool) error {
	var what string
	switch {
	case u.Scheme == "http" && !allowHTTP && !rest.Loopback(u.Hostname()):
		return rest.WithHint(fmt.Errorf("%s: %w: it is not encrypted on its way, and anybody there can change it", redacted(u), ErrURL),
			"is there an https:// address of it? --allow-http reads it all the same; compare its checksum then, with --sha256-file or --source-sha256")
	case u.Scheme != "https" && u.Scheme != "http":
		what = "it is not of https"
	case u.Hostname() == "":
		what = "it has no host"
	case u.User != nil:
		what = "it has a user in it, and luksimg sends no credentials"
	case u.Opaque != "":
		what = "it has no path"
	default:
		return nil
	}
	return fmt.Errorf("%s: %w: %s", redacted(u), ErrURL, what)
}

// redirect returns where a server redirects to: over TLS, unless it was asked without.
func redirect(from *url.URL, location string, allowHTTP bool) (*url.URL, error) {
	if len(location) > maxURL {
		return nil, fmt.Errorf("it redirects: %w: it has %d bytes", ErrURL, len(location))
	}
	to, err := from.Parse(location)
	if err != nil || location == "" {
		return nil, fmt.Errorf("it redirects: %w: it can not be read", ErrURL)
	}
	to.Fragment, to.RawFragment = "", "" // which is for browsers
	if from.Scheme == "https" && to.Scheme == "http" {
		return nil, fmt.Errorf("it redirects: %s: %w: it is not of https", redacted(to), ErrURL)
	}
	if err := check(to, allowHTTP); err != nil {
		return nil, fmt.Errorf("it redirects: %w", err)
	}
	return to, nil
}

// maxHeader bounds the header of an answer in bytes.
const maxHeader = 256 << 10

// newTransport returns a transport for a few large bodies: HTTP/1, as many ranges over one connection
// would wait for each other. It never asks for compression.
func newTransport(proxy func(*http.Request) (*url.URL, error)) *http.Transport {
	t := &http.Transport{
		Proxy: proxy, DialContext: (&net.Dialer{Timeout: 20 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 20 * time.Second, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 16,
		ReadBufferSize: 128 << 10, MaxResponseHeaderBytes: maxHeader, DisableCompression: true, Protocols: new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}
