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
	// maxJSON is the length of a document of a container image in bytes: OCI Distribution
	// Specification 1.1, "Pushing Manifests", names 4 MiB.
	maxJSON = 4 << 20

	maxLayers = 128  // of an image, as overlayfs takes
	maxImages = 4096 // of an index
	maxNested = 4    // indexes in each other
)

// An ociDescriptor names a blob: OCI Image Format Specification 1.1, "Content Descriptors".
type ociDescriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
	Platform    ociPlatform       `json:"platform"`
}

// An ociPlatform is that of a descriptor, and of the configuration of an image.
type ociPlatform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Variant      string `json:"variant"`
}

// String returns "linux/amd64", or "".
func (p ociPlatform) String() string {
	return strings.Trim(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// is tells whether a name is that of the platform, which may be without the variant.
func (p ociPlatform) is(name string) bool {
	return name != "" && p.OS != "" && (name == p.String() || name == p.OS+"/"+p.Architecture)
}

// tags returns the names that whoever wrote the index gave to the image.
func (d ociDescriptor) tags() []string {
	var all []string
	for _, key := range []string{"org.opencontainers.image.ref.name", "io.containerd.image.name"} {
		if t := d.Annotations[key]; t != "" && !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}

// is tells whether the descriptor says that the image has that name.
func (d ociDescriptor) is(name string) bool {
	return d.Digest == name || d.Platform.is(name) || slices.ContainsFunc(d.tags(), func(tag string) bool { return tagged(tag, name) })
}

// tagged tells whether a reference, such as "host/user/image:v1", is the one of a name: as it is, without
// the host or what else is in front, or its tag.
func tagged(reference, name string) bool {
	return reference == name || strings.Contains(name, ":") && strings.HasSuffix(reference, "/"+name) ||
		!strings.ContainsAny(name, "/:") && strings.HasSuffix(reference, ":"+name)
}

// text is how an error lists the image: its tags and its platform, or else its digest.
func (d ociDescriptor) text() string {
	return cmp.Or(strings.TrimSpace(strings.Join(append(d.tags(), d.Platform.String()), " ")), d.Digest)
}

// ociIndex is an image index, ociManifest an image manifest. Both have the media type where it is
// not told by what names them.
type ociIndex struct {
	Manifests []ociDescriptor `json:"manifests"`
}

type ociManifest struct {
	MediaType string          `json:"mediaType"`
	Manifests json.RawMessage `json:"manifests"`
	Config    ociDescriptor   `json:"config"`
	Layers    []ociDescriptor `json:"layers"`
}

// A blob is a file of a container image, and what it must be.
type blob struct {
	name string
	src  image.Source
	want digest

	unpacked digest // of a layer that is compressed, when it is unpacked; none if it is not known
}

// check returns the blob so that it is hashed as it is read, and what checks it in the end.
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

// openOCI finds the disks of an image layout: OCI Image Format Specification 1.1, "Image Layout".
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

// ociImage returns the manifest of the image that is asked for, or of the only one. named tells that
// what is above the index is what was asked for, if anything was.
func (a *Archive) ociImage(ctx context.Context, index ociIndex, want string, named bool, depth int) (*ociManifest, error) {
	if len(index.Manifests) > maxImages || depth > maxNested {
		return nil, ociError("index.json", "number of images", len(index.Manifests), fmt.Sprintf("at most %d, in %d indexes in each other", maxImages, maxNested))
	}
	var all, found []ociDescriptor
	for _, d := range index.Manifests {
		// What was built beside an image, and is none.
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
	case named || len(all) == 1: // one may be an index, or say what it is in its manifest
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

// configPlatform returns the platform that the configuration of an image has: the index need not tell it
// of the only image.
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

// imageError is an [ImageError] that lists all images, each once.
func imageError(asked string, all []ociDescriptor) error {
	e := &ImageError{Asked: asked}
	for _, d := range all {
		if text := d.text(); !slices.Contains(e.Images, text) {
			e.Images = append(e.Images, text)
		}
	}
	return e
}

// ErrImage is matched by every [ImageError]; see [errors.Is].
var ErrImage = errors.New("which container image is meant")

// An ImageError says that there is not the one container image that was asked for. It matches
// [ErrImage].
type ImageError struct {
	Asked  string
	Images []string // those that there are: their tags and platforms
}

func (e *ImageError) Error() string {
	if e.Asked != "" && len(e.Images) > 0 {
		return fmt.Sprintf("there is not one image %q, but %s", e.Asked, list(e.Images))
	}
	if len(e.Images) == 0 {
		return "there is no image in the index"
	}
	return fmt.Sprintf("there are %d images: %s", len(e.Images), list(e.Images))
}

// Is reports whether target is [ErrImage].
func (e *ImageError) Is(target error) bool { return target == ErrImage }

// blob finds what a descriptor names. The name is made of the digest, which has no other characters
// than those of its algorithm and hexadecimal digits.
func (a *Archive) blob(d ociDescriptor) (blob, error) {
	algorithm, text, _ := strings.Cut(d.Digest, ":")
	want, err := newDigest(algorithm, text)
	if err != nil || want.String() != d.Digest || want.algorithm != "sha256" && want.algorithm != "sha512" {
		return blob{}, ociError("index.json", "digest", fmt.Sprintf("%.100q", d.Digest), "one by sha256 or sha512")
	}
	b := blob{name: path.Join("blobs", algorithm, text), want: want}
	if b.src, err = a.file(b.name); err != nil {
		return b, err
	}
	if b.src.Size() != d.Size {
		return b, ociError(b.name, "size", b.src.Size(), fmt.Sprintf("%d, as the image says", d.Size))
	}
	return b, nil
}

// file returns a member that the documents of a container image name.
func (a *Archive) file(name string) (image.Source, error) {
	m, err := a.find(name)
	if err != nil {
		return nil, err
	}
	if m == nil || !m.regular() {
		return nil, fmt.Errorf("%s: %w: %q is not in the archive: it is not whole", a.Kind, image.ErrFormat, name)
	}
	return m.source(a.src)
}

// document reads a document, and checks its digest if it has one.
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

// ociError is about a field of a document of a container image.
func ociError(name, field string, value any, want string) error {
	return fmt.Errorf("%s: %w", name, &image.FormatError{Format: "oci", Field: field, Value: value, Want: want})
}
