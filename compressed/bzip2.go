package compressed

import (
	"bufio"
	"compress/bzip2"
	"io"
)

// newBzip2 reads concatenated bzip2 streams.
func newBzip2(b *bufio.Reader) io.ReadCloser { return io.NopCloser(bzip2.NewReader(b)) }
