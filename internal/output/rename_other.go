//go:build !linux

package output

// renameNew renames a file unless the new name is taken.
func renameNew(from, to string) error { return renameUnlessThere(from, to) }
