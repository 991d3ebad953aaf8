package cos

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/bits"
	"sync"

	"github.com/luksimg/luksimg/internal/rest"
)

// DownloadOptions are the settings of [Client.Download]. The zero value is usable.
type DownloadOptions struct {
	// Jobs is the number of ranges fetched concurrently. Zero means 4.
	Jobs int
	// State, if not nil, makes the download resumable: the same call continues after a failure.
	// It requires that dst is also an [io.ReaderAt], as files are, because Download hashes what dst holds.
	State StateStore
	// Progress, if not nil, is called with the number of additional bytes fetched or found. It must not
	// block, and is called from several goroutines.
	Progress func(n int64)
}

// A DownloadResult describes a finished download.
type DownloadResult struct {
	Info
	// Verified reports whether the content was compared with the ETag or with a checksum. It is false if the
	// ETag is that of parts of unknown size and there is no other checksum. It is also false if the check
	// has to read dst, and dst is not an [io.ReaderAt].
	Verified bool
	Found    int64 // bytes that an earlier attempt fetched
}

// A downloadState is the saved state of an unfinished download.
type downloadState struct {
	Version   int    `json:"version"`
	Object    string `json:"object"`
	Size      int64  `json:"size"`
	ETag      string `json:"etag"`
	ChunkSize int64  `json:"chunk_size"`
	// MD5 has the sum of each chunk in hexadecimal, or "" if it is missing.
	MD5 []string `json:"md5"`
}

func parseDownloadState(b []byte) (*downloadState, error) {
	s := new(downloadState)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("state of the download: %w", err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("state of the download: version %d, want %d", s.Version, stateVersion)
	}
	if s.Size < 0 || s.ChunkSize < 1 || partCount(s.Size, s.ChunkSize) != int64(len(s.MD5)) {
		return nil, fmt.Errorf("state of the download: inconsistent: %d bytes in %d chunks of %d", s.Size, len(s.MD5), s.ChunkSize)
	}
	for _, sum := range s.MD5 {
		if b, err := hex.DecodeString(sum); err != nil || len(b) != 0 && len(b) != md5.Size {
			return nil, fmt.Errorf("state of the download: %q is not an MD5 sum", rest.Clean(sum))
		}
	}
	return s, nil
}

// Download writes an object to dst, starting at offset 0, with parallel requests. If the object is
// replaced during the download, or State belongs to another object, the error matches [ErrChanged].
// If the content does not match its ETag or checksum, the error matches [ErrChecksum]. After an
// error dst holds part of the object.
func (c *Client) Download(ctx context.Context, o Object, dst io.WriterAt, opts DownloadOptions) (DownloadResult, error) {
	info, err := c.Head(ctx, o)
	if err != nil {
		return DownloadResult{}, err
	}
	d := &download{c: c, at: o, info: info, dst: dst, opts: opts}
	d.back, _ = dst.(io.ReaderAt)
	if opts.State != nil && d.back == nil {
		return DownloadResult{}, errors.New("cos: a resumable download requires a destination that implements io.ReaderAt")
	}
	if err := d.plan(); err != nil {
		return DownloadResult{}, err
	}
	if err := d.run(ctx); err != nil {
		if opts.State != nil {
			err = errors.Join(err, d.save(true))
		}
		return DownloadResult{}, err
	}
	r := DownloadResult{Info: info, Found: d.found}
	if r.Verified, err = d.verify(); err != nil {
		if opts.State != nil { // nothing to resume
			err = errors.Join(err, opts.State.Remove())
		}
		return DownloadResult{}, err
	}
	if opts.State != nil {
		return r, opts.State.Remove()
	}
	return r, nil
}

type download struct {
	c    *Client
	at   Object
	info Info
	dst  io.WriterAt
	back io.ReaderAt // dst, if it is an io.ReaderAt
	opts DownloadOptions

	sum     []byte // from the ETag, or nil if that is opaque
	parts   int64  // from the ETag, or 0
	guessed bool   // the part size is a guess

	mu      sync.Mutex
	state   downloadState
	found   int64
	unsaved int
}

// plan chooses the chunk size, which is the part size of the upload if that is known, and
// reads the state.
func (d *download) plan() error {
	if sum, parts, ok := parseETag(d.info.ETag); ok {
		d.sum, d.parts = sum, parts
	}
	size := d.info.Size
	d.state = downloadState{Version: stateVersion, Object: d.at.String(), Size: size, ETag: d.info.ETag, ChunkSize: d.chunk()}
	d.state.MD5 = make([]string, partCount(size, d.state.ChunkSize))
	if d.opts.State == nil {
		return nil
	}
	b, err := d.opts.State.Load()
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if b == nil {
		return nil
	}
	s, err := parseDownloadState(b)
	if err != nil {
		return err
	}
	if s.Object != d.state.Object || s.Size != size || s.ETag != d.info.ETag || s.ChunkSize != d.state.ChunkSize {
		return fmt.Errorf("download of %v: %w: the state belongs to another object or version: remove it to start again", d.at, ErrChanged)
	}
	d.state = *s
	return nil
}

