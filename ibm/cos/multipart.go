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
	MinPart   = 5 << 20 // bytes, but for the last part
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

// choosePart returns the size of the parts of an object: what was asked for, if that is
// allowed, or else at least smallest. An object that is too large matches [ErrTooLarge].
func choosePart(size, asked, smallest int64) (int64, error) {
	if size < 0 {
		return 0, fmt.Errorf("cos: a size of %d bytes", size)
	}
	if size > MaxObject {
		return 0, fmt.Errorf("%w: %d bytes, and Object Storage takes %d (10 TB) at most", ErrTooLarge, size, int64(MaxObject))
	}
	if asked == 0 {
		// A multiple of a MiB that needs no more parts than there may be.
		least := partCount(partCount(size, MaxParts), 1<<20) << 20
		return max(smallest, least), nil
	}
	if asked < MinPart || asked > MaxPart {
		return 0, fmt.Errorf("cos: parts of %d bytes, but %d to %d are allowed", asked, MinPart, int64(MaxPart))
	}
	if n := partCount(size, asked); n > MaxParts {
		least := (size + MaxParts - 1) / MaxParts
		return 0, rest.WithHint(fmt.Errorf("%w: %d bytes in parts of %d make %d parts, and %d are allowed", ErrTooLarge, size, asked, n, MaxParts),
			fmt.Sprintf("parts must have at least %d bytes; without a size of parts a fitting one is chosen", least))
	}
	return asked, nil
}

// A multipart is an upload that is under way: its parts that are sent.
type multipart struct {
	c        *Client
	at       Object
	id       string
	partSize int64       // 0 if they differ
	src      io.ReaderAt // what is sent, if all of it can be read again
	known    map[int]keptPart
	sent     func(int64)

	mu    sync.Mutex
	parts map[int]sentPart // 0 alone for an object that was sent in one request
	doubt bool             // a part has an ETag that is not its MD5 sum, however often it is sent

	marks, marked bool // an object whose ETag is no MD5 sum is to say so; and it does

	trial         sync.Mutex
	tried, strict bool // the service was tried, and refuses a wrong MD5 sum

	whole string // the ETag of the object, as the answer to the last request told
	has   string // the one that was found afterwards
	blind bool   // nothing tells that the object is what was sent, but its size
}

type sentPart struct {
	etag   string
	md5    [md5.Size]byte
	size   int64
	proved bool // what is stored is what was sent
}

// want returns the ETag that is the MD5 sum.
func (p sentPart) want() string { return hex.EncodeToString(p.md5[:]) }

func (m *multipart) put(number int, p sentPart) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.parts == nil {
		m.parts = map[int]sentPart{}
	}
	m.parts[number] = p
}

// others returns the ids of the uploads of the object that are there.
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

// begin makes the upload. If it is not clear whether that worked, it looks for an upload of the
// object that was not there before, so that none is left behind; unless listed is
// false: others are not known.
func (m *multipart) begin(ctx context.Context, others []string, listed bool) error {
	return m.c.retry(ctx, false, func() error {
		id, err := m.c.createUpload(ctx, m.at, m.partSize, m.marked)
		if err != nil && listed && passing(err) && !throttled(err) && ctx.Err() == nil {
			e := m.adopt(ctx, others)
			switch {
			case m.id != "":
				return nil
			case e != nil: // one more could be one too many
				return fetch.Final(fmt.Errorf("%w; and whether it worked all the same is not known: %v", err, e))
			}
		}
		m.id = id
		return err
	})
}

// adopt takes the one upload of the object that is not among others, if there is one.
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

// start lists the uploads of the object and begins one.
func (m *multipart) start(ctx context.Context) error {
	others, err := m.others(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return m.begin(ctx, others, err == nil)
}

// sums reads part of a source for its MD5, which is signed with the request and so stands
// for the part, also where the way to the service is not encrypted.
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

// send uploads part of a source as the part of that number: number 0 is the object as a
// whole, in one request. Parts that the service has already may be skipped.
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
			err = fmt.Errorf("%w: the source changed while it was sent, or it was damaged on its way: %w", ErrChecksum, err)
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

// errUnmarked ends an upload that has to begin anew, as only then can the object tell that its ETag is no
// MD5 sum, which a download could take for damage.
var errUnmarked = errors.New("the ETags of the service are no MD5 sums")

// later reports whether a part that nothing vouches for is compared at the end, when the object
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
	return fmt.Errorf("%v: %w: the service has %s, and %s was sent", m.at, ErrChecksum, rest.Clean(has), want)
}

// etag returns what the ETag of the whole must be: the MD5 of the MD5s, and their number.
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

// completeStall is how long the service may take to put the parts together.
const completeStall = 10 * time.Minute

// complete makes the object of its parts, and checks that it is there. Where a request
// may have worked although it failed, it looks before it tries again.
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
			// It is there: be it that this request did it, or that the same was there before.
			return m.c.Abort(ctx, m.at, m.id)
		}
		return err
	})
	var answer *Error
	if _, unproved, _ := m.evidence(); unproved && errors.As(err, &answer) && answer.Code == "InvalidPart" {
		err = fmt.Errorf("%w: a part is not what the service said: %w", ErrChecksum, err)
	}
	if err != nil {
		return err
	}
	return m.check(ctx, size, true)
}

// parseComplete reads the answer of status 200, which may be an error all the same, as
// the status is sent before the work is done.
func (m *multipart) parseComplete(r *request, h http.Header, b []byte) error {
	var x struct {
		XMLName xml.Name
		ETag    string
	}
	if err := xml.Unmarshal(b, &x); err != nil {
		return fmt.Errorf("%v: the answer to the end of the upload is cut off", m.at)
	}
	if x.XMLName.Local == "Error" {
		return m.c.parseError(r, &http.Response{StatusCode: http.StatusOK, Header: h}, b)
	}
	m.whole = unquote(x.ETag)
	return nil
}

// abort gives the upload up, also if ctx is done.
func (m *multipart) abort(ctx context.Context) error {
	if m.id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return m.c.Abort(ctx, m.at, m.id)
}

// aborted adds to an error that the upload could not be given up.
func (m *multipart) aborted(ctx context.Context, err error) error {
	if e := m.abort(ctx); e != nil {
		return fmt.Errorf("%w; and what was uploaded is still there: %v", err, e)
	}
	return err
}

func isNoSuchUpload(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Code == codeNoSuchUpload || e.Code == "" && e.Status == http.StatusNotFound && e.Method != http.MethodHead)
}

// inMemory is a buffer as a source.
func inMemory(b []byte) io.ReaderAt { return bytes.NewReader(b) }
