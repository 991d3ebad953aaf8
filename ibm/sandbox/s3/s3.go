// Package s3 is a server of the S3 protocol with the ways of IBM Cloud Object Storage,
// for tests and for trying things out: buckets with a location, objects, multipart
// uploads, bearer tokens and HMAC signatures. It really checks the signatures, hashes
// and sizes that clients of the service would be refused for.
//
// A [Server] is an http.Handler. What it stores is in files of one folder, and what it
// knows of them in memory: it is gone when the server is closed, unless it is kept.
package s3

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Options say what a [Server] is. The zero value is one that lets nobody in.
type Options struct {
	// Token tells whose a bearer token is, if it is valid. nil refuses all.
	Token func(ctx context.Context, bearer string) (account string, ok bool)

	// HMAC looks an access key up: its secret, and whose it is. nil refuses all.
	HMAC func(accessKey string) (secret []byte, account string, ok bool)

	// Access tells whether a bearer token that is valid may read, or write. nil lets it.
	Access func(ctx context.Context, bearer string, write bool) bool

	// Dir is the folder for the content of the objects. The default is a temporary one.
	// Close removes what was put there, without Keep.
	Dir string

	// Keep uses Dir, which then must be set, for what is stored between runs: New loads
	// what [Server.Save] wrote there.
	Keep bool

	// Location is where buckets are that are made without one. The default is
	// "us-south-standard".
	Location string

	// MinPart is the least size of a part but the last, in bytes. The default is 5 MiB,
	// which is that of the service.
	MinPart int64

	// Now tells the time. The default is the clock's.
	Now func() time.Time
}

// A Server stores objects. It is safe for concurrent use.
type Server struct {
	o   Options
	dir string // made by New below Options.Dir, or that itself

	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	owner    string // an account
	location string
	rootKey  string // CRN, or ""
	created  time.Time
	objects  map[string]*object
	uploads  map[string]*upload
}

// region returns the location without the storage class.
func (b *bucket) region() string {
	for _, class := range []string{"-standard", "-vault", "-cold", "-smart"} {
		if r, ok := strings.CutSuffix(b.location, class); ok {
			return r
		}
	}
	return b.location
}

