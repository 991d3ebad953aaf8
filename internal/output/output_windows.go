package output

import "io/fs"

// ours accepts every file: the check of access lists is not implemented.
func ours(fs.FileInfo) error { return nil }
