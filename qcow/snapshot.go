package qcow

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

const (
	snapshotFixed    = 40 // size of an entry in bytes, before its extra data
	maxSnapshotBytes = 64 << 20
	maxSnapshotExtra = 1024
)

// A Snapshot is an internal snapshot: another disk in the same file. ID and Name are as in the
// file and can contain anything: quote them before you print them to a terminal.
type Snapshot struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Date        time.Time `json:"date"`          // UTC
	VMClock     int64     `json:"vm_clock_nsec"` // run time of the guest in nanoseconds
	VMStateSize uint64    `json:"vm_state_size"` // bytes
	VirtualSize int64     `json:"virtual_size"`  // bytes

	off      int64 // offset of the entry in the file
	l1Offset int64
	l1Size   int64
	extra    uint32
}

// readSnapshots reads the snapshot table and returns its end, which only a read of the whole table
// reveals.
func readSnapshots(r io.ReaderAt, h *header) (all []Snapshot, end int64, err error) {
	off := h.snapshotOff
	limit := min(h.fileSize, h.snapshotOff+maxSnapshotBytes)
	be := binary.BigEndian
	var b [snapshotFixed + 16]byte
	for i := range h.snapshots {
		fail := func(at int64, field string, value any, want string, args ...any) error {
			return fieldError(off+at, fmt.Sprintf("snapshot %d %s", i, field), value, want, args...)
		}
		if limit-off < snapshotFixed {
			return nil, 0, fail(0, "entry", hex(uint64(off)), "an entry that ends by byte %d, the end of the file or the limit of 64 MiB for the table", limit)
		}
		if _, err := readFull(r, b[:snapshotFixed], off); err != nil {
			return nil, 0, err
		}
		s := Snapshot{
			Date:        time.Unix(int64(be.Uint32(b[16:])), int64(be.Uint32(b[20:]))).UTC(),
			VMClock:     clampInt64(be.Uint64(b[24:])),
			VMStateSize: uint64(be.Uint32(b[32:])),
			VirtualSize: h.size,
			off:         off,
			l1Offset:    clampInt64(be.Uint64(b[0:])),
			l1Size:      int64(be.Uint32(b[8:])),
			extra:       be.Uint32(b[36:]),
		}
		idLen, nameLen := int64(be.Uint16(b[12:])), int64(be.Uint16(b[14:]))
		if s.extra > maxSnapshotExtra {
			return nil, 0, fail(36, "extra data size", s.extra, "at most %d", maxSnapshotExtra)
		}
		at := off + snapshotFixed + int64(s.extra)
		if at+idLen+nameLen > limit {
			return nil, 0, fail(12, "ID and name length", idLen+nameLen, "an entry that ends by byte %d, the end of the file or the limit of 64 MiB for the table", limit)
		}
		if s.extra >= 8 {
			if _, err := readFull(r, b[:16], off+snapshotFixed); err != nil {
				return nil, 0, err
			}
			s.VMStateSize = be.Uint64(b[:])
		}
		if s.extra >= 16 {
			size := be.Uint64(b[8:])
			if size > 1<<63-1 {
				return nil, 0, fail(snapshotFixed+8, "virtual disk size", size, "less than 2^63")
			}
			s.VirtualSize = int64(size)
		}
		text := make([]byte, idLen+nameLen)
		if _, err := readFull(r, text, at); err != nil {
			return nil, 0, err
		}
		s.ID, s.Name = string(text[:idLen]), string(text[idLen:])
		all = append(all, s)
		off += (snapshotFixed + int64(s.extra) + idLen + nameLen + 7) &^ 7
	}
	return all, off, nil
}

// findSnapshot returns the snapshot with this ID, or else with this name.
func findSnapshot(all []Snapshot, want string) (*Snapshot, error) {
	for i := range all {
		if all[i].ID == want {
			return &all[i], nil
		}
	}
	for i := range all {
		if all[i].Name == want {
			return &all[i], nil
		}
	}
	return nil, fmt.Errorf("qcow2: %w: %q", ErrSnapshot, want)
}

// checkL1 checks the size and offset of the snapshot's L1 table.
func (s *Snapshot) checkL1(h *header) error {
	if s.l1Size > maxL1Bytes/8 {
		return fieldError(s.off+8, "snapshot l1_size", s.l1Size, "at most %d", maxL1Bytes/8)
	}
	if need := h.l1Needed(s.VirtualSize); s.l1Size < need {
		return fieldError(s.off+8, "snapshot l1_size", s.l1Size, "at least %d, for a disk of %d bytes", need, s.VirtualSize)
	}
	return h.checkRange(s.off, "snapshot l1_table_offset", s.l1Offset, s.l1Size*8)
}
