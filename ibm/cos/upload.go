package cos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/rest"
)

// UploadOptions are the settings of [Client.Upload]. The zero value is usable.
type UploadOptions struct {
	// PartSize is in bytes, 5 MiB to 5 GiB. Zero means 16 to 64 MiB depending on the size of the
	// object, or more to stay within MaxParts. A resumed upload keeps its part size.
	PartSize int64
	// Jobs is the number of parts sent concurrently. Zero means 4.
	Jobs int
	// State, if not nil, makes the upload resumable: after an error or a crash, the service keeps
	// the sent parts, and the same call continues. [Client.AbortUpload] gives up. Without State a
	// failed upload is aborted at once.
	State StateStore
	// Progress, if not nil, is called with the number of additional bytes sent or
	// found. It must not block, and is called from several goroutines.
	Progress func(n int64)
}

// An UploadResult describes a finished upload.
type UploadResult struct {
	Size  int64
	ETag  string // from the service, without quotes
	Parts int    // number of parts; 0 if sent in one request
	Found int    // number of parts that an earlier attempt sent
	// Verified reports whether the stored data was compared with the sent data. It is false only if all
	// other checks are impossible: the ETags are not MD5 sums, the service returns no checksums and does not
	// check Content-MD5, and these credentials cannot read the object.
	Verified bool
}

// hashBuffer is the size of a worker's reads for hashing.
const hashBuffer = 128 << 10

// defaultPart returns the default part size in bytes, which grows with the size of the file.
func defaultPart(size int64) int64 {
	p := int64(16 << 20)
	for p < 64<<20 && size/p > 1024 {
		p *= 2
	}
	return p
}

// maxBegun limits how often one call starts an upload that the service forgets.
const maxBegun = 3

// Upload sends the first size bytes of src to an object, which appears atomically.
// It reads each part twice, to hash it and to send it, and keeps no part in memory. src must not
// change during the call. At the end Upload compares the size and the ETag of the object with those
// of the sent data. If ETags are not MD5 sums, it uses the service's checksums, or tests that the
// service enforces Content-MD5, or else reads the data back. If the upload has expired or was
// aborted elsewhere, Upload starts it again, at most twice.
//
// If State belongs to another object or another source, the error matches [ErrChanged].
func (c *Client) Upload(ctx context.Context, o Object, src io.ReaderAt, size int64, opts UploadOptions) (UploadResult, error) {
	if err := o.Check(); err != nil {
		return UploadResult{}, err
	}
	if err := o.CheckImages(); err != nil {
		return UploadResult{}, err
	}
	partSize, err := choosePart(size, opts.PartSize, defaultPart(size))
	if err != nil {
		return UploadResult{}, err
	}
	u := &upload{multipart: multipart{c: c, at: o, partSize: partSize, src: src, marks: true, sent: opts.Progress}, size: size, opts: opts}
	if opts.Progress != nil {
		u.meter.tell = opts.Progress
		u.sent = u.meter.add
	}
	if size <= partSize {
		return u.single(ctx)
	}
	if opts.State == nil {
		if err := u.once(ctx); err != nil {
			return UploadResult{}, err
		}
		return u.result(), nil
	}
	if err := u.resume(ctx); err != nil {
		return UploadResult{}, err
	}
	return u.result(), opts.State.Remove()
}

// AbortUpload aborts the upload recorded in state, so that the service keeps no parts of it, and
// removes the state. Without a recorded upload it does nothing.
func (c *Client) AbortUpload(ctx context.Context, state StateStore) error {
	b, err := state.Load()
	if err != nil || b == nil {
		return err
	}
	s, err := parseUploadState(b)
	if err != nil {
		return err
	}
	o, err := ParseURI(s.Object)
	if err != nil {
		return err
	}
	m := &multipart{c: c, at: o, id: s.UploadID}
	if m.id == "" && !s.Unlisted {
		if err := m.adopt(ctx, s.Others); err != nil {
			return err
		}
	}
	if m.id != "" {
		if err := c.Abort(ctx, o, m.id); err != nil {
			return err
		}
	}
	return state.Remove()
}

type upload struct {
	multipart
	size  int64
	opts  UploadOptions
	found atomic.Int64
	meter meter

	saving  sync.Mutex
	state   *uploadState // nil without a store
	unsaved int          // number of parts not yet in the saved state
}

