package claims

import "io/fs"

// sameDevice reports whether a and b are the same block device.
func sameDevice(a, b fs.FileInfo) bool { return false }
