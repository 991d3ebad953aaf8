package image

// A Region is a part of an image file that holds metadata, such as a header or a table. The readers
// of the formats return theirs.
type Region struct {
	Name   string // "the header"
	Offset int64  // bytes from the start of the file
	Length int64  // bytes
}
