// Package chain keeps count of images that are behind each other, each incomplete
// without the next, so that a chain ends and is no loop.
package chain

import "slices"

// Max is how many images may be behind one.
const Max = 64

// A Chain is the images in front of one, from the first on. The zero value is that of
// an image that nothing is in front of. It is not changed once it is made.
type Chain struct {
	ids   []string
	depth int
}

// Depth returns how many images are in front.
func (c Chain) Depth() int { return c.depth }

// TooLong tells whether there are more than Max.
func (c Chain) TooLong() bool { return c.depth > Max }

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
