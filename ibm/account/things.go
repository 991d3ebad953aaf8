package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

// rootKey looks up the root key.
func (r *Report) rootKey(ctx context.Context) error {
	if r.RootKeyCRN != "" {
		m, err := r.o.Keys.Metadata(ctx)
		if err != nil {
			return err
		}
		return r.foundKey(m)
	}
	all, err := r.o.Keys.RootKeys(ctx)
	if err != nil {
		return err
	}
	for _, k := range all {
		if k.Name == r.o.RootKeyName {
			return r.foundKey(k)
		}
	}
	r.add(Thing{
		What: "root key", Name: r.o.RootKeyName,
		Request: fmt.Sprintf(`POST %s/api/v2/keys {"metadata":{"collectionType":"application/vnd.ibm.kms.key+json","collectionTotal":1},"resources":[{"name":%q,"type":"application/vnd.ibm.kms.key+json","extractable":false}]}`,
			r.o.KMSURL, r.o.RootKeyName),
		Command: fmt.Sprintf("ibmcloud kp key create %s --instance-id %s", r.o.RootKeyName, r.instance.Instance),
		make: func(ctx context.Context) error {
			k, err := r.o.Keys.CreateRootKey(ctx, r.o.RootKeyName)
			r.RootKeyCRN = k.CRN
			return r.o.Log.Did("luksimg.root-key.create", k.CRN, map[string]any{"name": r.o.RootKeyName}, err)
		},
	})
	return nil
}

func (r *Report) foundKey(k keyprotect.Key) error {
	if k.State != keyprotect.Active {
		return rest.WithHint(fmt.Errorf("root key %s: %w: it is %v", k.Name, wrap.ErrKeyState, k.State), "enable it, or name another one")
	}
	if k.Extractable {
		return fmt.Errorf("%s: %w", k.Name, keyprotect.ErrNotRootKey)
	}
	if r.RootKeyCRN == "" {
		r.RootKeyCRN = k.CRN
	}
	r.add(Thing{What: "root key", Name: k.Name, Exists: true})
	return nil
}

// bucket looks up the bucket.
func (r *Report) bucket(ctx context.Context) error {
	if r.o.Bucket == "" {
		return nil
	}
	b, err := r.o.Store.Bucket(ctx, r.Region, r.o.Bucket)
	if err == nil {
		if err := b.CheckImages(r.instance.Region); err != nil {
			return rest.WithHint(err, "name another bucket: setup makes it in the region of the root key")
		}
		r.add(Thing{What: "bucket", Name: r.o.Bucket, Exists: true})
		return nil
	}
	if !errors.Is(err, cos.ErrNotFound) {
		return err
	}
	request := fmt.Sprintf("PUT %s/%s ibm-service-instance-id: %s", r.o.Store.Endpoint(r.Region), r.o.Bucket, r.o.COSInstance)
	command := fmt.Sprintf("ibmcloud cos bucket-create --bucket %s --ibm-service-instance-id %s --region %s --class %s", r.o.Bucket, r.o.COSInstance, r.Region, r.o.Class)
	if r.o.BucketKey {
		request += " ibm-sse-kp-encryption-algorithm: AES256 ibm-sse-kp-customer-root-key-crn: " + r.known(r.RootKeyCRN, "ROOT_KEY_CRN")
		command += " --kms-encryption-algorithm AES256 --kms-root-key-crn " + r.known(r.RootKeyCRN, "ROOT_KEY_CRN")
		// Object Storage itself uses the root key here, and needs an authorization first.
		if err := r.authorization(ctx, keyAuthorization(r.Account, r.instance, iam.COS, "of Object Storage to use the root key")); err != nil {
			return err
		}
	}
	request += fmt.Sprintf(" <CreateBucketConfiguration><LocationConstraint>%s-%s</LocationConstraint></CreateBucketConfiguration>", r.Region, r.o.Class)
	r.add(Thing{
		What: "bucket", Name: r.o.Bucket, Request: request, Command: command,
		make: func(ctx context.Context) error {
			opts := cos.BucketOptions{Class: r.o.Class}
			if r.o.BucketKey {
				opts.RootKeyCRN = r.RootKeyCRN
			}
			return r.o.Log.Did("luksimg.bucket.create", r.o.Bucket, map[string]any{"region": r.Region, "crkCrn": opts.RootKeyCRN}, r.o.Store.CreateBucket(ctx, r.Region, r.o.Bucket, opts))
		},
	})
	return nil
}

// known returns value, or the placeholder name if value is still unknown.
func (r *Report) known(value, name string) string {
	if value == "" {
		return name
	}
	return value
}
