package compressed

import (
	"bufio"
	"fmt"
	"io"
)

func newXZ(b *bufio.Reader, o Options) (io.ReadCloser, error) {
	return nil, fmt.Errorf("%w: kind %q", ErrUnsupported, XZ)
}
