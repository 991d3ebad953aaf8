package output

import "io/fs"

// ours is not known here: who may write to a file is in its access list.
func ours(fs.FileInfo) error { return nil }
