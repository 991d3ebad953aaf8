package archive

import (
	"archive/tar"
	"bytes"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/advice"
)

// openOVA reads the descriptor and the manifest of an OVA, which list its disks; DSP0243, section 6.4.
func (a *Archive) openOVA(descriptor *member) error {
	a.Kind = OVA
	text, err := a.text(descriptor, maxDescriptor)
	if err != nil {
		return err
	}
	sums, err := a.manifest(descriptor)
	if err != nil {
		return err
	}
	a.sums = sums
	if d := a.sum(descriptor.name); d.sum != nil {
		h := d.hash()
		h.Write(text)
		if sum := h.Sum(nil); !bytes.Equal(sum, d.sum) {
			return &SumError{descriptor.name, d.String(), digest{d.algorithm, sum}.String()}
		}
	}
	e, err := parseOVF(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s: %w", descriptor.name, err)
	}
	for _, x := range e.disks {
		if x.fileRef == "" {
			continue // a new, empty disk
		}
		d, err := a.ovfDisk(e, x, path.Dir(descriptor.name))
		if err != nil {
			return err
		}
		if len(sums) > 0 && d.Problem == "" && d.Digest == "" {
			a.Warnings = append(a.Warnings, fmt.Sprintf("the manifest has no digest of %q", d.Name))
		}
		a.Disks = append(a.Disks, d)
	}
	return nil
}

// ovfDisk returns a disk that the descriptor names.
func (a *Archive) ovfDisk(e *envelope, x ovfDisk, folder string) (Disk, error) {
	f := e.files[x.fileRef]
	if f == nil {
		return Disk{Name: x.fileRef, Capacity: x.capacity, Problem: "refers to a file that the descriptor does not list"}, nil
	}
	m, name, err := a.reference(folder, f.href)
	if err != nil {
		return Disk{}, err
	}
	d := Disk{Name: name, Capacity: x.capacity}
	if m != nil {
		d = a.diskOf(m, a.sum(name))
		d.Capacity = x.capacity
	}
	if f.compression != "" && f.compression != "identity" {
		d.Compression = f.compression
	}
	switch {
	case f.chunkSize != "" && f.chunkSize != "0" && m == nil:
		d.Problem = "is split into pieces (chunkSize): join them with cat"
	case m == nil:
		d.Problem = "is not in the archive: the archive is incomplete, or the disk is elsewhere"
	case d.Problem != "":
	case x.parentRef != "":
		d.Problem = fmt.Sprintf("needs its parent disk %q", x.parentRef)
	case d.Compression != "" && d.Compression != "gzip":
		d.Problem = fmt.Sprintf("is compressed by %q", d.Compression)
	case f.size >= 0 && f.size != m.stored:
		a.Warnings = append(a.Warnings, fmt.Sprintf("%q has %d bytes, but %d according to the descriptor", name, m.stored, f.size))
	}
	return d, nil
}

// reference finds the member for a reference in the descriptor. The reference is relative to the folder
// of the descriptor and can have URI escapes. It returns nil if the member is not in the archive.
func (a *Archive) reference(folder, href string) (*member, string, error) {
	for _, h := range []string{href, unescaped(href)} {
		name := memberName(folder, h)
		if strings.Contains(h, "://") || path.IsAbs(h) {
			continue // path.Join would make it the name of a member
		}
		if m, err := a.find(name); m != nil || err != nil {
			return m, name, err
		}
	}
	return nil, href, nil
}

func unescaped(href string) string {
	if s, err := url.PathUnescape(href); err == nil {
		return s
	}
	return href
}

// sum returns the digest of a member in the manifest, for any spelling of the name.
func (a *Archive) sum(name string) digest { return a.sums[memberName("", name)] }

// manifest reads the manifest of a descriptor: the one with its name, or else the only one. It returns
// nil if there is none. The manifest must be a regular file, and no other member can be mistaken for
// it.
func (a *Archive) manifest(descriptor *member) (map[string]digest, error) {
	own := strings.TrimSuffix(descriptor.name, path.Ext(descriptor.name)) + ".mf"
	var found []*member
	named := false
	for _, m := range a.members {
		if m.kind == tar.TypeDir || isAppleDouble(m.name) {
			continue
		}
		switch strings.ToLower(path.Ext(m.name)) {
		case ".mf":
			is := strings.EqualFold(memberName("", m.name), memberName("", own))
			if is && !named {
				found, named = nil, true
			}
			if is == named {
				found = append(found, m)
			}
		case ".cert":
			a.Warnings = append(a.Warnings, fmt.Sprintf("the archive is signed (%q), but the signature is not verified", m.name))
		}
	}
	switch {
	case len(found) == 0:
		return nil, nil
	case len(found) > 1:
		return nil, advice.With(fmt.Errorf("%w: an OVA with two manifests, %q and %q", image.ErrUnsupported, found[0].name, found[1].name), "get the archive again: nobody can tell which digests were meant")
	case !found[0].regular():
		return nil, advice.With(fmt.Errorf("%w: the manifest %q is a link or a device, not a file", image.ErrUnsupported, found[0].name), "get the archive again: nobody can tell which digests were meant")
	}
	text, err := a.text(found[0], maxManifest)
	if err != nil {
		return nil, err
	}
	sums, err := parseManifest(text, path.Dir(descriptor.name))
	if err != nil {
		err = fmt.Errorf("%s: %w", found[0].name, err)
	}
	return sums, err
}
