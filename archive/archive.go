// Package archive finds the disks in the archives that images are published in: OVA (OVF packages),
// plain tar archives, and container images that hold a disk.
//
// [Open] reads the headers and descriptors of an archive, and [Archive.Disk] gives one of its disks as
// an image.Source, which is read where it is in the archive. Nothing is extracted, and no name in an
// archive ever opens anything: it is only looked for among the members.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/advice"
)

// A Kind is a kind of archive.
type Kind string

// The kinds that are read.
const (
	Tar    Kind = "tar"
	OVA    Kind = "ova"
	OCI    Kind = "oci"    // an image layout of the Open Container Initiative
	Docker Kind = "docker" // what docker save and podman save write
)

// Options say how to read an archive. The zero value is right for one of unknown origin.
type Options struct {
	// Image is the container image to read: its platform, as in "linux/amd64", its tag, or its digest. It
	// may be "" if there is only one. If it is another than the one that is named, or there is none, Open
	// gives an [ImageError]. A Docker archive has the ID of an image in place of its digest.
	Image string

	// Unpack unpacks a layer of a container image that is compressed, so that it can be read at random.
	// If it is nil such layers are refused.
	Unpack func(ctx context.Context, src image.Source) (image.Source, error)
}

// An Archive is an open archive. It is safe for concurrent use.
type Archive struct {
	// Kind is that of the archive.
	Kind Kind

	// Disks are those that the archive holds, by what it says of itself: by the descriptor of an OVA,
	// by the names of its members otherwise.
	Disks []Disk

	// Warnings say what is odd about the archive, a sentence each.
	Warnings []string

	src     image.Source
	members []*member // of a tar archive
	names   map[string]*member
	twice   map[string]*member // the second of a name
	sums    map[string]digest  // of an OVA, by the names of members
}

// A Disk is a disk in an archive.
type Disk struct {
	Name        string `json:"name"`                  // of the member
	Size        int64  `json:"size"`                  // of the member, in bytes, as it is in the archive
	Capacity    int64  `json:"capacity,omitempty"`    // of the disk by the descriptor, in bytes; 0 if it is not known
	Compression string `json:"compression,omitempty"` // by the descriptor, "gzip"
	Digest      string `json:"digest,omitempty"`      // that the member must have, as "sha256:...", "" if there is none
	Problem     string `json:"problem,omitempty"`     // why it can not be read, "" if it can

	// open opens the file, and gives what checks its digest when it was read.
	open func() (image.Source, func(context.Context) error, error)
}

