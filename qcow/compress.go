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

// errShort: compressed data that give less than a cluster.
var errShort = errors.New("the data end before the cluster is full")

// zstdDecoder is for all disks: it decodes as many clusters at a time as there are
// CPUs. Its output is bounded by the slice that it is given.
var zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
})

// compressedRange returns which bytes of the file the L2 entry of a compressed
// cluster is for. They are whole sectors but at the start; decompression ends
// somewhere in the last one, which may be cut off at the end of the file.
func (d *Disk) compressedRange(e uint64, at int64) (off, n int64, err error) {
	shift := 62 - (d.h.clusterBits - 8)
	off = int64(e & (1<<shift - 1))
	n = (int64(e>>shift&(1<<(d.h.clusterBits-8)-1))+1)*512 - off&511
	if off >= d.h.fileSize {
		return 0, 0, entryError(at, e, "compressed data inside the file, which has %d bytes; this would be at %d", d.h.fileSize, off)
	}
	return off, min(n, d.h.fileSize-off), nil
}

// buffers hold compressed data while they are decoded.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// readCompressed returns the bytes of a compressed cluster, in a buffer that the caller gives
// back, and where they are in the file.
func (d *Disk) readCompressed(r disk.Run) (buf *[]byte, src []byte, off int64, err error) {
	off, n, err := d.compressedRange(r.Key, r.At)
	if err != nil {
		return nil, nil, 0, err
	}
	buf = buffers.Get().(*[]byte)
	if int64(cap(*buf)) < n {
		// Few clusters are longer than this, so that most buffers are made once.
		*buf = make([]byte, max(n, d.h.clusterSize()))
	}
	src = (*buf)[:n]
	if _, err := readFull(d.file.R, src, off); err != nil {
		buffers.Put(buf)
		return nil, nil, 0, err
	}
	return buf, src, off, nil
}

// decompress fills dst, which is one cluster, with a compressed cluster.
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

// inflateAll is decompress of several clusters, which are of zlib.
func (d *Disk) inflateAll(units []disk.PackedUnit) (int, error) {
	jobs := make([]inflate.Job, len(units))
	offs := make([]int64, len(units))
	var failed error // of the unit behind those that were read
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

// inflated returns the error of a cluster that gave got bytes, which are to fill it.
func inflated(got int, err error, dst, src []byte, off int64) error {
	if err == nil && got < len(dst) {
		err = errShort
	}
	return clusterError(err, dst, src, off)
}

// clusterError tells which cluster err, if it is one, is about.
func clusterError(err error, dst, src []byte, off int64) error {
	if err == nil {
		return nil
	}
	return &image.FormatError{Format: "qcow2", Offset: off, Field: "compressed cluster", Value: fmt.Sprintf("%d bytes (%v)", len(src), err),
		Want: fmt.Sprintf("data that give %d bytes", len(dst))}
}

// decodeZstd fills dst with what one or more zstd frames give. What follows them may
// be anything.
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
		done += copy(dst[done:], out) // onto itself
		src = src[n:]
	}
	return nil
}

var errFrame = errors.New("no whole zstd frame")

// frameLen returns the length of the zstd frame that src starts with (RFC 8878,
// section 3.1.1), as the decoder wants to see nothing of what follows.
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
		case 1: // one byte, repeated
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
