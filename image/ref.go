package image

import "fmt"

// A Ref names another file that an image is incomplete without, such as its backing file. What and
// the names in it were chosen by whoever made the image, and may be those of any file: see that the
// file is one that the user of the image may read, before opening it.
type Ref struct {
	// What the file is to the image: "backing file", "external data file", "parent disk" or
	// "extent".
	What string

	// Names are as the image has them, the best one first: most often paths, absolute or relative
	// to the image, with the separators of the system that wrote it; or what only the writer
	// understands, such as "json:{...}". There may be none.
	Names []string

	// Format is "raw" if the bytes of the file are those of the disk, else what the image calls the
	// format of the file. It is empty if the image does not say it: a raw disk should not be taken
	// for something else then, only because its guest wrote a header of that.
	Format string

	// From is the ID of the image that names the file, as it was opened with.
	From string

	// Depth is 1 for what the first image of a chain names, 2 for what that names.
	Depth int

	// Options are those to open the file with if it has the format of the image that names it: a
	// value of type Options of that format's package. They carry on what the image was opened with,
	// count the length of the chain, find loops, and see that it is the right file. ID and Key are
	// for the caller to set. It is nil if the bytes of the file are asked for.
	Options any
}

// Name returns the best name, or "".
func (r Ref) Name() string {
	if len(r.Names) == 0 {
		return ""
	}
	return r.Names[0]
}

// A RefusedError is about an image that needs another file, when there was no resolver to ask for
// it. Nothing was opened. It matches [ErrUnsupported].
type RefusedError struct {
	Format string // of the image: "vhd", "qcow2"
	Ref    Ref
}

func (e *RefusedError) Error() string {
	const most = 100 // bytes of the name
	name := e.Ref.Name()
	if len(name) > most {
		name = name[:most] + "..."
	}
	text := fmt.Sprintf("%s: the image needs its %s %q, and no other files are opened", e.Format, e.Ref.What, name)
	if e.Ref.What == "parent disk" {
		text += "; it can be merged with its parent first"
	}
	return text
}

// Is reports whether target is [ErrUnsupported].
func (e *RefusedError) Is(target error) bool { return target == ErrUnsupported }
