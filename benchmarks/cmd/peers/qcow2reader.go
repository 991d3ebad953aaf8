package main

import (
	"os"

	"github.com/lima-vm/go-qcow2reader"
	"github.com/lima-vm/go-qcow2reader/convert"
	"github.com/lima-vm/go-qcow2reader/image"
)

func openQCOW2(src string) (image.Image, error) {
	f, err := os.Open(src)
	if err != nil {
		return nil, err
	}
	img, err := qcow2reader.Open(f)
	if err != nil {
		return nil, err
	}
	return img, img.Readable()
}

// qcow2readerConvert converts to a raw file like the example of go-qcow2reader.
func qcow2readerConvert(src, dst string) error {
	img, err := openQCOW2(src)
	if err != nil {
		return err
	}
	defer img.Close()
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := out.Truncate(img.Size()); err != nil {
		return err
	}
	return convert.Convert(out, img, convert.Options{})
}

// qcow2readerMap walks the extents of an image.
func qcow2readerMap(src string) error {
	img, err := openQCOW2(src)
	if err != nil {
		return err
	}
	defer img.Close()
	for off := int64(0); off < img.Size(); {
		e, err := img.Extent(off, img.Size()-off)
		if err != nil {
			return err
		}
		off += e.Length
	}
	return nil
}
