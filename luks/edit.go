package luks

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
)

// A File is a file that an [Editor] changes, usually an [os.File] open for reading and writing.
type File interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// An Editor changes the header of an image in place: its key slots, tokens and labels. The data are
// unchanged.
//
// The image opens at each moment, even if the process is killed: an Editor writes key material first,
// then one copy of the header, then the other, and syncs after each. A context cancels key derivation,
// but never a write. An Editor is not safe for concurrent use. Another program must not change the
// header meanwhile; if one does, the error is [ErrChanged].
type Editor struct {
	f    File
	size int64
	opts OpenOptions
	h    *Header
	rand io.Reader
}

// Edit opens the header of the image in f, a file of size bytes, to change it. If a copy of a LUKS2
// header is damaged, the first change repairs it. If something else replaced the primary copy, the
// error is [ErrAmbiguous]. Edit refuses a header with unknown or invalid parts; the error names them.
func Edit(f File, size int64, o OpenOptions) (*Editor, error) {
	h, err := Open(f, size, o)
	if err != nil {
		return nil, err
	}
	if h.ambiguous != nil && !o.OverwriteSignature {
		return nil, h.ambiguous
	}
	if h.refused != nil {
		return nil, fmt.Errorf("luks: the header is not changed because part of it is unknown or invalid: %w", h.refused)
	}
	o.Accept = nil // it has checked the header that was found
	return &Editor{f: f, size: size, opts: o, h: h, rand: rand.Reader}, nil
}

// Header returns the current header. Its value does not change: each change makes a new Header.
func (e *Editor) Header() *Header { return e.h }

// write writes p and syncs.
func (e *Editor) write(p []byte, off int64) error {
	if _, err := e.f.WriteAt(p, off); err != nil {
		return err
	}
	return e.f.Sync()
}

// wipe overwrites n bytes with random bytes, to destroy a key as far as the storage allows it.
func (e *Editor) wipe(off, n int64) error {
	buf := make([]byte, min(n, 256<<10))
	for end := off + n; off < end; {
		p := buf[:min(int64(len(buf)), end-off)]
		if _, err := io.ReadFull(e.rand, p); err != nil {
			return fmt.Errorf("luks: reading random bytes: %w", err)
		}
		if _, err := e.f.WriteAt(p, off); err != nil {
			return err
		}
		off += int64(len(p))
	}
	return e.f.Sync()
}

// checkUnchanged reads the header again and compares it with the one in memory.
func (e *Editor) checkUnchanged() error {
	now, err := Open(e.f, e.size, e.opts)
	if err != nil {
		return err
	}
	if now.version != e.h.version || now.seqid != e.h.seqid || !bytes.Equal(now.raw, e.h.raw) {
		return fmt.Errorf("luks: %w", ErrChanged)
	}
	return nil
}

// reread replaces the header in memory by that in the file.
func (e *Editor) reread() error {
	h, err := Open(e.f, e.size, e.opts)
	if err == nil {
		e.h = h
	}
	return err
}

// changeV1 writes a LUKS1 header after a change.
func (e *Editor) changeV1(change func(b []byte)) error {
	if err := e.checkUnchanged(); err != nil {
		return err
	}
	b := bytes.Clone(e.h.raw)
	change(b)
	// The new header must pass the same checks as one that is read.
	if _, err := openV1(overlay{e.f, b}, e.size, e.opts); err != nil {
		return wouldBreak(err)
	}
	if err := e.write(b, 0); err != nil {
		return err
	}
	return e.reread()
}

// wouldBreak returns the error of a change that makes the header unreadable. The header stays unchanged.
func wouldBreak(err error) error {
	return hinted(fmt.Errorf("luks: the change would break the header: %w", err), "the image is unchanged: correct the member that is named")
}

// overlay is a reader with other bytes at the start.
type overlay struct {
	r     io.ReaderAt
	start []byte
}

func (o overlay) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off >= 0 && off < int64(len(o.start)) {
		n = copy(p, o.start[off:])
	}
	if n == len(p) {
		return n, nil
	}
	m, err := o.r.ReadAt(p[n:], off+int64(n))
	return n + m, err
}

// changeV2 writes both copies of a LUKS2 header. change can modify its metadata m and the binary header
// fields of h.
func (e *Editor) changeV2(change func(m metadata, h *Header) error) error {
	if err := e.checkUnchanged(); err != nil {
		return err
	}
	tree, err := parseJSON(e.h.raw)
	if err != nil {
		return err // unreachable: it was parsed before
	}
	h := &Header{version: 2, hdrSize: e.h.hdrSize, seqid: e.h.seqid + 1, uuid: e.h.uuid, label: e.h.label, subsystem: e.h.subsystem}
	if err := change(tree, h); err != nil {
		return err
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return fmt.Errorf("luks: %w", err)
	}
	// The new header must pass the same checks as one that is read.
	area := make([]byte, h.hdrSize-v2BinarySize)
	if len(text) >= len(area) {
		return fmt.Errorf("luks: the metadata would need %d bytes, more than the JSON area has", len(text))
	}
	copy(area, text)
	err = h.decodeJSON(area, v2BinarySize)
	if err == nil {
		err = h.refused
	}
	if err != nil {
		return wouldBreak(err)
	}
	// Write a bad copy first: the good one must not be touched before there are two.
	order := []int64{0, h.hdrSize}
	if e.h.stale[1] {
		order = []int64{h.hdrSize, 0}
	}
	for _, off := range order {
		b, err := h.encodeCopy(off, text, e.rand)
		if err != nil {
			return err
		}
		if err := e.write(b, off); err != nil {
			return err
		}
	}
	return e.reread()
}

// Repair rewrites both copies of a LUKS2 header if one of them is damaged or older than the other. It
// reports whether a repair was necessary.
func (e *Editor) Repair() (bool, error) {
	if e.h.stale == [2]bool{} {
		return false, nil
	}
	return true, e.changeV2(func(metadata, *Header) error { return nil })
}
