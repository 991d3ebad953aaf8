//go:build !linux

package image

// extentAt returns the extent at off, cut at end.
func (f *File) extentAt(off, end int64) (Extent, error) {
	return Extent{off, end - off, Data}, nil
}
