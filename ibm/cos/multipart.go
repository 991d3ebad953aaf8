package cos

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/luksimg/luksimg/internal/fetch"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/sigv4"
)

// The limits of an upload. See "Storing large objects" in IBM's documentation of Object Storage.
const (
	MinPart   = 5 << 20 // bytes, except for the last part
	MaxPart   = 5 << 30
	MaxParts  = 10_000
	MaxObject = 10 << 40
)

func partCount(size, partSize int64) int64 {
	n := size / partSize
	if size%partSize != 0 {
		n++
	}
	return n
}

// choosePart returns the part size for an object: asked, if it is valid, or if asked is 0 a size of at
// least smallest. An object that is too large matches [ErrTooLarge].
func choosePart(size, asked, smallest int64) (int64, error) {
	if size < 0 {
		return 0, fmt.Errorf("cos: invalid size of %d bytes", size)
	}
	if size > MaxObject {
		return 0, fmt.Errorf("%w: %d bytes exceed the limit of %d (10 TB)", ErrTooLarge, size, int64(MaxObject))
	}
	if asked == 0 {
		// Round up to a multiple of a MiB that needs at most MaxParts parts.
		least := partCount(partCount(size, MaxParts), 1<<20) << 20
		return max(smallest, least), nil
	}
	if asked < MinPart || asked > MaxPart {
		return 0, fmt.Errorf("cos: part size %d is not between %d and %d bytes", asked, MinPart, int64(MaxPart))
	}
	if n := partCount(size, asked); n > MaxParts {
		least := (size + MaxParts - 1) / MaxParts
		return 0, rest.WithHint(fmt.Errorf("%w: %d bytes in parts of %d make %d parts, more than the limit of %d", ErrTooLarge, size, asked, n, MaxParts),
			fmt.Sprintf("use parts of at least %d bytes, or omit the part size", least))
	}
	return asked, nil
}

// A multipart is an unfinished upload and its sent parts.
type multipart struct {
	c        *Client
	at       Object
	id       string
	partSize int64       // 0 if they differ
	src      io.ReaderAt // the source, if it can be read again
	known    map[int]keptPart
	sent     func(int64)

	mu    sync.Mutex
	parts map[int]sentPart // by number; only number 0 for an object sent in one request
	doubt bool             // the ETag of a part differs from its MD5 sum even after retries

	marks, marked bool // the object must be marked as opaque; it is marked

	trial         sync.Mutex
	tried, strict bool // the service was tested, and refuses a wrong MD5 sum

	whole string // the ETag of the object from the completing response
	has   string // the ETag of the object from a later HEAD
	blind bool   // only the size of the object could be verified
}

type sentPart struct {
	etag   string
	md5    [md5.Size]byte
	size   int64
	proved bool // the service stored the sent data
}

// want returns the ETag expected from the MD5 sum.
func (p sentPart) want() string { return hex.EncodeToString(p.md5[:]) }

func (m *multipart) put(number int, p sentPart) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.parts == nil {
		m.parts = map[int]sentPart{}
	}
	m.parts[number] = p
}

// others returns the IDs of the existing uploads of the object.
func (m *multipart) others(ctx context.Context) ([]string, error) {
	uploads, err := m.c.Uploads(ctx, m.at.Region, m.at.Bucket, m.at.Key)
	var ids []string
	for _, u := range uploads {
		if u.Key == m.at.Key {
			ids = append(ids, u.UploadID)
		}
	}
	return ids, err
}

// begin starts the upload. If the outcome is unclear, it looks for a new upload of the
// object and adopts it, so that none is left behind. It does not look if listed is
// false, since others is then unknown.
func (m *multipart) begin(ctx context.Context, others []string, listed bool) error {
	return m.c.retry(ctx, false, func() error {
		id, err := m.c.createUpload(ctx, m.at, m.partSize, m.marked)
		if err != nil && listed && passing(err) && !throttled(err) && ctx.Err() == nil {
			e := m.adopt(ctx, others)
			switch {
			case m.id != "":
				return nil
			case e != nil: // another attempt could leave this one behind
				return fetch.Final(fmt.Errorf("%w; checking whether the upload started anyway: %v", err, e))
			}
		}
		m.id = id
		return err
	})
}

