package sandbox

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/ibm/sandbox/event"
	"github.com/luksimg/luksimg/ibm/sandbox/fault"
	"github.com/luksimg/luksimg/ibm/sandbox/kms"
	"github.com/luksimg/luksimg/ibm/sandbox/s3"
	"github.com/luksimg/luksimg/ibm/sandbox/softlayer"
	"github.com/luksimg/luksimg/ibm/sandbox/vpc"
)

type kmsEvent = event.Event

const objectStorage = "cloud-object-storage"

// clock implements the Clock interfaces of the services.
type clock func() time.Time

func (c clock) Now() time.Time                         { return c() }
func (c clock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// identify returns the identity of a bearer token, unless a fault makes it expired.
func (s *Sandbox) identify(ctx context.Context, bearer string) (kms.Identity, error) {
	if fault.TokenExpired(ctx) {
		return kms.Identity{}, kms.ErrExpired
	}
	return s.kms.Identify(bearer)
}

// bearer is [s3.Options.Token]: it returns the account of a token. Buckets belong to the account.
func (s *Sandbox) bearer(ctx context.Context, token string) (string, bool) {
	id, err := s.identify(ctx, token)
	return id.Account, err == nil
}

// mayStore is [s3.Options.Access]: a user may do everything, a service ID what its
// policies allow.
func (s *Sandbox) mayStore(_ context.Context, token string, write bool) bool {
	id, err := s.kms.Identify(token)
	if err != nil {
		return false
	}
	role := kms.Reader
	if write {
		role = kms.Writer
	}
	return s.kms.Allowed(id, objectStorage, s.seed.COSInstanceID, role)
}

func (s *Sandbox) hmac(accessKey string) ([]byte, string, bool) {
	if accessKey != s.seed.AccessKeyID {
		return nil, "", false
	}
	return []byte(s.seed.SecretAccessKey), s.kms.Account(), true
}

// mayProtect is [s3.Options.RootKey]: Object Storage needs an authorization for the instance of the key service, and
// the key must exist and be active.
func (s *Sandbox) mayProtect(ctx context.Context, rootKey string) error {
	c, err := crn.ParseRootKey(rootKey)
	if err != nil {
		return err
	}
	source := kms.Service(objectStorage, s.kms.Account())
	source.Instance = s.seed.COSInstanceID
	if !s.kms.Allowed(source, c.Service, c.Instance, kms.Reader) {
		return s3.ErrNotAuthorized
	}
	if _, err := s.kms.Wrap(rootKey, []byte("the key of a bucket")); err != nil {
		return err
	}
	return ctx.Err()
}

// protected is [s3.Options.Protected]: it registers the protected buckets of a root key in Key Protect.
func (s *Sandbox) protected(bucket, rootKey string, now bool) {
	c := crn.CRN{CName: "bluemix", CType: "public", Service: objectStorage, Region: "global", Account: s.kms.Account(), Instance: s.seed.COSInstanceID, ResourceType: "bucket", Resource: bucket}
	if now {
		s.kms.Register(rootKey, c.String(), objectStorage, false) // fails if the key was deleted meanwhile
	} else {
		s.kms.Unregister(c.String())
	}
}

// exchanger implements IAM for SoftLayer.
type exchanger struct{ *Sandbox }

func (x exchanger) Exchange(ctx context.Context, apiKey string) (token, identity string, err error) {
	if err := ctx.Err(); err != nil {
		return "", "", err
	}
	id, err := x.kms.Exchange(apiKey)
	if err != nil {
		return "", "", fmt.Errorf("BXNIM0415E: %w: create a new one, and check that it was not deleted", err)
	}
	return x.kms.Token(id, time.Hour), id.IAMID, nil
}

// checker implements IAM for VPC.
type checker struct{ *Sandbox }

func (x checker) Identity(ctx context.Context, token string) (string, error) {
	id, err := x.identify(ctx, token)
	if err != nil {
		return "", err
	}
	if id.Kind != kms.KindUser && !x.kms.Allowed(id, vpc.ServiceIdentity, "", kms.Writer) {
		return "", kms.ErrToken
	}
	return id.IAMID, nil
}

// authorized reports whether a service may use the keys of an instance, of either key service.
func (s *Sandbox) authorized(ctx context.Context, source, instance string) (bool, error) {
	account := s.kms.Account()
	return s.kms.Authorized(source, account, "kms", instance) || s.kms.Authorized(source, account, "hs-crypto", instance), ctx.Err()
}

// unwrap unwraps for a service or for the owner of an API key, and returns base64 text.
func (s *Sandbox) unwrap(ctx context.Context, service, identity, crn, wdek string) ([]byte, error) {
	who, ok := kms.Service(service, s.kms.Account()), true
	if identity != service {
		who, ok = s.kms.Lookup(identity)
	}
	if !ok {
		return nil, kms.ErrToken
	}
	plain, err := s.kms.Unwrap(ctx, who, crn, wdek, "")
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return base64.StdEncoding.AppendEncode(nil, plain), nil
}

// classicKeys implements Key Protect for SoftLayer.
type classicKeys struct{ *Sandbox }

func (k classicKeys) AuthorizationExists(ctx context.Context, source, instance string) (bool, error) {
	return k.authorized(ctx, source, instance)
}

// advice maps error codes of Key Protect to advice.
var advice = map[string]string{
	"UNPROCESSABLE_CIPHERTEXT_ERR": "the data key was wrapped with another root key, or is damaged: give the CRN of the root key that wrapped it, or wrap it again",
	"KEY_ACTION_INVALID_STATE_ERR": "the root key is suspended or deactivated: enable it, and import again",
	"KEY_DELETED_ERR":              "the root key was deleted, and all keys wrapped with it are lost",
	"KEY_EXPIRED_ERR":              "the root key has expired: wrap the data key with another one",
	"KEY_NOT_FOUND_ERR":            "the root key does not exist: check the CRN",
	"UNAUTHORIZED_ERR":             "grant the role Reader for the instance of the key service",
}

func (k classicKeys) Unwrap(ctx context.Context, identity, crn, wdek string) ([]byte, error) {
	text, err := k.unwrap(ctx, softlayer.ServiceIdentity, identity, crn, wdek)
	if f := (*kms.Failure)(nil); errors.As(err, &f) && advice[f.Code] != "" {
		err = fmt.Errorf("%w: %s", err, advice[f.Code])
	}
	return text, err
}

// vpcKeys implements Key Protect for VPC.
type vpcKeys struct{ *Sandbox }

func (k vpcKeys) AuthorizationExists(ctx context.Context, source, instance string) (bool, error) {
	return k.authorized(ctx, source, instance)
}

func (k vpcKeys) Unwrap(ctx context.Context, identity, crn, wdek string) ([]byte, error) {
	text, err := k.unwrap(ctx, vpc.BlockStorage, identity, crn, wdek)
	f := (*kms.Failure)(nil)
	if !errors.As(err, &f) {
		return text, err
	}
	switch f.Code {
	case "KEY_ACTION_INVALID_STATE_ERR":
		return nil, fmt.Errorf("%w: %w", vpc.ErrKeyDisabled, err)
	case "KEY_DELETED_ERR":
		return nil, fmt.Errorf("%w: %w", vpc.ErrKeyDeleted, err)
	}
	if advice[f.Code] != "" {
		err = fmt.Errorf("%w: %s", err, advice[f.Code])
	}
	return nil, err
}

// objects implements Cloud Object Storage for SoftLayer, with the permissions of a token.
type objects struct{ *Sandbox }

// bucket checks that a token may use a bucket, and that the bucket is in the region.
func (o objects) bucket(ctx context.Context, token, region, bucket string, write bool) (account string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	id, err := o.kms.Identify(token)
	if err != nil {
		return "", err
	}
	if !o.mayStore(ctx, token, write) {
		return "", fmt.Errorf("AccessDenied: %s has no sufficient role for Cloud Object Storage: grant it Reader, or Writer for an export", id.Name)
	}
	return id.Account, o.inRegion(id.Account, region, bucket)
}

// inRegion checks that a bucket of an account is in a region.
func (s *Sandbox) inRegion(account, region, bucket string) error {
	where, err := s.store.Region(account, bucket)
	if err == nil && where != region {
		err = fmt.Errorf("the bucket %s is in %s, not in %s: name its region in the address, or use a regional bucket of %s", bucket, where, region, region)
	}
	return err
}

// openObject opens an object of an account.
func (s *Sandbox) openObject(account, bucket, key string) (io.ReaderAt, int64, string, error) {
	x, err := s.store.Open(account, bucket, key)
	if err != nil {
		return nil, 0, "", err
	}
	return x, x.Size(), x.ETag(), nil
}

func (o objects) Open(ctx context.Context, token, region, bucket, key string) (io.ReaderAt, int64, string, error) {
	account, err := o.bucket(ctx, token, region, bucket, false)
	if err != nil {
		return nil, 0, "", err
	}
	return o.openObject(account, bucket, key)
}

func (o objects) Put(ctx context.Context, token, region, bucket, key string, r io.Reader, size int64) error {
	account, err := o.bucket(ctx, token, region, bucket, true)
	if err != nil {
		return err
	}
	return o.store.Put(account, bucket, key, io.LimitReader(r, size))
}

// vpcObjects implements Cloud Object Storage for VPC. The image service accesses it under its own
// authorization, not with the token of the caller.
type vpcObjects struct{ *Sandbox }

func (o vpcObjects) allowed(role string) error {
	if !o.kms.Allowed(kms.Service(vpc.ServiceIdentity, o.kms.Account()), objectStorage, o.seed.COSInstanceID, role) {
		return fmt.Errorf("missing authorization of VPC Infrastructure Services (is) for Cloud Object Storage: grant it the role %s", role)
	}
	return nil
}

func (o vpcObjects) Open(_ context.Context, region, bucket, key string) (io.ReaderAt, int64, string, error) {
	account := o.kms.Account()
	if err := cmp.Or(o.allowed(kms.Reader), o.inRegion(account, region, bucket)); err != nil {
		return nil, 0, "", err
	}
	return o.openObject(account, bucket, key)
}

func (o vpcObjects) Put(_ context.Context, region, bucket, key string, r io.Reader, size int64) error {
	account := o.kms.Account()
	if err := cmp.Or(o.allowed(kms.Writer), o.inRegion(account, region, bucket)); err != nil {
		return err
	}
	return o.store.Put(account, bucket, key, io.LimitReader(r, size))
}
