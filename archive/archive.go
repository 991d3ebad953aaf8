// Package archive finds disks in the archives in which images are published: OVA (OVF packages), plain
// tar archives, and container images with a disk.
//
// [Open] reads the headers and descriptors of an archive. [Archive.Disk] returns one of its disks as an
// image.Source, which reads from the archive in place. Nothing is extracted. Names in an archive are
// only compared with those of its members and never open a file.
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

// The supported kinds.
const (
	Tar    Kind = "tar"
	OVA    Kind = "ova"
	OCI    Kind = "oci"    // an image layout of the Open Container Initiative
	Docker Kind = "docker" // the output of docker save and podman save
)

// Options configure [Open]. The zero value suits an archive of unknown origin.
type Options struct {
	// Image selects the container image: its platform, such as "linux/amd64", its tag, or its digest. A
	// Docker archive has the image ID in place of the digest. Image can be "" if there is only one
	// image. If no image matches, or several do, Open returns an [ImageError].
	Image string

	// Unpack decompresses a layer of a container image for random access. If it is nil, compressed
	// layers are refused.
	Unpack func(ctx context.Context, src image.Source) (image.Source, error)
}

// An Archive is an open archive. It is safe for concurrent use.
type Archive struct {
	// Kind is the kind of the archive.
	Kind Kind

	// Disks lists the disks in the archive: those in the descriptor of an OVA, else the members whose
	// names are those of disks.
	Disks []Disk

	// Warnings describe oddities of the archive, one sentence each.
	Warnings []string

	src     image.Source
	members []*member // the members of a tar archive
	names   map[string]*member
	twice   map[string]*member // second members with the same name
	sums    map[string]digest  // digests in the manifest of an OVA, by member name
}

// A Disk is a disk in an archive.
type Disk struct {
	Name        string `json:"name"`                  // of the member
	Size        int64  `json:"size"`                  // of the member, in bytes, as it is in the archive
	Capacity    int64  `json:"capacity,omitempty"`    // of the disk according to the descriptor, in bytes; 0 if unknown
	Compression string `json:"compression,omitempty"` // according to the descriptor, such as "gzip"
	Digest      string `json:"digest,omitempty"`      // required digest of the member, such as "sha256:..."; "" if there is none
	Problem     string `json:"problem,omitempty"`     // why it cannot be read, "" if it can

	// open opens the file. It also returns the function that verifies its digest.
	open func() (image.Source, func(context.Context) error, error)
}

// Open reads the list of disks in an archive, a file of size bytes: all headers of a tar archive, the
// descriptor and the manifest of an OVA. It does not read the disks. r must allow concurrent ReadAt
// calls and must not change.
//
// If the archive is malformed, the error matches [image.ErrFormat]; if its kind is unsupported, it
// matches [image.ErrUnsupported].
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

// find returns the member with a name, or nil. It refuses duplicate names, because programs differ in
// which member they use.
func (a *Archive) find(name string) (*member, error) {
	if m := a.twice[name]; m != nil {
		return nil, fieldError(m.header, "name", fmt.Sprintf("%q", name), "a name that no earlier member has")
	}
	return a.names[name], nil
}

// text reads a whole member of at most the given number of bytes.
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

// Disk returns the disk with the given name, or the only disk if name is "". In a tar archive any file
// can be named. If there is no such disk, or there are several, the error is a [ChoiceError].
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

// ErrChoice matches every [ChoiceError].
var ErrChoice = errors.New("the disk in the archive must be chosen")

// A ChoiceError means that the archive does not have exactly one disk that matches. It matches
// [ErrChoice].
type ChoiceError struct {
	Kind  Kind
	Asked string   // the requested name; "" asks for the only disk
	Disks []Disk   // the disks in the archive
	Names []string // names of the files, if there is no disk
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
		return fmt.Sprintf("%s has no file with the name of a disk; its files are %s", article, list(e.Names))
	}
	return article + " without a disk"
}

// Is reports whether target is [ErrChoice].
func (e *ChoiceError) Is(target error) bool { return target == ErrChoice }

// An error lists at most maxListed names of at most maxName bytes, which is enough for a SHA-256
// digest.
const maxListed, maxName = 10, 80

// list quotes names, at most maxListed of them.
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
