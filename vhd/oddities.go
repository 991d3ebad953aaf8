package vhd

import (
	"bytes"
	"strings"
)

// These checks read more of a file than opening it needs, to warn the user before the data is
// trusted.

// compareCopy warns if the footer copy at the start of a dynamic disk differs from the footer at
// its end.
func (d *Disk) compareCopy(f *footer) error {
	if f.isCopy {
		return nil
	}
	var raw [footerSize]byte
	if _, err := readFull(d.file.R, raw[:], 0); err != nil {
		return err
	}
	if text := compareFooters(&raw, f); text != "" {
		d.warnf("%s", text)
	}
	return nil
}

// compareFooters describes how the footer copy at the start of a file differs from its footer. It
// returns "" if it does not.
func compareFooters(raw *[footerSize]byte, f *footer) string {
	if verifyFooter(raw, 0) != nil {
		return "the footer copy at the start of the file is damaged; the footer at its end was used"
	}
	if differ := differences(raw, f); differ != "" {
		return "the footer copy at the start of the file differs from the footer at its end, which was used, in: " + differ
	}
	return ""
}

// differences returns the names of the fields in which two footers differ.
func differences(raw *[footerSize]byte, f *footer) string {
	var differ []string
	for _, field := range []struct {
		name     string
		from, to int
	}{
		{"features", 8, offVersion},
		{"version", offVersion, offDataOffset},
		{"data offset", offDataOffset, offTimestamp},
		{"timestamp", offTimestamp, offCreatorApp},
		{"creator", offCreatorApp, 40},
		{"original size", 40, offCurrentSize},
		{"current size", offCurrentSize, offGeometry},
		{"geometry", offGeometry, offDiskType},
		{"disk type", offDiskType, offFooterSum},
		{"unique id", offUniqueID, offSavedState},
		{"saved state", offSavedState, offHidden},
		{"hidden mark", offHidden, footerFieldsEnd},
		{"reserved bytes", footerFieldsEnd, footerSize},
	} {
		if !bytes.Equal(raw[field.from:field.to], f.raw[field.from:field.to]) {
			differ = append(differ, field.name)
		}
	}
	return strings.Join(differ, ", ")
}

// sampleBitmaps looks in a few blocks, spread over the disk, for nonzero sectors whose bit is
// clear. The writer of such a disk possibly did not maintain bitmaps; most of its data would then
// silently read as zeros.
func (d *Disk) sampleBitmaps(allocated int) error {
	const samples = 16
	rank, taken := 0, 0
	for block, entry := range d.bat {
		if entry == absent {
			continue
		}
		// The sample number of a block is its rank scaled to the number of samples. The first block
		// of each number is taken.
		if rank*samples/allocated >= taken {
			taken++
			sector, err := d.findStray(block)
			if err != nil {
				return err
			}
			if sector >= 0 {
				d.warnf("block %d has nonzero bytes in sector %d, whose bitmap bit is clear: "+
					"it reads as zeros; if the disk lacks data, its writer did not maintain the bitmaps and they must be ignored", block, sector)
				return nil
			}
		}
		rank++
	}
	return nil
}

// findStray returns the first nonzero sector of a block whose bit is clear, or -1. It reads a
// bounded part of the block.
func (d *Disk) findStray(block int) (int64, error) {
	state, err := d.state(block)
	if err != nil || state == stateFull {
		return -1, err
	}
	const budget = 128 // maximum number of sectors to read
	data := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(data)
	end := d.blockLen(block) / sectorSize
	left := int64(budget)
	for s := int64(0); s < end && left > 0; {
		m, err := d.readBits(block, s, end)
		if err != nil {
			return -1, err
		}
		for s < m.end && left > 0 {
			next, set := m.run(s)
			if set {
				s = next
				continue
			}
			n := min(next-s, left, chunkSize/sectorSize)
			b := data[:n*sectorSize]
			if _, err := readFull(d.file.R, b, d.dataOffset(block)+s*sectorSize); err != nil {
				return -1, err
			}
			for i, v := range b {
				if v != 0 {
					return s + int64(i/sectorSize), nil
				}
			}
			s += n
			left -= n
		}
	}
	return -1, nil
}
