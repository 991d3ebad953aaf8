package vmdk

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/adler"
	"github.com/luksimg/luksimg/internal/disk"
	"github.com/luksimg/luksimg/internal/inflate"
)

var (
	errHeader = errors.New("invalid zlib header")
	errShort  = errors.New("the data ends before the grain is full")
	errLong   = errors.New("the data exceeds the grain")
)

// maxCompressed is the maximum size of a compressed grain in bytes. Incompressible data grows a
// little.
func maxCompressed(grain int64) int64 { return grain + grain/8 + sectorSize }

// grainBytes returns the size of the largest grain of the disk in bytes.
func (d *Disk) grainBytes() int64 {
	n := int64(minGrain * sectorSize)
	for _, x := range d.extents {
		if x.sparse != nil {
			n = max(n, 1<<x.sparse.grainBits)
		}
	}
	return n
}

// buffers holds buffers for compressed data.
var buffers = sync.Pool{New: func() any { b := make([]byte, sectorSize); return &b }}

// decompress decompresses the grain of a run into dst, which has the size of a grain.
func (d *Disk) decompress(dst []byte, r disk.Run) error {
	start := int64(r.Key) // start of the grain on the disk
	x := d.extentAt(start)
	s := x.sparse
	number := (start - x.start) >> s.grainBits
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	off, n, err := x.compressedRange(number, r.Host, (*buf)[:grainMarker])
	if err != nil {
		return err
	}
	if int64(cap(*buf)) < n {
		*buf = make([]byte, n)
	}
	src := (*buf)[:n]
	if _, err := readFull(s.r, src, off); err != nil {
		return err
	}
	// The last grain of an extent can be cut at the end of the disk.
	need := min(int64(len(dst)), x.size-number<<s.grainBits)
	got, err := inflateGrain(dst, src, s.flags&flagMarkers != 0)
	if err == nil && int64(got) < need {
		err = errShort
	}
	if err != nil {
		return &image.FormatError{Format: "vmdk", Offset: off, Field: "compressed grain", Value: fmt.Sprintf("%d bytes (%v)", n, err),
			Want: fmt.Sprintf("zlib data that decompresses to %d bytes", need)}
	}
	clear(dst[got:])
	return nil
}

// compressedRange returns the range of the file with the zlib data of a grain at host. Its marker
// gives the length, and must have the grain's sector in the extent. Without markers, the range has
// the maximum length. raw is the buffer for the marker.
func (x *extent) compressedRange(number, host int64, raw []byte) (off, n int64, err error) {
	s := x.sparse
	most := maxCompressed(1 << s.grainBits)
	if s.flags&flagMarkers == 0 {
		return host, min(most, s.fileSize-host), nil
	}
	if host > s.fileSize-grainMarker {
		return 0, 0, fieldError(host, "grain marker", s.fileSize-host, "%d bytes inside the file", grainMarker)
	}
	if _, err := readFull(s.r, raw, host); err != nil {
		return 0, 0, err
	}
	first := uint64(number) << s.grainBits / sectorSize
	if lba := binary.LittleEndian.Uint64(raw); lba != first {
		return 0, 0, fieldError(host, "grain marker", lba, "sector %d, as in the grain table", first)
	}
	off, n = host+grainMarker, int64(binary.LittleEndian.Uint32(raw[8:]))
	switch {
	case n == 0 || n > most:
		return 0, 0, fieldError(host+8, "grain marker size", n, "from 1 to %d bytes", most)
	case n > s.fileSize-off:
		return 0, 0, fieldError(host+8, "grain marker size", n, "at most %d bytes, to the end of the file", s.fileSize-off)
	}
	return off, n, nil
}

// inflateGrain decompresses zlib data (RFC 1950) and returns the number of bytes, at most len(dst).
// exact means that the data ends with src, so that its checksum is there; this is the fast path.
func inflateGrain(dst, src []byte, exact bool) (int, error) {
	if len(src) < 6 || src[0]&15 != 8 || src[0]>>4 > 7 || binary.BigEndian.Uint16(src)%31 != 0 || src[1]>>5&1 != 0 {
		return 0, errHeader
	}
	if exact {
		n, err := inflate.Decode(dst, src[2:len(src)-4])
		if err == nil && adler.Checksum(dst[:n]) == binary.BigEndian.Uint32(src[len(src)-4:]) {
			return n, nil
		}
	}
	z, err := zlib.NewReader(bytes.NewReader(src))
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(z, dst)
	// The end of the stream and the end of src return the same errors.
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return n, err
	}
	// zlib compares the checksum only at the end of the data.
	var more [1]byte
	switch k, err := z.Read(more[:]); {
	case k > 0:
		return n, errLong
	case err != io.EOF:
		return n, err
	}
	return n, nil
}