func (d *download) chunk() int64 {
	size := d.info.Size
	if p := d.info.PartSize; p >= MinPart && p <= MaxPart && partCount(size, p) <= MaxParts && (d.parts == 0 || partCount(size, p) == d.parts) {
		return p
	}
	d.guessed = true
	if d.parts > 0 {
		// Most programs use a power of two: find one that gives this number of parts.
		if p := int64(1) << bits.Len64(uint64((size-1)/d.parts)); p >= MinPart && p <= MaxPart && partCount(size, p) == d.parts {
			return p
		}
	}
	return max(16<<20, partCount(partCount(size, MaxParts), 1<<20)<<20)
}

func (d *download) run(ctx context.Context) error {
	jobs := d.opts.Jobs
	if jobs <= 0 {
		jobs = 4
	}
	n := len(d.state.MD5)
	return each(ctx, jobs, n, func(ctx context.Context, buf []byte, number int) error {
		off := int64(number-1) * d.state.ChunkSize
		length := min(d.state.ChunkSize, d.info.Size-off)
		d.mu.Lock()
		known := d.state.MD5[number-1]
		d.mu.Unlock()
		h := md5.New()
		if known != "" && d.there(h, off, length, buf) == known {
			d.mu.Lock()
			d.found += length
			d.mu.Unlock()
			d.progress(length)
			return nil
		}
		h.Reset()
		err := d.c.fetch(ctx, d.at, d.info, off, length, func(b []byte, at int64) error {
			h.Write(b)
			_, err := d.dst.WriteAt(b, at)
			d.progress(int64(len(b)))
			return err
		})
		if err != nil {
			return err
		}
		d.mu.Lock()
		d.state.MD5[number-1] = hex.EncodeToString(h.Sum(nil))
		d.mu.Unlock()
		if d.opts.State == nil {
			return nil
		}
		return d.save(false)
	})
}

// there returns the MD5 sum of n bytes of dst at off, or "" if dst is shorter.
func (d *download) there(h hash.Hash, off, n int64, buf []byte) string {
	if k, err := io.CopyBuffer(onlyWriter{h}, io.NewSectionReader(d.back, off, n), buf); err != nil || k < n {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (d *download) progress(n int64) {
	if d.opts.Progress != nil {
		d.opts.Progress(n)
	}
}

// save writes the state. Unless now is set, it skips most calls of a download with many chunks.
func (d *download) save(now bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unsaved++; !now && d.unsaved < len(d.state.MD5)/200 {
		return nil
	}
	d.unsaved = 0
	return saveState(d.opts.State, d.state)
}

// verify compares the content with the ETag and, if that does not match or says nothing, with the
// checksum of the service. It reports whether it could compare.
func (d *download) verify() (bool, error) {
	same, known, err := d.verifyETag()
	if err != nil || same {
		return same, err
	}
	if c := d.info.checksum; d.back != nil && c.usable(d.info.Size, d.info.PartSize) {
		same, err := c.matches(d.back, 0, d.info.Size, d.info.PartSize, make([]byte, hashBuffer))
		if err == nil && !same {
			err = fmt.Errorf("%v: %w: the content does not match the checksum", d.at, ErrChecksum)
		}
		return same, err
	}
	if known && (!d.info.opaque || d.info.md5 != nil) {
		return false, d.mismatch()
	}
	return false, nil
}

// verifyETag compares the content with the ETag. For an object that was sent in one request, it can also use the MD5
// sum in the metadata. known reports whether it could compare, and same whether they match.
func (d *download) verifyETag() (same, known bool, err error) {
	h := md5.New()
	sum := d.sum
	if d.info.md5 != nil && d.parts == 0 {
		sum = d.info.md5
	}
	switch {
	case sum == nil:
		return false, false, nil
	case d.parts > 0:
		for _, sum := range d.state.MD5 {
			b, _ := hex.DecodeString(sum)
			h.Write(b)
		}
		same = bytes.Equal(h.Sum(nil), sum)
		return same, !d.guessed, nil
	case len(d.state.MD5) == 1:
		b, _ := hex.DecodeString(d.state.MD5[0])
		same = bytes.Equal(b, sum)
		return same, true, nil
	case d.back != nil && d.info.Size > 0:
		all := d.there(h, 0, d.info.Size, make([]byte, hashBuffer))
		if all == "" {
			return false, false, fmt.Errorf("%v: reading back the written data: %w", d.at, io.ErrUnexpectedEOF)
		}
		return all == hex.EncodeToString(sum), true, nil
	}
	return d.info.Size == 0 && bytes.Equal(h.Sum(nil), sum), d.info.Size == 0, nil
}

func (d *download) mismatch() error {
	return fmt.Errorf("%v: %w: the content does not match ETag %s", d.at, ErrChecksum, rest.Clean(d.info.ETag))
}
