package softlayer

import (
	"context"
	"io"
	"time"
)

// ServiceIdentity is the name of Cloud Block Storage in IAM. It unwraps the keys of
// images when servers are created from them.
const ServiceIdentity = "server-protect"

// A TokenExchanger is the part of IAM that the emulator uses.
type TokenExchanger interface {
	// Exchange returns a bearer token for an API key, and the identity of its owner.
	Exchange(ctx context.Context, apiKey string) (token, identity string, err error)
}

// A KMS is the part of the key service that the emulator uses.
type KMS interface {
	// AuthorizationExists reports whether the service source may use the keys of an
	// instance of the key service.
	AuthorizationExists(ctx context.Context, source, instance string) (bool, error)

	// Unwrap unwraps a data key with the root key crn on behalf of identity. It returns
	// base64 text, which the caller wipes after use.
	Unwrap(ctx context.Context, identity, crn, wdek string) ([]byte, error)
}

// An ObjectStore is the part of Cloud Object Storage that the emulator uses. Its methods receive the token of
// the owner of the API key.
type ObjectStore interface {
	Open(ctx context.Context, token, region, bucket, key string) (r io.ReaderAt, size int64, etag string, err error)
	Put(ctx context.Context, token, region, bucket, key string, r io.Reader, size int64) error
}

// An ImageOpener opens an uploaded file and returns the disk that a server would see. The data key
// is the base64 text from the key service. If the disk has a method Size() int64, the emulator
// compares its partitions with it. If it has a method Close, the emulator calls it. The extension
// of the object selects the opener.
type ImageOpener func(r io.ReaderAt, size int64, name string, unwrappedBase64Text []byte) (boot io.ReaderAt, err error)

// A Clock provides the time for slow transactions.
type Clock interface {
	Now() time.Time
	After(time.Duration) <-chan time.Time
}

type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now() }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }
