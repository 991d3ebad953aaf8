package vhd

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/luksimg/luksimg/image"
)

const (
	// absent is the table entry of a block that is not allocated in the file.
	absent = 0xffffffff

	// maxBlocks limits the memory of a table to 32 MiB, and the same again while it is checked. It
	// is eight times the number of blocks of 2 MiB in a disk of 2040 GiB.
	maxBlocks = 1 << 23
)

// readTable reads the entries of the block allocation table that a disk of size bytes needs. It
// ignores further entries, which are unreachable.
func readTable(r io.ReaderAt, h *header, size int64) ([]uint32, error) {
	need := size / h.blockSize
	if size%h.blockSize != 0 {
		need++
	}
	if need > h.entries {
		return nil, &image.FormatError{Format: "vhd", Offset: h.off + offMaxEntries, Field: "max table entries", Value: h.entries,
			Want: fmt.Sprintf("at least %d, as the disk has %d bytes in blocks of %d", need, size, h.blockSize)}
	}
	if need > maxBlocks {
		return nil, fmt.Errorf("vhd: the disk has %d blocks of %d bytes, more than the limit of %d: %w",
			need, h.blockSize, maxBlocks, image.ErrUnsupported)
	}
	bat := make([]uint32, need)
	buf := make([]byte, min(4*need, 64<<10))
	for i := 0; i < len(bat); {
		b := buf[:min(len(buf), 4*(len(bat)-i))]
		if _, err := readFull(r, b, h.table+4*int64(i)); err != nil {
			return nil, err
		}
		for ; len(b) > 0; b = b[4:] {
			bat[i] = binary.BigEndian.Uint32(b)
			i++
		}
	}
	return bat, nil
}

// checkTable checks that every block lies whole in front of the footer, or of the end of a file
// without one, and overlaps neither metadata nor another block. The table can be anywhere, even
// after the blocks. It returns the number of allocated blocks.
//
// The last block of a disk is stored whole, even if the disk ends within it. All known writers do
// that, and QEMU refuses a file that ends earlier.
func checkTable(bat []uint32, h *header) (allocated int, err error) {
	fail := func(i int, want string) error {
		return &image.FormatError{Format: "vhd", Offset: h.table + 4*int64(i),
			Field: fmt.Sprintf("block allocation table entry %d", i), Value: bat[i], Want: want}
	}
	metadata := h.regions()
	for i, entry := range bat {
		if entry == absent {
			continue
		}
		start := int64(entry) * sectorSize
		end := start + h.blockSpan()
		if end > h.limit {
			return 0, fail(i, fmt.Sprintf("a block that ends by byte %d, %s; block %d has bytes %d to %d",
				h.limit, limitName(h.footerEnd), i, start, end))
		}
		for _, r := range metadata {
			if r.overlaps(start, end) {
				return 0, fail(i, fmt.Sprintf("a block that does not overlap %s at byte %d", r.name, r.start))
			}
		}
		allocated++
	}
	if i, j := findOverlap(bat, h, allocated); i >= 0 {
		return 0, fail(j, fmt.Sprintf("a block that does not overlap block %d, which starts at sector %d", i, bat[i]))
	}
	return allocated, nil
}

// findOverlap returns two blocks that overlap in the file, or -1.
func findOverlap(bat []uint32, h *header, allocated int) (i, j int) {
	// If there are more blocks than fit in the file, some of the first room+1 overlap. That bounds
	// the memory by the size of the file.
	room := h.limit / h.blockSpan()
	starts := make([]uint32, 0, min(int64(allocated), room+1))
	for _, entry := range bat {
		if len(starts) == cap(starts) {
			break
		}
		if entry != absent {
			starts = append(starts, entry)
		}
	}
	slices.Sort(starts)
	span := h.blockSpan() / sectorSize
	for k := 1; k < len(starts); k++ {
		a, b := starts[k-1], starts[k]
		if int64(b)-int64(a) >= span {
			continue
		}
		i = slices.Index(bat, a)
		j = slices.Index(bat, b)
		if a == b {
			j = i + 1 + slices.Index(bat[i+1:], b)
		}
		return min(i, j), max(i, j)
	}
	return -1, -1
}
