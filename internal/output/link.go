package output

import (
	"os"
	"path/filepath"
	"strings"
)

// leadsToDevice reports whether a link leads to something other than a regular file, or leads through
// /dev or /proc, like /dev/stdout. A rename would replace the link by the file. For a dangling link it
// returns false.
func leadsToDevice(name string) bool {
	if fi, err := os.Stat(name); err == nil && !fi.Mode().IsRegular() {
		return true
	}
	for range 40 { // the limit of Linux
		if inDevices(name) {
			return true
		}
		target, err := os.Readlink(name)
		if err != nil {
			return false
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(name), target)
		}
		name = target
	}
	return false
}

// inDevices reports whether a file is in /dev or /proc, except in the memory filesystem /dev/shm of
// Linux.
func inDevices(name string) bool {
	dir, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		return false
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	in := func(parent string) bool { return dir == parent || strings.HasPrefix(dir, parent+"/") }
	return (in("/dev") || in("/proc")) && !in("/dev/shm")
}
