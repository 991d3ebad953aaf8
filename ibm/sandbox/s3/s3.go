// Package s3 is an S3 server that behaves like IBM Cloud Object Storage, for tests and experiments.
// It has buckets with a location, objects, multipart uploads, bearer tokens and HMAC signatures.
// Like the service, it verifies signatures, hashes and sizes.
//
// A [Server] is an http.Handler. It stores content in files of one folder, and the index in
// memory. Close removes both unless [Options.Keep] is set.
package s3

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Options are the settings of a [Server]. The zero value refuses all requests.
type Options struct {
	// Token returns the account of a valid bearer token. Nil refuses all.
	Token func(ctx context.Context, bearer string) (account string, ok bool)

	// HMAC returns the secret and the account of an access key. Nil refuses all.
	HMAC func(accessKey string) (secret []byte, account string, ok bool)

	// Access reports whether a valid bearer token may read, or write. Nil permits both.
	Access func(ctx context.Context, bearer string, write bool) bool

	// Instance is the GUID of the service instance that owns the buckets. Requests for
	// another instance are refused. "" accepts any.
	Instance string

	// RootKey returns an error if Object Storage cannot protect a bucket with the root key crn.
	// The error can match [ErrNotAuthorized]. Nil accepts any key.
	RootKey func(ctx context.Context, crn string) error

	// Protected, if not nil, is called when a bucket with a root key is created (now is true) and
	// deleted (now is false).
	Protected func(bucket, rootKey string, now bool)

	// Dir is the folder for the content of the objects. "" means a temporary one.
	// Without Keep, Close removes the content.
	Dir string

	// Keep preserves the content of Dir, which must be set, between runs. New loads
	// what [Server.Save] saved.
	Keep bool

	// Location is the location of buckets created without one. "" means
	// "us-south-standard".
	Location string

	// MinPart is the minimum size in bytes of all parts except the last. Zero means 5 MiB,
	// the limit of the service.
	MinPart int64

	// Now returns the current time. Nil means time.Now.
	Now func() time.Time
}

// A Server is an S3 server. It is safe for concurrent use.
type Server struct {
	o   Options
	dir string // a folder below Options.Dir, or Options.Dir with Keep

	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	owner    string // account
	location string
	rootKey  string // CRN, or ""
	created  time.Time
	objects  map[string]*object
	uploads  map[string]*upload
	settings map[string][]byte // XML by sub-resource name
}

// region returns the location without the storage class.
func (b *bucket) region() string {
	for _, class := range classes {
		if r, ok := strings.CutSuffix(b.location, "-"+class); ok {
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
		err = errors.New("sandbox/s3: Keep requires Dir")
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

// Close removes all content, or saves the index if Keep is set.
func (s *Server) Close() error {
	if s.o.Keep {
		return s.Save()
	}
	return os.RemoveAll(s.dir)
}

var (
	// ErrNoBucket means that a bucket does not exist.
	ErrNoBucket = errors.New("the specified bucket does not exist")
	// ErrNoKey means that an object does not exist.
	ErrNoKey = errors.New("the specified key does not exist")
	// ErrDenied means that an account may not use a bucket.
	ErrDenied = errors.New("access denied")
	// ErrExists means that a bucket already exists.
	ErrExists = errors.New("the bucket exists")
	// ErrNotAuthorized means that Object Storage has no authorization for the key service.
	ErrNotAuthorized = errors.New("no authorization of Object Storage for the key service")
)

// bucketOf returns a bucket if the account may use it. The caller holds the lock.
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

// CreateBucket creates a bucket of an account. location is a code such as "us-south-standard", or "" for
// the default.
func (s *Server) CreateBucket(account, name, location string) error {
	return s.createBucket(account, name, location, "")
}

func (s *Server) createBucket(account, name, location, rootKey string) error {
	if location == "" {
		location = s.o.Location
	}
	if err := checkBucketName(name); err != nil {
		return fmt.Errorf("bucket %q: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[name] != nil {
		return fmt.Errorf("%w: %s", ErrExists, name)
	}
	s.buckets[name] = &bucket{owner: account, location: location, rootKey: rootKey, created: s.o.Now(), objects: map[string]*object{}, uploads: map[string]*upload{}}
	return nil
}

// Region returns the region, such as "us-south", of a bucket that the account may use.
func (s *Server) Region(account, name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucketOf(account, name)
	if err != nil {
		return "", err
	}
	return b.region(), nil
}

// Open opens an object that the account may read. The caller must close it.
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

// Put stores an object for an account.
func (s *Server) Put(account, bucket, key string, r io.Reader) error {
	blob, err := s.receive(r)
	if err != nil {
		return err
	}
	return s.store(account, bucket, key, newObject(s.o.Now(), nil, "", blob), nil)
}

// store replaces an object if the existing one meets the conditions. Otherwise it removes the new content.
func (s *Server) store(account, bucket, key string, o *object, conditions http.Header) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucketOf(account, bucket)
	if err == nil {
		err = preconditions(conditions, "", b.objects[key], false)
	}
	if err != nil {
		o.remove()
		return err
	}
	b.objects[key].remove()
	b.objects[key] = o
	return nil
}

// newID returns an unguessable ID of a request or an upload.
func newID() string {
	b := make([]byte, 16)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = r.Clone(r.Context()) // because the server changes its headers
	h := w.Header()
	h.Set("X-Amz-Request-Id", newID())
	h.Set("Server", "luksimg-sandbox")
	if err := s.serve(w, r); err != nil {
		s.refuse(w, r, err)
	}
}