// New returns a server without buckets.
func New(o Options) (*Server, error) {
	if o.Location == "" {
		o.Location = "us-south-standard"
	}
	if o.MinPart <= 0 {
		o.MinPart = 5 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{o: o, buckets: map[string]*bucket{}}
	var err error
	switch {
	case !o.Keep:
		s.dir, err = os.MkdirTemp(o.Dir, "s3-sandbox-")
	case o.Dir == "":
		err = errors.New("sandbox/s3: Keep needs a folder")
	default:
		if s.dir, err = o.Dir, os.MkdirAll(o.Dir, 0o700); err == nil {
			err = s.load()
		}
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close removes all content, or saves it if it is to be kept.
func (s *Server) Close() error {
	if s.o.Keep {
		return s.Save()
	}
	return os.RemoveAll(s.dir)
}

var (
	// ErrNoBucket is a bucket that is not there.
	ErrNoBucket = errors.New("the specified bucket does not exist")
	// ErrNoKey is an object that is not there.
	ErrNoKey = errors.New("the specified key does not exist")
	// ErrDenied is an account that may not use a bucket.
	ErrDenied = errors.New("access denied")
	// ErrExists is a bucket that is there already.
	ErrExists = errors.New("the bucket exists")
)

// bucketOf returns a bucket that an account may use. The caller holds the lock.
func (s *Server) bucketOf(account, name string) (*bucket, error) {
	b := s.buckets[name]
	switch {
	case b == nil:
		return nil, fmt.Errorf("%w: %s", ErrNoBucket, name)
	case b.owner != account:
		return nil, fmt.Errorf("%w: bucket %s", ErrDenied, name)
	}
	return b, nil
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// CreateBucket makes a bucket of an account. Location is such as "us-south-standard", or "" for
// the default.
func (s *Server) CreateBucket(account, name, location string) error {
	return s.createBucket(account, name, location, "")
}

func (s *Server) createBucket(account, name, location, rootKey string) error {
	if location == "" {
		location = s.o.Location
	}
	if !bucketName.MatchString(name) {
		return fmt.Errorf("bucket name %q is not allowed", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[name] != nil {
		return fmt.Errorf("%w: %s", ErrExists, name)
	}
	s.buckets[name] = &bucket{owner: account, location: location, rootKey: rootKey, created: s.o.Now(), objects: map[string]*object{}, uploads: map[string]*upload{}}
	return nil
}

// Region returns the region of a bucket that an account may use, such as "us-south".
func (s *Server) Region(account, name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucketOf(account, name)
	if err != nil {
		return "", err
	}
	return b.region(), nil
}

// Open opens an object that an account may read. The caller closes it.
func (s *Server) Open(account, bucket, key string) (*Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucketOf(account, bucket)
	if err != nil {
		return nil, err
	}
	o := b.objects[key]
	if o == nil {
		return nil, fmt.Errorf("%w: %s/%s", ErrNoKey, bucket, key)
	}
	o.readers++
	return &Object{s: s, o: o}, nil
}

// Put stores an object of an account.
func (s *Server) Put(account, bucket, key string, r io.Reader) error {
	blob, err := s.receive(r)
	if err != nil {
		return err
	}
	return s.store(account, bucket, key, &object{blobs: []*blobFile{blob}, size: blob.size, etag: hex.EncodeToString(blob.md5[:]), modified: s.o.Now()})
}

// store puts an object in its bucket, or removes its content.
func (s *Server) store(account, bucket, key string, o *object) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucketOf(account, bucket)
	if err != nil {
		o.remove()
		return err
	}
	b.objects[key].remove()
	b.objects[key] = o
	return nil
}

// newID returns a name for a request or an upload that nobody guesses.
func newID() string {
	b := make([]byte, 16)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Amz-Request-Id", newID())
	h.Set("Server", "luksimg-sandbox")
	if err := s.serve(w, r); err != nil {
		s.refuse(w, r, err)
	}
}

// serve checks who asks, and calls what answers.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) error {
	who, err := s.authenticate(r)
	if err != nil {
		return err
	}
	if write := r.Method != http.MethodGet && r.Method != http.MethodHead; who.bearer && s.o.Access != nil && !s.o.Access(r.Context(), bearer(r), write) {
		return refusal("AccessDenied", "Access Denied")
	}
	c := &call{s: s, w: w, r: r, who: who, q: r.URL.Query()}
	c.bucket, c.key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if err := c.checkRegion(); err != nil {
		return err
	}
	switch {
	case c.bucket == "":
		return c.on(methods{"GET": c.listBuckets})
	case c.key == "" && c.q.Has("location"):
		return c.on(methods{"GET": c.location})
	case c.key == "" && c.q.Has("uploads"):
		return c.on(methods{"GET": c.listUploads})
	case c.key == "":
		return c.on(methods{"PUT": c.createBucket, "HEAD": c.headBucket, "DELETE": c.deleteBucket, "GET": c.listObjects})
	case len(c.key) > 1024:
		return refusal("KeyTooLongError", "Your key is too long.")
	case c.q.Has("uploads"):
		return c.on(methods{"POST": c.createUpload})
	case c.q.Has("uploadId"):
		return c.on(methods{"PUT": c.putPart, "GET": c.listParts, "POST": c.complete, "DELETE": c.abort})
	}
	return c.on(methods{"PUT": c.putObject, "GET": c.getObject, "HEAD": c.getObject, "DELETE": c.deleteObject})
}

// A call is one request that was authenticated.
type call struct {
	s           *Server
	w           http.ResponseWriter
	r           *http.Request
	who         *identity
	q           url.Values
	bucket, key string
}

type methods map[string]func() error

func (c *call) on(m methods) error {
	if f := m[c.r.Method]; f != nil {
		return f()
	}
	return refusal("MethodNotAllowed", "The specified method is not allowed against this resource.")
}

var endpointHost = regexp.MustCompile(`^s3\.(?:private\.|direct\.)?([a-z0-9-]+)\.cloud-object-storage\.`)

// checkRegion refuses a bucket of another region than that of the endpoint, where the name
// of the host tells which that is.
func (c *call) checkRegion() error {
	m := endpointHost.FindStringSubmatch(c.r.Host)
	if m == nil {
		return nil
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	b := c.s.buckets[c.bucket]
	if b == nil || b.region() == m[1] {
		return nil
	}
	c.w.Header().Set("X-Amz-Bucket-Region", b.region())
	e := refusal("PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.")
	e.endpoint = "s3." + b.region() + ".cloud-object-storage.appdomain.cloud"
	return e
}
