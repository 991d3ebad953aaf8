package rest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// ErrAddress means that credentials must not be sent to an address.
var ErrAddress = errors.New("address not allowed")

// CheckURL validates the address of a service. It must be https, or http on a loopback address, with
// a host and without user, query or fragment. CheckURL returns it without a trailing slash. Its error
// shows the scheme and the host at most.
func CheckURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	var what string
	switch {
	case err != nil: // err holds the address with its secrets
		what = "invalid URL syntax"
	case u.Host == "" || u.Opaque != "":
		what = "it lacks https:// or a host"
	case u.User != nil:
		what = fmt.Sprintf("%s://%s has a user", u.Scheme, u.Host)
	case u.RawQuery != "" || u.ForceQuery:
		what = fmt.Sprintf("%s://%s has a query", u.Scheme, u.Host)
	case u.Fragment != "":
		what = fmt.Sprintf("%s://%s has a fragment", u.Scheme, u.Host)
	}
	if what != "" {
		return "", fmt.Errorf("%w: %s: want https://host, without user, query and fragment", ErrAddress, what)
	}
	if err := mayCarry(u); err != nil {
		return "", err
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// mayCarry returns an error unless a request to u may carry a credential.
func mayCarry(u *url.URL) error {
	if u.Scheme == "https" || u.Scheme == "http" && Loopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%w: %s://%s: want https (http is for this machine only)", ErrAddress, u.Scheme, u.Host)
}

// Loopback reports whether host, without a port, is localhost or a loopback address.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// HTTPClient returns a copy of c that protects credentials: it allows only https, or http to a
// loopback address, and follows no redirects. A nil c means a new client.
func HTTPClient(c *http.Client) *http.Client {
	var own http.Client
	if c != nil {
		own = *c
	}
	own.Transport = guard{own.Transport}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// guard refuses requests to addresses that must not receive credentials.
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

// CloseIdleConnections closes the idle connections of the underlying transport.
func (g guard) CloseIdleConnections() {
	if c, ok := g.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
