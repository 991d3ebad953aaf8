package main

import (
	"context"
	"errors"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/wrap"
)

// envelopeSuffix, after the name of an image, is the default name of its envelope.
const envelopeSuffix = ".envelope.json"

func readEnvelope(ctx context.Context, name string) (*wrap.Envelope, error) {
	if name == "" {
		return nil, rest.WithHint(errors.New("no envelope is given"), "name it with --envelope FILE")
	}
	return stdio.Parse(ctx, name, wrap.ReadEnvelope)
}

// commitEnvelope writes an envelope and commits the file.
func commitEnvelope(f *output.File, e *wrap.Envelope) error {
	if err := e.Write(f); err != nil {
		return err
	}
	return f.Commit()
}

// imageUUID opens an encrypted image with a key, which proves that the key fits. It returns the UUID in the header,
// or "" if the format has none.
func imageUUID(ctx context.Context, g *global, name string, disk []byte) (string, error) {
	in, err := openInput(ctx, g, name)
	if err != nil {
		return "", err
	}
	defer in.close()
	img, err := in.image(ctx, luksimg.ImageOptions{Key: disk, LUKS: g.kdf.apply(luks.OpenOptions{})})
	if err != nil {
		return "", err
	}
	defer img.Close()
	if !img.Encrypted {
		return "", rest.WithHint(in.wrap(errors.New("not encrypted")), "name the image that was encrypted with this key")
	}
	return img.UUID, nil
}
