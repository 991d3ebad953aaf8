package vmdk

import (
	"encoding/binary"
	"errors"
	"hash/adler32"

	"github.com/luksimg/luksimg/internal/adler"
	"github.com/luksimg/luksimg/internal/deflate"
	"github.com/luksimg/luksimg/internal/pieces"
)

// packedSize is the maximum size of a grain with its marker. Incompressible data is stored in
// deflate blocks with a few bytes of header each.
const packedSize = grainSize + sectorSize

// A packer compresses the grains of a batch. It is not safe for concurrent use.
type packer struct {
	zlib   *deflate.Writer
	out    []byte // markers and compressed data, each grain in whole sectors
	grains []packed
}

// A packed is a compressed grain of a batch, in the out of its packer.
type packed struct {
	number int64 // number of the grain on the disk
	at     int64 // offset and length in bytes
}

func newPacker() (*packer, error) {
	z, err := deflate.NewWriter(deflate.MaxWindow)
	return &packer{zlib: z, out: make([]byte, batchSize/grainSize*packedSize)}, err
}

var errPack = errors.New("vmdk: a compressed grain exceeds its maximum size")

// pack compresses the grains in p, except for grains of zeros. first is the number of its first
// grain.
func (k *packer) pack(p []byte, first int64) error {
	k.grains, k.out = k.grains[:0], k.out[:cap(k.out)]
	used := 0
	for i := 0; i < len(p); i += grainSize {
		grain := p[i:][:grainSize]
		if pieces.IsZero(grain) {
			continue
		}
		number := first + int64(i/grainSize)
		k.grains = append(k.grains, packed{number, int64(used)})
		n := k.grain(k.out[used:][:packedSize], grain, uint64(number)*grainSectors)
		if n == 0 {
			return errPack
		}
		end := used + n
		used = (end + sectorSize - 1) &^ (sectorSize - 1)
		clear(k.out[end:used])
	}
	k.out = k.out[:used]
	return nil
}

// zlibHeader stands for deflate with a 32 KiB window and the default level (RFC 1950, section 2.2).
const zlibHeader = "\x78\x9c"

// grain writes a grain with its marker to dst (section "Stream-Optimized Compressed Sparse
// Extents"): its first sector, the length of its data, and the data in zlib format. It returns the
// length of all, or 0 if dst is too short.
func (k *packer) grain(dst, data []byte, sector uint64) int {
	const start = grainMarker + len(zlibHeader)
	n := k.zlib.Compress(dst[start:len(dst)-adler32.Size], data)
	if n == 0 {
		return 0
	}
	binary.BigEndian.PutUint32(dst[start+n:], adler.Checksum(data))
	n += len(zlibHeader) + adler32.Size
	binary.LittleEndian.PutUint64(dst, sector)
	binary.LittleEndian.PutUint32(dst[8:], uint32(n))
	copy(dst[grainMarker:], zlibHeader)
	return grainMarker + n
}
