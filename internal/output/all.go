package output

// CommitAll gives files their names, in order; those that are nil are left out. If one can not have
// its own, those before it that are new are removed again.
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

// RemoveAll removes files that were committed, and are new.
func RemoveAll(files ...*File) {
	for _, f := range files {
		if f != nil {
			f.Remove()
		}
	}
}
