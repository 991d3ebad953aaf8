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

// openOVA reads the descriptor and the manifest of an OVA, which say what its disks are: DSP0243,
// section 6.4.
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
			continue // a new disk, which is empty
		}
		d, err := a.ovfDisk(e, x, path.Dir(descriptor.name))
		if err != nil {
			return err
		}
		if len(sums) > 0 && d.Problem == "" && d.Digest == "" {
			a.Warnings = append(a.Warnings, fmt.Sprintf("the manifest says nothing of %q", d.Name))
		}
		a.Disks = append(a.Disks, d)
	}
	return nil
}

// ovfDisk returns a disk that a descriptor names.
func (a *Archive) ovfDisk(e *envelope, x ovfDisk, folder string) (Disk, error) {
	f := e.files[x.fileRef]
	if f == nil {
		return Disk{Name: x.fileRef, Capacity: x.capacity, Problem: "is in a file that the descriptor does not name"}, nil
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
		d.Problem = "is in pieces (chunkSize), which are not joined here: join them with cat"
	case m == nil:
		d.Problem = "is not in the archive: it is not whole, or the disk is somewhere else"
	case d.Problem != "":
	case x.parentRef != "":
		d.Problem = fmt.Sprintf("stands on another disk, %q, and is no disk without it", x.parentRef)
	case d.Compression != "" && d.Compression != "gzip":
		d.Problem = fmt.Sprintf("is compressed by %q", d.Compression)
	case f.size >= 0 && f.size != m.stored:
		a.Warnings = append(a.Warnings, fmt.Sprintf("%q has %d bytes, and %d by the descriptor", name, m.stored, f.size))
	}
	return d, nil
}

// reference finds the member that a reference of the descriptor names, which is relative to the
// folder of the descriptor and may have characters escaped as in a URI. What is not in the archive
// is nil.
func (a *Archive) reference(folder, href string) (*member, string, error) {
	for _, h := range []string{href, unescaped(href)} {
		name := memberName(folder, h)
		if strings.Contains(h, "://") || path.IsAbs(h) {
			continue // path.Join would make a member's name of it
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

// sum returns the digest that the manifest has of a member, however its name is spelled.
func (a *Archive) sum(name string) digest { return a.sums[memberName("", name)] }

// manifest reads the manifest that belongs to a descriptor, nil if there is none: that with its name, or
// else the only one. It must be a file, and there must be no other that programs might take for it.
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
			a.Warnings = append(a.Warnings, fmt.Sprintf("the archive is signed (%q), and the signature is not checked here", m.name))
		}
	}
	switch {
	case len(found) == 0:
		return nil, nil
	case len(found) > 1:
		return nil, advice.With(fmt.Errorf("%w: an OVA with two manifests, %q and %q", image.ErrUnsupported, found[0].name, found[1].name), "get the archive again: nobody can tell which digests were meant")
	case !found[0].regular():
		return nil, advice.With(fmt.Errorf("%w: the manifest %q is no file, but a link or a device", image.ErrUnsupported, found[0].name), "get the archive again: nobody can tell which digests were meant")
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
