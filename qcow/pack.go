package qcow

import (
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/luksimg/luksimg/internal/deflate"
	"github.com/luksimg/luksimg/internal/pieces"
)

// A part describes how one cluster of a batch is stored.
type part struct {
	cluster    int64 // index in the batch
	at, n      int   // offset and length in the packer's data
	compressed bool
	host       int64 // offset in the file
}

// A packer finds the clusters to store and compresses them. It is not safe for concurrent use.
type packer struct {
	cluster int
	parts   []part
	data    []byte
	out     []byte // compressed data and the uncompressed clusters in between; nil without compression
	zlib    *deflate.Writer
	zstd    *zstd.Encoder
	err     error
}

// deflateWindow is the window size of QEMU's zlib decoder in bytes, which no field of the format
// gives. References must not go further back.
const deflateWindow = 4096

func newPacker(p *plan, size int) *packer {
	k := &packer{cluster: int(p.clusterSize())}
	if !p.compressed {
		return k
	}
	k.out = make([]byte, size)
	if p.compression == compressionZlib {
		k.zlib, k.err = deflate.NewWriter(deflateWindow)
	} else {
		// A cluster does not need a longer window.
		k.zstd, k.err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
			zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(max(k.cluster, zstd.MinWindowSize)))
	}
	return k
}

// pack sets parts and data to the clusters of p that are stored. Without compression, data is p
// itself.
func (k *packer) pack(p []byte) error {
	k.parts, k.data = k.parts[:0], p
	if k.err != nil {
		return fmt.Errorf("qcow2: %w", k.err)
	}
	if k.out != nil {
		k.data = k.out
	}
	used := 0
	for at := 0; at < len(p); at += k.cluster {
		b := p[at:][:k.cluster]
		if pieces.IsZero(b) {
			continue
		}
		next := part{cluster: int64(at / k.cluster), at: at, n: k.cluster}
		if k.out != nil {
			next.at = used
			if n := k.compress(k.out[used:][:k.cluster], b); n > 0 {
				next.n, next.compressed = n, true
			} else {
				copy(k.out[used:], b)
			}
			used += next.n
		}
		k.parts = append(k.parts, next)
	}
	return nil
}

// compress compresses src into dst, which has the same length. It returns the length, or 0 if the
// data does not shrink.
func (k *packer) compress(dst, src []byte) int {
	if k.zstd != nil {
		z := k.zstd.EncodeAll(src, dst[:0])
		if len(z) >= len(dst) {
			return 0
		}
		return copy(dst, z) // z is in dst already, unless the encoder needed more space
	}
	return k.zlib.Compress(dst[:len(dst)-1], src)
}
