package image

import "fmt"

// A Ref names another file that an image needs, such as its backing file. Whoever made the image
// chose the names, and they can name any file. Before you open one, check that the user of the
// image is allowed to read it.
type Ref struct {
	// What is the role of the file: "backing file", "external data file", "parent disk" or
	// "extent".
	What string

	// Names are the names that the image holds, the best one first. Most are paths, absolute or
	// relative to the image, with the separators of the system that wrote it. Some only the
	// writer understands, such as "json:{...}". The list can be empty.
	Names []string

	// Format is "raw" if the bytes of the file are the bytes of the disk, else the image's name of
	// the file's format. It is empty if the image does not give the format. Do not probe the format
	// then without care: the guest of a raw disk can write the header of another format.
	Format string

	// From is the ID of the image that names the file, from the Options that opened it.
	From string

	// Depth is 1 for a file that the first image of a chain names, 2 for a file that such a file
	// names, and so on.
	Depth int

	// Options are for opening the file if it has the same format as the image that names it. They
	// are a value of type Options of the format's package, or nil if the file holds raw bytes. They
	// carry over the image's options, limit the length of the chain, detect loops and check that it
	// is the right file. The caller sets ID and Key.
	Options any
}

// Name returns the best name, or "".
func (r Ref) Name() string {
	if len(r.Names) == 0 {
		return ""
	}
	return r.Names[0]
}

// A RefusedError reports an image that needs another file, opened without a resolver. No file was
// opened. It matches [ErrUnsupported].
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