// adopt uses the single upload of the object that is not among others, if it exists.
func (m *multipart) adopt(ctx context.Context, others []string) error {
	now, err := m.others(ctx)
	if err != nil {
		return err
	}
	now = slices.DeleteFunc(now, func(id string) bool { return slices.Contains(others, id) })
	if len(now) == 1 {
		m.id = now[0]
	}
	return nil
}

// start lists the uploads of the object and starts one.
func (m *multipart) start(ctx context.Context) error {
	others, err := m.others(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return m.begin(ctx, others, err == nil)
}

// sums computes the MD5 and SHA-256 sums of a range of the source. The request signature covers
// the MD5 sum, so that it protects the part even over an unencrypted connection.
func (c *Client) sums(src io.ReaderAt, off, size int64, buf []byte) (*payload, [md5.Size]byte, error) {
	m := md5.New()
	n, err := io.CopyBuffer(onlyWriter{m}, io.NewSectionReader(src, off, size), buf)
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, [md5.Size]byte{}, fmt.Errorf("source at offset %d: %w", off+n, err)
	}
	p := &payload{src: src, off: off, size: size, md5: m.Sum(nil), sha256: sigv4.UnsignedPayload}
	return p, [md5.Size]byte(p.md5), nil
}

type onlyWriter struct{ io.Writer }

// send uploads a range of the source as a part. Number 0 is the whole object
// in one request. send skips parts that the service already has.
func (m *multipart) send(ctx context.Context, number int, src io.ReaderAt, off, size int64, buf []byte, there map[int]part) (skipped bool, err error) {
	var mark int64
	for try := 1; ; try++ {
		p, sum, err := m.c.sums(src, off, size, buf)
		if err != nil {
			return false, err
		}
		part := sentPart{md5: sum, size: size, proved: true}
		if has := there[number]; has.number > 0 && has.size == size && (has.etag == part.want() || m.known[number] == keptPart{has.etag, part.want()}) {
			part.etag = has.etag
			m.put(number, part)
			if m.sent != nil {
				m.sent(size)
			}
			return true, nil
		}
		p.sent, p.mark = m.sent, mark
		var h http.Header
		if number == 0 {
			h, err = m.c.put(ctx, m.at, p)
		} else {
			h, err = m.c.putPart(ctx, m.at, m.id, number, p)
		}
		mark = p.mark
		if part.etag = unquote(h.Get("Etag")); err == nil && part.etag == "" {
			return false, fmt.Errorf("%v: part %d was stored without an ETag", m.at, number)
		}
		var answer *Error
		if errors.As(err, &answer) && (answer.Code == "BadDigest" || answer.Code == "XAmzContentSHA256Mismatch") {
			err = fmt.Errorf("%w: the source changed during the upload, or the data was damaged in transit: %w", ErrChecksum, err)
		} else if err == nil && part.etag != part.want() {
			part.proved, err = m.vouch(ctx, number, h, p, buf)
			if err == nil && !part.proved && !m.later(number, part.etag, try) {
				err = fmt.Errorf("part %d: %w", number, m.mismatch(part.etag, part.want()))
			}
			if err == nil && number > 0 && m.marks && !m.marked {
				return false, errUnmarked
			}
		}
		if err == nil {
			m.put(number, part)
			return false, nil
		}
		if try == 3 || !errors.Is(err, ErrChecksum) {
			return false, err
		}
	}
}

// errUnmarked means that the upload must start again with the mark that its ETag is not an MD5 sum.
// Without the mark a download would report damage.
var errUnmarked = errors.New("the ETags of the service are not MD5 sums")

