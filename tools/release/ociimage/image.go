package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// nobody is the default user of the image.
const nobody = 65532

const source = "https://github.com/luksimg/luksimg"

// annotations returns the annotations of the OCI image specification, annotations.md.
func (r release) annotations() map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       "luksimg",
		"org.opencontainers.image.description": "Encrypts disk images of virtual machines",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.source":      source,
		"org.opencontainers.image.url":         source,
		"org.opencontainers.image.version":     r.version,
		"org.opencontainers.image.revision":    r.revision,
	}
}

// image makes the image of one platform.
func (r release) image(p *v1.Platform, binary string) (v1.Image, error) {
	files, err := r.files(binary)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: r.created}, CreatedBy: "ociimage"},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Created = v1.Time{Time: r.created}
	config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	config.Config = v1.Config{
		Entrypoint: []string{"/usr/bin/luksimg"},
		WorkingDir: "/work",
		User:       "65532:65532",
		Env:        []string{"PATH=/usr/bin"},
		Labels:     r.annotations(),
	}
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		return nil, err
	}
	return mutate.Annotations(image, r.annotations()).(v1.Image), nil
}

// files returns the layer: folders, the binary, the certificates, the licenses.
func (r release) files(binary string) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range []string{"etc/", "etc/ssl/", "etc/ssl/certs/", "usr/", "usr/bin/", "usr/share/", "usr/share/doc/", "usr/share/doc/luksimg/"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755, ModTime: r.created}); err != nil {
			return nil, err
		}
	}
	// Temporary files (--scratch-dir) need a folder.
	for _, name := range []string{"tmp/", "work/"} {
		h := &tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o1777, ModTime: r.created, Uid: nobody, Gid: nobody}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
	}
	if err := addFile(w, binary, "usr/bin/luksimg", 0o755, r.created); err != nil {
		return nil, err
	}
	if err := addFile(w, r.licenses, "usr/share/doc/luksimg/copyright", 0o644, r.created); err != nil {
		return nil, err
	}
	var certificates bytes.Buffer
	for root := range bundle.Roots() {
		// Skip authorities that are trusted only for some certificates: a PEM list cannot express that.
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&certificates, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	h := &tar.Header{Typeflag: tar.TypeReg, Name: "etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Size: int64(certificates.Len()), ModTime: r.created}
	if err := w.WriteHeader(h); err != nil {
		return nil, err
	}
	if _, err := w.Write(certificates.Bytes()); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
