package vhdx

import "github.com/luksimg/luksimg/internal/disk"

// locate returns the run at pos that one block holds, or that one page of the table without blocks
// covers.
func (d *Disk) locate(pos, end int64) (disk.Run, error) {
	m := d.m
	block := pos >> m.blockShift
	index := m.index(block)
	empty, err := d.isEmpty(index)
	if err != nil {
		return disk.Run{}, err
	}
	if empty {
		stop := m.blockAt((index/pageEntries+1)*pageEntries) << m.blockShift
		return disk.Run{N: min(stop, end) - pos}, nil
	}
	e, err := d.entry(index)
	if err != nil {
		return disk.Run{}, err
	}
	if _, err := d.checkEntry(index, e); err != nil {
		return disk.Run{}, err
	}
	within := pos & (m.blockSize - 1)
	r := disk.Run{N: min(m.blockSize-within, end-pos)}
	switch e & stateMask {
	case stateNotPresent:
	case statePresent:
		r.Kind, r.File, r.Host = disk.Data, &d.file, int64(e&offsetMask)+within
	case statePartial:
		return d.partial(block, within, int64(e&offsetMask), r.N)
	default:
		// Undefined and unmapped blocks are allowed to read as zeros.
		if r.Kind = disk.Hole; d.keepsPlace(block, e) {
			r.Kind = disk.Zero
		}
	}
	return r, nil
}
