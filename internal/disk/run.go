package disk

// A Kind is how bytes of the disk are stored.
type Kind uint8

// The kinds.
const (
	Absent Kind = iota // not in this image: in its parent, or zeros without one
	Hole               // zeros, without room in the file
	Zero               // zeros, with room in the file that is not used
	Data               // in a file
	Packed             // in a unit that is compressed
)

// A Run is bytes of the disk that are stored alike and, for data, one after the other.
type Run struct {
	Kind Kind
	N    int64 // bytes

	File *File // of Data and Packed
	Host int64 // where Data lie in the file, in bytes

	// These are of Packed.
	Key      uint64 // of the unit, among those of File
	Within   int64  // where in the decompressed unit the run starts, in bytes
	UnitSize int64  // how long the decompressed unit is, in bytes
	At       int64  // where in the file the table entry of the unit is, for errors
}

// Joins reports whether next, which follows r in the disk, belongs to it.
func (r *Run) Joins(next Run) bool {
	switch {
	case r.Kind != next.Kind || r.Kind == Packed:
		return false
	case r.Kind == Data:
		return r.File == next.File && r.Host+r.N == next.Host
	}
	return true
}

// wholeUnit reports whether r is all of a unit that is compressed.
func (r *Run) wholeUnit() bool { return r.Kind == Packed && r.N == r.UnitSize }

// maxSteps bounds how many runs are joined, so that a caller who looks whether a job was
// cancelled does not wait long for the next one: each may take the read of a page of a table.
const maxSteps = 256

// Next returns the run at pos, up to end. A run that ends before end may go on.
func (d *Disk) Next(pos, end int64) (Run, error) {
	r, _, err := d.next(pos, end, Run{})
	return r, err
}

// next is Next, for who goes on: it also returns the run after that, if it has come upon it,
// else one without bytes. That is the known one of the next call, which need not locate it again.
func (d *Disk) next(pos, end int64, known Run) (r, after Run, err error) {
	if r = known; r.N == 0 {
		if r, err = d.Locate(pos, end); err != nil {
			return r, after, err
		}
	}
	for i := 0; pos+r.N < end && r.Kind != Packed && i < maxSteps; i++ {
		// An error is found again when the bytes that it is about are asked for.
		more, err := d.Locate(pos+r.N, end)
		if err != nil {
			break
		}
		if !r.Joins(more) {
			return r, more, nil
		}
		r.N += more.N
	}
	return r, after, nil
}
