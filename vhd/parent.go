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

// Parent is what a differencing disk says of its parent. All in it was chosen by whoever made the
// disk. The JSON field names are API.
type Parent struct {
	// Name is the parent's, usually without the folder. It may be empty.
	Name string `json:"name,omitempty"`

	// AbsolutePath and RelativePath are what the parent locators W2ku and W2ru say,
	// with the separators of Windows. RelativePath is relative to the folder of the
	// disk. Either may be empty.
	AbsolutePath string `json:"absolute_path,omitempty"`
	RelativePath string `json:"relative_path,omitempty"`

	// URL is what the parent locator MacX says, such as "file://./parent.vhd".
	URL string `json:"url,omitempty"`

	// UniqueID is the UUID that the parent has, and Timestamp when it was last
	// changed, as of when the differencing disk was made. Some writers do not set
	// the time: then it is zero.
	UniqueID  string    `json:"unique_id"`
	Timestamp time.Time `json:"timestamp,omitzero"`

	// Depth is 1 for what the first disk of a chain names, 2 for what that names.
	Depth int `json:"depth"`
}

// printable replaces what could upset a terminal.
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

// names returns what the parent may be found by.
func (r Parent) names() []string {
	return slices.DeleteFunc([]string{r.RelativePath, r.AbsolutePath, r.Name}, func(s string) bool { return s == "" })
}

// openParent gets the parent of a differencing disk.
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

// checkParent compares a parent that is a VHD with what the header says of it. A
// parent of another kind, such as a raw disk, has no unique ID.
func (d *Disk) checkParent(h *header, ref Parent, src image.Source) error {
	parent, ok := src.(interface{ describe() Info })
	if !ok {
		return nil
	}
	info := parent.describe()
	if info.UniqueID != ref.UniqueID {
		return h.formatError(offParentID, "parent unique ID", ref.UniqueID,
			fmt.Sprintf("%s, the unique ID of the parent disk that was given", info.UniqueID))
	}
	// The header has the time at which the parent was last changed, of which the
	// parent itself says nothing; but it cannot have been before it was made.
	if !ref.Timestamp.IsZero() && ref.Timestamp.Before(info.Timestamp) {
		d.warnf("the parent disk was last changed at %s by this disk and made at %s by itself: it may be another than it was",
			ref.Timestamp.Format(time.RFC3339), info.Timestamp.Format(time.RFC3339))
	}
	return nil
}

// readRef reads what the header and the parent locators say of the parent.
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
			continue // nothing, deprecated, or of a system that is not known
		}
		if err := h.checkLocator(i, l); err != nil {
			return ref, err
		}
		b := make([]byte, l.length)
		if _, err := readFull(r, b, int64(l.offset)); err != nil {
			return ref, err
		}
		if *to != "" {
			continue // the first of a kind is used
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
