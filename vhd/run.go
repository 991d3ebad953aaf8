package vhd

import "github.com/luksimg/luksimg/internal/disk"

// locate returns the run at pos of the disk, which ends at end or before. It is a run of absent
// blocks, or of equal bits in the bitmap of one block.
func (d *Disk) locate(pos, end int64) (disk.Run, error) {
	if d.bat == nil {
		return disk.Run{Kind: disk.Data, N: end - pos, File: &d.file, Host: pos}, nil
	}
	block := int(pos >> d.blockShift)
	if d.bat[block] == absent {
		last := block + 1
		for int64(last)<<d.blockShift < end && d.bat[last] == absent {
			last++
		}
		return disk.Run{N: min(int64(last)<<d.blockShift, end) - pos}, nil
	}
	within := pos & (d.blockSize - 1)
	data := disk.Run{Kind: disk.Data, N: min(d.blockSize-within, end-pos), File: &d.file, Host: d.dataOffset(block) + within}
	unwritten := disk.Run{Kind: disk.Zero, N: data.N}
	if d.differencing {
		unwritten.Kind = disk.Absent
	}
	state, err := d.state(block)
	switch {
	case err != nil:
		return disk.Run{}, err
	case state == stateFull:
		return data, nil
	case state == stateEmpty:
		return unwritten, nil
	}
	m, err := d.readBits(block, within/sectorSize, (within+data.N+sectorSize-1)/sectorSize)
	if err != nil {
		return disk.Run{}, err
	}
	next, set := m.run(within / sectorSize)
	r := unwritten
	if set {
		r = data
	}
	r.N = min(next*sectorSize-within, r.N)
	return r, nil
}