// A meter reports progress. It does not report the same bytes again after a restart.
type meter struct {
	tell func(int64)

	mu         sync.Mutex
	done, told int64
}

func (p *meter) add(n int64) {
	p.mu.Lock()
	p.done += n
	more := max(p.done-p.told, 0)
	p.told += more
	p.mu.Unlock()
	if more > 0 {
		p.tell(more)
	}
}

// forget resets the upload for a restart.
func (u *upload) forget() {
	u.id, u.parts = "", nil
	u.found.Store(0)
	u.meter.mu.Lock()
	defer u.meter.mu.Unlock()
	u.meter.done = 0
}

// mark aborts an upload that was started without the mark that ETags are not MD5 sums.
func (u *upload) mark(ctx context.Context) error {
	err := u.abort(ctx)
	u.forget()
	u.marked = true
	return err
}

// once sends the object in parts, without a saved state.
func (u *upload) once(ctx context.Context) error {
	for try := 1; ; try++ {
		if err := u.start(ctx); err != nil {
			return err
		}
		err := u.run(ctx, nil)
		if err == nil {
			return nil
		}
		if errors.Is(err, errUnmarked) {
			if err := u.mark(ctx); err != nil {
				return err
			}
			continue
		}
		if !isNoSuchUpload(err) || try == maxBegun {
			return u.aborted(ctx, err)
		}
		u.forget()
	}
}

func (u *upload) result() UploadResult {
	r := UploadResult{Size: u.size, ETag: u.has, Found: int(u.found.Load()), Verified: !u.blind}
	if _, one := u.parts[0]; !one {
		r.Parts = len(u.parts)
	}
	return r
}

// single sends the object in one request.
func (u *upload) single(ctx context.Context) (UploadResult, error) {
	if u.opts.State != nil {
		// A state of a larger source would be lost, and its upload left behind.
		if b, err := u.opts.State.Load(); err != nil {
			return UploadResult{}, fmt.Errorf("state: %w", err)
		} else if b != nil {
			return UploadResult{}, u.changed("the source was larger")
		}
	}
	if _, err := u.send(ctx, 0, u.src, 0, u.size, make([]byte, hashBuffer), nil); err != nil {
		return UploadResult{}, err
	}
	if err := u.check(ctx, u.size, true); err != nil {
		return UploadResult{}, err
	}
	return u.result(), nil
}

func (u *upload) changed(what string) error {
	return fmt.Errorf("upload of %v: %w: %s when it began; abort it, or resume with the original source and options", u.at, ErrChanged, what)
}

// run sends the missing parts and completes the object.
func (u *upload) run(ctx context.Context, there map[int]part) error {
	jobs := u.opts.Jobs
	if jobs <= 0 {
		jobs = 4
	}
	n := partCount(u.size, u.partSize)
	err := each(ctx, jobs, int(n), func(ctx context.Context, buf []byte, number int) error {
		off := int64(number-1) * u.partSize
		found, err := u.send(ctx, number, u.src, off, min(u.partSize, u.size-off), buf, there)
		if found {
			u.found.Add(1)
		} else if err == nil {
			err = u.keep(number)
		}
		return err
	})
	if err != nil {
		return errors.Join(err, u.save())
	}
	return u.complete(ctx, u.size)
}

// keep records in the state a part whose ETag does not identify its content, so that it need not be
// sent again. With very many parts it does not save after each one.
func (u *upload) keep(number int) error {
	u.mu.Lock()
	p := u.parts[number]
	u.mu.Unlock()
	if u.state == nil || p.etag == p.want() || !p.proved || len(p.etag) > 200 {
		return nil
	}
	u.saving.Lock()
	if u.state.Parts == nil {
		u.state.Parts = map[int]keptPart{}
	}
	u.state.Parts[number] = keptPart{p.etag, p.want()}
	u.unsaved++
	few := int64(u.unsaved) < partCount(u.size, u.partSize)/200
	u.saving.Unlock()
	if few {
		return nil
	}
	return u.save()
}

// save saves the state if it has changed.
func (u *upload) save() error {
	u.saving.Lock()
	defer u.saving.Unlock()
	if u.state == nil || u.unsaved == 0 {
		return nil
	}
	u.unsaved = 0
	return saveState(u.opts.State, u.state)
}

