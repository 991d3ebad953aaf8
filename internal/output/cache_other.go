//go:build !linux

package output

// DropCache syncs the file.
func (f *File) DropCache() error { return f.Sync() }
