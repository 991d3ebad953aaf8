package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/manifest"
	"github.com/luksimg/luksimg/wrap"
)

// manifestOf returns the manifest of the new image.
func (o *encryptFlags) manifestOf(dst string, s *diskSource, r *luksimg.Result, key []byte) *manifest.Manifest {
	m := manifest.Options{
		Created: now(), Tool: toolName(), Name: filepath.Base(dst), Profile: luksimg.Profile(o.profile),
		Source: manifest.Source{Format: s.format}, ZerosDiscarded: o.discardZeros,
		PassphraseEncoding: string(o.key.Encoding()),
	}
	if o.generateKey != "" || o.hidden() || wrap.Convention(o.profile).Generated() {
		m.Generated = key
	}
	if s.img != nil {
		m.Source.Name, m.Source.FileSize = s.base, s.source.published()
	}
	if o.header != "" {
		m.Header = filepath.Base(o.header)
	}
	return manifest.New(r, m)
}

// readManifest reads the manifest beside an image. It returns nil if there is none.
func readManifest(ctx context.Context, image string) (*manifest.Manifest, error) {
	if stdio.IsStdin(image) {
		return nil, nil
	}
	m, err := stdio.Parse(ctx, image+manifest.Suffix, manifest.Read)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return m, err
}
