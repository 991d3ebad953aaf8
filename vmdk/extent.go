package vmdk

import (
	"fmt"
	"strconv"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
)

// An extent is a part of the disk.
type extent struct {
	line  extentLine
	other bool // it is in another file than the descriptor

	start, size int64     // in the disk, bytes
	file        disk.File // where data are, but for zeros
	sparse      *sparse   // for a sparse one
}

// wrap says which extent an error is about, unless the disk has only one file.
func (x *extent) wrap(err error) error {
	if err == nil || !x.other {
		return err
	}
	return fmt.Errorf("vmdk: extent %s: %w", quote(x.line.name), err)
}

func (x *extent) accessible() error {
	if x.line.access == accessNone {
		return unsupported("an extent without access (%s), file %s", accessNone, quote(x.line.name))
	}
	return nil
}

// openExtent opens an extent in another file. Files that are asked for are in files.
func (d *Disk) openExtent(x *extent, files map[string]image.Source) error {
	if err := x.accessible(); err != nil {
		return err
	}
	src, ok := files[x.line.name]
	if ok && x.line.kind == typeSparse {
		return lineError(x.line.at, "extent file", x.line.name, "a file that is no other extent: a sparse one is only once in a disk")
	}
	if !ok {
		err := d.desc.charset.check(x.line.at, x.line.name)
		if err != nil {
			return err
		}
		if src, err = d.ask(image.Ref{What: "extent", Names: []string{x.line.name}, Format: "raw"}); err != nil {
			return err
		}
		files[x.line.name] = src
	}
	x.other, x.file = true, disk.File{R: src, Wrap: x.wrap}
	if x.line.kind == typeFlat {
		return d.checkFlat(x, src.Size())
	}
	return x.wrap(d.openSplit(x, src))
}

// checkFlat checks that a flat extent is in its file.
func (d *Disk) checkFlat(x *extent, fileSize int64) error {
	if n := fileSize / sectorSize; x.line.offset > n || x.line.sectors > n-x.line.offset {
		return lineError(x.line.at, "extent size", strconv.FormatInt(x.line.sectors, 10),
			"%d sectors from %d on inside the file %s, which has %d bytes: it is truncated or another file", x.line.sectors, x.line.offset, quote(x.line.name), fileSize)
	}
	return nil
}

// openSplit opens a sparse extent in another file.
func (d *Disk) openSplit(x *extent, src image.Source) error {
	start := make([]byte, min(max(src.Size(), 0), int64(len(magicSESparse))))
	if _, err := readFull(src, start, 0); err != nil {
		return err
	}
	if kind := probe(start); kind != fileSparse {
		return notRead(kind, start)
	}
	s, err := d.openSparse(src, src.Size())
	if err != nil {
		return err
	}
	x.sparse = s
	return d.fit(x, false)
}

// fit compares the size of a sparse extent in the descriptor with the one in the
// file, which may have been rounded up to whole grains: what the guest sees is then
// in the descriptor.
func (d *Disk) fit(x *extent, only bool) error {
	x.file.R = x.sparse.r
	want, have := x.line.sectors, x.sparse.sectors
	if want == have {
		return nil
	}
	if want < have && have-want < int64(1)<<x.sparse.grainBits/sectorSize {
		d.warnf("the capacity of %d sectors in the header is rounded: the disk has %d", have, want)
		return nil
	}
	if want < have && only {
		d.warnf("the header says %d sectors and the descriptor %d: the header is used", have, want)
		x.line.sectors = have
		return nil
	}
	return fieldError(x.sparse.at+offCapacity, "capacity", have, "%d sectors, which is what the descriptor says", want)
}
