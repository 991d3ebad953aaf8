package archive

import (
	"bytes"
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
	Platform    *struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
		Variant      string `json:"variant"`
	} `json:"platform"`
}

// platform returns "linux/amd64", or "".
func (d ociDescriptor) platform() string {
	if d.Platform == nil {
		return ""
	}
	return strings.TrimSuffix(d.Platform.OS+"/"+d.Platform.Architecture+"/"+d.Platform.Variant, "/")
}

// ociIndex is an image index, ociManifest an image manifest. Both have the media type where it is
// not told by what names them.
type ociIndex struct {
	Manifests []ociDescriptor `json:"manifests"`
}

type ociManifest struct {
	MediaType string          `json:"mediaType"`
	Manifests json.RawMessage `json:"manifests"`
	Layers    []ociDescriptor `json:"layers"`
}

// A blob is a file of a container image, and what it must be.
type blob struct {
	name string
	src  image.Source
	want digest
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
	manifest, err := a.ociImage(ctx, index, o.Image, 0)
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

// ociImage returns the manifest of the image that is asked for, or of the only one.
func (a *Archive) ociImage(ctx context.Context, index ociIndex, want string, depth int) (*ociManifest, error) {
	if len(index.Manifests) > maxImages || depth > maxNested {
		return nil, ociError("index.json", "number of images", len(index.Manifests), fmt.Sprintf("at most %d, in %d indexes in each other", maxImages, maxNested))
	}
	var found []ociDescriptor
	var names []string
	for _, d := range index.Manifests {
		// What was built beside an image, and is none.
		if d.Annotations["vnd.docker.reference.type"] != "" || d.platform() == "unknown/unknown" {
			continue
		}
		tag := d.Annotations["org.opencontainers.image.ref.name"]
		if want != "" && len(index.Manifests) > 1 && !slices.Contains([]string{d.Digest, tag, d.platform()}, want) {
			names = append(names, strings.TrimSpace(tag+" "+d.platform()))
			continue
		}
		if !slices.ContainsFunc(found, func(f ociDescriptor) bool { return f.Digest == d.Digest }) {
			found = append(found, d)
		}
	}
	if len(found) > 1 {
		names = nil
		for _, d := range found {
			names = append(names, strings.TrimSpace(d.Annotations["org.opencontainers.image.ref.name"]+" "+d.platform()))
		}
	}
	if len(found) != 1 {
		return nil, &ImageError{Asked: want, Images: names}
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
		return &m, nil
	}
	var inner ociIndex
	if err := json.Unmarshal(m.Manifests, &inner.Manifests); err != nil {
		return nil, ociError(b.name, "manifests", err, "a list")
	}
	return a.ociImage(ctx, inner, want, depth+1)
}

// ErrImage is what every [ImageError] is.
var ErrImage = errors.New("which container image is meant")

// An ImageError says that there is not the one container image that was asked for. It matches
// [ErrImage].
type ImageError struct {
	Asked  string
	Images []string // their tags and platforms
}

func (e *ImageError) Error() string {
	if e.Asked != "" {
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
