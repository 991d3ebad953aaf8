package compressed

import (
	"bufio"
	"io"

	"github.com/klauspost/compress/gzip"
)

// newGzip reads gzip members that follow each other (RFC 1952).
func newGzip(b *bufio.Reader) (io.ReadCloser, error) { return gzip.NewReader(b) }
