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

// Detect returns the format of the image in r, a file of size bytes, from its content. A file without a
// signature is [Raw]; so is a disk with a filesystem and no partition table, such as an ISO image. A
// file of another known kind is a [ForeignError]. A file that can be read as two formats is an
// [AmbiguousError]. Detect reads at most 32 KiB.
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
		// A disk with a container's header before its partitions shows different data to two readers.
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
	case luks.Detect(r, size): // only the secondary header of LUKS2 is left
		return LUKS2, nil
	}
	return Raw, nil
}

// headed reports whether the signature belongs to a container that owns its first sector, which then
// holds no part of a disk.
func headed(f Found) bool {
	return f.Offset < 512 && slices.Contains([]Format{QCOW2, VMDK, VHDX, VDI}, f.Format)
}

// known returns the supported formats whose signatures are in the file.
func known(r io.ReaderAt, size int64) []Found {
	var found []Found
	for _, f := range formats() {
		if off, ok := f.find(r, size); ok {
			found = append(found, Found{Name: f.text, Format: f.name, Offset: off})
		}
	}
	return found
}

// ErrAmbiguous matches every [AmbiguousError].
var ErrAmbiguous = errors.New("the file can be read as more than one format")

// An AmbiguousError reports a file with the signatures of several formats. A hostile author can make
// two programs see two different disks in it. Set [ImageOptions.Format] to choose one.
type AmbiguousError struct {
	Found []Found // two or more
}

// A Found is a signature in a file.
type Found struct {
	Name   string // with its article: "a qcow2 image"
	Format Format // "" if this package cannot read it
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

// A ForeignError reports a file that is not a disk image, or a disk image of an unsupported format. It
// matches [ErrUnsupportedFormat].
type ForeignError struct {
	Name   string // with its article: "a 7z archive"
	Offset int64  // of its signature in the file, in bytes
	Advice Advice
	Tool   string // a command that follows the advice, or ""
}

func (e *ForeignError) Error() string {
	if e.Advice == ConvertIt {
		return fmt.Sprintf("this is %s, a format that cannot be read here", e.Name)
	}
	return fmt.Sprintf("this is %s, not a disk image", e.Name)
}

// Hint returns what to do with the file, and with which program.
func (e *ForeignError) Hint() string {
	text := map[Advice]string{
		DecompressIt: "decompress it first",
		ExtractIt:    "extract the disk image from it first",
		DownloadIt:   "the file is not the image: download it again",
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

// Advice is what to do with an unsupported file to get a disk image.
type Advice string

// The kinds of advice.
const (
	DecompressIt Advice = "decompress"
	ExtractIt    Advice = "extract"  // the image is one of the files in it
	DownloadIt   Advice = "download" // download it again: the server sent something else
	ConvertIt    Advice = "convert"  // it is a disk image of another format
	DecryptIt    Advice = "decrypt"  // with the program that encrypted it
	FinishIt     Advice = "finish"   // with the program whose change was interrupted
	NoDisk       Advice = "no disk"  // the file contains no disk
)
