// Qcow copies the disk in a qcow2 image to a raw file. It shows how a program that runs virtual machines can read
// qcow2 with this library. The map of the image reports which parts hold data. The other parts become holes.
//
//	qcow disk.qcow2 disk.raw
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"os"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/qcow"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: qcow IMAGE RAW")
	}
	if err := convert(context.Background(), os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func convert(ctx context.Context, src, dst string) (err error) {
	f, err := os.Open(src)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	// Without Options.Resolve, Open refuses an image that needs a backing file.
	disk, err := qcow.Open(ctx, f, fi.Size(), qcow.Options{})
	if err != nil {
		return err
	}
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			err = errors.Join(err, os.Remove(dst)) // it is incomplete
		}
	}()
	if err := out.Truncate(disk.Size()); err != nil {
		return err
	}
	for e, err := range image.ExtentsContext(ctx, disk, 0, disk.Size()) {
		if err != nil {
			return err
		}
		if e.Kind != image.Data {
			continue
		}
		part := io.NewSectionReader(disk, e.Offset, e.Length)
		if _, err := io.Copy(io.NewOffsetWriter(out, e.Offset), part); err != nil {
			return err
		}
	}
	return out.Sync()
}
