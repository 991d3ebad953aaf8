package image

// A Region is a part of the file of an image that holds what its format needs to find the data: a header,
// a table. The readers of the formats tell theirs.
type Region struct {
	Name   string // "the header"
	Offset int64  // bytes from the start of the file
	Length int64  // bytes
}
