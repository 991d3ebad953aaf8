package archive

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/luksimg/luksimg/image"
)

// diskFolder is the folder of the disk in a container image; KubeVirt's documentation, "containerDisk".
const diskFolder = "disk"

// maxLayerMembers allows for a layer with an operating system beside the disk.
const maxLayerMembers = 1 << 20

// A layerScan scans the layers of an image from the top: upper layers hide files of lower layers. OCI
// Image Format Specification 1.1, "Image Layer Filesystem Changeset".
type layerScan struct {
	a      *Archive
	hidden map[string]bool               // files of the folder that an upper layer has or removes
	opaque bool                          // the lower layers are hidden
	checks []func(context.Context) error // verify the digests of the scanned layers

	// State of the current layer.
	below  map[string]bool
	closed bool
	found  int
}

// layerDisks finds the disks in the layers of a container image; layers are in order from the lowest.
func (a *Archive) layerDisks(ctx context.Context, layers []blob, o Options) error {
	s := &layerScan{a: a, hidden: map[string]bool{}}
	for i := len(layers) - 1; i >= 0 && !s.opaque; i-- {
		if err := s.layer(ctx, layers[i], o); err != nil {
			return err
		}
	}
	return nil
}

// layer scans one layer.
func (s *layerScan) layer(ctx context.Context, b blob, o Options) error {
	src, check := b.check()
	s.checks = append(s.checks, check)
	size := src.Size()
	if !Detect(src, size) && !emptyTar(src) {
		if o.Unpack == nil {
			return fmt.Errorf("%s: %w: the layer %q is compressed", s.a.Kind, image.ErrUnsupported, b.name)
		}
		unpacked, err := o.Unpack(ctx, src)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		src, check = blob{name: b.name + ", unpacked", src: unpacked, want: b.unpacked}.check()
		s.checks = append(s.checks, check)
		size = src.Size()
		if !Detect(src, size) && !emptyTar(src) {
			return fmt.Errorf("%s: %w: the layer %q is not a tar archive", s.a.Kind, image.ErrUnsupported, b.name)
		}
	}
	s.below, s.closed, s.found = map[string]bool{}, false, 0
	n := 0
	_, err := walk(ctx, src, size, func(m *member) error {
		if n++; n > maxLayerMembers {
			return fieldError(m.header, "number of members", fmt.Sprintf("more than %d", maxLayerMembers), "fewer, as in a container image with a disk")
		}
		return s.member(m, b, src)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", b.name, err)
	}
	for name := range s.below {
		s.hidden[name] = true
	}
	s.opaque = s.opaque || s.closed
	return nil
}

// check verifies the digests of all scanned layers, not only of the layer with the disk, because they
// decide which disk is visible.
func (s *layerScan) check(ctx context.Context) error {
	for _, check := range s.checks {
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// emptyTar reports whether a layer starts with zeros, as a tar archive without members does.
func emptyTar(src image.Source) bool {
	b := make([]byte, min(blockSize, src.Size()))
	_, err := image.ReadFull(src, b, 0)
	return err == nil && len(strings.Trim(string(b), "\x00")) == 0
}

// member processes a member of a layer.
func (s *layerScan) member(m *member, b blob, src image.Source) error {
	const whiteout, opaque = ".wh.", ".wh..wh..opq"
	name := strings.TrimPrefix(path.Clean("/"+m.name), "/")
	folder, base := path.Split(name)
	switch folder = strings.TrimSuffix(folder, "/"); {
	case name == whiteout+diskFolder, folder == "" && base == opaque, folder == diskFolder && base == opaque:
		s.closed = true
		return nil
	case name == diskFolder && m.kind != '5':
		s.closed = true // a file or a link replaces the folder
		return nil
	case folder != diskFolder:
		return nil
	}
	if len(s.below) == maxEntries {
		return fieldError(m.header, "number of files in /disk", fmt.Sprintf("more than %d", maxEntries), "less")
	}
	if removed, ok := strings.CutPrefix(base, whiteout); ok {
		s.below[removed] = true
		return nil
	}
	again := s.below[base]
	s.below[base] = true
	if s.hidden[base] || m.kind == '5' {
		return nil
	}
	d := Disk{Name: name, Size: m.stored, Digest: b.want.String()}
	d.open = func() (image.Source, func(context.Context) error, error) {
		file, err := m.source(src)
		return file, s.check, err
	}
	switch {
	case again:
		d.Problem = "has the same name as another member of its layer, and programs differ in which one they use"
	case !m.regular():
		d.Problem = "is a link or a device, not a file"
	}
	s.a.Disks = append(s.a.Disks, d)
	return nil
}
