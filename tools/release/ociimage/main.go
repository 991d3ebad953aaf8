// Command ociimage writes an OCI image layout of luksimg for several platforms, from scratch and
// without a daemon or a registry:
//
//	ociimage -o luksimg.oci.tar -version v0.1.0 -revision COMMIT -time SECONDS linux/amd64=PATH linux/arm64=PATH ...
//
// An image has the binary, the certificates of authorities that Mozilla trusts, the licenses, and an
// empty working folder /work. The same arguments and files produce the same bytes.
package main

import (
	"archive/tar"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func main() {
	var (
		output   = flag.String("o", "", "archive to write")
		version  = flag.String("version", "", "version of the image, which is also its tag in the layout")
		revision = flag.String("revision", "", "commit")
		seconds  = flag.Int64("time", 0, "time of all files and of the image, in seconds since 1970-01-01 UTC")
		licenses = flag.String("licenses", "", "file with the licenses")
	)
	flag.Parse()
	if *output == "" || *version == "" || *licenses == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(1)
	}
	release := release{version: *version, revision: *revision, licenses: *licenses, created: time.Unix(*seconds, 0).UTC()}
	if err := write(*output, release, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "ociimage:", err)
		os.Exit(1)
	}
}

// A release is what the images of all platforms share.
type release struct {
	version, revision, licenses string
	created                     time.Time
}

// write writes the archive of an index with one image for each PLATFORM=BINARY.
func write(output string, r release, binaries []string) error {
	var index v1.ImageIndex = empty.Index
	for _, arg := range binaries {
		name, binary, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("%s: want PLATFORM=BINARY", arg)
		}
		platform, err := v1.ParsePlatform(name)
		if err != nil {
			return err
		}
		image, err := r.image(platform, binary)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	index = mutate.IndexMediaType(mutate.Annotations(index, r.annotations()).(v1.ImageIndex), types.OCIImageIndex)

	dir, err := os.MkdirTemp(filepath.Dir(output), ".ociimage")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": r.version})); err != nil {
		return err
	}
	return archive(output, dir, r.created)
}

// archive writes the files of dir in the order of their names.
func archive(output, dir string, created time.Time) error {
	out, err := os.Create(output)
	if err != nil {
		return err
	}
	defer out.Close()
	w := tar.NewWriter(out)
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if e.IsDir() {
			return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: created})
		}
		return addFile(w, path, name, 0o644, created)
	})
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = out.Close()
	}
	return err
}

// addFile copies the file at path into an archive.
func addFile(w *tar.Writer, path, name string, mode int64, created time.Time) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	fi, err := in.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: fi.Size(), ModTime: created}); err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}
