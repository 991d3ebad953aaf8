package softlayer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/luksimg/luksimg/ibm/sandbox/internal/guestdisk"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/vhd"
)

// maxDisk is the maximum size of a disk in bytes, and maxFile that of the object, which includes
// a LUKS header.
const (
	maxDisk = 100 << 30
	maxFile = maxDisk + 4<<20
)

// An address is a parsed cos://REGION/BUCKET/OBJECT.
type address struct{ region, bucket, key string }

func parseAddress(uri string) (a address, ok bool) {
	rest, ok := strings.CutPrefix(uri, "cos://")
	parts := strings.SplitN(rest, "/", 3)
	if !ok || len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return a, false
	}
	return address{parts[0], parts[1], parts[2]}, true
}

// A rootKey is a parsed root key CRN.
type rootKey struct{ service, region, instance, key string }

func parseRootKey(crn string) (k rootKey, ok bool) {
	p := strings.Split(crn, ":")
	if len(p) != 10 || p[0] != "crn" || p[1] != "v1" || p[4] != "kms" && p[4] != "hs-crypto" || p[5] == "" || p[7] == "" || p[8] != "key" || p[9] == "" {
		return k, false
	}
	return rootKey{p[4], p[5], p[7], p[9]}, true
}

// extension returns the extension of a file, in lower case and without the dot.
func extension(name string) string {
	return strings.TrimPrefix(strings.ToLower(path.Ext(name)), ".")
}

// checkName returns an error unless a file can be imported under this name.
func checkName(name string, encrypted bool) error {
	ext := extension(name)
	switch {
	case ext == "raw" && encrypted, ext == "vhd" && strings.HasSuffix(strings.ToLower(name), ".vhd-0.vhd"):
		return nil
	case ext == "raw":
		return fmt.Errorf("the file name %s is that of an encrypted image: RAW images must be encrypted", name)
	case ext == "vhd" && strings.HasSuffix(strings.ToLower(name), "-0.vhd"): // the naming of exports
		return nil
	}
	return fmt.Errorf("the file name %s is not that of an image: it must end with .raw for LUKS, or with .vhd-0.vhd", name)
}

// An opening opens the image of a template, once for the import and again for
// each server.
type opening struct {
	s        *Server
	t        *template
	root     rootKey
	identity string // that unwraps the key
	text     []byte // the unwrapped key
	disk     io.ReaderAt
}

// close wipes the keys.
func (o *opening) close() {
	clear(o.text)
	o.text = nil
	if c, ok := o.disk.(io.Closer); ok {
		c.Close()
	}
	o.disk = nil
}

// steps returns the common steps of imports and orders.
func (o *opening) steps() []step {
	open := []step{
		{"OPEN_IMAGE", "Open the image", o.open},
		{"CHECK_BOOT_SECTOR", "Read the boot sector", o.checkBoot},
	}
	if !o.t.Encrypted {
		return open
	}
	return append([]step{
		{"CHECK_AUTHORIZATION", "Check the authorization for the key service", o.checkAuthorization},
		{"UNWRAP_KEY", "Unwrap the data key", o.unwrap},
	}, open...)
}

func (o *opening) checkAuthorization(ctx context.Context) error {
	if o.identity != ServiceIdentity {
		return nil
	}
	ok, err := o.s.opts.KMS.AuthorizationExists(ctx, ServiceIdentity, o.root.instance)
	if err != nil {
		return fmt.Errorf("the authorization cannot be checked: %w", err)
	}
	if !ok {
		return fmt.Errorf("missing authorization of Cloud Block Storage (server-protect) for instance %s of %s: grant it the role Reader",
			o.root.instance, o.root.service)
	}
	return nil
}

func (o *opening) unwrap(ctx context.Context) error {
	text, err := o.s.opts.KMS.Unwrap(ctx, o.identity, o.t.RootKeyCRN, o.t.WrappedDEK)
	if err != nil {
		return fmt.Errorf("the key service refuses to unwrap the data key: %w", err)
	}
	o.text = text
	return nil
}

func (o *opening) open(context.Context) (err error) {
	r, size := o.t.Image, o.t.Image.Size()
	ext := extension(o.t.File)
	if opener := o.s.opts.Openers[ext]; o.t.Encrypted && opener != nil {
		o.disk, err = opener(r, size, o.t.File, o.text)
	} else {
		o.disk, err = o.openOwn(r, size, ext)
	}
	if err != nil {
		o.disk = nil // it can be a nil pointer, which must not be closed
	}
	return err
}

// openOwn opens an image for which the caller gave no opener.
func (o *opening) openOwn(r io.ReaderAt, size int64, ext string) (io.ReaderAt, error) {
	switch {
	case o.t.Encrypted && ext == "raw":
		return OpenLUKS(r, size, o.t.File, o.text)
	case o.t.Encrypted:
		return nil, fmt.Errorf("encrypted images of type %s are not accepted here: use profile classic-luks", ext)
	}
	return vhd.Open(context.Background(), r, size, vhd.Options{})
}

func (o *opening) checkBoot(context.Context) error {
	size := int64(0)
	if d, ok := o.disk.(interface{ Size() int64 }); ok {
		size = d.Size()
	}
	if size > maxDisk+4<<20 {
		return fmt.Errorf("the disk exceeds 100 GB")
	}
	err := guestdisk.Check(o.disk, size)
	switch {
	case errors.Is(err, guestdisk.ErrNoBoot):
		return fmt.Errorf("%w: the disk cannot boot, or the wrapped key is not its encryption key", err)
	case errors.Is(err, guestdisk.ErrTruncated), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, image.ErrFormat):
		return fmt.Errorf("%w: compare the length of the object with that of the file", err)
	}
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	o.t.DiskSize = size
	return err
}
