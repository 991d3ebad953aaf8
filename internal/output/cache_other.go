//go:build !linux

package output

// DropCache writes what is in memory to the disk.
func (f *File) DropCache() error { return f.Sync() }