// Open reads what says which disks are in an archive, a file of size bytes: all headers of a tar
// archive, the descriptor and the manifest of an OVA. Of the disks nothing is read. r must allow
// concurrent ReadAt and not change.
//
// An archive that breaks the rules of its format gives an error that matches [image.ErrFormat], one of
// a kind that is not read here [image.ErrUnsupported].
func Open(ctx context.Context, r io.ReaderAt, size int64, o Options) (*Archive, error) {
	src, ok := r.(image.Source)
	if !ok || src.Size() != size {
		src = io.NewSectionReader(r, 0, size)
	}
	all, warnings, err := members(ctx, src, size)
	if err != nil {
		return nil, err
	}
	a := &Archive{Kind: Tar, Warnings: warnings, src: src, members: all, names: map[string]*member{}, twice: map[string]*member{}}
	for _, m := range all {
		if a.names[m.name] != nil {
			a.twice[m.name] = m
		}
		a.names[m.name] = m
	}
	var descriptor *member
	for _, m := range all {
		switch name := strings.ToLower(m.name); {
		case !m.regular():
		case strings.HasSuffix(name, ".ovf") && !isAppleDouble(name):
			if descriptor != nil {
				return nil, fmt.Errorf("%w: an OVA with two descriptors, %q and %q", image.ErrUnsupported, descriptor.name, m.name)
			}
			descriptor = m
		}
	}
	switch {
	case descriptor != nil:
		err = a.openOVA(descriptor)
	case a.names["oci-layout"] != nil && a.names["index.json"] != nil:
		err = a.openOCI(ctx, o)
	case a.names["manifest.json"] != nil && a.dockerLike():
		err = a.openDocker(ctx, o)
	default:
		a.tarDisks()
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// find returns the member with a name, nil if there is none. Two are refused: programs differ in
// which of them they take.
func (a *Archive) find(name string) (*member, error) {
	if m := a.twice[name]; m != nil {
		return nil, fieldError(m.header, "name", fmt.Sprintf("%q", name), "another than that of a member before it")
	}
	return a.names[name], nil
}

// text reads a member as a whole, which may have so many bytes at most.
func (a *Archive) text(m *member, most int64) ([]byte, error) {
	if m.size > most {
		return nil, fieldError(m.header, "size of "+m.name, m.size, fmt.Sprintf("at most %d", most))
	}
	src, err := m.source(a.src)
	if err != nil {
		return nil, err
	}
	b := make([]byte, m.size)
	_, err = image.ReadFull(src, b, 0)
	return b, err
}

// Disk returns the disk with that name, or the only one if it is "". Of a tar archive any file can be
// named. A [ChoiceError] says that there is no such disk, or are several.
func (a *Archive) Disk(name string) (*Disk, error) {
	if name = cleanName(name); name == "" {
		return a.only()
	}
	for i := range a.Disks {
		if a.Disks[i].Name == name {
			return a.usable(&a.Disks[i])
		}
	}
	if a.Kind == Tar || a.Kind == OVA {
		m, err := a.find(name)
		if err != nil {
			return nil, err
		}
		if m != nil {
			d := a.diskOf(m, a.sum(name))
			return a.usable(&d)
		}
	}
	return nil, a.choice(name)
}

func (a *Archive) only() (*Disk, error) {
	if len(a.Disks) != 1 {
		return nil, a.choice("")
	}
	return a.usable(&a.Disks[0])
}

func (a *Archive) usable(d *Disk) (*Disk, error) {
	if d.Problem != "" {
		err := fmt.Errorf("%s: %w: the disk %q %s", a.Kind, image.ErrUnsupported, d.Name, d.Problem)
		if d.open == nil {
			return nil, advice.With(err, "get the archive again, or the file of the disk from whoever made it")
		}
		return nil, advice.With(err, "take the files out of the archive with tar, and make a disk of them with the tool that made it")
	}
	return d, nil
}

// ErrChoice is matched by every [ChoiceError]; see [errors.Is].
var ErrChoice = errors.New("which disk of the archive is meant")

// A ChoiceError says that an archive has not the one disk that was asked for. It matches [ErrChoice].
type ChoiceError struct {
	Kind  Kind
	Asked string   // "" for the only one
	Disks []Disk   // those that there are
	Names []string // of the files, if there is no disk
}

func (e *ChoiceError) Error() (text string) {
	var disks []string
	var problems []string
	for i, d := range e.Disks {
		disks = append(disks, d.Name)
		if problem := "; " + list([]string{d.Name}) + " " + d.Problem; d.Problem != "" && i < maxListed && !slices.Contains(problems, problem) {
			problems = append(problems, problem)
		}
	}
	if len(problems) > 0 {
		defer func() { text += strings.Join(problems, "") }()
	}
	article := map[Kind]string{Tar: "a tar archive", OVA: "an OVA", OCI: "an OCI image", Docker: "a Docker archive"}[e.Kind]
	switch {
	case len(e.Disks) > 0 && e.Asked != "":
		return fmt.Sprintf("%s has no member %q; its disks are %s", article, e.Asked, list(disks))
	case len(e.Disks) > 0:
		return fmt.Sprintf("%s with %d disks: %s", article, len(e.Disks), list(disks))
	case e.Asked != "":
		return fmt.Sprintf("%s has no member %q, and no disk", article, e.Asked)
	case len(e.Names) > 0:
		return fmt.Sprintf("%s without a disk that can be told by its name, but with %s", article, list(e.Names))
	}
	return article + " without a disk"
}

// Is reports whether target is [ErrChoice].
func (e *ChoiceError) Is(target error) bool { return target == ErrChoice }

// An error has so many names at most, each of so many bytes, which are enough for a SHA-256 digest.
const maxListed, maxName = 10, 80

// list quotes names, but not too many.
func list(names []string) string {
	var all []string
	for i, n := range names {
		if i == maxListed {
			all = append(all, fmt.Sprintf("and %d more", len(names)-i))
			break
		}
		if len(n) > maxName {
			n = n[:maxName] + "..."
		}
		all = append(all, fmt.Sprintf("%q", n))
	}
	return strings.Join(all, ", ")
}

func (a *Archive) choice(asked string) error {
	e := &ChoiceError{Kind: a.Kind, Asked: asked, Disks: a.Disks}
	for _, m := range a.members {
		if m.regular() && len(a.Disks) == 0 {
			e.Names = append(e.Names, m.name)
		}
	}
	return e
}
