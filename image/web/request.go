package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/fetch"
	"github.com/luksimg/luksimg/internal/rest"
)

// maxRedirects is the number of redirects that one request follows at most.
const maxRedirects = 10

// look requests the first byte of the file. The response reveals the length of the file and whether
// the server supports ranges. HEAD would not do: some servers reject it, and some signed addresses
// allow only GET.
func (f *File) look(ctx context.Context) error {
	resp, err := f.do(ctx, http.Header{"Range": {"bytes=0-0"}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f.version = versionOf(resp)
	switch resp.StatusCode {
	case http.StatusPartialContent:
		r, err := f.rangeOf(resp)
		if err == nil && (r.first != 0 || r.last != 0 || r.size < 1) {
			err = f.answer("Content-Range is %q for the first byte", resp.Header.Get("Content-Range"))
		}
		f.size, f.ranges = r.size, true
		return err
	case http.StatusRequestedRangeNotSatisfiable: // the first byte of an empty file
		if size, ok := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes */"); !ok || size != "0" {
			return f.answer("status 416 for the first byte, Content-Range %q", resp.Header.Get("Content-Range"))
		}
		f.small = bytes.NewReader(nil)
		return nil
	}
	if f.size = resp.ContentLength; f.size < 0 {
		return fetch.Final(rest.WithHint(fmt.Errorf("%s: the server does not report the length of the file", f.name), "fetch the file first, with curl -fLO URL"))
	}
	if f.size > small {
		return nil
	}
	b := make([]byte, f.size)
	if _, err := io.ReadFull(resp.Body, b); err != nil {
		return f.failed(err)
	}
	f.small = bytes.NewReader(b)
	return nil
}

// get requests a range.
func (f *File) get(ctx context.Context, off, end int64) (io.ReadCloser, error) {
	header := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", off, end-1)}}
	f.version.demand(header)
	resp, err := f.do(ctx, header)
	if err != nil {
		return nil, err
	}
	to, err := f.checkRange(resp, off, end)
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	if to < end {
		return fetch.Part(resp.Body, to-off), nil
	}
	return resp.Body, nil
}

// checkRange checks the response to get. It returns the end of the bytes that the response has, at
// most end. A response can have fewer bytes than requested.
func (f *File) checkRange(resp *http.Response, off, end int64) (int64, error) {
	switch {
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable, !f.version.same(versionOf(resp)):
		return 0, f.changed()
	case resp.StatusCode == http.StatusOK && resp.ContentLength >= 0 && resp.ContentLength != f.size:
		return 0, f.changed()
	case resp.StatusCode == http.StatusOK && off == 0 && resp.ContentLength == f.size:
		return end, nil // the range is the whole file
	case resp.StatusCode == http.StatusOK: // one of several servers behind a name can ignore ranges
		return 0, f.failed(ErrNoRanges)
	}
	r, err := f.rangeOf(resp)
	switch {
	case err != nil:
		return 0, err
	case r.size >= 0 && r.size != f.size:
		return 0, f.changed()
	case r.first != off || r.last >= end:
		return 0, f.answer("requested bytes %d to %d, Content-Range is %q", off, end-1, resp.Header.Get("Content-Range"))
	}
	return r.last + 1, nil
}

// skip requests the whole file and discards the bytes before off.
func (f *File) skip(ctx context.Context, off, _ int64) (io.ReadCloser, error) {
	if off > 0 && f.version == (Version{}) {
		return nil, fetch.Final(f.failed(errors.New("the connection broke; cannot resume, as the server reports neither ranges nor a version")))
	}
	header := http.Header{}
	f.version.demand(header)
	resp, err := f.do(ctx, header)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK || resp.ContentLength != f.size || !f.version.same(versionOf(resp)) {
		err = f.changed()
	} else if _, err = io.CopyN(io.Discard, resp.Body, off); err != nil {
		err = f.failed(err)
	}
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// do sends a request to the address that earlier redirects led to. It returns a response with
// status 200, 206 or 416, whose body the caller closes.
func (f *File) do(ctx context.Context, header http.Header) (*http.Response, error) {
	f.mu.Lock()
	at := f.at
	f.mu.Unlock()
	resp, err := f.follow(ctx, at, header)
	// The address that a redirect led to can expire.
	if e := new(rest.Error); errors.As(err, &e) && at != f.origin && e.Status >= 400 && e.Refused() {
		return f.follow(ctx, f.origin, header)
	}
	return resp, err
}

// follow sends a request and follows redirects.
func (f *File) follow(ctx context.Context, at *url.URL, header http.Header) (*http.Response, error) {
	for range maxRedirects + 1 {
		resp, err := f.once(ctx, at, header)
		if err != nil {
			return nil, f.failed(err)
		}
		switch resp.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
			io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be reused
			resp.Body.Close()
			if at, err = redirect(at, resp.Header.Get("Location"), f.o.AllowHTTP); err != nil {
				return nil, fetch.Final(fmt.Errorf("%s: %w", f.name, err))
			}
			continue
		case http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
			if err := f.checkEncoding(resp, at); err != nil {
				resp.Body.Close()
				return nil, err
			}
			f.mu.Lock()
			f.at = at
			f.mu.Unlock()
			return resp, nil
		case http.StatusPreconditionFailed:
			resp.Body.Close()
			return nil, f.changed()
		}
		resp.Body.Close()
		return nil, f.refusal(resp)
	}
	return nil, fetch.Final(fmt.Errorf("%s: %w: more than %d redirects", f.name, ErrAnswer, maxRedirects))
}

// once sends one request.
func (f *File) once(ctx context.Context, at *url.URL, header http.Header) (*http.Response, error) {
	watch := fetch.NewWatch(ctx, f.o.Stall)
	req, err := http.NewRequestWithContext(watch.Context(), http.MethodGet, at.String(), nil)
	if err != nil {
		watch.Stop()
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "luksimg")
	resp, err := f.send.RoundTrip(req)
	if err != nil {
		err = watch.Cause(err)
		watch.Stop()
		return nil, err
	}
	resp.Body = watch.Body(resp.Body)
	return resp, nil
}

// checkEncoding refuses a response that the server compressed in transit, as its bytes are not
// those of the file. Some servers report the encoding of a file that is itself compressed: its name
// shows that.
func (f *File) checkEncoding(resp *http.Response, at *url.URL) error {
	coding := strings.ToLower(strings.TrimSpace(strings.Join(resp.Header.Values("Content-Encoding"), ",")))
	if coding == "" || coding == "identity" {
		return nil
	}
	for _, suffix := range suffixes[strings.TrimPrefix(coding, "x-")] {
		if strings.HasSuffix(strings.ToLower(at.Path), suffix) {
			return nil
		}
	}
	return f.answer("Content-Encoding is %q, want none", coding)
}

// suffixes maps a content coding to the file name suffixes of files compressed with it.
var suffixes = map[string][]string{
	"gzip": {".gz", ".tgz"}, "xz": {".xz", ".txz"}, "bzip2": {".bz2", ".tbz2"}, "zstd": {".zst"},
}

// answer returns an error about a response that no retry will change.
func (f *File) answer(format string, args ...any) error {
	return fetch.Final(fmt.Errorf("%s: %w: %s", f.name, ErrAnswer, rest.Clean(fmt.Sprintf(format, args...))))
}

// changed returns the error for a file whose version changed.
func (f *File) changed() error {
	return fetch.Final(rest.WithHint(fmt.Errorf("%s: %w", f.name, image.ErrChanged), "the server has another version of the file now: start again"))
}

// failed returns the error of a request that got no usable response.
func (f *File) failed(err error) error {
	e := &rest.Error{Service: f.name, Op: "GET", Err: err}
	if errors.As(err, new(*tls.CertificateVerificationError)) {
		e.Advice = "the certificate of the server is not trusted; $SSL_CERT_FILE names a file with the authorities to trust, in place of those of the system"
	}
	if errors.Is(err, ErrNoRanges) {
		e.Advice = rest.Hint(ErrNoRanges)
	}
	return e
}

// A busy error is a refusal with a Retry-After header.
type busy struct {
	error
	after time.Duration
}

func (b *busy) Unwrap() error { return b.error }

// refusal returns the error for a response with an error status.
func (f *File) refusal(resp *http.Response) error {
	e := &rest.Error{Service: f.name, Op: "GET", Status: resp.StatusCode, Message: strings.ToLower(http.StatusText(resp.StatusCode))}
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		e.Advice = "the server requires credentials, and luksimg sends none: fetch the file first, or give a presigned address"
	case http.StatusNotFound, http.StatusGone:
		e.Advice = "check the address: the server does not have the file, or no longer has it"
	}
	if after, ok := rest.RetryAfter(resp.Header, rest.ClockOr(f.o.Clock).Now()); ok {
		return &busy{e, after}
	}
	return e
}

// passing reports whether a retry can succeed, and how long the server asked to wait.
func passing(err error) (again bool, after time.Duration) {
	if b := new(busy); errors.As(err, &b) {
		after = b.after
	}
	e := new(rest.Error)
	return !errors.As(err, &e) || e.Temporary(), after
}
