// Package web reads disk images directly from a web server. It sends range requests (RFC 9110,
// section 14) over TLS, without credentials.
//
// Call [Open]. The [File] that it returns is an image.Source. It requests only the ranges that are
// read, reads ahead during sequential reads, and resumes after a connection breaks. All reads
// return the same version of the file. The package never sends a credential, follows no redirect to
// an address without TLS, and does not read the environment.
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
	// ErrURL means that an address is refused. It is malformed, contains a user or a fragment, or
	// its scheme is not https. The target of a redirect can be refused too.
	ErrURL = advice.New("address not accepted", "want https://HOST/PATH, without a user, a password and a fragment")

	// ErrNoRanges means that the server sends the file only as a whole, so it cannot be read at
	// offsets. [File.Stream] reads it in order.
	ErrNoRanges = advice.New("the server does not serve ranges of the file", "fetch the file first, with curl -fLO URL")

	// ErrAnswer means that the server's response does not fit the request.
	ErrAnswer = errors.New("unexpected response")
)

// Options configure [Open]. The zero value is right for most callers.
type Options struct {
	// Transport, if not nil, sends the requests. It must not decompress bodies. The default checks
	// certificates as crypto/tls does, uses HTTP/1.1 and Proxy.
	Transport http.RoundTripper

	// Proxy returns the proxy for a request, as [http.ProxyFromEnvironment] does. If it is nil, no
	// proxy is used. Proxy is ignored if Transport is set.
	Proxy func(*http.Request) (*url.URL, error)

	// AllowHTTP allows http:// addresses of other machines. By default only this machine is
	// allowed. Anyone on the network path can read and change what is sent over http.
	AllowHTTP bool

	// Attempts is the maximum number of times that a request is sent if it fails with a temporary
	// error. An attempt that received a megabyte does not count. The default is 10, with pauses of
	// about a minute in total.
	Attempts int

	// Stall is how long a request can go without receiving a byte before it counts as broken. The
	// default is one minute.
	Stall time.Duration

	// Clock waits between attempts. If it is nil, the system's clock is used.
	Clock rest.Clock
}

// A File is a file on a web server, as it was when it was opened. If the file changes, reads return
// an error that matches [image.ErrChanged]. A File is safe for concurrent use. It keeps at most 20
// MiB of the file in memory.
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
	small   *bytes.Reader // the whole file, if it is short and the server has no ranges

	mu sync.Mutex
	at *url.URL // the address that redirects led to
}

// A Version holds what a server reports about the version of a file. Either field can be "".
type Version struct {
	ETag         string // as in the header, with quotes
	LastModified string // as in the header
}

// small is the maximum size of a file that is read as a whole if the server has no ranges.
const small = 16 << 20

// Open requests the first byte of a file to learn its size and version. The File is usable until
// Close is called or ctx is done. Errors match [ErrURL], [ErrAnswer] or those of the package's
// transport.
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

// Name returns the address for messages and records. It omits the query, which can be secret.
func (f *File) Name() string { return f.name }

// Base returns the last part of the path of the address, or "" if the path is empty.
func (f *File) Base() string { return base(f.origin) }

func base(u *url.URL) string {
	if b := path.Base(u.Path); b != "." && b != "/" {
		return b
	}
	return ""
}

// Size returns the length of the file in bytes.
func (f *File) Size() int64 { return f.size }

// Version returns what the server reports about the version of the file.
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

// Close ends all reads and releases the connections. Reads after it fail.
func (f *File) Close() error {
	if f.reader != nil {
		f.reader.Close()
	}
	if c, ok := f.send.(*http.Transport); ok && f.o.Transport == nil {
		c.CloseIdleConnections()
	}
	return nil
}

// Stream reads the file in order from its start, whether or not the server supports ranges. Without
// ranges, it re-reads the file from its start after a connection breaks. The caller closes the
// stream; ctx ends it too.
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

// named adds the name of the file to an error of a broken connection.
func (f *File) named(err error) error {
	if broken := new(fetch.BrokenError); errors.As(err, &broken) {
		return f.failed(broken)
	}
	return err
}
