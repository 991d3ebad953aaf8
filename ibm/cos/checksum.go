package cos

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// A checksum is the service's checksum of an object or a part, from the header
// X-Amz-Checksum-*. See "Checking object integrity" in the Amazon S3 User Guide.
type checksum struct {
	make  func() hash.Hash // nil for none
	sum   string
	parts int64 // number of parts of a composite checksum; otherwise 0
}

// checksums are the supported algorithms, strongest first.
var checksums = []struct {
	header string
	make   func() hash.Hash
}{
	{"X-Amz-Checksum-Sha256", sha256.New},
	{"X-Amz-Checksum-Sha1", sha1.New},
	{"X-Amz-Checksum-Crc64nvme", func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) }},
	{"X-Amz-Checksum-Crc32c", func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }},
	{"X-Amz-Checksum-Crc32", func() hash.Hash { return crc32.NewIEEE() }},
}

// readChecksum returns the strongest checksum in the header of a response, or the zero checksum.
func readChecksum(h http.Header) checksum {
	for _, c := range checksums {
		text, number, composite := strings.Cut(h.Get(c.header), "-")
		sum, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(sum) != c.make().Size() {
			continue
		}
		var parts int64
		if composite {
			if parts, err = strconv.ParseInt(number, 10, 32); err != nil || parts < 1 || parts > MaxParts {
				continue
			}
		} else if h.Get("X-Amz-Checksum-Type") == "COMPOSITE" {
			continue // composite, with an unknown number of parts
		}
		return checksum{c.make, string(sum), parts}
	}
	return checksum{}
}

// usable reports whether the checksum can be computed for size bytes in parts of partSize.
func (c checksum) usable(size, partSize int64) bool {
	return c.make != nil && (c.parts == 0 || partSize > 0 && partCount(size, partSize) == c.parts)
}

// matches reads size bytes at off and reports whether they have the checksum.
func (c checksum) matches(r io.ReaderAt, off, size, partSize int64, buf []byte) (bool, error) {
	if c.parts == 0 {
		partSize = max(size, 1)
	}
	all := c.make()
	for at := int64(0); at < size || at == 0; at += partSize {
		h := c.make()
		n := min(partSize, size-at)
		if k, err := io.CopyBuffer(onlyWriter{h}, io.NewSectionReader(r, off+at, n), buf); err != nil || k < n {
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return false, err
		}
		if c.parts == 0 {
			return string(h.Sum(nil)) == c.sum, nil
		}
		all.Write(h.Sum(nil))
	}
	return string(all.Sum(nil)) == c.sum, nil
}

// metaMD5 is the metadata header that stores the MD5 sum of an object that was sent in one request, because
// its ETag can differ.
const metaMD5 = "X-Amz-Meta-Luksimg-Md5"

// readMD5 returns the value of metaMD5, or nil.
func readMD5(h http.Header) []byte {
	sum, err := hex.DecodeString(h.Get(metaMD5))
	if err != nil || len(sum) != md5.Size {
		return nil
	}
	return sum
}

// metaETag is the metadata header with value "opaque" for an object whose ETag is not an MD5 sum.
const metaETag = "X-Amz-Meta-Luksimg-Etag"

// opaque reports whether the ETag of an object is known not to be an MD5 sum. Either its metadata says so, or the
// service encrypts it with a customer key or a key of a key service.
func opaque(h http.Header) bool {
	return h.Get(metaETag) == "opaque" || strings.HasPrefix(h.Get("X-Amz-Server-Side-Encryption"), "aws:kms") ||
		h.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != "" ||
		strings.EqualFold(h.Get("Ibm-Sse-Kp-Enabled"), "true")
}
