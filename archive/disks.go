package archive

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/image"
)

var (
	// diskNames are the extensions of disk images, in lower case.
	diskNames = []string{".img", ".raw", ".qcow2", ".qcow", ".vmdk", ".vhd", ".vpc", ".vhdx", ".vdi", ".luks", ".disk", ".dd"}

	// packedNames are the extensions that compression adds.
	packedNames = []string{".gz", ".xz", ".zst", ".bz2"}
)

// tarDisks finds the disks of a plain tar archive: the members with the name of a disk image, or else
// the only file.
func (a *Archive) tarDisks() {
	var files []*member
	for _, m := range a.members {
		if !m.regular() || isAppleDouble(m.name) {
			continue
		}
		files = append(files, m)
		if isDiskName(m.name) {
			a.Disks = append(a.Disks, a.diskOf(m, digest{}))
		}
	}
	if len(a.Disks) == 0 && len(files) == 1 {
		a.Disks = []Disk{a.diskOf(files[0], digest{})}
	}
}

// isDiskName reports whether a file has the name of a disk image, possibly compressed.
func isDiskName(name string) bool {
	name = strings.ToLower(name)
	if ext := path.Ext(name); slices.Contains(packedNames, ext) {
		name = strings.TrimSuffix(name, ext)
	}
	return slices.Contains(diskNames, path.Ext(name))
}

// isAppleDouble reports whether a member is the metadata file that macOS stores beside a file.
func isAppleDouble(name string) bool { return strings.HasPrefix(path.Base(name), "._") }

// diskOf returns the disk in a member.
func (a *Archive) diskOf(m *member, sum digest) Disk {
	d := Disk{Name: m.name, Size: m.stored, Digest: sum.String()}
	d.open = func() (image.Source, func(context.Context) error, error) {
		src, err := m.source(a.src)
		if err != nil {
			return nil, nil, err
		}
		src, check := blob{name: m.name, src: src, want: sum}.check()
		return src, check, nil
	}
	switch {
	case !m.regular():
		d.Problem = "is a folder, a link or a device, not a file"
	case a.twice[m.name] != nil:
		d.Problem = "has the same name as another member, and programs differ in which one they use"
	}
	return d
}
