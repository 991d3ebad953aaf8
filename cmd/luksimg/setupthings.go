package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

// rootKeyThing looks for the root key.
func (s *setting) rootKeyThing(ctx context.Context) error {
	if s.root != "" {
		key, err := s.cloud.keyProtect(s.root)
		if err != nil {
			return err
		}
		m, err := key.Metadata(ctx)
		if err != nil {
			return err
		}
		return s.foundKey(m)
	}
	all, err := s.keys.RootKeys(ctx)
	if err != nil {
		return err
	}
	for _, k := range all {
		if k.Name == s.rootKeyName {
			return s.foundKey(k)
		}
	}
	s.add(thing{
		What: "root key", Name: s.rootKeyName,
		Request: fmt.Sprintf(`POST %s/api/v2/keys {"metadata":{"collectionType":"application/vnd.ibm.kms.key+json","collectionTotal":1},"resources":[{"name":%q,"type":"application/vnd.ibm.kms.key+json","extractable":false}]}`,
			keyService(s), s.rootKeyName),
		Command: fmt.Sprintf("ibmcloud kp key create %s --instance-id %s", s.rootKeyName, s.instance.Instance),
		make: func(ctx context.Context) error {
			k, err := s.keys.CreateRootKey(ctx, s.rootKeyName)
			s.root = k.CRN
			return s.log.did("luksimg.root-key.create", k.CRN, map[string]any{"name": s.rootKeyName}, err)
		},
	})
	return nil
}

func keyService(s *setting) string {
	if u := s.cloud.url(serviceKMS); u != "" {
		return u
	}
	return keyprotect.Endpoint(s.instance, s.cloud.private)
}

func (s *setting) foundKey(k keyprotect.Key) error {
	if k.State != keyprotect.Active {
		return withHint(fmt.Errorf("root key %s: %w: it is %v", k.Name, wrap.ErrKeyState, k.State), "enable it, or name another one")
	}
	if k.Extractable {
		return fmt.Errorf("%s: %w", k.Name, keyprotect.ErrNotRootKey)
	}
	if s.root == "" {
		s.root = k.CRN
	}
	s.add(thing{What: "root key", Name: k.Name, Exists: true})
	return nil
}

// bucketThing looks for the bucket.
func (s *setting) bucketThing(ctx context.Context) error {
	if s.bucket == "" {
		return nil
	}
	b, err := s.store.Bucket(ctx, s.region, s.bucket)
	if err == nil {
		if err := b.CheckImages(s.instance.Region); err != nil {
			return withHint(err, "name another bucket: setup makes it in the region of the root key")
		}
		s.add(thing{What: "bucket", Name: s.bucket, Exists: true})
		return nil
	}
	if !errors.Is(err, cos.ErrNotFound) {
		return err
	}
	request := fmt.Sprintf("PUT %s/%s ibm-service-instance-id: %s", s.store.Endpoint(s.region), s.bucket, s.cosInstance)
	command := fmt.Sprintf("ibmcloud cos bucket-create --bucket %s --ibm-service-instance-id %s --region %s --class %s", s.bucket, s.cosInstance, s.region, s.class)
	if s.bucketKey {
		request += " ibm-sse-kp-encryption-algorithm: AES256 ibm-sse-kp-customer-root-key-crn: " + s.known(s.root, "ROOT_KEY_CRN")
		command += " --kms-encryption-algorithm AES256 --kms-root-key-crn " + s.known(s.root, "ROOT_KEY_CRN")
		// Object Storage uses the root key for this, and must be allowed to first.
		if err := s.policy(ctx, iam.Authorization(s.account, iam.COS, s.instance.Service, s.instance.Instance), "authorization",
			"of Object Storage to use the root key", s.authorizationCommand(iam.COS)); err != nil {
			return err
		}
	}
	request += fmt.Sprintf(" <CreateBucketConfiguration><LocationConstraint>%s-%s</LocationConstraint></CreateBucketConfiguration>", s.region, s.class)
	s.add(thing{
		What: "bucket", Name: s.bucket, Request: request, Command: command,
		make: func(ctx context.Context) error {
			opts := cos.BucketOptions{Class: s.class}
			if s.bucketKey {
				opts.RootKeyCRN = s.root
			}
			return s.log.did("luksimg.bucket.create", s.bucket, map[string]any{"region": s.region, "crkCrn": opts.RootKeyCRN}, s.store.CreateBucket(ctx, s.region, s.bucket, opts))
		},
	})
	return nil
}

// known returns a value, or what stands for it while it is not known.
func (s *setting) known(value, name string) string {
	if value == "" {
		return name
	}
	return value
}

// fileThere tells whether there is a file of this name.
func fileThere(name string) bool {
	_, err := os.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}
