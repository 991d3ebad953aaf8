package vpc

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/ibm/sandbox/internal/guestdisk"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vhd"
)

const (
	maxDisk = 250 << 30 // bytes
	minDisk = 10 << 30  // bytes; smaller disks are rounded up
)

var validName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

type imageParameters struct {
	Name string `json:"name"`
	File struct {
		Href string `json:"href"`
	} `json:"file"`
	OS struct {
		Name string `json:"name"`
	} `json:"operating_system"`
	EncryptionKey struct {
		CRN string `json:"crn"`
	} `json:"encryption_key"`
	EncryptedDataKey string `json:"encrypted_data_key"`
}

func (p *imageParameters) encrypted() bool { return p.EncryptedDataKey != "" }

// address parses cos://REGION/BUCKET/OBJECT.
func address(href string) (region, bucket, key string, ok bool) {
	rest, ok := strings.CutPrefix(href, "cos://")
	parts := strings.SplitN(rest, "/", 3)
	if !ok || len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}

// rootKey parses the CRN of a root key.
func rootKey(crn string) (region, instance string, ok bool) {
	p := strings.Split(crn, ":")
	if len(p) != 10 || p[0] != "crn" || p[4] != "kms" && p[4] != "hs-crypto" || p[5] == "" || p[7] == "" || p[8] != "key" || p[9] == "" {
		return "", "", false
	}
	return p[5], p[7], true
}

// checkImage returns the errors that the API reports immediately.
func (s *Server) checkImage(p *imageParameters) error {
	region, _, key, ok := address(p.File.Href)
	ext := path.Ext(key)
	keyRegion, _, keyOK := rootKey(p.EncryptionKey.CRN)
	switch {
	case !validName.MatchString(p.Name):
		return invalid("name", "The name must be 1 to 63 lower case letters, digits and hyphens.")
	case strings.HasPrefix(p.Name, "ibm-"):
		return invalid("name", "Names that begin with ibm- are reserved for images of the provider.")
	case p.OS.Name == "":
		return invalid("operating_system", "The operating system must be given.")
	case !importable(p.OS.Name):
		return invalid("operating_system", "The operating system %s is not one of images of users.", p.OS.Name)
	case !ok:
		return invalid("file.href", "The file must be cos://REGION/BUCKET/OBJECT.")
	case ext != ".qcow2" && ext != ".vhd":
		return invalid("file.href", "The extension of the file must be qcow2 or vhd, in lower case.")
	case p.encrypted() != (p.EncryptionKey.CRN != ""):
		return invalid("encryption_key", "encryption_key and encrypted_data_key must be given together.")
	case p.encrypted() && !keyOK:
		return invalid("encryption_key.crn", "The CRN is not that of a root key.")
	case p.encrypted() && ext != ".qcow2":
		return invalid("file.href", "An encrypted image must be qcow2.")
	case p.encrypted() && keyRegion != s.opts.Region:
		return invalid("encryption_key.crn", "The root key is in %s: it must be in %s, the region of the image.", keyRegion, s.opts.Region)
	case region != s.opts.Region:
		return invalid("file.href", "The bucket is in %s: it must be in %s, the region of the image.", region, s.opts.Region)
	}
	return nil
}

func (s *Server) createImage(r *http.Request, who string) (int, any, error) {
	var p imageParameters
	if err := decode(r, &p); err != nil {
		return 0, nil, err
	}
	if err := s.checkImage(&p); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.state.Images, func(i *image) bool { return i.Name == p.Name }) {
		return 0, nil, &apiError{http.StatusBadRequest, "validation_unique_failed", "An image of this name exists.", "name"}
	}
	i := &image{
		ID: "r006-" + uuid.NewString(), Name: p.Name, OS: p.OS.Name, Href: p.File.Href, RootKeyCRN: p.EncryptionKey.CRN, WrappedDEK: p.EncryptedDataKey,
		Status: "pending", Reasons: []reason{{"image_request_in_progress", "The image is being made."}}, Created: s.opts.Clock.Now(),
	}
	s.state.Images = append(s.state.Images, i)
	s.work.Go(func() {
		failed := s.importImage(i)
		s.mu.Lock()
		defer s.mu.Unlock()
		i.Status, i.Reasons = "available", []reason{}
		if failed != nil {
			i.Status, i.Reasons = "failed", []reason{*failed}
		}
		why := ""
		if failed != nil {
			why = failed.Code
		}
		// Send the event before the image appears completed.
		s.event("is.image.image.create", who, s.crn("image", i.ID), i.Name, why, map[string]any{"encryption_key": map[string]any{"crn": i.RootKeyCRN}, "file": i.Href})
	})
	return http.StatusCreated, s.imageJSON(i), nil
}

