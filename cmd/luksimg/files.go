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

// An input is a source that was opened: a file, an object of Object Storage, or what is at an address.
type input struct {
	r      io.ReaderAt
	f      *os.File // r, or nil for what is elsewhere
	file   *image.File
	layout *layout // the container image that r is, or nil
	close  func()
	size   int64
	name   string
	base   string    // the name without the folder
	mtime  time.Time // zero for a device and an object, which have none that means anything
	etag   string    // of an object, and of what is at an address

	compare func() error // the file with its checksum; nil if none was given

	// What follows is of an image that was unpacked: r is what was inside the file, and size its length.
	layers   []string
	fileSize int64
	unpacked *luksimg.Unpacked

	// partition is r, if it was taken for the file, and number its number.
	partition *luksimg.Partition
	number    flags.Partition
}

// openInput opens a file, the object of a cos:// name, what is at an https:// address, or the container
// image in the folder of an oci: name.
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

// An objectReader reads an object. Its error of one that was replaced is that of any source that changes.
type objectReader struct{ *cos.Reader }

func (r objectReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Reader.ReadAt(p, off)
	if errors.Is(err, cos.ErrChanged) {
		err = &replacedError{err}
	}
	return n, err
}

// A replacedError matches [image.ErrChanged] too.
type replacedError struct{ error }

func (e *replacedError) Unwrap() error { return e.error }

func (e *replacedError) Is(target error) bool { return target == image.ErrChanged }

func openInputFlags(ctx context.Context, name string, flags int) (*input, error) {
	switch {
	case isCOS(name):
		return nil, rest.WithHint(fmt.Errorf("%s: an object can not be changed in place", name), "luksimg download fetches it")
	case web.Is(name):
		return nil, rest.WithHint(fmt.Errorf("%s: what is on a web server can not be changed in place", shown(name)), "curl -fLO URL fetches it")
	}
	if stdio.IsStream(name) { // opening it could wait for ever
		return nil, rest.WithHint(fmt.Errorf("%s can only be read in order, and this needs seeking", stdio.Name(name)),
			"luksimg encrypt takes a raw disk in order, and decrypt a LUKS image, with - for SRC; write others to a file first")
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
		err = fmt.Errorf("%s is not a file with an image", stdio.Name(name))
	}
	f.Close()
	return nil, err
}

// unpack takes the image out of what it is packed in. Afterwards that is the file.
func (in *input) unpack(ctx context.Context, format luksimg.Format, o luksimg.Unpacking) error {
	// A name that promises a container: of a fixed VHD only the end tells.
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

// innerName returns the name of the file that was unpacked: the name of the member of an archive, or
// the name of the compressed file without the ending of its compression, such as ".xz".
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

// published returns the length of the file as it is.
func (in *input) published() int64 {
	if len(in.layers) > 0 {
		return in.fileSize
	}
	return in.size
}

// image opens the image in the file. A name that promises a container whose
// marks are not there means a file that was cut off, or is no image: it is not taken
// for a raw disk.
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
			return nil, rest.WithHint(fmt.Errorf("%s: %s", in.name, text), hint+"; if it is a raw disk all the same, say --source-format raw")
		}
	}
	return img, nil
}

// otherFormat says of a format that was named, and can not be read, that the content has another one.
func (in *input) otherFormat(err error, named luksimg.Format) error {
	if named == "" || !errors.Is(err, image.ErrFormat) && !errors.Is(err, luks.ErrNotLUKS) {
		return err
	}
	if f, e := luksimg.Detect(in.r, in.size); e == nil && f != named {
		return rest.WithHint(err, fmt.Sprintf("the content is that of a %s image: leave --source-format off", f))
	}
	return err
}

// misnamed says of a raw disk that its name promises a container; "" if it does not.
func (in *input) misnamed() string {
	kind, ok := containerNames[extension(in.innerName())]
	if !ok {
		return ""
	}
	text := fmt.Sprintf("named like %s %s file, but without the marks of one: it may have been cut off", article(kind), kind)
	if in.unpacked != nil && in.unpacked.Archive != nil {
		text = fmt.Sprintf("the member %q: %s", in.unpacked.Archive.Member, text)
	}
	return text
}

// article returns the one for the name of a container.
func article(kind string) string {
	if kind == "OVA" {
		return "an"
	}
	return "a"
}

var containerNames = map[string]string{
	".vhd": "VHD", ".vpc": "VHD", ".vhdx": "VHDX", ".qcow2": "qcow2", ".qcow": "qcow2", ".vmdk": "VMDK", ".vdi": "VDI", ".ova": "OVA",
}

// unchanged tells whether the file is the one that was published, if a checksum was given, and
// whether it is still what it was when it was opened, as far as the
// filesystem knows. Of what is elsewhere only that version is ever read.
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

// intact is unchanged, and the digests of the archive that the image is in: when it is read as a whole.
func (in *input) intact(ctx context.Context) error {
	if in.unpacked != nil {
		if err := in.unpacked.Intact(ctx); err != nil {
			return in.wrap(err)
		}
	}
	return in.unchanged()
}

// wrap puts the name of the file before an error that does not have it.
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

// A namedError is an error about a file. Its text has the name of the file in place of that of the package.
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

// remote says of an error that it is about a file that is elsewhere, if it is.
func (in *input) remote(err error) error {
	if err == nil || !isRemote(in.name) {
		return err
	}
	return exit.Elsewhere(err)
}

// maxHeaderFile bounds a header that is read from a stream: those of LUKS2 have no more.
const maxHeaderFile = 256 << 20

// openHeader opens a file that is a header: also one that comes from a stream.
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
