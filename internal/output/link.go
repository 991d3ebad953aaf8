package output

import (
	"os"
	"path/filepath"
	"strings"
)

// leadsToDevice tells whether a link leads to something else than a regular file, or into
// /dev or /proc on the way, as /dev/stdout does: renaming a file to it would put the file in
// its place. A link that leads nowhere is no such one.
func leadsToDevice(name string) bool {
	if fi, err := os.Stat(name); err == nil && !fi.Mode().IsRegular() {
		return true
	}
	for range 40 { // what Linux follows
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

// inDevices tells whether a file is in /dev or /proc, but not in the memory filesystem that
// Linux has in /dev/shm.
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