// later reports whether the check of a part is deferred to the end, when the object
// can be read.
func (m *multipart) later(number int, etag string, try int) bool {
	if _, _, sum := parseETag(etag); !sum || number == 0 {
		return !sum
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.doubt = m.doubt || try == 3
	return m.doubt
}

func (m *multipart) mismatch(has, want string) error {
	return fmt.Errorf("%v: %w: the ETag is %s, want %s", m.at, ErrChecksum, rest.Clean(has), want)
}

// etag returns the expected ETag of the object: the MD5 of the MD5 sums, and the number of parts.
func (m *multipart) etag() string {
	if one, ok := m.parts[0]; ok {
		return one.want()
	}
	h := md5.New()
	for n := 1; n <= len(m.parts); n++ {
		p := m.parts[n]
		h.Write(p.md5[:])
	}
	return fmt.Sprintf("%x-%d", h.Sum(nil), len(m.parts))
}

// completeStall is the time allowed for the service to assemble the parts.
const completeStall = 10 * time.Minute

// complete assembles the object from its parts and checks that it exists. After a failure
// whose outcome is unclear, it checks the object before a retry.
func (m *multipart) complete(ctx context.Context, size int64) error {
	type xmlPart struct {
		PartNumber int
		ETag       string
	}
	var x struct {
		XMLName xml.Name  `xml:"CompleteMultipartUpload"`
		Part    []xmlPart `xml:"Part"`
	}
	for n := 1; n <= len(m.parts); n++ {
		p, ok := m.parts[n]
		if !ok {
			return fmt.Errorf("cos: part %d of %d was not sent", n, len(m.parts))
		}
		x.Part = append(x.Part, xmlPart{n, `"` + p.etag + `"`})
	}
	b, err := xml.Marshal(x)
	if err != nil {
		return err
	}
	r := &request{method: http.MethodPost, at: m.at, query: url.Values{"uploadId": {m.id}}, header: http.Header{"Content-Type": {"application/xml"}}, once: true, stall: completeStall}
	err = m.c.retry(ctx, false, func() error {
		r.body = small(b)
		h, answer, err := m.c.do(ctx, r)
		if err == nil {
			err = m.parseComplete(r, h, answer)
		}
		switch {
		case err == nil, ctx.Err() != nil, throttled(err), !passing(err) && !isNoSuchUpload(err):
			return err
		case m.check(ctx, size, false) == nil:
			// The object exists, by this request or from before.
			return m.c.Abort(ctx, m.at, m.id)
		}
		return err
	})
	var answer *Error
	if _, unproved, _ := m.evidence(); unproved && errors.As(err, &answer) && answer.Code == "InvalidPart" {
		err = fmt.Errorf("%w: a stored part differs from the ETag that the service returned: %w", ErrChecksum, err)
	}
	if err != nil {
		return err
	}
	return m.check(ctx, size, true)
}

// parseComplete parses a response with status 200. Its body can be an error, because
// the service sends the status before it assembles the object.
func (m *multipart) parseComplete(r *request, h http.Header, b []byte) error {
	var x struct {
		XMLName xml.Name
		ETag    string
	}
	if err := xml.Unmarshal(b, &x); err != nil {
		return fmt.Errorf("%v: the response to CompleteMultipartUpload is truncated", m.at)
	}
	if x.XMLName.Local == "Error" {
		return m.c.parseError(r, &http.Response{StatusCode: http.StatusOK, Header: h}, b)
	}
	m.whole = unquote(x.ETag)
	return nil
}

// abort aborts the upload, even if ctx is done.
func (m *multipart) abort(ctx context.Context) error {
	if m.id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return m.c.Abort(ctx, m.at, m.id)
}

// aborted aborts the upload and returns err, extended by a failure of the abort.
func (m *multipart) aborted(ctx context.Context, err error) error {
	if e := m.abort(ctx); e != nil {
		return fmt.Errorf("%w; aborting the upload failed, so its parts remain: %v", err, e)
	}
	return err
}

func isNoSuchUpload(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Code == codeNoSuchUpload || e.Code == "" && e.Status == http.StatusNotFound && e.Method != http.MethodHead)
}

// inMemory returns a source that reads b.
func inMemory(b []byte) io.ReaderAt { return bytes.NewReader(b) }
