// Package web reads images that a web server has, where they are: by requests for ranges (RFC
// 9110, section 14), over TLS, without credentials.
//
// Call [Open]. The [File] that it returns is an image.Source. It asks for what is read, reads
// ahead where that is in order, and goes on where a connection broke. All that it reads is of
// one version of the file. The package never sends a credential, follows no redirect to a
// place without TLS, and reads no environment.
package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"sync"
	"time"

	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/internal/fetch"
	"github.com/luksimg/luksimg/internal/rest"
)

var (
	// ErrURL is an address that is not read: it is malformed, has a user or a fragment in it, or
	// is not of https. One that a server redirects to can be meant.
	ErrURL = advice.New("address that is not read", "want https://HOST/PATH, without a user, a password and a fragment")

	// ErrNoRanges is a file that can not be read at offsets, for its server sends it as a whole
	// only. [File.Stream] reads it in order.
	ErrNoRanges = advice.New("the server does not serve ranges of the file", "fetch the file first, with curl -fLO URL")

	// ErrAnswer is an answer that is not one of HTTP to what was asked for.
	ErrAnswer = errors.New("unexpected answer")
)

// Options say how to read. The zero value is right.
type Options struct {
	// Transport, if not nil, carries the requests. It must not decompress bodies. The default
	// checks certificates as crypto/tls does, uses HTTP/1.1, and has the proxy of Proxy.
	Transport http.RoundTripper

	// Proxy returns the proxy for a request, as [http.ProxyFromEnvironment] does; nil is for
	// none. It is not used with a Transport.
	Proxy func(*http.Request) (*url.URL, error)

	// AllowHTTP allows http:// addresses, which are otherwise read from this machine only.
	// Whoever is on the way can read and change what comes from there.
	AllowHTTP bool

	// Attempts is how often a request is sent at most, if it fails in a way that may pass. One
	// that brought a megabyte before it broke does not count. The default is 10, with pauses
	// of a minute or so in all.
	Attempts int

	// Stall is how long a request may go without a byte moving before it counts as broken. The
	// default is a minute.
	Stall time.Duration

	// Clock is what waits between attempts; nil is that of the system.
	Clock rest.Clock
}

// A File is a file on a web server. What it reads is of the file as it was when it was opened, or
// else the error matches [image.ErrChanged]. It is safe for concurrent use, and keeps 20 MiB of
// the file at most.
type File struct {
	o        Options
	origin   *url.URL
	name     string
	send     http.RoundTripper
	attempts fetch.Attempts

	size    int64
	version Version
	ranges  bool
	reader  *fetch.Reader // nil without ranges
	small   *bytes.Reader // the whole file, where there are no ranges and it is short

	mu sync.Mutex
	at *url.URL // where redirects led
}

// A Version is what a server says of the version of a file. Either can be "".
type Version struct {
	ETag         string // as it is in the header, with quotes
	LastModified string // as it is in the header
}

// small files are read as a whole, if the server has no ranges, up to this length.
const small = 16 << 20

// Open asks for a file. It reads until Close, or until ctx is done.
func Open(ctx context.Context, address string, o Options) (*File, error) {
	u, err := parse(address, o.AllowHTTP)
	if err != nil {
		return nil, err
	}
	if o.Stall <= 0 {
		o.Stall = time.Minute
	}
	f := &File{o: o, origin: u, at: u, name: redacted(u), send: o.Transport}
	if f.send == nil {
		f.send = newTransport(o.Proxy)
	}
	f.attempts = fetch.Attempts{Max: o.Attempts, Clock: o.Clock, Passing: passing}
	if err := f.attempts.Do(ctx, func() error { return f.look(ctx) }); err != nil {
		f.Close()
		return nil, err
	}
	if f.ranges {
		f.reader = fetch.NewReader(ctx, f.name, f.size, func(ctx context.Context, off, n int64, take func(b []byte, at int64) error) error {
			_, err := f.attempts.Range(ctx, f.get, off, n, take)
			return f.named(err)
		})
	}
	return f, nil
}

// Name returns the address, for people: the values of a query are left out, for they may be a secret.
func (f *File) Name() string { return f.name }

// Base returns the name of the file alone: the last part of the path of its address, "" if that has none.
func (f *File) Base() string { return base(f.origin) }

func base(u *url.URL) string {
	if b := path.Base(u.Path); b != "." && b != "/" {
		return b
	}
	return ""
}

// Size returns the length of the file in bytes.
func (f *File) Size() int64 { return f.size }

// Version returns what the server says of the version of the file.
func (f *File) Version() Version { return f.version }

// Ranges reports whether the file can be read at offsets. If not, ReadAt returns [ErrNoRanges].
func (f *File) Ranges() bool { return f.reader != nil || f.small != nil }

// ReadAt implements [io.ReaderAt].
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case f.reader != nil:
		return f.reader.ReadAt(p, off)
	case f.small != nil:
		return f.small.ReadAt(p, off)
	}
	return 0, fmt.Errorf("%s: %w", f.name, ErrNoRanges)
}

// Close ends all reading.
func (f *File) Close() error {
	if f.reader != nil {
		f.reader.Close()
	}
	if c, ok := f.send.(*http.Transport); ok && f.o.Transport == nil {
		c.CloseIdleConnections()
	}
	return nil
}

// Stream reads the file from its start, in order, whether its server has ranges or not. Where it has none,
// what was read is read again after a connection broke. The caller closes it; ctx ends it too.
func (f *File) Stream(ctx context.Context) io.ReadCloser {
	ctx, cancel := context.WithCancelCause(ctx)
	r, w := io.Pipe()
	done := make(chan struct{})
	get := f.get
	if !f.ranges {
		get = f.skip
	}
	go func() {
		defer close(done)
		_, err := f.attempts.Range(ctx, get, 0, f.size, func(b []byte, _ int64) error {
			_, err := w.Write(b)
			return err
		})
		w.CloseWithError(f.named(err))
	}()
	return &stream{r, func() { cancel(errClosed); <-done }}
}

var errClosed = errors.New("is closed")

type stream struct {
	*io.PipeReader
	end func()
}

func (s *stream) Close() error {
	s.PipeReader.CloseWithError(errClosed)
	s.end()
	return nil
}

// named puts the name of the file in front of an error that does not have it.
func (f *File) named(err error) error {
	if broken := new(fetch.BrokenError); errors.As(err, &broken) {
		return f.failed(broken)
	}
	return err
}
