package s3

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"time"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

const blobPrefix = "blob-"

// A blobFile is a file with a part of an object, or all of it.
type blobFile struct {
	name string
	size int64
	md5  [md5.Size]byte
	sum  checksum // from the upload, if any
}

// receive writes the bytes of r to a file.
func (s *Server) receive(r io.Reader) (*blobFile, error) {
	f, err := os.CreateTemp(s.dir, blobPrefix)
	if err != nil {
		return nil, err
	}
	h := md5.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(f, h)}, r, make([]byte, 128<<10))
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(f.Name())
		return nil, err
	}
	return &blobFile{name: f.Name(), size: n, md5: [md5.Size]byte(h.Sum(nil))}, nil
}

// newObject creates an object from blobs. Its entity tag is the MD5 sum of a single blob, or derived from those of the parts.
func newObject(modified time.Time, header http.Header, etag string, blobs ...*blobFile) *object {
	o := &object{blobs: blobs, modified: modified, header: header, etag: etag}
	for _, b := range blobs {
		o.size += b.size
		o.ends = append(o.ends, o.size)
	}
	if etag == "" {
		o.etag, o.sum = hexOf(blobs[0].md5[:]), blobs[0].sum
	}
	return o
}

// An object is immutable content. The lock of the server guards its reader count.
type object struct {
	blobs    []*blobFile
	ends     []int64 // offsets of the ends of the blobs
	size     int64
	etag     string
	modified time.Time
	header   http.Header // the stored headers
	sum      checksum
	tags     []tag // mutable

	readers int
	removed bool
}

// remove removes the content as soon as nobody reads it. The caller holds the lock, or has the only
// reference to o. o may be nil.
func (o *object) remove() {
	if o == nil {
		return
	}
	o.removed = true
	if o.readers > 0 {
		return
	}
	for _, b := range o.blobs {
		os.Remove(b.name)
	}
}

// An Object is an open object. Its content does not change, even if the object is replaced or deleted.
// Reading is safe for concurrent use.
type Object struct {
	s      *Server
	o      *object
	closed bool
}

// Size returns the length in bytes.
func (o *Object) Size() int64 { return o.o.size }

// ETag returns the entity tag, without quotes.
func (o *Object) ETag() string { return o.o.etag }

// Close releases the object.
func (o *Object) Close() error {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	if o.closed {
		return os.ErrClosed
	}
	o.closed = true
	o.o.readers--
	if o.o.removed {
		o.o.remove()
	}
	return nil
}

// ReadAt implements [io.ReaderAt]. It opens files only while it reads, since an object can have ten
// thousand parts.
func (o *Object) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read at invalid offset %d", off)
	}
	for n < len(p) {
		if off >= o.o.size {
			return n, io.EOF
		}
		i, start := o.o.find(off)
		b := o.o.blobs[i]
		k, err := readFile(b.name, p[n:min(int64(len(p)), int64(n)+b.size-(off-start))], off-start)
		n += k
		off += int64(k)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// find returns the index of the blob that holds the byte at off, and the offset of the blob.
func (o *object) find(off int64) (int, int64) {
	i := sort.Search(len(o.ends), func(i int) bool { return o.ends[i] > off })
	return i, o.ends[i] - o.blobs[i].size
}

func readFile(name string, p []byte, off int64) (int, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	return n, err
}
