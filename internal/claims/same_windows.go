package claims

import "io/fs"

// sameDevice tells whether two names are of one block device.
func sameDevice(a, b fs.FileInfo) bool { return false }
