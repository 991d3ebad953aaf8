package main

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// A corpus is the content of the clusters.
type corpus struct {
	name string
	data []byte
}

// corpora returns the typical content of images, size bytes each: programs and documentation of this
// system, its kernel, and random data mixed with text.
func corpora(size int) []corpus {
	var all []corpus
	for _, c := range []struct{ name, dir string }{
		{"programs (/usr/bin)", "/usr/bin"},
		{"text (/usr/share/doc)", "/usr/share/doc"},
		{"kernel (/boot)", "/boot"},
	} {
		if b := archive(c.dir, size); len(b) >= piece*cluster {
			all = append(all, corpus{c.name, b})
		}
	}
	return append(all, corpus{"half noise", halfNoise(size)})
}

// archive returns a tar archive of the regular files in dir, in complete pieces of clusters and at most
// size bytes. It skips files that it cannot read.
func archive(dir string, size int) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || filepath.Ext(name) == ".gz" {
			return nil
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return nil
		}
		w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))})
		w.Write(data)
		if b.Len() >= size {
			return io.EOF
		}
		return nil
	})
	n := min(b.Len(), size)
	return b.Bytes()[:n-n%(piece*cluster)]
}

// halfNoise returns random bytes and words in turns.
func halfNoise(size int) []byte {
	rnd := rand.NewChaCha8([32]byte{1})
	b := make([]byte, size)
	rnd.Read(b)
	words := []string{"volume ", "image ", "key ", "sector ", "header ", "cluster ", "passphrase ", "segment "}
	for i := 0; i < len(b); i += 4096 {
		for j := i + 2048; j < i+4096; {
			j += copy(b[j:i+4096], words[rnd.Uint64()%uint64(len(words))])
		}
	}
	return b
}
