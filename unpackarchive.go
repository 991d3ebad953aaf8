package luksimg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/luksimg/luksimg/archive"
	"github.com/luksimg/luksimg/image"
)

// An ArchiveInfo describes an archive that contains a disk. Its JSON form is stable, but new members
// can be added.
type ArchiveInfo struct {
	Kind   archive.Kind   `json:"kind"`
	Member string         `json:"member,omitempty"` // the disk that was opened
	Digest string         `json:"digest,omitempty"` // required digest of the member, such as "sha256:..."
	Disks  []archive.Disk `json:"disks"`            // as the archive lists them
}

// openArchive takes a disk out of an archive.
func openArchive(ctx context.Context, u *Unpacked, _ Format, o Unpacking) error {
	a, err := archive.Open(ctx, u.Source, u.Size(), archive.Options{Image: o.Image, Unpack: func(ctx context.Context, layer image.Source) (image.Source, error) {
		return u.layer(ctx, layer, o)
	}})
	if err != nil {
		return err
	}
	u.Layers[len(u.Layers)-1] = string(a.Kind)
	u.Warnings = append(u.Warnings, a.Warnings...)
	if u.Archive != nil {
		o.Member = "" // Member applies to the outer archive
	}
	d, err := a.Disk(o.Member)
	if errors.Is(err, archive.ErrChoice) && u.Archive == nil && o.Member == "" { // the caller lists the disks
		err = cmp.Or(o.found(u), err)
	}
	if err != nil {
		return err
	}
	f, err := d.Open()
	if err != nil {
		return err
	}
	if u.Archive == nil {
		u.Archive = &ArchiveInfo{Kind: a.Kind, Member: d.Name, Digest: d.Digest, Disks: a.Disks}
	}
	u.Source, u.intact = f, append(u.intact, f.Check)
	return nil
}

// layer unpacks a layer of a container image for random access.
func (u *Unpacked) layer(ctx context.Context, src image.Source, o Unpacking) (image.Source, error) {
	l := &Unpacked{Source: src, Layers: append(slices.Clone(u.Layers), "layer"), packed: u.packed}
	o.Random = true
	err := openCompressed(ctx, l, "", o)
	u.closes = append(u.closes, l.Close)
	return l.Source, err
}

// archiveInfo describes an archive with several disks when the caller named none. It derives that
// from the error of opening the archive, and returns other errors unchanged.
func archiveInfo(err error, size int64) (*Info, error) {
	var choice *archive.ChoiceError
	if !errors.As(err, &choice) || choice.Asked != "" || len(choice.Disks) == 0 {
		return nil, err
	}
	return &Info{Format: Format(choice.Kind), FileSize: size, Layers: []string{string(choice.Kind)},
		Archive: &ArchiveInfo{Kind: choice.Kind, Disks: choice.Disks}}, nil
}

// Intact verifies the digests in the manifest of the archive that contains the image. Data that were
// read have been hashed on the way; Intact reads the rest of the disk's file. If Intact returns an
// [archive.SumError] after a job, discard the job's output. Without a manifest Intact does nothing.
func (u *Unpacked) Intact(ctx context.Context) error { return intact(ctx, u.intact) }

// Intact verifies the archive's digests; see [Unpacked.Intact].
func (i *Image) Intact(ctx context.Context) error { return intact(ctx, i.intact) }

func intact(ctx context.Context, checks []func(context.Context) error) error {
	var errs []error
	for _, check := range slices.Backward(checks) {
		if err := check(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("the archive: %w", err)
	}
	return nil
}
