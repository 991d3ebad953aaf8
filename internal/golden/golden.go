// Package golden reads the golden files of tests and examples, which are compressed.
package golden

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
)

// Read returns what a file that ends in .gz holds. The name may have slashes on every system. It
// is part of the repository: that it cannot be read is a panic.
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
