package luksimg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// BuilderID identifies the maker of the artifact to other post-processors.
const BuilderID = "luksimg.post-processor.luksimg"

// An Artifact is an encrypted image: a file, an object, or an image in a cloud.
type Artifact struct {
	id    string // the image in the cloud, the object, or the file
	files []string
	text  string
	state map[string]any
}

// BuilderId implements packersdk.Artifact.
func (*Artifact) BuilderId() string { return BuilderID } //nolint:revive // the interface names it

// Files implements packersdk.Artifact. It returns the image, if it is still on this machine, and the envelope.
func (a *Artifact) Files() []string { return a.files }

// Id implements packersdk.Artifact.
func (a *Artifact) Id() string { return a.id } //nolint:revive // the interface names it

func (a *Artifact) String() string { return a.text }

// State implements packersdk.Artifact. The names are object, uuid, and template_id or image_id, where they apply.
func (a *Artifact) State(name string) any { return a.state[name] }

// Destroy implements packersdk.Artifact. It removes the files, but nothing in a cloud.
func (a *Artifact) Destroy() error {
	var errs []error
	for _, f := range a.files {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing the artifact: %w", err))
		}
	}
	return errors.Join(errs...)
}
