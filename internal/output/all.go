package output

// CommitAll commits files in order and skips nil ones. If one fails, it removes the files committed
// before it, unless they replaced others.
func CommitAll(files ...*File) error {
	for i, f := range files {
		if f == nil {
			continue
		}
		if err := f.Commit(); err != nil {
			RemoveAll(files[:i]...)
			return err
		}
	}
	return nil
}

// RemoveAll removes committed files, except those that replaced others.
func RemoveAll(files ...*File) {
	for _, f := range files {
		if f != nil {
			f.Remove()
		}
	}
}
