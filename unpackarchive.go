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

// An ArchiveInfo tells of an archive with a disk. Its JSON form is stable; members may be added.
type ArchiveInfo struct {
	Kind   archive.Kind   `json:"kind"`
	Member string         `json:"member,omitempty"` // the disk that was opened
	Digest string         `json:"digest,omitempty"` // that the member must have, as "sha256:..."
	Disks  []archive.Disk `json:"disks"`            // those that the archive says it has
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
		o.Member = "" // it is of the outer one
	}
	d, err := a.Disk(o.Member)
	if errors.Is(err, archive.ErrChoice) && u.Archive == nil && o.Member == "" { // nothing goes on from here
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

// layer unpacks a layer of a container image, to be read at random.
func (u *Unpacked) layer(ctx context.Context, src image.Source, o Unpacking) (image.Source, error) {
	l := &Unpacked{Source: src, Layers: append(slices.Clone(u.Layers), "layer"), packed: u.packed}
	o.Random = true
	err := openCompressed(ctx, l, "", o)
	u.closes = append(u.closes, l.Close)
	return l.Source, err
}

// archiveInfo describes an archive of several disks, of which none was named, by the error of opening
// it, and leaves other errors alone.
func archiveInfo(err error, size int64) (*Info, error) {
	var choice *archive.ChoiceError
	if !errors.As(err, &choice) || choice.Asked != "" || len(choice.Disks) == 0 {
		return nil, err
	}
	return &Info{Format: Format(choice.Kind), FileSize: size, Layers: []string{string(choice.Kind)},
		Archive: &ArchiveInfo{Kind: choice.Kind, Disks: choice.Disks}}, nil
}

// Intact tells whether what was read is what the archive that the image is in says of it: whether the
// digests in its manifest are right. What has been read was hashed meanwhile; what has not is read now,
// up to all of the file of the disk. What a job made of an image is of no use if Intact fails after it,
// with an [archive.SumError]. Without a manifest it does nothing.
func (u *Unpacked) Intact(ctx context.Context) error { return intact(ctx, u.intact) }

// Intact is [Unpacked.Intact] of an image.
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