// each calls do for the numbers from 1 to n, from jobs goroutines. The first error cancels the
// context of the others.
func each(ctx context.Context, jobs, n int, do func(ctx context.Context, buf []byte, number int) error) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return parallel.Run(inner, min(jobs, n), hashBuffer, numbers(n), func(buf []byte, number int) error {
		err := do(inner, buf, number)
		if err != nil {
			cancel(err)
		}
		return err
	})
}

func numbers(n int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := 1; i <= n && yield(i, nil); i++ {
		}
	}
}

// resume starts an upload or continues the one recorded in the state.
func (u *upload) resume(ctx context.Context) error {
	source, err := fingerprint(u.src, u.size)
	if err != nil {
		return err
	}
	b, err := u.opts.State.Load()
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	var s *uploadState
	if b != nil {
		if s, err = parseUploadState(b); err != nil {
			return err
		}
		switch {
		case s.Object != u.at.String():
			return u.changed("the object was " + rest.Clean(s.Object))
		case s.Size != u.size:
			return u.changed(fmt.Sprintf("the source had %d bytes", s.Size))
		case s.Source != source:
			return u.changed("the source was a different one")
		}
		u.partSize, u.marked = s.PartSize, s.Opaque
	}
	for try := 1; ; try++ {
		if s == nil {
			s = &uploadState{Version: stateVersion, Object: u.at.String(), Size: u.size, PartSize: u.partSize, Source: source, Opaque: u.marked}
			others, err := u.others(ctx)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			s.Others, s.Unlisted = others, err != nil
			if err := saveState(u.opts.State, s); err != nil {
				return err
			}
		} else if s.UploadID == "" && !s.Unlisted {
			if err := u.adopt(ctx, s.Others); err != nil {
				return err
			}
		} else {
			u.id = s.UploadID
		}
		if u.id == "" {
			if err := u.begin(ctx, s.Others, !s.Unlisted); err != nil {
				return err
			}
		}
		if s.UploadID != u.id {
			s.UploadID, s.Others = u.id, nil
			if err := saveState(u.opts.State, s); err != nil {
				return err
			}
		}
		u.state, u.known = s, maps.Clone(s.Parts)
		there, err := u.c.listParts(ctx, u.at, u.id)
		if err == nil {
			err = u.run(ctx, there)
		}
		if errors.Is(err, errUnmarked) {
			if err := u.mark(ctx); err != nil {
				return err
			}
			s, u.state, u.known = nil, nil, nil
			continue
		}
		if err == nil || !isNoSuchUpload(err) || try == maxBegun {
			return err
		}
		// The upload was completed before a crash kept the state from being removed, or it
		// was aborted, or has expired.
		u.forget()
		if done, err := u.finished(ctx); done || err != nil {
			return err
		}
		u.forget()
		s, u.state, u.known = nil, nil, nil
	}
}

// finished reports whether the object exists with the content of the source. It reads the
// source only if the size and the ETag of the object match.
func (u *upload) finished(ctx context.Context) (bool, error) {
	i, err := u.c.Head(ctx, u.at)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n := partCount(u.size, u.partSize)
	_, parts, sum := parseETag(i.ETag)
	kept := int64(len(u.known)) == n // all were sent, and their ETags are not MD5 sums
	if i.Size != u.size || !kept && (!sum || parts > 0 && parts != n) {
		return false, nil
	}
	err = each(ctx, 2, int(n), func(_ context.Context, buf []byte, number int) error {
		off := int64(number-1) * u.partSize
		p := sentPart{size: min(u.partSize, u.size-off), proved: true}
		_, sum, err := u.c.sums(u.src, off, p.size, buf)
		p.md5 = sum
		if p.etag = p.want(); kept {
			p.etag = u.known[number].ETag
		}
		u.put(number, p)
		return err
	})
	if err != nil {
		return false, err
	}
	switch err := u.check(ctx, u.size, false); {
	case errors.Is(err, ErrChecksum), errors.Is(err, ErrAccess), errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	u.found.Store(n)
	if u.sent != nil {
		u.sent(u.size)
	}
	return true, nil
}
