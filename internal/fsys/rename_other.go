//go:build !linux

package fsys

func (system) RenameNew(from, to string) error { return renameUnlessThere(from, to) }