func fail(code, format string, args ...any) *reason {
	return &reason{code, fmt.Sprintf(format, args...)}
}

// importImage simulates the import of a file.
func (s *Server) importImage(i *image) *reason {
	if err := s.pause(s.ctx); err != nil {
		return fail("image_data_corrupted", "The emulator was stopped.")
	}
	region, bucket, key, _ := address(i.Href)
	r, size, _, err := s.opts.Store.Open(s.ctx, region, bucket, key)
	if err != nil {
		return fail("image_data_corrupted", "The file cannot be read: %v", err)
	}
	rec := guestdisk.Record(r, size)
	defer rec.Stop()
	s.mu.Lock()
	i.File, i.FileSize, i.source = rec, size, r
	s.mu.Unlock()
	return s.openImage(s.ctx, i)
}

// openImage opens the file of an image and checks its boot sector.
func (s *Server) openImage(ctx context.Context, i *image) *reason {
	var disk interface {
		io.ReaderAt
		Size() int64
	}
	var err error
	switch {
	case i.RootKeyCRN != "":
		passphrase, failed := s.unwrap(ctx, i)
		if failed != nil {
			return failed
		}
		defer clear(passphrase)
		d, err := qcow.Open(context.Background(), i.File, i.File.Size(), qcow.Options{Key: passphrase})
		switch {
		case errors.Is(err, luks.ErrPassphrase):
			return s.mistake(i, passphrase)
		case err != nil:
			return fail("image_data_corrupted", "The file cannot be opened as an encrypted qcow2: %v", err)
		case d.Encryption() != "luks":
			d.Close()
			return fail("image_data_corrupted", "The qcow2 file is not encrypted with LUKS, and a key was given for it.")
		}
		defer d.Close()
		disk = d
	case strings.HasSuffix(i.Href, ".vhd"):
		disk, err = vhd.Open(context.Background(), i.File, i.File.Size(), vhd.Options{})
	default:
		disk, err = qcow.Open(context.Background(), i.File, i.File.Size(), qcow.Options{})
	}
	if err != nil {
		return fail("image_data_corrupted", "The file cannot be opened: %v", err)
	}
	if disk.Size() > maxDisk {
		return fail("image_provisioned_size_unsupported", "The disk has %d bytes: it must be at most 250 GB.", disk.Size())
	}
	if err := guestdisk.Check(disk, disk.Size()); err != nil {
		return fail("image_data_corrupted", "The disk cannot boot: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i.DiskSize = disk.Size()
	return nil
}

// mayUse reports whether Cloud Block Storage may use a root key.
func (s *Server) mayUse(ctx context.Context, crn string) bool {
	_, instance, ok := rootKey(crn)
	if ok {
		ok, _ = s.opts.KMS.AuthorizationExists(ctx, BlockStorage, instance)
	}
	return ok
}

// unwrap returns the passphrase, which is the decoded text that the key service unwraps.
func (s *Server) unwrap(ctx context.Context, i *image) ([]byte, *reason) {
	if _, instance, _ := rootKey(i.RootKeyCRN); !s.mayUse(ctx, i.RootKeyCRN) {
		return nil, fail("encrypted_data_key_invalid", "There is no authorization of Cloud Block Storage (server-protect) for instance %s of the key service: grant it the role Reader.", instance)
	}
	text, err := s.opts.KMS.Unwrap(ctx, BlockStorage, i.RootKeyCRN, i.WrappedDEK)
	defer clear(text)
	switch {
	case errors.Is(err, ErrKeyDisabled):
		return nil, fail("encryption_key_disabled", "The root key is disabled.")
	case errors.Is(err, ErrKeyDeleted):
		return nil, fail("encryption_key_deleted", "The root key was deleted.")
	case err != nil:
		return nil, fail("encrypted_data_key_invalid", "The data key cannot be unwrapped: %v", err)
	}
	passphrase := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(passphrase, text)
	if err != nil || n == 0 {
		return nil, fail("encrypted_data_key_invalid", "The unwrapped key is not base64 text.")
	}
	return passphrase[:n], nil
}

// mistake describes a common mistake with the passphrase.
func (s *Server) mistake(i *image, passphrase []byte) *reason {
	opens := func(key []byte) bool {
		defer clear(key)
		d, err := qcow.Open(context.Background(), i.File, i.File.Size(), qcow.Options{Key: key})
		if err == nil {
			d.Close()
		}
		return err == nil
	}
	if n := len(passphrase); passphrase[n-1] == '\n' && opens(slices.Clone(passphrase[:n-1])) {
		return fail("image_data_corrupted", "The wrapped passphrase ends with a newline: wrap it again without one.")
	}
	if opens(base64.StdEncoding.AppendEncode(nil, passphrase)) {
		return fail("image_data_corrupted", "The image opens with the base64 text: encrypt it again, with the decoded text as passphrase.")
	}
	return fail("image_data_corrupted", "The image does not open with the wrapped passphrase.")
}

func (s *Server) crn(kind, id string) string {
	return fmt.Sprintf("crn:v1:bluemix:public:is:%s:a/%s::%s:%s", s.opts.Region, s.opts.Account, kind, id)
}

// imageJSON returns an image in the format of the API.
func (s *Server) imageJSON(i *image) map[string]any {
	gb := func(n int64) int64 { return (n + 1<<30 - 1) >> 30 }
	m := map[string]any{
		"id": i.ID, "crn": s.crn("image", i.ID), "href": s.href("images", i.ID), "name": i.Name, "status": i.Status,
		"status_reasons": slices.Clone(i.Reasons), "encryption": "none", "visibility": "private", "resource_type": "image",
		"created_at": stamp(i.Created), "operating_system": s.system(i.OS), "owner_type": "user",
		"file": map[string]any{"size": gb(i.FileSize)}, "resource_group": s.group(), "user_data_format": "cloud_init",
	}
	if i.DiskSize > 0 {
		m["minimum_provisioned_size"] = gb(max(i.DiskSize, minDisk))
	}
	if i.RootKeyCRN != "" {
		m["encryption"], m["encryption_key"] = "user_managed", map[string]any{"crn": i.RootKeyCRN}
	}
	return m
}

func (s *Server) listImages(r *http.Request, _ string) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	all := make(map[string]any)
	for _, i := range s.state.Images {
		if name := r.URL.Query().Get("name"); name == "" || name == i.Name {
			ids = append(ids, i.ID)
			all[i.ID] = s.imageJSON(i)
		}
	}
	return page(r, "images", ids, all)
}

func (s *Server) getImage(r *http.Request, _ string) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.image(r.PathValue("id"))
	if i == nil {
		return 0, nil, errNotFound
	}
	return http.StatusOK, s.imageJSON(i), nil
}

func (s *Server) deleteImage(r *http.Request, _ string) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.image(r.PathValue("id"))
	if i == nil {
		return 0, nil, errNotFound
	}
	if i.Status == "pending" {
		return 0, nil, &apiError{http.StatusConflict, "image_in_use", "The image is being made.", "id"}
	}
	s.state.Images = slices.DeleteFunc(s.state.Images, func(x *image) bool { return x == i })
	return http.StatusAccepted, nil, nil
}
