package disk

// A Kind says how bytes of the disk are stored.
type Kind uint8

// The kinds of runs.
const (
	Absent Kind = iota // not in this image: in the parent, or zeros if there is no parent
	Hole               // zeros, not allocated in the file
	Zero               // zeros, allocated in the file but not read
	Data               // stored in a file
	Packed             // stored in a compressed unit
)

// A Run is a range of the disk that is stored in one way. The bytes of a Data run are contiguous in
// the file.
type Run struct {
	Kind Kind
	N    int64 // bytes

	File *File // of Data and Packed
	Host int64 // offset of Data in the file, in bytes

	// The following fields are set for Packed only.
	Key      uint64 // identifies the unit within File
	Within   int64  // offset of the run in the decompressed unit, in bytes
	UnitSize int64  // size of the decompressed unit, in bytes
	At       int64  // offset of the unit's table entry in the file, for errors
}

// Joins reports whether next, which follows r on the disk, can be merged into r.
func (r *Run) Joins(next Run) bool {
	switch {
	case r.Kind != next.Kind || r.Kind == Packed:
		return false
	case r.Kind == Data:
		return r.File == next.File && r.Host+r.N == next.Host
	}
	return true
}

// wholeUnit reports whether r is a whole compressed unit.
func (r *Run) wholeUnit() bool { return r.Kind == Packed && r.N == r.UnitSize }

// maxSteps limits the number of runs that Next joins. Each can require reading a page of a table,
// and a caller checks for cancellation only between calls.
const maxSteps = 256

// Next returns the run at pos, which ends at end or before. The run after it can be of the same
// kind.
func (d *Disk) Next(pos, end int64) (Run, error) {
	r, _, err := d.next(pos, end, Run{})
	return r, err
}

// next is Next for sequential callers. It also returns the following run, if it located that, else
// an empty run. Pass it to the next call as known, which then need not locate it again.
func (d *Disk) next(pos, end int64, known Run) (r, after Run, err error) {
	if r = known; r.N == 0 {
		if r, err = d.Locate(pos, end); err != nil {
			return r, after, err
		}
	}
	for i := 0; pos+r.N < end && r.Kind != Packed && i < maxSteps; i++ {
		// Ignore the error: it recurs when these bytes are requested.
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
