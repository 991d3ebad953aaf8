package rest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// ErrAddress is an address that no credential may be sent to.
var ErrAddress = errors.New("address not allowed")

// CheckURL checks the address of a service: https, or http on the loopback of this
// machine; a host; no user, query or fragment. It returns it without a slash at the end.
func CheckURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" {
		return "", fmt.Errorf("%w: want https://host, without user, query and fragment", ErrAddress)
	}
	if err := mayCarry(u); err != nil {
		return "", err
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// mayCarry reports whether a request to u may have a credential in it.
func mayCarry(u *url.URL) error {
	if u.Scheme == "https" || u.Scheme == "http" && Loopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%w: %s://%s: want https (http is for this machine only)", ErrAddress, u.Scheme, u.Host)
}

// Loopback reports whether a host, without its port, is this machine by its name or its address.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// HTTPClient returns a copy of a client that sends credentials where they were meant to
// go only: over https, or over http to this machine, and after no redirect. A nil client
// is a new one.
func HTTPClient(c *http.Client) *http.Client {
	var own http.Client
	if c != nil {
		own = *c
	}
	own.Transport = guard{own.Transport}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// guard refuses requests to an address that no credential may be sent to.
type guard struct{ next http.RoundTripper }

func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := mayCarry(r.URL); err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	if g.next == nil {
		return http.DefaultTransport.RoundTrip(r)
	}
	return g.next.RoundTrip(r)
}

// CloseIdleConnections closes those of the transport behind it.
func (g guard) CloseIdleConnections() {
	if c, ok := g.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
