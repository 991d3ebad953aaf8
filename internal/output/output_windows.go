package output

import "io/fs"

// ours accepts every file. On Windows luksimg does not check who else can write to one, as the threat
// model says.
func ours(fs.FileInfo) error { return nil }
