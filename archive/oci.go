package archive

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/summed"
)

const (
	// maxJSON bounds the length of a JSON document of a container image in bytes. OCI Distribution
	// Specification 1.1, "Pushing Manifests", recommends 4 MiB.
	maxJSON = 4 << 20

	maxLayers = 128  // per image, the limit of overlayfs
	maxImages = 4096 // per index
	maxNested = 4    // levels of nested indexes
)

// An ociDescriptor references a blob; OCI Image Format Specification 1.1, "Content Descriptors".
type ociDescriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
	Platform    ociPlatform       `json:"platform"`
}

// An ociPlatform is the platform in a descriptor or in the configuration of an image.
type ociPlatform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Variant      string `json:"variant"`
}

// String returns "linux/amd64", or "".
func (p ociPlatform) String() string {
	return strings.Trim(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// is reports whether name is the platform, with or without the variant.
func (p ociPlatform) is(name string) bool {
	return name != "" && p.OS != "" && (name == p.String() || name == p.OS+"/"+p.Architecture)
}

// tags returns the names of the image in the index.
func (d ociDescriptor) tags() []string {
	var all []string
	for _, key := range []string{"org.opencontainers.image.ref.name", "io.containerd.image.name"} {
		if t := d.Annotations[key]; t != "" && !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}

// is reports whether name is a name of the image in the descriptor.
func (d ociDescriptor) is(name string) bool {
	return d.Digest == name || d.Platform.is(name) || slices.ContainsFunc(d.tags(), func(tag string) bool { return tagged(tag, name) })
}

// tagged reports whether name matches a reference such as "host/user/image:v1": the whole reference, a
// suffix after a slash, or the tag.
func tagged(reference, name string) bool {
	return reference == name || strings.Contains(name, ":") && strings.HasSuffix(reference, "/"+name) ||
		!strings.ContainsAny(name, "/:") && strings.HasSuffix(reference, ":"+name)
}

// text describes the image for an error: its tags and platform, or else its digest.
func (d ociDescriptor) text() string {
	return cmp.Or(strings.TrimSpace(strings.Join(append(d.tags(), d.Platform.String()), " ")), d.Digest)
}

// ociIndex is an image index, ociManifest an image manifest. Both have a media type in case their
// descriptor has none.
type ociIndex struct {
	Manifests []ociDescriptor `json:"manifests"`
}

type ociManifest struct {
	MediaType string          `json:"mediaType"`
	Manifests json.RawMessage `json:"manifests"`
	Config    ociDescriptor   `json:"config"`
	Layers    []ociDescriptor `json:"layers"`
}

// A blob is a file of a container image with its expected digest.
type blob struct {
	name string
	src  image.Source
	want digest

	unpacked digest // digest of a compressed layer after decompression; empty if unknown
}

// check returns the source of the blob, which is hashed while it is read, and the function that
// verifies the digest.
func (b blob) check() (image.Source, func(context.Context) error) {
	if b.want.sum == nil {
		return b.src, func(context.Context) error { return nil }
	}
	s := summed.New(b.src, b.want.hash())
	return s, func(ctx context.Context) error {
		sum, err := s.Sum(ctx)
		if err == nil && !bytes.Equal(sum, b.want.sum) {
			err = &SumError{b.name, b.want.String(), digest{b.want.algorithm, sum}.String()}
		}
		return err
	}
}

// openOCI finds the disks of an image layout; OCI Image Format Specification 1.1, "Image Layout".
func (a *Archive) openOCI(ctx context.Context, o Options) error {
	a.Kind = OCI
	var index ociIndex
	if err := a.document(ctx, blob{name: "index.json"}, &index); err != nil {
		return err
	}
	manifest, err := a.ociImage(ctx, index, o.Image, o.Image == "", 0)
	if err != nil {
		return err
	}
	if n := len(manifest.Layers); n > maxLayers {
		return ociError("index.json", "number of layers", n, fmt.Sprintf("at most %d", maxLayers))
	}
	var layers []blob
	for _, l := range manifest.Layers {
		b, err := a.blob(l)
		if err != nil {
			return err
		}
		layers = append(layers, b)
	}
	return a.layerDisks(ctx, layers, o)
}

// ociImage returns the manifest of the requested image, or of the only one. named means that the
// descriptor of the index matched the request.
func (a *Archive) ociImage(ctx context.Context, index ociIndex, want string, named bool, depth int) (*ociManifest, error) {
	if len(index.Manifests) > maxImages || depth > maxNested {
		return nil, ociError("index.json", "number of images", len(index.Manifests), fmt.Sprintf("at most %d, in %d levels of indexes", maxImages, maxNested))
	}
	var all, found []ociDescriptor
	for _, d := range index.Manifests {
		// An attestation, built beside an image, is not an image.
		if d.Annotations["vnd.docker.reference.type"] != "" || d.Platform.String() == "unknown/unknown" {
			continue
		}
		all = append(all, d)
		if d.is(want) {
			found = append(found, d)
		}
	}
	switch {
	case len(found) > 0:
		named = true
	case named || len(all) == 1: // it can be an index, or have its platform in the manifest
		found = all
	}
	if len(found) == 0 || slices.ContainsFunc(found, func(d ociDescriptor) bool { return d.Digest != found[0].Digest }) {
		return nil, imageError(want, all)
	}
	b, err := a.blob(found[0])
	if err != nil {
		return nil, err
	}
	var m ociManifest
	if err := a.document(ctx, b, &m); err != nil {
		return nil, err
	}
	if m.Manifests == nil {
		if !named {
			d := found[0]
			if d.Platform == (ociPlatform{}) {
				if d.Platform, err = a.configPlatform(ctx, m); err != nil {
					return nil, err
				}
			}
			if !d.Platform.is(want) {
				for i := range all {
					all[i].Platform = d.Platform
				}
				return nil, imageError(want, all)
			}
		}
		return &m, nil
	}
	var inner ociIndex
	if err := json.Unmarshal(m.Manifests, &inner.Manifests); err != nil {
		return nil, ociError(b.name, "manifests", err, "a list")
	}
	return a.ociImage(ctx, inner, want, named, depth+1)
}

// configPlatform returns the platform in the configuration of an image, because the index can omit it
// for a single image.
func (a *Archive) configPlatform(ctx context.Context, m ociManifest) (ociPlatform, error) {
	var p ociPlatform
	if m.Config.Digest == "" {
		return p, nil
	}
	b, err := a.blob(m.Config)
	if err == nil {
		err = a.document(ctx, b, &p)
	}
	return p, err
}

// imageError returns an [ImageError] that lists all images without duplicates.
func imageError(asked string, all []ociDescriptor) error {
	e := &ImageError{Asked: asked}
	for _, d := range all {
		if text := d.text(); !slices.Contains(e.Images, text) {
			e.Images = append(e.Images, text)
		}
	}
	return e
}

// ErrImage matches every [ImageError].
var ErrImage = errors.New("the container image must be chosen")

// An ImageError means that the archive does not have exactly one container image that matches. It
// matches [ErrImage].
type ImageError struct {
	Asked  string
	Images []string // the tags and platforms of the images in the archive
}

func (e *ImageError) Error() string {
	if e.Asked != "" && len(e.Images) > 0 {
		return fmt.Sprintf("there is not exactly one image %q; the images are %s", e.Asked, list(e.Images))
	}
	if len(e.Images) == 0 {
		return "there is no image in the index"
	}
	return fmt.Sprintf("there are %d images: %s", len(e.Images), list(e.Images))
}

// Is reports whether target is [ErrImage].
func (e *ImageError) Is(target error) bool { return target == ErrImage }

// blob finds the blob of a descriptor. Its name is built from the digest, which contains only the
// algorithm and hexadecimal digits.
func (a *Archive) blob(d ociDescriptor) (blob, error) {
	algorithm, text, _ := strings.Cut(d.Digest, ":")
	want, err := newDigest(algorithm, text)
	if err != nil || want.String() != d.Digest || want.algorithm != "sha256" && want.algorithm != "sha512" {
		return blob{}, ociError("index.json", "digest", fmt.Sprintf("%.100q", d.Digest), "a sha256 or sha512 digest")
	}
	b := blob{name: path.Join("blobs", algorithm, text), want: want}
	if b.src, err = a.file(b.name); err != nil {
		return b, err
	}
	if b.src.Size() != d.Size {
		return b, ociError(b.name, "size", b.src.Size(), fmt.Sprintf("%d, as in the descriptor", d.Size))
	}
	return b, nil
}

// file returns a member that a document of a container image references.
func (a *Archive) file(name string) (image.Source, error) {
	m, err := a.find(name)
	if err != nil {
		return nil, err
	}
	if m == nil || !m.regular() {
		return nil, fmt.Errorf("%s: %w: %q is missing: the archive is incomplete", a.Kind, image.ErrFormat, name)
	}
	return m.source(a.src)
}

// document reads a JSON document and verifies its digest if it has one.
func (a *Archive) document(ctx context.Context, b blob, to any) error {
	var err error
	if b.src == nil {
		if b.src, err = a.file(b.name); err != nil {
			return err
		}
	}
	if b.src.Size() > maxJSON {
		return ociError(b.name, "size", b.src.Size(), fmt.Sprintf("at most %d", maxJSON))
	}
	src, check := b.check()
	text := make([]byte, src.Size())
	if _, err := image.ReadFull(src, text, 0); err != nil {
		return err
	}
	if err := check(ctx); err != nil {
		return err
	}
	if err := json.Unmarshal(text, to); err != nil {
		return ociError(b.name, "document", err, "JSON")
	}
	return nil
}

// ociError returns an error about a field of a document of a container image.
func ociError(name, field string, value any, want string) error {
	return fmt.Errorf("%s: %w", name, &image.FormatError{Format: "oci", Field: field, Value: value, Want: want})
}
