package luks

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
)

// A File is what an [Editor] changes: most often an [os.File] that is open for reading
// and writing.
type File interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// An Editor changes the header of an image in place: its key slots, tokens and labels.
// The data stay as they are. Every change is written so that the image opens at each
// moment, also if the process is killed: key material first, then one copy of the
// header, then the other, each made durable before the next. A context ends the derivation
// of keys, and nothing that is being written. It is not safe for
// concurrent use, and no other program must change the header meanwhile; if one did,
// that is [ErrChanged].
type Editor struct {
	f    File
	size int64
	opts OpenOptions
	h    *Header
	rand io.Reader
}

// Edit opens the header of the image in f, a file of size bytes, to change it. If a copy
// of a LUKS2 header is damaged, the first change repairs it. If something else is where the
// primary copy should be, that is [ErrAmbiguous]. A header with anything that is not known here,
// or not as it should be, is not changed: the error says what that is.
func Edit(f File, size int64, o OpenOptions) (*Editor, error) {
	h, err := Open(f, size, o)
	if err != nil {
		return nil, err
	}
	if h.ambiguous != nil && !o.OverwriteSignature {
		return nil, h.ambiguous
	}
	if h.refused != nil {
		return nil, fmt.Errorf("luks: the header is not changed, as not all of it can be used here: %w", h.refused)
	}
	o.Accept = nil // which decided on the header as it was found
	return &Editor{f: f, size: size, opts: o, h: h, rand: rand.Reader}, nil
}

// Header returns the header as it is now. It does not change; the next change makes
// another one.
func (e *Editor) Header() *Header { return e.h }

// write writes p and makes it durable.
func (e *Editor) write(p []byte, off int64) error {
	if _, err := e.f.WriteAt(p, off); err != nil {
		return err
	}
	return e.f.Sync()
}

// wipe overwrites n bytes with noise: what was there, a key, is gone as far as the
// storage lets it.
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

// checkUnchanged reads the header again and compares it with the one that is known.
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

// reread takes over the header as it is in the file now.
func (e *Editor) reread() error {
	h, err := Open(e.f, e.size, e.opts)
	if err == nil {
		e.h = h
	}
	return err
}

// changeV1 writes a LUKS1 header with a change.
func (e *Editor) changeV1(change func(b []byte)) error {
	if err := e.checkUnchanged(); err != nil {
		return err
	}
	b := bytes.Clone(e.h.raw)
	change(b)
	// What is written has to pass as what is read does.
	if _, err := openV1(overlay{e.f, b}, e.size, e.opts); err != nil {
		return fmt.Errorf("luks: the change would break the header: %w", err)
	}
	if err := e.write(b, 0); err != nil {
		return err
	}
	return e.reread()
}

// overlay is a reader with other bytes at its start.
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

// changeV2 writes both copies of a LUKS2 header with a change of its metadata, or of the
// fields of its binary header in the Header that change gets.
func (e *Editor) changeV2(change func(m metadata, h *Header) error) error {
	if err := e.checkUnchanged(); err != nil {
		return err
	}
	tree, err := parseJSON(e.h.raw)
	if err != nil {
		return err // it was parsed before
	}
	h := &Header{version: 2, hdrSize: e.h.hdrSize, seqid: e.h.seqid + 1, uuid: e.h.uuid, label: e.h.label, subsystem: e.h.subsystem}
	if err := change(tree, h); err != nil {
		return err
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return fmt.Errorf("luks: %w", err)
	}
	// What is written has to pass as what is read does.
	area := make([]byte, h.hdrSize-v2BinarySize)
	if len(text) >= len(area) {
		return fmt.Errorf("luks: the metadata would take %d bytes, more than the JSON area has", len(text))
	}
	copy(area, text)
	err = h.decodeJSON(area, v2BinarySize)
	if err == nil {
		err = h.refused
	}
	if err != nil {
		return fmt.Errorf("luks: the change would break the header: %w", err)
	}
	// The copy that is no good goes first: the other one is not touched before there
	// are two.
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

// Repair writes both copies of a LUKS2 header anew if one of them is damaged or older
// than the other. It reports whether there was anything to do.
func (e *Editor) Repair() (bool, error) {
	if e.h.stale == [2]bool{} {
		return false, nil
	}
	return true, e.changeV2(func(metadata, *Header) error { return nil })
}
