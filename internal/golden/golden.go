// Package golden reads the compressed golden files of tests and examples.
package golden

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
)

// Read returns the decompressed content of a .gz file. The name has forward slashes on every system.
// Read panics if it cannot read the file, because the file is part of the repository.
func Read(name string) []byte {
	f, err := os.Open(filepath.FromSlash(name))
	if err != nil {
		panic(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		panic(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		panic(err)
	}
	return b
}
