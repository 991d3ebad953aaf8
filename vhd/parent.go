package vhd

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/luksimg/luksimg/image"
)

// A Parent holds what a differencing disk records about its parent. Whoever made the disk chose all
// of it. Its JSON form is stable, but new members can be added.
type Parent struct {
	// Name is the file name of the parent, usually without its folder. It can be empty.
	Name string `json:"name,omitempty"`

	// AbsolutePath and RelativePath are the paths in the parent locators W2ku and W2ru, with the
	// separators of Windows. RelativePath is relative to the folder of the disk. Either can be
	// empty.
	AbsolutePath string `json:"absolute_path,omitempty"`
	RelativePath string `json:"relative_path,omitempty"`

	// URL is the URL in the parent locator MacX, such as "file://./parent.vhd".
	URL string `json:"url,omitempty"`

	// UniqueID is the UUID of the parent. Timestamp is the time of its last change before the
	// differencing disk was made. Timestamp is zero if the writer did not set it.
	UniqueID  string    `json:"unique_id"`
	Timestamp time.Time `json:"timestamp,omitzero"`

	// Depth is 1 for the parent of the first disk of a chain, 2 for the parent of that, and so on.
	Depth int `json:"depth"`
}

// printable replaces bytes that a terminal could interpret.
func (r Parent) printable() Parent {
	for _, s := range []*string{&r.Name, &r.AbsolutePath, &r.RelativePath, &r.URL} {
		*s = strings.Map(func(c rune) rune {
			if !unicode.IsPrint(c) {
				return '?'
			}
			return c
		}, *s)
	}
	return r
}

// names returns the names under which to look for the parent.
func (r Parent) names() []string {
	return slices.DeleteFunc([]string{r.RelativePath, r.AbsolutePath, r.Name}, func(s string) bool { return s == "" })
}

// openParent opens the parent of a differencing disk.
func (d *Disk) openParent(h *header) error {
	ref, err := readRef(d.file.R, h)
	if err != nil {
		return err
	}
	if err := h.checkLocators(d.bat); err != nil {
		return err
	}
	ref.Depth = d.opts.chain.Depth() + 1
	d.info.Parent = &ref
	if d.opts.MetadataOnly {
		return nil
	}
	src, err := d.opts.chain.Ask("vhd", d.opts.ID, d.opts.Resolve, image.Ref{What: "parent disk", Names: ref.names(), Format: "vhd",
		Options: Options{Resolve: d.opts.Resolve, SizeByCHS: d.opts.SizeByCHS, IgnoreBitmaps: d.opts.IgnoreBitmaps, chain: d.opts.chain.Next(d.opts.ID)}})
	if err != nil {
		return err
	}
	d.disk.Parent, d.disk.ParentName = src, fmt.Sprintf("parent disk %q", ref.Name)
	return d.checkParent(h, ref, src)
}

// checkParent compares a parent that is a VHD with the record in the header. Other parents, such as
// a raw disk, have no unique ID.
func (d *Disk) checkParent(h *header, ref Parent, src image.Source) error {
	parent, ok := src.(interface{ describe() Info })
	if !ok {
		return nil
	}
	info := parent.describe()
	if info.UniqueID != ref.UniqueID {
		return h.formatError(offParentID, "parent unique ID", ref.UniqueID,
			fmt.Sprintf("%s, the unique ID of the supplied parent disk", info.UniqueID))
	}
	// The header records when the parent was last changed. The parent records only its creation,
	// which cannot be later.
	if !ref.Timestamp.IsZero() && ref.Timestamp.Before(info.Timestamp) {
		d.warnf("this disk records that its parent was last changed at %s, but the parent was created at %s: it may be a different file",
			ref.Timestamp.Format(time.RFC3339), info.Timestamp.Format(time.RFC3339))
	}
	return nil
}

// readRef reads what the header and the parent locators record about the parent.
func readRef(r io.ReaderAt, h *header) (Parent, error) {
	ref := Parent{
		Name:     utf16Text(h.raw[offParentName:][:parentNameSize], binary.BigEndian),
		UniqueID: uuidText(h.raw[offParentID:][:16]),
	}
	if n := binary.BigEndian.Uint32(h.raw[offParentTime:]); n != 0 {
		ref.Timestamp = fromSeconds(n)
	}
	for i, l := range h.locators() {
		to := (*string)(nil)
		switch l.code {
		case locatorAbsolute:
			to = &ref.AbsolutePath
		case locatorRelative:
			to = &ref.RelativePath
		case locatorURL:
			to = &ref.URL
		}
		if to == nil {
			continue // empty, deprecated or of an unknown system
		}
		if err := h.checkLocator(i, l); err != nil {
			return ref, err
		}
		b := make([]byte, l.length)
		if _, err := readFull(r, b, int64(l.offset)); err != nil {
			return ref, err
		}
		if *to != "" {
			continue // the first locator of each platform is used
		}
		if l.code == locatorURL {
			name, _, _ := strings.Cut(string(b), "\x00")
			*to = strings.ToValidUTF8(name, "\ufffd")
		} else {
			*to = utf16Text(b, binary.LittleEndian)
		}
	}
	return ref, nil
}
