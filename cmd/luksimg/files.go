package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/image/web"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/luks"
)

// An input is an open source: a file, an object in Object Storage, or a file on a web server.
type input struct {
	r      io.ReaderAt
	f      *os.File // nil if the source is not a local file
	file   *image.File
	layout *layout // the container image that r is read from, or nil
	close  func()
	size   int64
	name   string
	base   string    // the name without folders
	mtime  time.Time // zero for a device and an object, whose time means nothing
	etag   string    // of an object or a file on a web server

	compare func() error // compares the file with its checksum; nil if none was given

	// The following fields are set for an unpacked image. Then r is the unpacked file, and size its length.
	layers   []string
	fileSize int64
	unpacked *luksimg.Unpacked

	// If partition is set, it is r, and number is its number.
	partition *luksimg.Partition
	number    flags.Partition
}

// openInput opens a file, an object (cos://), a file on a web server (https://), or the container image in a folder
// (oci:).
func openInput(ctx context.Context, g *global, name string) (*input, error) {
	switch {
	case web.Is(name):
		return openWeb(ctx, g, name)
	case isLayout(name):
		return openLayout(ctx, g, name)
	case !isCOS(name):
		return openInputFlags(ctx, name, os.O_RDONLY)
	}
	at, err := cos.ParseURI(name)
	if err != nil {
		return nil, err
	}
	c, err := g.cloud.cos(ctx, "")
	if err != nil {
		return nil, err
	}
	r, err := c.Open(ctx, at)
	if err != nil {
		return nil, err
	}
	return &input{r: objectReader{r}, close: func() { r.Close() }, size: r.Size(), name: name, base: path.Base(at.Key), etag: r.Info().ETag}, nil
}

// An objectReader reads an object. If the object was replaced, its error matches [image.ErrChanged].
type objectReader struct{ *cos.Reader }

func (r objectReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Reader.ReadAt(p, off)
	if errors.Is(err, cos.ErrChanged) {
		err = &replacedError{err}
	}
	return n, err
}

// A replacedError is an error that also matches [image.ErrChanged].
type replacedError struct{ error }

func (e *replacedError) Unwrap() error { return e.error }

func (e *replacedError) Is(target error) bool { return target == image.ErrChanged }

func openInputFlags(ctx context.Context, name string, flags int) (*input, error) {
	switch {
	case isCOS(name):
		return nil, rest.WithHint(fmt.Errorf("%s: an object cannot be changed in place", name), "luksimg download fetches it")
	case web.Is(name):
		return nil, rest.WithHint(fmt.Errorf("%s: a file on a web server cannot be changed in place", shown(name)), "curl -fLO URL fetches it")
	}
	if stdio.IsStream(name) { // opening a pipe can block forever
		return nil, rest.WithHint(fmt.Errorf("%s can only be read in order, and this needs seeking", stdio.Name(name)),
			"with - for SRC, luksimg encrypt reads a raw disk, and luksimg decrypt a LUKS image; write others to a file first")
	}
	f, err := stdio.Open(ctx, name, flags)
	if err != nil {
		return nil, withAddress(err, name)
	}
	file, err := image.NewFile(f)
	if err == nil {
		return &input{r: f, f: f, file: file, close: func() { f.Close() }, size: file.Size(), name: stdio.Name(name), base: filepath.Base(stdio.Name(name)), mtime: file.ModTime()}, nil
	}
	if fi, _ := f.Stat(); fi != nil && fi.IsDir() {
		err = fmt.Errorf("%s is a folder", name)
		if holdsLayout(name) {
			err = rest.WithHint(err, "it is a container image: name it "+layoutPrefix+name)
		}
	} else if errors.Is(err, errors.ErrUnsupported) {
		err = fmt.Errorf("%s is neither a regular file nor a block device", stdio.Name(name))
	}
	f.Close()
	return nil, err
}

// unpack replaces the file by the image that is packed in it.
func (in *input) unpack(ctx context.Context, format luksimg.Format, o luksimg.Unpacking) error {
	// A fixed VHD is recognized by its end, so a name that suggests a container needs random access.
	if _, ok := containerNames[extension(strings.TrimSuffix(in.base, filepath.Ext(in.base)))]; ok {
		o.Random = true
	}
	u, err := luksimg.Unpack(ctx, in.r, in.size, format, o)
	if err != nil {
		return err
	}
	if len(u.Layers) == 0 {
		return u.Close()
	}
	file := in.close
	in.close = func() { u.Close(); file() }
	in.fileSize = in.size
	in.r, in.size, in.layers, in.unpacked = u, u.Size(), u.Layers, u
	return nil
}

// innerName returns the name of the unpacked file. That is the name of an archive member, or the name of the
// compressed file without a suffix such as ".xz".
func (in *input) innerName() string {
	name := in.base
	for _, l := range in.layers {
		if a := in.unpacked.Archive; a != nil && l == string(a.Kind) {
			name = a.Member
		} else {
			name = strings.TrimSuffix(name, filepath.Ext(name))
		}
	}
	return name
}

func extension(name string) string { return strings.ToLower(filepath.Ext(name)) }

// published returns the length of the file as published, before unpacking.
func (in *input) published() int64 {
	if len(in.layers) > 0 {
		return in.fileSize
	}
	return in.size
}

