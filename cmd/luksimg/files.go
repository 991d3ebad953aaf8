package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/luksimg/luksimg"
)

// An input is a source file that was opened.
type input struct {
	f     *os.File
	size  int64
	name  string
	mtime time.Time // zero for a device, which has none that means anything
}

func openInput(name string) (*input, error) { return openInputFlags(name, os.O_RDONLY) }

func openInputFlags(name string, flags int) (*input, error) {
	f, err := os.OpenFile(name, flags, 0)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil {
		switch mode := fi.Mode(); {
		case mode.IsRegular():
			return &input{f, fi.Size(), name, fi.ModTime()}, nil
		case mode.IsDir():
			err = fmt.Errorf("%s is a folder", name)
		case mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0:
			var size int64
			if size, err = f.Seek(0, io.SeekEnd); err == nil {
				return &input{f: f, size: size, name: name}, nil
			}
		default:
			err = withHint(fmt.Errorf("%s can only be read in order, and this needs seeking", name),
				"luksimg encrypt takes a raw disk on standard input, with - for SRC; write others to a file first")
		}
	}
	f.Close()
	return nil, err
}

// image opens the image in the file. A name that promises a container whose
// marks are not there means a file that was cut off, or is no image: it is not taken
// for a raw disk.
func (in *input) image(o luksimg.ImageOptions) (*luksimg.Image, error) {
	img, err := luksimg.OpenImage(in.f, in.size, o)
	if err != nil {
		return nil, in.wrap(err)
	}
	if o.Format == "" && img.Format == luksimg.Raw {
		if kind, ok := containerNames[strings.ToLower(filepath.Ext(in.name))]; ok {
			return nil, withHint(fmt.Errorf("%s: named like a %s file, but without the marks of one: it may have been cut off", in.name, kind),
				"get it again, and compare its checksum; if it is a raw disk all the same, say --source-format raw")
		}
	}
	return img, nil
}

var containerNames = map[string]string{
	".vhd": "VHD", ".vpc": "VHD", ".vhdx": "VHDX", ".qcow2": "qcow2", ".qcow": "qcow2", ".vmdk": "VMDK", ".vdi": "VDI", ".ova": "OVA",
}

// errChanged: somebody wrote to a source while it was read.
var errChanged = errors.New("the file changed while it was read")

// unchanged tells whether the file is still what it was when it was opened, as far as the
// filesystem knows.
func (in *input) unchanged() error {
	if in.mtime.IsZero() {
		return nil
	}
	fi, err := in.f.Stat()
	if err == nil && (fi.Size() != in.size || !fi.ModTime().Equal(in.mtime)) {
		err = errChanged
	}
	return in.wrap(err)
}

// wrap puts the name of the file before an error that does not have it.
func (in *input) wrap(err error) error {
	if err == nil || errors.As(err, new(*fs.PathError)) || strings.HasPrefix(err.Error(), in.name+": ") {
		return err
	}
	return fmt.Errorf("%s: %w", in.name, err)
}

// checkApart refuses a destination that is the source, by whatever name.
func checkApart(src, dst string) error {
	a, errA := os.Stat(src)
	b, errB := os.Stat(dst)
	if errA == nil && errB == nil && os.SameFile(a, b) {
		return withHint(fmt.Errorf("SRC and DST are the same file: %s", dst), "the source is never changed: give another name for DST")
	}
	return nil
}
