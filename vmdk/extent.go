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
	other bool // in a different file than the descriptor

	start, size int64     // place on the disk, bytes
	file        disk.File // file with the data, if any
	sparse      *sparse   // set for a sparse extent
}

// wrap adds the name of the extent to an error, unless the disk has only one file.
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

// openExtent opens an extent in another file. files caches the opened files by name.
func (d *Disk) openExtent(x *extent, files map[string]image.Source) error {
	if err := x.accessible(); err != nil {
		return err
	}
	src, ok := files[x.line.name]
	if ok && x.line.kind == typeSparse {
		return lineError(x.line.at, "extent file", x.line.name, "a file that no other extent uses, as a sparse file is a single extent")
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

// checkFlat checks that a flat extent lies inside its file.
func (d *Disk) checkFlat(x *extent, fileSize int64) error {
	if n := fileSize / sectorSize; x.line.offset > n || x.line.sectors > n-x.line.offset {
		return lineError(x.line.at, "extent size", strconv.FormatInt(x.line.sectors, 10),
			"%d sectors from %d on inside the file %s of %d bytes: it is truncated or the wrong file", x.line.sectors, x.line.offset, quote(x.line.name), fileSize)
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

// fit compares the size of a sparse extent in the descriptor with the size in its header. A writer
// can round the latter up to whole grains; the descriptor then has the guest's size.
func (d *Disk) fit(x *extent, only bool) error {
	x.file.R = x.sparse.r
	want, have := x.line.sectors, x.sparse.sectors
	if want == have {
		return nil
	}
	if want < have && have-want < int64(1)<<x.sparse.grainBits/sectorSize {
		d.warnf("the capacity of %d sectors in the header is rounded up: the disk has %d", have, want)
		return nil
	}
	if want < have && only {
		d.warnf("the header gives %d sectors, but the descriptor %d: the header was used", have, want)
		x.line.sectors = have
		return nil
	}
	return fieldError(x.sparse.at+offCapacity, "capacity", have, "%d sectors, as in the descriptor", want)
}
