package softlayer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/sandbox/internal/guestdisk"
)

// codes are the supported operating systems.
var codes = []struct{ code, words string }{
	{"CENTOS_9_64", "CentOS / CentOS / Stream 9-64"},
	{"DEBIAN_11_64", "Debian / Debian / 11.0.0-64"},
	{"DEBIAN_12_64", "Debian / Debian / 12.0.0-64"},
	{"REDHAT_7_64", "Redhat / EL / 7.0-64"},
	{"REDHAT_8_64", "Redhat / EL / 8.0-64"},
	{"REDHAT_9_64", "Redhat / EL / 9.0-64"},
	{"UBUNTU_20_64", "Canonical / Ubuntu / 20.04-64"},
	{"UBUNTU_22_64", "Canonical / Ubuntu / 22.04-64"},
	{"UBUNTU_24_64", "Canonical / Ubuntu / 24.04-64"},
	{"WIN_2022-STD_64", "Microsoft / Windows / 2022 FULL STD 64 bit"},
}

func (s *Server) osCodes(_ context.Context, c *call) (any, error) {
	var list []object
	for i, k := range codes {
		list = append(list, object{"id": i + 1, "referenceCode": k.code, "longDescription": k.words})
	}
	return c.mask.apply(list), nil
}

// datacenters maps the region of a bucket to the datacenter of the import.
var datacenters = map[string]string{
	"us-south": "dal13", "us-east": "wdc07", "eu-gb": "lon02", "eu-de": "fra02", "jp-tok": "tok02", "au-syd": "syd01",
}

// A configuration is SoftLayer_Container_Virtual_Guest_Block_Device_Template_Configuration.
type configuration struct {
	Name       string `json:"name"`
	Note       string `json:"note"`
	OSCode     string `json:"operatingSystemReferenceCode"`
	URI        string `json:"uri"`
	APIKey     string `json:"ibmApiKey"`
	RootKeyCRN string `json:"crkCrn"`
	WrappedDEK string `json:"wrappedDek"`
	CloudInit  bool   `json:"cloudInit"`
	BYOL       bool   `json:"byol"`
	Encrypted  bool   `json:"isEncrypted"`
}

// check returns the errors that the API reports immediately.
func (k *configuration) check() error {
	a, ok := parseAddress(k.URI)
	switch {
	case !strings.HasPrefix(k.URI, "cos://"):
		return public("Template configuration uri specified an invalid network storage service resource protocol.")
	case !ok:
		return public("Template configuration uri must be cos://<regionName>/<bucketName>/<objectPath>.")
	case datacenters[a.region] == "":
		return public("Template configuration uri names %q, which is no region that images are imported in: the bucket must be regional.", a.region)
	case k.Name == "":
		return public("Template configuration name must be set.")
	case k.APIKey == "":
		return public("Template configuration ibmApiKey must be set.")
	}
	known := false
	for _, c := range codes {
		known = known || c.code == k.OSCode
	}
	if !known {
		return public("Template configuration operatingSystemReferenceCode %q is not known.", k.OSCode)
	}
	// Since 2019 the flag is optional.
	k.Encrypted = k.Encrypted || extension(a.key) == "raw" || k.WrappedDEK != ""
	if !k.Encrypted {
		return nil
	}
	_, ok = parseRootKey(k.RootKeyCRN)
	switch {
	case k.WrappedDEK == "":
		return public("Template configuration wrappedDek must be set for an encrypted image.")
	case k.RootKeyCRN == "":
		return public("Template configuration crkCrn must be set for an encrypted image.")
	case !ok:
		return public("Template configuration crkCrn is not the CRN of a root key.")
	case !k.CloudInit:
		return public("Template configuration cloudInit must be true for an encrypted image: it must have cloud-init.")
	case strings.HasPrefix(k.OSCode, "WIN"):
		return public("Template configuration operatingSystemReferenceCode must be that of a Linux for an encrypted image.")
	case strings.HasPrefix(k.OSCode, "REDHAT") && !k.BYOL:
		return public("Template configuration byol must be true for an encrypted Red Hat image.")
	}
	return nil
}

