package disk

import (
	"errors"
	"fmt"
	"slices"

	"github.com/luksimg/luksimg/image"
)

// MaxChain is how many images may be behind one.
const MaxChain = 64

// A Chain is the images in front of one, from the first on, each incomplete without the next. The
// zero value is that of an image that nothing is in front of. It is not changed once it is made.
type Chain struct {
	ids   []string
	depth int
}

// Depth returns how many images are in front.
func (c Chain) Depth() int { return c.depth }

// TooLong tells whether there are more than MaxChain.
func (c Chain) TooLong() bool { return c.depth > MaxChain }

// Loops tells whether an image with this ID, if it has one, is in front already.
func (c Chain) Loops(id string) bool { return id != "" && slices.Contains(c.ids, id) }

// Next returns the chain of what is behind an image, which may have no ID.
func (c Chain) Next(id string) Chain {
	ids := slices.Clone(c.ids)
	if id != "" {
		ids = append(ids, id)
	}
	return Chain{ids, c.depth + 1}
}

// Check refuses an image that is behind too many, or behind itself. The field of its format that
// names what is behind it is at off.
func (c Chain) Check(format, id string, off int64, field string) error {
	if c.Loops(id) {
		return &image.FormatError{Format: format, Offset: off, Field: field, Value: fmt.Sprintf("%q", id),
			Want: "an image that is not in the chain already: it is a loop"}
	}
	if c.TooLong() {
		return fmt.Errorf("%s: a chain of more than %d images: %w", format, MaxChain, image.ErrUnsupported)
	}
	return nil
}

// Ask asks resolve for another file that the image of this ID, behind the chain, needs.
func (c Chain) Ask(format, id string, resolve func(image.Ref) (image.Source, error), ref image.Ref) (image.Source, error) {
	ref.From, ref.Depth = id, c.depth+1
	if resolve == nil {
		return nil, &image.RefusedError{Format: format, Ref: ref}
	}
	src, err := resolve(ref)
	if err == nil && src == nil {
		err = errors.New(format + ": the resolver gave neither a file nor an error")
	}
	return src, err
}
