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

// A corpus is what clusters are made of.
type corpus struct {
	name string
	data []byte
}

// corpora returns what images are full of, size bytes of each: programs and documentation
// of this system, its kernel, and noise with a text in between.
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

// archive returns whole pieces of clusters of a tar archive of the regular files in dir,
// size bytes at most. What can't be read is left out.
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
