package luksimg

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/signature"
	"github.com/luksimg/luksimg/luks"
)

// Detect tells the format of the image in r, a file of size bytes, from its content. What
// has no signature is [Raw], also a disk with a filesystem and no partition table, such as
// an ISO image. A file that is recognised as something else is a [ForeignError], one that
// can be read as two formats an [AmbiguousError]. It reads 32 KiB at most.
func Detect(r io.ReaderAt, size int64) (Format, error) {
	if size <= 0 {
		return "", &ForeignError{Name: "an empty file", Advice: DownloadIt}
	}
	head := make([]byte, min(512, size))
	if _, err := image.ReadFull(r, head, 0); err != nil {
		return "", fmt.Errorf("reading the start of the image: %w", err)
	}
	found := known(r, size)
	s, off, err := signature.Find(r, size)
	if err != nil {
		return "", fmt.Errorf("looking for the signatures of other files: %w", err)
	}
	iso := isOptical(r, size)
	if s != nil && !(s.Weak && (iso || len(found) > 0)) {
		found = append(found, Found{Name: s.Name, Offset: off})
	}
	if iso && len(found) > 0 {
		found = append(found, Found{Name: "an ISO image", Format: Raw, Offset: opticalStart})
	}
	if len(found) == 1 && headed(found[0]) {
		// A disk that has a container's header in front of its partitions is made for two readers.
		if label, at := partitionTable(r, size); label != NoLabel {
			found = append(found, Found{Name: label.text(), Format: Raw, Offset: at})
		}
	}
	switch {
	case len(found) > 1:
		return "", &AmbiguousError{found}
	case len(found) == 1 && found[0].Format != "":
		return found[0].Format, nil
	case len(found) == 1:
		return "", &ForeignError{Name: s.Name, Offset: off, Advice: Advice(s.Advice), Tool: s.Tool}
	case luks.Detect(r, size): // the secondary header of LUKS2 alone
		return LUKS2, nil
	}
	return Raw, nil
}

// headed tells whether a signature is that of a container whose first sector belongs to it,
// and holds nothing of a disk.
func headed(f Found) bool {
	return f.Offset < 512 && slices.Contains([]Format{QCOW2, VMDK, VHDX, VDI}, f.Format)
}

// known returns the formats that have a reader and a signature in the file.
func known(r io.ReaderAt, size int64) []Found {
	var found []Found
	for _, f := range formats() {
		if off, ok := f.find(r, size); ok {
			found = append(found, Found{Name: f.text, Format: f.name, Offset: off})
		}
	}
	return found
}

// ErrAmbiguous is what every [AmbiguousError] is.
var ErrAmbiguous = errors.New("the file can be read as more than one format")

// An AmbiguousError says that a file has the signatures of several formats. Whoever made it
// may want two programs to see two different disks in it. [ImageOptions.Format] says which
// is meant.
type AmbiguousError struct {
	Found []Found // two or more
}

// A Found is a signature in a file.
type Found struct {
	Name   string // with its article: "a qcow2 image"
	Format Format // "" if it has no reader here
	Offset int64  // of the signature in the file, in bytes
}

func (e *AmbiguousError) Error() string {
	var all []string
	for _, f := range e.Found {
		all = append(all, fmt.Sprintf("%s (signature at byte %d)", f.Name, f.Offset))
	}
	return fmt.Sprintf("%v: %s", ErrAmbiguous, strings.Join(all, ", "))
}

// Is reports whether target is [ErrAmbiguous].
func (e *AmbiguousError) Is(target error) bool { return target == ErrAmbiguous }

// A ForeignError says that a file is not a disk image, or one of a format that has no reader
// here. It matches [ErrUnsupportedFormat].
type ForeignError struct {
	Name   string // with its article: "a 7z archive"
	Offset int64  // of its signature in the file, in bytes
	Advice Advice
	Tool   string // a command that does what is advised; it may be ""
}

func (e *ForeignError) Error() string {
	if e.Advice == ConvertIt {
		return fmt.Sprintf("this is %s, a format that can not be read here", e.Name)
	}
	return fmt.Sprintf("this is %s, not a disk image", e.Name)
}

// Hint returns what to do with the file, and with which program.
func (e *ForeignError) Hint() string {
	text := map[Advice]string{
		DecompressIt: "decompress it first",
		ExtractIt:    "extract the disk image from it first",
		DownloadIt:   "this came in place of the image: download it again",
		ConvertIt:    "convert it to raw first",
		DecryptIt:    "decrypt it first",
		FinishIt:     "finish that first",
		NoDisk:       "name the file that has the disk",
	}[e.Advice]
	if e.Tool != "" {
		text += ", for example with " + e.Tool
	}
	return text
}

// Is reports whether target is [ErrUnsupportedFormat].
func (e *ForeignError) Is(target error) bool { return target == ErrUnsupportedFormat }

// Advice is what to do with a file that has no reader here, to get at a disk image.
type Advice string

// The kinds of advice.
const (
	DecompressIt Advice = "decompress"
	ExtractIt    Advice = "extract"  // the image is one of the files in it
	DownloadIt   Advice = "download" // again: this is what came in place of the image
	ConvertIt    Advice = "convert"  // it is a disk image of another format
	DecryptIt    Advice = "decrypt"  // with the program that encrypted it
	FinishIt     Advice = "finish"   // with the program whose change of it was cut off
	NoDisk       Advice = "no disk"  // nothing in it is a disk
)
