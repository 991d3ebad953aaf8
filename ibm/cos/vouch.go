package cos

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// With most services the ETag of a response is the MD5 sum, and is compared with the sent data. Otherwise
// the first available check is used: the checksum in the response; whether the service enforces the
// Content-MD5 of each part; reading the data back.

// vouch reports whether a part whose ETag is not its MD5 sum is known to be stored as sent. If
// it was damaged, the error matches [ErrChecksum].
func (m *multipart) vouch(ctx context.Context, number int, h http.Header, p *payload, buf []byte) (bool, error) {
	if c := readChecksum(h); c.usable(p.size, 0) {
		same, err := c.matches(p.src, p.off, p.size, 0, buf)
		if err == nil && !same {
			err = fmt.Errorf("%v: part %d: %w: the checksum of the service differs from that of the sent data", m.at, number, ErrChecksum)
		}
		return same, err
	}
	if number > 0 {
		return m.refuses(ctx), nil
	}
	i, err := m.c.Head(ctx, m.at)
	if err == nil && i.Size == p.size {
		m.put(0, sentPart{md5: [md5.Size]byte(p.md5), size: p.size})
		err = m.compare(ctx, i, true)
	}
	if errors.Is(err, ErrAccess) {
		return false, nil
	}
	return err == nil, err
}

// refuses reports whether the service refuses a part with a wrong Content-MD5. It tests that once,
// with the highest possible part number: the object never includes that part.
func (m *multipart) refuses(ctx context.Context) bool {
	m.trial.Lock()
	defer m.trial.Unlock()
	if !m.tried {
		m.mu.Lock()
		_, taken := m.parts[MaxParts]
		m.mu.Unlock()
		if taken {
			return false
		}
		p := small([]byte("luksimg"))
		p.md5 = make([]byte, md5.Size)
		_, err := m.c.putPart(ctx, m.at, m.id, MaxParts, p)
		if ctx.Err() != nil {
			return false
		}
		var answer *Error
		m.tried = true
		m.strict = errors.As(err, &answer) && (answer.Code == "BadDigest" || answer.Code == "InvalidDigest")
	}
	return m.strict
}

// compare reads the stored object, whatever its ETag, and compares it with the sent data: all of
// it, or only the parts without other proof.
func (m *multipart) compare(ctx context.Context, i Info, all bool) error {
	type piece struct {
		off, size int64
		md5       [md5.Size]byte
	}
	var todo []piece
	off := int64(0)
	for number := range max(len(m.parts), 1) {
		p, one := m.parts[0]
		if !one {
			p = m.parts[number+1]
		}
		if p.size > 0 && (all || !p.proved) {
			todo = append(todo, piece{off, p.size, p.md5})
		}
		off += p.size
	}
	if len(todo) == 0 {
		return nil
	}
	return each(ctx, 4, len(todo), func(ctx context.Context, _ []byte, n int) error {
		t, h := todo[n-1], md5.New()
		err := m.c.fetch(ctx, m.at, Info{Size: i.Size}, t.off, t.size, func(b []byte, _ int64) error {
			h.Write(b)
			return nil
		})
		if err == nil && [md5.Size]byte(h.Sum(nil)) != t.md5 {
			err = fmt.Errorf("%v: %w: the stored data at offset %d differs from the sent data", m.at, ErrChecksum, t.off)
		}
		return err
	})
}

// evidence summarizes the parts. opaque reports whether ETags were not MD5 sums, unproved whether any part lacks
// proof, and sums whether the ETag of such a part looks like an MD5 sum.
func (m *multipart) evidence() (opaque, unproved, sums bool) {
	for _, p := range m.parts {
		opaque = opaque || p.etag != p.want()
		if !p.proved {
			_, _, sum := parseETag(p.etag)
			unproved, sums = true, sums || sum
		}
	}
	return opaque, unproved, sums
}

// check compares the stored object with the sent data. made reports that the service
// confirmed its creation; otherwise the object may have existed before.
func (m *multipart) check(ctx context.Context, size int64, made bool) error {
	i, err := m.c.Head(ctx, m.at)
	if err != nil {
		return fmt.Errorf("check after upload: %w", err)
	}
	if i.Size != size {
		return fmt.Errorf("%v: %w: the object has %d bytes, want %d", m.at, ErrChecksum, i.Size, size)
	}
	want := m.etag()
	m.has, m.blind = i.ETag, false
	if i.ETag == want {
		return nil
	}
	opaque, unproved, sums := m.evidence()
	_, parts, sum := parseETag(i.ETag)
	other := m.whole != "" && m.whole != i.ETag
	switch {
	case sum && !opaque:
		if _, one := m.parts[0]; one || parts > 0 {
			return m.mismatch(i.ETag, want)
		}
		return m.checkWhole(ctx, i)
	case made && !unproved && !other:
		return nil
	}
	err = m.compare(ctx, i, !made || other)
	if made && errors.Is(err, ErrAccess) { // this identity has no read access
		if sums {
			return m.mismatch(i.ETag, want)
		}
		m.blind = true
		return nil
	}
	return err
}

// checkWhole compares the ETag of an object that was sent in parts with the MD5 sum of the whole, which some
// servers use. It reads the source again or, for a stream, the object.
func (m *multipart) checkWhole(ctx context.Context, i Info) error {
	h := md5.New()
	var err error
	if m.src == nil {
		err = m.c.fetch(ctx, m.at, Info{Size: i.Size}, 0, i.Size, func(b []byte, _ int64) error {
			h.Write(b)
			return nil
		})
	} else {
		buf := make([]byte, hashBuffer)
		for off := int64(0); off < i.Size && err == nil && ctx.Err() == nil; off += m.partSize {
			_, err = io.CopyBuffer(onlyWriter{h}, io.NewSectionReader(m.src, off, min(m.partSize, i.Size-off)), buf)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if has := hex.EncodeToString(h.Sum(nil)); err == nil && i.ETag != has {
		err = m.mismatch(i.ETag, has)
	}
	return err
}
