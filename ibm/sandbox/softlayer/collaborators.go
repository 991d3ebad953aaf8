package softlayer

import (
	"context"
	"io"
	"time"
)

// ServiceIdentity is Cloud Block Storage as IAM names it: who unwraps the keys of
// images when servers are made of them.
const ServiceIdentity = "server-protect"

// A TokenExchanger is what is needed of IAM.
type TokenExchanger interface {
	// Exchange gives a bearer token for an API key, and whose it is.
	Exchange(ctx context.Context, apiKey string) (token, identity string, err error)
}

// A KMS is what is needed of the key service.
type KMS interface {
	// AuthorizationExists tells whether the service source may use the keys of an
	// instance of the key service.
	AuthorizationExists(ctx context.Context, source, instance string) (bool, error)

	// Unwrap unwraps a data key for identity with the root key crn. What it gives is
	// base64 text, which is wiped after use.
	Unwrap(ctx context.Context, identity, crn, wdek string) ([]byte, error)
}

// An ObjectStore is what is needed of Cloud Object Storage. Methods get the token of
// whoever gave the API key.
type ObjectStore interface {
	Open(ctx context.Context, token, region, bucket, key string) (r io.ReaderAt, size int64, etag string, err error)
	Put(ctx context.Context, token, region, bucket, key string, r io.Reader, size int64) error
}

// An ImageOpener opens an uploaded file with a data key, given as the base64 text that
// the key service unwrapped, and returns the disk that a server would see. If the disk
// has a method Size() int64, its partitions are compared with it; if it has Close, that
// is called. Which opener is used follows from the extension of the object.
type ImageOpener func(r io.ReaderAt, size int64, name string, unwrappedBase64Text []byte) (boot io.ReaderAt, err error)

// A Clock is what slow transactions need of the time.
type Clock interface {
	Now() time.Time
	After(time.Duration) <-chan time.Time
}

type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now() }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }
