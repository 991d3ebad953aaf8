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
	"os"
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

	// Instance is the GUID of the service instance that the buckets belong to. A request that
	// names another instance is refused. "" takes any.
	Instance string

	// RootKey says why Object Storage can not protect a bucket with a root key, given by its
	// CRN; it may match [ErrNotAuthorized]. nil takes any.
	RootKey func(ctx context.Context, crn string) error

	// Protected, if not nil, is told of each bucket that is made with a root key, and of the end
	// of each of them.
	Protected func(bucket, rootKey string, now bool)

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
	settings map[string][]byte // XML, by the name of the sub-resource
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
	// ErrNotAuthorized is a key service that Object Storage has no authorization for.
	ErrNotAuthorized = errors.New("no authorization of Object Storage for the key service")
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

// CreateBucket makes a bucket of an account. Location is such as "us-south-standard", or "" for
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
	return s.store(account, bucket, key, newObject(s.o.Now(), nil, "", blob), nil)
}

// store puts an object in its bucket, if the one that is there meets the conditions, or removes its content.
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

// newID returns a name for a request or an upload that nobody guesses.
func newID() string {
	b := make([]byte, 16)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = r.Clone(r.Context()) // its headers change
	h := w.Header()
	h.Set("X-Amz-Request-Id", newID())
	h.Set("Server", "luksimg-sandbox")
	if err := s.serve(w, r); err != nil {
		s.refuse(w, r, err)
	}
}
