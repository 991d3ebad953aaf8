package vhd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/chain"
)

// A Ref names the parent of a differencing disk, which is incomplete without it. All
// in it but Depth was chosen by whoever made the disk, and may name any file: see
// that the file is one that the user of the disk may read, before opening it. The
// JSON field names are API.
type Ref struct {
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

	options Options
}

// Options returns the options to open the parent with if it is a VHD. They carry on
// Resolve, SizeByCHS and IgnoreBitmaps, count the length of the chain, and find
// loops. ID and Key are for the caller to set.
func (r Ref) Options() Options { return r.options }

// printable replaces what could upset a terminal.
func (r Ref) printable() Ref {
	for _, s := range []*string{&r.Name, &r.AbsolutePath, &r.RelativePath, &r.URL} {
		*s = strings.Map(func(c rune) rune {
			if !unicode.IsPrint(c) {
				return '?'
			}
			return c
		}, *s)
	}
	r.options = Options{}
	return r
}

// A RefusedError is about a differencing disk, when there was no resolver to ask for
// its parent. Nothing was opened. It matches image.ErrUnsupported.
type RefusedError struct{ Ref Ref }

func (e *RefusedError) Error() string {
	name := ""
	for _, s := range []string{e.Ref.Name, e.Ref.RelativePath, e.Ref.AbsolutePath, e.Ref.URL} {
		if s != "" {
			name = fmt.Sprintf(" %q", s)
			break
		}
	}
	return fmt.Sprintf("vhd: this is a differencing disk: it holds only the changes to its parent disk%s, and no other files are opened; "+
		"it can be merged with its parent first", name)
}

// Is reports whether target is image.ErrUnsupported.
func (e *RefusedError) Is(target error) bool { return target == image.ErrUnsupported }

// checkChain refuses a disk that is behind too many, or behind itself.
func (d *Disk) checkChain() error {
	if d.opts.MetadataOnly {
		return nil
	}
	if d.opts.chain.Loops(d.opts.ID) {
		return &image.FormatError{Format: "vhd", Field: "parent disk", Value: fmt.Sprintf("%q", d.opts.ID),
			Want: "a disk that is not in the chain already: it is a loop"}
	}
	if d.opts.chain.TooLong() {
		return fmt.Errorf("vhd: a chain of more than %d parent disks: %w", chain.Max, image.ErrUnsupported)
	}
	return nil
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
	ref.options = Options{
		Resolve:       d.opts.Resolve,
		SizeByCHS:     d.opts.SizeByCHS,
		IgnoreBitmaps: d.opts.IgnoreBitmaps,
		chain:         d.opts.chain.Next(d.opts.ID),
	}
	ref.Depth = ref.options.chain.Depth()
	d.info.Parent = &ref
	if d.opts.MetadataOnly {
		return nil
	}
	if d.opts.Resolve == nil {
		return &RefusedError{ref}
	}
	src, err := d.opts.Resolve(ref)
	if err == nil && src == nil {
		err = errors.New("vhd: the resolver gave neither a parent nor an error")
	}
	if err != nil {
		return err
	}
	d.disk.Parent, d.disk.ParentName = src, fmt.Sprintf("parent disk %q", ref.Name)
	return d.checkParent(h, ref, src)
}

// checkParent compares a parent that is a VHD with what the header says of it. A
// parent of another kind, such as a raw disk, has no unique ID.
func (d *Disk) checkParent(h *header, ref Ref, src image.Source) error {
	vhd, ok := src.(interface{ Info() Info })
	if !ok {
		return nil
	}
	info := vhd.Info()
	if info.UniqueID != ref.UniqueID {
		return h.formatError(offParentID, "parent unique ID", ref.UniqueID,
			fmt.Sprintf("%s, the unique ID of the parent disk that was given", info.UniqueID))
	}
	// The header has the time at which the parent was last changed, of which the
	// parent itself says nothing; but it can not have been before it was made.
	if !ref.Timestamp.IsZero() && ref.Timestamp.Before(info.Timestamp) {
		d.warnf("the parent disk was last changed at %s by this disk and made at %s by itself: it may be another than it was",
			ref.Timestamp.Format(time.RFC3339), info.Timestamp.Format(time.RFC3339))
	}
	return nil
}

// readRef reads what the header and the parent locators say of the parent.
func readRef(r io.ReaderAt, h *header) (Ref, error) {
	ref := Ref{
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
