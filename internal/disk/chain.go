package disk

import (
	"errors"
	"fmt"
	"slices"

	"github.com/luksimg/luksimg/image"
)

// MaxChain is the maximum number of images behind the first one of a chain.
const MaxChain = 64

// A Chain lists the images in front of an image, the first image first. Each of them needs the next
// one. The zero value is the Chain of the first image. A Chain is immutable.
type Chain struct {
	ids   []string
	depth int
}

// Depth returns the number of images in front.
func (c Chain) Depth() int { return c.depth }

// TooLong reports whether the depth exceeds [MaxChain].
func (c Chain) TooLong() bool { return c.depth > MaxChain }

// Loops reports whether an image with this ID is already in the chain. An empty ID never loops.
func (c Chain) Loops(id string) bool { return id != "" && slices.Contains(c.ids, id) }

// Next returns the chain of the image behind the one with this ID. The ID can be empty.
func (c Chain) Next(id string) Chain {
	ids := slices.Clone(c.ids)
	if id != "" {
		ids = append(ids, id)
	}
	return Chain{ids, c.depth + 1}
}

// Check returns an error if the image with this ID is behind too many images, or behind itself. The
// field at offset off of the file names the image behind it.
func (c Chain) Check(format, id string, off int64, field string) error {
	if c.Loops(id) {
		return &image.FormatError{Format: format, Offset: off, Field: field, Value: fmt.Sprintf("%q", id),
			Want: "an image that is not in the chain already, as this one loops"}
	}
	if c.TooLong() {
		return fmt.Errorf("%s: the chain has more than %d images: %w", format, MaxChain, image.ErrUnsupported)
	}
	return nil
}

// Ask calls resolve for another file that an image needs. id is the image's ID, c the chain in
// front of it.
func (c Chain) Ask(format, id string, resolve func(image.Ref) (image.Source, error), ref image.Ref) (image.Source, error) {
	ref.From, ref.Depth = id, c.depth+1
	if resolve == nil {
		return nil, &image.RefusedError{Format: format, Ref: ref}
	}
	src, err := resolve(ref)
	if err == nil && src == nil {
		err = errors.New(format + ": the resolver returned neither a file nor an error")
	}
	return src, err
}
