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

// DownloadOptions say how [Client.Download] works. The zero value is right for most.
type DownloadOptions struct {
	// Jobs is how many ranges are fetched at a time. The default is 4.
	Jobs int
	// State, if not nil, makes the download resumable: the same call goes on where one
	// failed. dst must then be an [io.ReaderAt] too, as files are: what it has is hashed again.
	State StateStore
	// Progress, if not nil, is called with how many bytes more are there. It must not
	// block, and is called from several goroutines.
	Progress func(n int64)
}

// A DownloadResult says what was fetched.
type DownloadResult struct {
	Info
	// Verified tells that the content was compared with the ETag, or, where that is no MD5 sum, with a
	// checksum of the service or of this package. It can not be if the ETag is that of parts whose size is not
	// known, and there is no other checksum; and what is of a single part only if dst is an [io.ReaderAt].
	Verified bool
	Found    int64 // bytes that an earlier attempt had fetched
}

// A downloadState is what is known of a download that is under way.
type downloadState struct {
	Version   int    `json:"version"`
	Object    string `json:"object"`
	Size      int64  `json:"size"`
	ETag      string `json:"etag"`
	ChunkSize int64  `json:"chunk_size"`
	// MD5 has the sum of each chunk in hexadecimal, or "" where it is not there.
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
		return nil, fmt.Errorf("state of the download: %d bytes in %d chunks of %d", s.Size, len(s.MD5), s.ChunkSize)
	}
	for _, sum := range s.MD5 {
		if b, err := hex.DecodeString(sum); err != nil || len(b) != 0 && len(b) != md5.Size {
			return nil, fmt.Errorf("state of the download: %q is no MD5 sum", rest.Clean(sum))
		}
	}
	return s, nil
}

// Download writes an object to dst, from its start, by parallel requests. An object that is
// replaced meanwhile is an error that matches [ErrChanged], as is State of another one;
// and content that is not what its ETag tells one that matches [ErrChecksum]. After an
// error dst has some of it.
func (c *Client) Download(ctx context.Context, o Object, dst io.WriterAt, opts DownloadOptions) (DownloadResult, error) {
	info, err := c.Head(ctx, o)
	if err != nil {
		return DownloadResult{}, err
	}
	d := &download{c: c, at: o, info: info, dst: dst, opts: opts}
	d.back, _ = dst.(io.ReaderAt)
	if opts.State != nil && d.back == nil {
		return DownloadResult{}, errors.New("cos: a download is resumable only into what can be read too")
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
		if opts.State != nil { // there is nothing to go on with
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
	back io.ReaderAt // dst, if it is one
	opts DownloadOptions

	sum     []byte // of the ETag, or nil if that is opaque
	parts   int64  // of the ETag, or 0
	guessed bool   // that a chunk is a part

	mu      sync.Mutex
	state   downloadState
	found   int64
	unsaved int
}

// plan chooses the size of the chunks, if it can that of the parts of the upload, and
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
		return fmt.Errorf("download of %v: %w: the state is of another object, or of another version of it; remove it to start again", d.at, ErrChanged)
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
		// Most programs have parts of a power of two: is there one that gives this many?
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

// there returns the sum of what dst has, or "" if it has not that much.
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

// save writes the state: not after each of very many chunks, but when told to.
func (d *download) save(now bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unsaved++; !now && d.unsaved < len(d.state.MD5)/200 {
		return nil
	}
	d.unsaved = 0
	return saveState(d.opts.State, d.state)
}

// verify compares what came with the ETag, and if that says nothing, or something else, with the
// checksum of the service. It reports whether it could.
func (d *download) verify() (bool, error) {
	same, known, err := d.verifyETag()
	if err != nil || same {
		return same, err
	}
	if c := d.info.checksum; d.back != nil && c.usable(d.info.Size, d.info.PartSize) {
		same, err := c.matches(d.back, 0, d.info.Size, d.info.PartSize, make([]byte, hashBuffer))
		if err == nil && !same {
			err = fmt.Errorf("%v: %w: its content is not what its checksum tells", d.at, ErrChecksum)
		}
		return same, err
	}
	if known && (!d.info.opaque || d.info.md5 != nil) {
		return false, d.mismatch()
	}
	return false, nil
}

// verifyETag compares what came with the ETag, or, for an object that was sent in one request, with the MD5
// sum that this package kept with it. known tells that it could, and same that it is the same.
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
			return false, false, fmt.Errorf("%v: what was written cannot be read again: %w", d.at, io.ErrUnexpectedEOF)
		}
		return all == hex.EncodeToString(sum), true, nil
	}
	return d.info.Size == 0 && bytes.Equal(h.Sum(nil), sum), d.info.Size == 0, nil
}

func (d *download) mismatch() error {
	return fmt.Errorf("%v: %w: its content is not what its ETag %s tells", d.at, ErrChecksum, rest.Clean(d.info.ETag))
}
