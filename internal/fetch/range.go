package fetch

import (
	"context"
	"io"
)

// A Getter requests the bytes from off to end of a file, and returns a body that begins at off. If the
// body ends early, the caller sends another request: at once after a whole [Part], and otherwise
// after a pause, because the connection broke.
type Getter func(ctx context.Context, off, end int64) (io.ReadCloser, error)

// Part returns a body that the server says has n bytes, fewer than requested. A server may answer a
// request for a range with a part of it (RFC 9110, section 15.3.7). The body ends after n bytes.
func Part(body io.ReadCloser, n int64) io.ReadCloser { return &part{body, n} }

type part struct {
	io.ReadCloser
	left int64
}

func (p *part) Read(b []byte) (int, error) {
	if p.left <= 0 {
		return 0, io.EOF
	}
	n, err := p.ReadCloser.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	return n, err
}

const (
	// takeSize is the size of one read in bytes.
	takeSize = 128 << 10

	// forgiven is the number of bytes after which a failure counts as the first one again.
	forgiven = 1 << 20
)

// Range reads n bytes at off, and passes them to take in order in a reused buffer. After a failure
// it continues at the same offset. It returns the number of bytes passed to take.
func (a Attempts) Range(ctx context.Context, get Getter, off, n int64, take func(b []byte, at int64) error) (int64, error) {
	r := ranged{get: get, take: take, off: off, at: off, end: off + n, buf: make([]byte, min(takeSize, n))}
	since := off // where the attempts were counted from the start
	err := a.do(ctx, func() error { return r.attempt(ctx) }, func() bool {
		if r.at-since < forgiven {
			return false
		}
		since = r.at
		return true
	})
	return r.at - off, err
}

// A ranged is the state of one call of Range.
type ranged struct {
	get          Getter
	take         func(b []byte, at int64) error
	off, at, end int64
	buf          []byte
}

// attempt reads until the end of the range, with a request for each part that the server sends.
func (r *ranged) attempt(ctx context.Context) error {
	for r.at < r.end {
		if err := r.request(ctx); err != nil {
			return err
		}
	}
	return nil
}

// request sends one request, and reads until the end of the range or of a whole part.
func (r *ranged) request(ctx context.Context) error {
	from := r.at
	body, err := r.get(ctx, r.at, r.end)
	if err != nil {
		return err
	}
	defer body.Close()
	for r.at < r.end {
		k, err := io.ReadFull(body, r.buf[:min(int64(len(r.buf)), r.end-r.at)])
		if k > 0 {
			if e := r.take(r.buf[:k], r.at); e != nil {
				return Final(e)
			}
			r.at += int64(k)
		}
		if r.at == r.end || err == nil {
			continue
		}
		if p, ok := body.(*part); ok && p.left == 0 && r.at > from {
			return nil
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return &BrokenError{r.at - r.off, r.end - r.off, err}
	}
	return nil
}
