package output

import "os"

// lock is not needed: Windows does not remove a file that is open.
func lock(*os.File) (bool, error) { return true, nil }

// Lock keeps other runs from changing an open file, as far as Windows does by itself.
func Lock(*os.File) error { return nil }

// removeUnlocked removes a temporary file; it fails if a run still has it open.
func removeUnlocked(name string) { os.Remove(name) }

// remove removes an open file, which must be closed first.
func remove(f *os.File) {
	f.Close()
	os.Remove(f.Name())
}

// syncDir has no equivalent.
func syncDir(string) error { return nil }
