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
	errHeader = errors.New("no zlib header")
	errShort  = errors.New("the data end before the grain is full")
	errLong   = errors.New("the data are more than a grain")
)

// maxCompressed is how many bytes a compressed grain may have: data that cannot be
// compressed grow a little.
func maxCompressed(grain int64) int64 { return grain + grain/8 + sectorSize }

// grainBytes returns how long the longest grain of the disk is.
func (d *Disk) grainBytes() int64 {
	n := int64(minGrain * sectorSize)
	for _, x := range d.extents {
		if x.sparse != nil {
			n = max(n, 1<<x.sparse.grainBits)
		}
	}
	return n
}

// buffers hold compressed data while they are decoded.
var buffers = sync.Pool{New: func() any { b := make([]byte, sectorSize); return &b }}

// decompress fills dst, which is one grain, with the compressed grain of a run.
func (d *Disk) decompress(dst []byte, r disk.Run) error {
	start := int64(r.Key) // of the grain, in the disk
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
	// The last grain of an extent may be as short as what the guest can see of it.
	need := min(int64(len(dst)), x.size-number<<s.grainBits)
	got, err := inflateGrain(dst, src, s.flags&flagMarkers != 0)
	if err == nil && int64(got) < need {
		err = errShort
	}
	if err != nil {
		return &image.FormatError{Format: "vmdk", Offset: off, Field: "compressed grain", Value: fmt.Sprintf("%d bytes (%v)", n, err),
			Want: fmt.Sprintf("zlib data that give %d bytes", need)}
	}
	clear(dst[got:])
	return nil
}

// compressedRange returns which bytes of the file are the zlib data of a grain at host: by
// its marker, whose place in the extent must be the one that the grain table says.
// Without markers it is as much as a grain may have. The marker is read into raw.
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
		return 0, 0, fieldError(host, "grain marker", lba, "sector %d, as the grain table says", first)
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

// inflateGrain decompresses zlib data (RFC 1950) and returns how many bytes they
// give, at most len(dst). If the data are known to end with src, their checksum is
// there, and that is the fast way.
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
	// The end of the stream and that of src look alike here.
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return n, err
	}
	// All must have been read for the checksum to be compared.
	var more [1]byte
	switch k, err := z.Read(more[:]); {
	case k > 0:
		return n, errLong
	case err != io.EOF:
		return n, err
	}
	return n, nil
}
