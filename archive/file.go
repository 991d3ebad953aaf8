package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/summed"
)

// ErrSum is what every [SumError] is.
var ErrSum = errors.New("the digest is wrong")

// A SumError says that a file in an archive has not the digest that the archive says: it was damaged
// or changed. It matches [ErrSum].
type SumError struct {
	Name string
	Want string // as in "sha256:..."
	Got  string
}

func (e *SumError) Error() string {
	return fmt.Sprintf("%q is damaged or was changed: %v: %s, want %s", e.Name, ErrSum, e.Got, e.Want)
}

// Is reports whether target is [ErrSum].
func (e *SumError) Is(target error) bool { return target == ErrSum }

// A File is a disk in an archive, open. It is an image.Source of the bytes of the member, safe for
// concurrent use.
type File struct {
	image.Source

	name   string
	want   digest
	summed *summed.Source // nil without a digest
}

// Open opens the file of the disk. Its bytes are those of an image of any format, which may be
// compressed.
func (d *Disk) Open() (*File, error) {
	src, err := d.open()
	if err != nil {
		return nil, err
	}
	f := &File{Source: src, name: d.Name, want: d.sum}
	if d.sum.sum != nil {
		f.summed = summed.New(src, d.sum.hash())
		f.Source = f.summed
	}
	return f, nil
}

// Check compares the digest of the file with that which the archive has of it, if it has one. The
// file is hashed as it is read, so that Check reads only what nobody has read before. A wrong one is
// a [SumError]: what was made of the file is of no use then. It is called when all is read.
func (f *File) Check(ctx context.Context) error {
	if f.summed == nil {
		return nil
	}
	sum, err := f.summed.Sum(ctx)
	if err == nil && !bytes.Equal(sum, f.want.sum) {
		err = &SumError{f.name, f.want.String(), digest{f.want.algorithm, sum}.String()}
	}
	return err
}