// image opens the image in the file. If the name suggests a container but its signature is missing, the file may be
// truncated. image then refuses to open it as a raw disk.
func (in *input) image(ctx context.Context, o luksimg.ImageOptions) (*luksimg.Image, error) {
	img, err := luksimg.OpenImage(ctx, in.r, in.size, o)
	if err != nil {
		return nil, in.wrap(in.otherFormat(err, o.Format))
	}
	if o.Format == "" && img.Format == luksimg.Raw {
		if text := in.misnamed(); text != "" {
			hint := "get it again, and compare its checksum"
			if isRemote(in.name) {
				hint = "compare it with the checksum that was published, by --sha256-file or --source-sha256"
			}
			return nil, rest.WithHint(fmt.Errorf("%s: %s", in.name, text), hint+"; if it is a raw disk after all, use --source-format raw")
		}
	}
	return img, nil
}

// otherFormat adds a hint to the error for a wrong --source-format: the format of the content.
func (in *input) otherFormat(err error, named luksimg.Format) error {
	if named == "" || !errors.Is(err, image.ErrFormat) && !errors.Is(err, luks.ErrNotLUKS) {
		return err
	}
	if f, e := luksimg.Detect(in.r, in.size); e == nil && f != named {
		return rest.WithHint(err, fmt.Sprintf("the content is that of a %s image: leave --source-format off", f))
	}
	return err
}

// misnamed returns a warning if the name of a raw disk suggests a container, and otherwise "".
func (in *input) misnamed() string {
	kind, ok := containerNames[extension(in.innerName())]
	if !ok {
		return ""
	}
	text := fmt.Sprintf("named like %s %s file, but without its signature: it may be truncated", article(kind), kind)
	if in.unpacked != nil && in.unpacked.Archive != nil {
		text = fmt.Sprintf("the member %q: %s", in.unpacked.Archive.Member, text)
	}
	return text
}

// article returns the indefinite article for the name of a container.
func article(kind string) string {
	if kind == "OVA" {
		return "an"
	}
	return "a"
}

var containerNames = map[string]string{
	".vhd": "VHD", ".vpc": "VHD", ".vhdx": "VHDX", ".qcow2": "qcow2", ".qcow": "qcow2", ".vmdk": "VMDK", ".vdi": "VDI", ".ova": "OVA",
}

// unchanged compares the file with its checksum, if one was given, and returns an error if the file has changed since
// it was opened. A remote file cannot change, because its reads name the version.
func (in *input) unchanged() error {
	if in.compare != nil {
		if err := in.compare(); err != nil {
			return in.wrap(err)
		}
	}
	switch {
	case in.layout != nil:
		return in.wrap(in.layout.unchanged())
	case in.file == nil:
		return nil
	}
	return in.wrap(in.file.Unchanged())
}

// intact is unchanged, and also compares the digests in the archive that holds the image. Call it after reading the
// whole image.
func (in *input) intact(ctx context.Context) error {
	if in.unpacked != nil {
		if err := in.unpacked.Intact(ctx); err != nil {
			return in.wrap(err)
		}
	}
	return in.unchanged()
}

// wrap prefixes an error with the name of the file, unless the error has it.
func (in *input) wrap(err error) error {
	other := errors.As(err, new(*fs.PathError)) && !errors.As(err, new(*tokenError)) // it names another file
	if err == nil || other {
		return err
	}
	if err = in.remote(err); strings.HasPrefix(err.Error(), in.name+": ") {
		return err
	}
	if in.number > 0 && !strings.HasPrefix(err.Error(), "partition ") {
		err = fmt.Errorf("partition %d: %w", in.number, err)
	}
	if in.number > 0 && errors.Is(err, luks.ErrNotLUKS) {
		err = rest.WithHint(err, "luksimg inspect FILE lists the partitions, and what is in them")
	}
	return &namedError{in.name, err}
}

// A namedError is an error with the name of a file, which replaces the package name in its text.
type namedError struct {
	name string
	err  error
}

func (e *namedError) Unwrap() error { return e.err }

func (e *namedError) Error() string {
	text := e.err.Error()
	if short, ok := strings.CutPrefix(text, "luks: "); ok && !strings.Contains(text, "\n") {
		text = short
	}
	return e.name + ": " + text
}

// remote marks an error as one about a remote file if the file is remote.
func (in *input) remote(err error) error {
	if err == nil || !isRemote(in.name) {
		return err
	}
	return exit.Elsewhere(err)
}

// maxHeaderFile is the largest header, in bytes, that is read from a stream. No LUKS2 header is larger.
const maxHeaderFile = 256 << 20

// openHeader opens a file that holds a header. It can be a stream.
func openHeader(ctx context.Context, g *global, name string) (*input, error) {
	if !stdio.IsStream(name) {
		return openInput(ctx, g, name)
	}
	f, err := stdio.OpenStream(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b []byte
	err = parallel.Await(ctx, func() (err error) {
		b, err = io.ReadAll(io.LimitReader(f, maxHeaderFile+1))
		return err
	})
	if err == nil && len(b) > maxHeaderFile {
		err = fmt.Errorf("%s: %w: longer than any LUKS header", stdio.Name(name), image.ErrUnsupported)
	}
	if err != nil {
		return nil, err
	}
	return &input{r: bytes.NewReader(b), close: func() {}, size: int64(len(b)), name: stdio.Name(name)}, nil
}
