package qcow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
	"github.com/luksimg/luksimg/internal/inflate"
)

// errShort reports compressed data that decompresses to less than a cluster.
var errShort = errors.New("the data ends before the cluster is full")

// zstdDecoder is shared by all disks and decodes as many clusters at once as there are CPUs. The
// output slice limits its output.
var zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
})

// compressedRange returns the range of the file that the L2 entry of a compressed cluster
// describes. It ends with a whole sector; decompression ends somewhere in that sector, and the file
// can end there too.
func (d *Disk) compressedRange(e uint64, at int64) (off, n int64, err error) {
	shift := 62 - (d.h.clusterBits - 8)
	off = int64(e & (1<<shift - 1))
	n = (int64(e>>shift&(1<<(d.h.clusterBits-8)-1))+1)*512 - off&511
	if off >= d.h.fileSize {
		return 0, 0, entryError(at, e, "data inside the file of %d bytes, but its offset is %d", d.h.fileSize, off)
	}
	return off, min(n, d.h.fileSize-off), nil
}

// buffers holds buffers for compressed data.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// readCompressed reads a compressed cluster. src is its data in buf, which the caller returns to
// buffers, and off its offset in the file.
func (d *Disk) readCompressed(r disk.Run) (buf *[]byte, src []byte, off int64, err error) {
	off, n, err := d.compressedRange(r.Key, r.At)
	if err != nil {
		return nil, nil, 0, err
	}
	buf = buffers.Get().(*[]byte)
	if int64(cap(*buf)) < n {
		// Few compressed clusters are longer than a cluster, so most buffers never grow.
		*buf = make([]byte, max(n, d.h.clusterSize()))
	}
	src = (*buf)[:n]
	if _, err := readFull(d.file.R, src, off); err != nil {
		buffers.Put(buf)
		return nil, nil, 0, err
	}
	return buf, src, off, nil
}

// decompress decompresses a cluster into dst, which has the size of a cluster.
func (d *Disk) decompress(dst []byte, r disk.Run) error {
	buf, src, off, err := d.readCompressed(r)
	if err != nil {
		return err
	}
	defer buffers.Put(buf)
	if d.h.compression == compressionZstd {
		return clusterError(decodeZstd(dst, src), dst, src, off)
	}
	got, err := inflate.Decode(dst, src)
	return inflated(got, err, dst, src, off)
}

// inflateAll is decompress for several zlib clusters.
func (d *Disk) inflateAll(units []disk.PackedUnit) (int, error) {
	jobs := make([]inflate.Job, len(units))
	offs := make([]int64, len(units))
	var failed error // of the unit after those that were read
	for i, u := range units {
		buf, src, off, err := d.readCompressed(u.Run)
		if err != nil {
			jobs, failed = jobs[:i], err
			break
		}
		defer buffers.Put(buf)
		jobs[i], offs[i] = inflate.Job{Dst: u.Dst, Src: src}, off
	}
	inflate.DecodeAll(jobs)
	for i, j := range jobs {
		if err := inflated(j.N, j.Err, j.Dst, j.Src, offs[i]); err != nil {
			return i, err
		}
	}
	return len(jobs), failed
}

// inflated returns the error of a cluster that decompressed to got bytes. dst is the whole cluster.
func inflated(got int, err error, dst, src []byte, off int64) error {
	if err == nil && got < len(dst) {
		err = errShort
	}
	return clusterError(err, dst, src, off)
}

// clusterError wraps err, if not nil, in an error that describes the cluster.
func clusterError(err error, dst, src []byte, off int64) error {
	if err == nil {
		return nil
	}
	return &image.FormatError{Format: "qcow2", Offset: off, Field: "compressed cluster", Value: fmt.Sprintf("%d bytes (%v)", len(src), err),
		Want: fmt.Sprintf("data that decompresses to %d bytes", len(dst))}
}

// decodeZstd fills dst with the output of one or more zstd frames. It ignores any bytes that
// follow.
func decodeZstd(dst, src []byte) error {
	dec, err := zstdDecoder()
	if err != nil {
		return err
	}
	for done := 0; done < len(dst); {
		n, err := frameLen(src)
		if err != nil {
			return err
		}
		out, err := dec.DecodeAll(src[:n], dst[done:done:len(dst)])
		if err != nil {
			return err
		}
		if len(out) == 0 {
			return errShort
		}
		done += copy(dst[done:], out) // out is usually dst itself
		src = src[n:]
	}
	return nil
}

var errFrame = errors.New("no complete zstd frame")

// frameLen returns the length of the zstd frame at the start of src (RFC 8878, section 3.1.1). The
// decoder must not see the bytes that follow the frame.
func frameLen(src []byte) (int, error) {
	if len(src) < 6 || binary.LittleEndian.Uint32(src) != 0xfd2fb528 {
		return 0, errFrame
	}
	desc := src[4]
	at := 5
	single := desc>>5&1 == 1
	if !single {
		at++ // window descriptor
	}
	at += []int{0, 1, 2, 4}[desc&3] // dictionary ID
	switch desc >> 6 {              // frame content size
	case 0:
		if single {
			at++
		}
	default:
		at += 1 << (desc >> 6)
	}
	for {
		if at+3 > len(src) {
			return 0, errFrame
		}
		block := int(src[at]) | int(src[at+1])<<8 | int(src[at+2])<<16
		at += 3
		switch block >> 1 & 3 {
		case 0, 2: // raw, compressed
			at += block >> 3
		case 1: // RLE: one byte
			at++
		default:
			return 0, errFrame
		}
		if block&1 == 1 {
			break
		}
	}
	if desc>>2&1 == 1 {
		at += 4 // checksum
	}
	if at > len(src) {
		return 0, errFrame
	}
	return at, nil
}
