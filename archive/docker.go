package archive

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/image"
)

// A dockerImage is an image in manifest.json; Docker Image Specification 1.2, "Combined Image JSON +
// Filesystem Changeset Format".
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// id returns the image ID as Docker prints it, which is the digest of the configuration, or "".
func (i dockerImage) id() string {
	d, err := newDigest("sha256", strings.TrimSuffix(path.Base(cleanName(i.Config)), ".json"))
	if err != nil {
		return ""
	}
	return d.String()
}

// is reports whether name is a tag or the ID of the image.
func (i dockerImage) is(name string) bool {
	return name != "" && (name == i.id() || slices.ContainsFunc(i.RepoTags, func(tag string) bool { return tagged(tag, name) }))
}

// text describes the image for an error: its tags, or else its ID.
func (i dockerImage) text() string { return cmp.Or(strings.Join(i.RepoTags, " "), i.id()) }

// openDocker finds the disks in the output of docker save or podman save.
func (a *Archive) openDocker(ctx context.Context, o Options) error {
	a.Kind = Docker
	var images []dockerImage
	if err := a.document(ctx, blob{name: "manifest.json"}, &images); err != nil {
		return err
	}
	if len(images) > maxImages {
		return ociError("manifest.json", "number of images", len(images), fmt.Sprintf("at most %d", maxImages))
	}
	var names []string
	var found []dockerImage
	for _, i := range images {
		if i.is(o.Image) {
			found = append(found, i)
		}
		names = append(names, i.text())
	}
	named := o.Image == "" || len(found) > 0
	if len(found) == 0 && len(images) == 1 {
		found = images // the configuration has the platform
	}
	if len(found) != 1 {
		return &ImageError{Asked: o.Image, Images: names}
	}
	i := found[0]
	if len(i.Layers) > maxLayers {
		return ociError("manifest.json", "number of layers", len(i.Layers), fmt.Sprintf("at most %d", maxLayers))
	}
	var config struct {
		ociPlatform
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	c := blob{name: cleanName(i.Config)}
	// The name of the configuration is its digest.
	if d, err := newDigest("sha256", strings.TrimSuffix(path.Base(c.name), ".json")); err == nil {
		c.want = d
	}
	if err := a.document(ctx, c, &config); err != nil {
		return err
	}
	if !named && !config.is(o.Image) {
		return &ImageError{Asked: o.Image, Images: []string{strings.TrimSpace(i.text() + " " + config.ociPlatform.String())}}
	}
	if n := len(config.RootFS.DiffIDs); n != len(i.Layers) {
		return ociError(c.name, "number of diff_ids", n, fmt.Sprintf("%d, one for each layer", len(i.Layers)))
	}
	var layers []blob
	for n, name := range i.Layers {
		b := blob{name: cleanName(name)}
		m, err := a.find(b.name)
		if err != nil {
			return err
		}
		if m != nil && m.kind == '2' { // in old archives, identical layers are links
			b.name = path.Join(path.Dir(b.name), m.link)
		}
		if b.src, err = a.file(b.name); err != nil {
			return err
		}
		algorithm, text, _ := strings.Cut(config.RootFS.DiffIDs[n], ":")
		if b.want, err = newDigest(algorithm, text); err != nil {
			return ociError(c.name, "diff_ids", fmt.Sprintf("%.100q", config.RootFS.DiffIDs[n]), "digests")
		}
		if !Detect(b.src, b.src.Size()) && !emptyTar(b.src) {
			// The layer is compressed, and the digest is that of its content.
			b.unpacked = b.want
			if b.want, err = newDigest("sha256", path.Base(b.name)); err != nil {
				return fmt.Errorf("%s: %w: the layer %q is compressed and has no digest", a.Kind, image.ErrUnsupported, b.name)
			}
		}
		layers = append(layers, b)
	}
	return a.layerDisks(ctx, layers, o)
}

// dockerLike reports whether manifest.json is that of container images, which have layers beside it.
func (a *Archive) dockerLike() bool {
	for _, m := range a.members {
		if ext := path.Ext(m.name); ext == ".tar" || strings.HasPrefix(m.name, "blobs/") {
			return true
		}
	}
	return false
}