func (s *Server) createFromIcos(_ context.Context, c *call) (any, error) {
	var k configuration
	if err := c.parameter(&k); err != nil {
		return nil, err
	}
	if err := k.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, _ := parseAddress(k.URI)
	t := &template{
		ID: s.newID(), ChildID: s.newID(), GlobalID: uuid.NewString(), Name: k.Name, Note: k.Note, OSCode: k.OSCode,
		Datacenter: datacenters[a.region], Created: s.opts.Clock.Now(), Encrypted: k.Encrypted, CloudInit: k.CloudInit, BYOL: k.BYOL,
		RootKeyCRN: k.RootKeyCRN, WrappedDEK: k.WrappedDEK, File: path.Base(a.key),
		Work: &transaction{ID: s.newID(), Created: s.opts.Clock.Now()},
	}
	s.state.Templates = append(s.state.Templates, t)
	s.runImport(t, &k, a)
	return c.mask.apply(t.object()), nil
}

// runImport simulates the import of an image. The caller holds the lock.
func (s *Server) runImport(t *template, k *configuration, a address) {
	o := &opening{s: s, t: t, identity: ServiceIdentity}
	o.root, _ = parseRootKey(k.RootKeyCRN)
	token, owner := "", ""
	steps := []step{
		{"CHECK_FILE_NAME", "Check the name of the object", func(context.Context) error { return checkName(t.File, t.Encrypted) }},
		{"GET_TOKEN", "Sign in with the API key", func(ctx context.Context) (err error) {
			if token, owner, err = s.opts.Tokens.Exchange(ctx, k.APIKey); err != nil {
				return fmt.Errorf("IAM does not take the API key: %w", err)
			}
			if s.opts.AuthorizeLate {
				o.identity = owner
			}
			return nil
		}},
		{"FETCH_OBJECT", "Fetch the object", func(ctx context.Context) error {
			r, size, _, err := s.opts.Store.Open(ctx, token, a.region, a.bucket, a.key)
			if err != nil {
				return fmt.Errorf("the object cannot be read with the API key: %w", err)
			}
			if size > maxFile {
				return fmt.Errorf("the object has %d bytes: that exceeds 100 GB", size)
			}
			if size == 0 {
				return errors.New("the object is empty: the upload was truncated")
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			t.Image, t.source = guestdisk.Record(r, size), io.NewSectionReader(r, 0, size)
			return nil
		}},
	}
	if t.Encrypted {
		steps = append(steps, step{"CHECK_REGION", "Compare the regions of bucket and root key", func(context.Context) error {
			if o.root.region != a.region {
				return fmt.Errorf("the root key is in %s and the bucket in %s: they must be in the same region", o.root.region, a.region)
			}
			return nil
		}})
	}
	steps = append(steps, o.steps()...)
	steps = append(steps, step{"REPLICATE_IMAGE", "Copy the image to " + t.Datacenter, func(context.Context) error { return nil }})
	s.run(t.Work, steps, func() []string { return []string{k.APIKey, token, string(o.text)} }, func(failure string) audit.Event {
		o.close()
		if t.Image != nil {
			t.Image.Stop()
		}
		if failure == "" {
			t.Active, t.Work = true, nil
		}
		return s.event("audit-log.vsi-image-template.create", owner, s.templateCRN(t), t.Name, failure, map[string]any{
			"id": strconv.Itoa(t.ID), "globalIdentifier": t.GlobalID, "uri": k.URI, "crkCrn": t.RootKeyCRN, "isEncrypted": t.Encrypted,
		})
	})
}

func (s *Server) copyToIcos(_ context.Context, c *call) (any, error) {
	var k configuration
	if err := c.parameter(&k); err != nil {
		return nil, err
	}
	a, ok := parseAddress(k.URI)
	if !ok {
		return nil, public("Template configuration uri specified an invalid network storage service resource protocol.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.template(c.id)
	switch {
	case t == nil:
		return nil, notFound(c.id)
	case t.Work != nil || !t.Active:
		return nil, public("Another transaction of the template is under way.")
	case t.source == nil:
		return nil, public("The image of this template is not available: it was imported before the emulator was started.")
	}
	// Each disk becomes a file: image-0.vhd for image.vhd.
	ext := path.Ext(a.key)
	key := strings.TrimSuffix(a.key, ext) + "-0" + ext
	token, owner := "", ""
	t.Work = &transaction{ID: s.newID(), Created: s.opts.Clock.Now()}
	s.run(t.Work, []step{
		{"GET_TOKEN", "Sign in with the API key", func(ctx context.Context) (err error) {
			if token, owner, err = s.opts.Tokens.Exchange(ctx, k.APIKey); err != nil {
				return fmt.Errorf("IAM does not take the API key: %w", err)
			}
			return nil
		}},
		{"COPY_TO_OBJECT", "Copy the image to object storage", func(ctx context.Context) error {
			r := io.NewSectionReader(t.source, 0, t.source.Size())
			if err := s.opts.Store.Put(ctx, token, a.region, a.bucket, key, r, r.Size()); err != nil {
				return fmt.Errorf("the object cannot be written with the API key: %w", err)
			}
			return nil
		}},
	}, func() []string { return []string{k.APIKey, token} }, func(failure string) audit.Event {
		if failure == "" {
			t.Work = nil
		}
		return s.event("audit-log.vsi-image-template.export", owner, s.templateCRN(t), t.Name, failure, map[string]any{
			"globalIdentifier": t.GlobalID, "uri": k.URI,
		})
	})
	return true, nil
}

// AddTemplate adds a preexisting template, such as one to export: an image of an unencrypted disk.
// It returns its number.
func (s *Server) AddTemplate(name, osCode, datacenter, file string, image io.ReaderAt, size int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := guestdisk.Record(image, size)
	t := &template{
		ID: s.newID(), ChildID: s.newID(), GlobalID: uuid.NewString(), Name: name, OSCode: osCode, Datacenter: datacenter,
		Created: s.opts.Clock.Now(), File: file, DiskSize: size, Active: true, Image: rec, source: io.NewSectionReader(image, 0, size),
	}
	s.state.Templates = append(s.state.Templates, t)
	return t.ID
}

func (s *Server) getGroup(_ context.Context, c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.template(c.id)
	if t == nil {
		return nil, notFound(c.id)
	}
	return c.mask.apply(t.object()), nil
}

func (s *Server) deleteGroup(_ context.Context, c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.template(c.id)
	switch {
	case t == nil:
		return nil, notFound(c.id)
	case t.Work != nil && !t.Work.Failed:
		return nil, public("Another transaction of the template is under way.")
	}
	s.state.Templates = slices.DeleteFunc(s.state.Templates, func(x *template) bool { return x == t })
	return (&transaction{ID: s.newID(), Name: "DELETE_IMAGE", Words: "Delete the image", Created: s.opts.Clock.Now()}).object(), nil
}

// getGroupProperty serves getStatus, getTransaction and getChildren: null if there is none.
func (s *Server) getGroupProperty(_ context.Context, c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.template(c.id)
	if t == nil {
		return nil, notFound(c.id)
	}
	return c.mask.apply(t.object()[strings.ToLower(strings.TrimPrefix(c.method, "get"))]), nil
}

func (s *Server) groupFlag(_ context.Context, c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.template(c.id)
	if t == nil {
		return nil, notFound(c.id)
	}
	switch c.method {
	case "isEncrypted":
		return t.Encrypted, nil
	case "isCloudInit":
		return t.CloudInit, nil
	}
	return t.BYOL, nil
}

func (s *Server) listGroups(_ context.Context, c *call) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []object
	for _, t := range s.state.Templates {
		list = append(list, t.object())
	}
	collection := strings.TrimPrefix(c.method, "get")
	return c.page(list, strings.ToLower(collection[:1])+collection[1:])
}
