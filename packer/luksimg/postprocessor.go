// Package luksimg is a Packer post-processor that encrypts the disk image of a build. As the template says, it also
// wraps the key, uploads the image, or imports it into a cloud. The luksimg library does all the work.
package luksimg

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/luksimg/luksimg/ibm/deploy"
)

// A PostProcessor encrypts the disk of one artifact.
type PostProcessor struct {
	config Config
}

// ConfigSpec implements [packersdk.PostProcessor].
func (p *PostProcessor) ConfigSpec() hcldec.ObjectSpec { return p.config.FlatMapstructure().HCL2Spec() }

// Configure implements [packersdk.PostProcessor].
func (p *PostProcessor) Configure(raws ...any) error { return p.config.decode(raws...) }

// PostProcess implements [packersdk.PostProcessor]. By default it has Packer discard the input, because that is not
// encrypted. keep_input_artifact in the template overrides this.
func (p *PostProcessor) PostProcess(ctx context.Context, ui packersdk.Ui, in packersdk.Artifact) (packersdk.Artifact, bool, bool, error) {
	name, err := p.config.disk(in)
	if err != nil {
		return nil, true, false, err
	}
	// generated_data holds the names that a template can use in output and envelope.
	if data, ok := in.State("generated_data").(map[any]any); ok {
		p.config.ctx.Data = data
	} else {
		p.config.ctx.Data = map[string]string{"BuildName": p.config.PackerBuildName, "BuilderType": p.config.PackerBuilderType}
	}
	j := &job{Config: &p.config, ui: ui, source: deploy.Local{}.Source(name)}
	if j.output, j.envelope, err = p.config.names(name); err != nil {
		return nil, true, false, err
	}
	var out *Artifact
	if p.config.Deploy != nil {
		out, err = j.deploy(ctx)
	} else {
		out, err = j.encrypt(ctx)
	}
	if err != nil {
		return nil, true, true, err // ask to keep the plain disk, the only one. Packer 1.12 ignores that after an error
	}
	return out, false, false, nil
}

// extensions are the extensions that builders use for disks.
var extensions = []string{".raw", ".img", ".qcow2", ".qcow", ".vhd", ".vhdx", ".vmdk", ".vdi", ".ova", ".xz", ".gz", ".zst", ".bz2", ""}

// disk returns the file of the artifact to encrypt.
func (c *Config) disk(in packersdk.Artifact) (string, error) {
	files := in.Files()
	if c.Source != "" {
		for _, f := range files {
			if filepath.Base(f) == c.Source {
				return f, nil
			}
		}
		return "", fmt.Errorf("source: the artifact %s has no file %q, only %q", in.BuilderId(), c.Source, files)
	}
	if len(files) != 1 {
		files = slices.DeleteFunc(slices.Clone(files), func(f string) bool {
			return !slices.Contains(extensions, strings.ToLower(filepath.Ext(f)))
		})
	}
	switch len(files) {
	case 1:
		return files[0], nil
	case 0:
		return "", fmt.Errorf("the artifact %s has no disk among its files %q", in.BuilderId(), in.Files())
	}
	return "", fmt.Errorf("the artifact has several disks, %q: say in source which one to encrypt", files)
}
