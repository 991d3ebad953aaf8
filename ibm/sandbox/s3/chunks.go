package s3

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/luksimg/luksimg/internal/sigv4"
)

// Values of X-Amz-Content-Sha256 for a chunked body: "Signature Calculations for
// the Authorization Header: Transferring Payload in Multiple Chunks" and "... Including
// Trailing Headers" in the Amazon S3 API Reference.
const (
	streamSigned          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamSignedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	streamUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// A chunks decodes aws-chunked: SIZE;chunk-signature=SIGNATURE and the bytes of each chunk, then an
// empty chunk and the trailing headers. Each line ends with CR LF.
type chunks struct {
	in          *bufio.Reader
	signed      bool
	withTrailer bool

	auth     *sigv4.Authorization
	key      []byte
	date     string
	previous string // previous signature

	left    int64 // bytes left in the chunk
	claimed string
	sum     hash.Hash
	trailer http.Header
	end     error
}

func newChunks(r io.Reader, payload string) *chunks {
	return &chunks{in: bufio.NewReaderSize(r, 64<<10), withTrailer: payload != streamSigned, trailer: http.Header{}, sum: sha256.New()}
}

// sign enables the verification of chunk signatures.
func (c *chunks) sign(a *sigv4.Authorization, key []byte, date string) {
	c.signed, c.auth, c.key, c.date = true, a, key, date
	c.previous = hexOf(a.Signature)
}

var errChunk = refusal("InvalidChunk", "The body is not well-formed aws-chunked.")

func (c *chunks) Read(p []byte) (int, error) {
	for c.end == nil && c.left == 0 {
		c.end = c.next()
	}
	if c.end != nil || len(p) == 0 {
		return 0, c.end
	}
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if c.signed {
		c.sum.Write(p[:n])
	}
	if err == io.EOF && c.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && c.left == 0 {
		err = c.close()
	}
	if err == io.EOF {
		err = nil // the next read reports it
	}
	c.end = err
	return n, err
}

// line reads a line, without its CR LF.
func (c *chunks) line() (string, error) {
	b, err := c.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || len(b) > 4096:
		return "", errChunk
	case err == io.EOF:
		return "", io.ErrUnexpectedEOF
	case err != nil:
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}

// next reads the header of a chunk. After the last chunk it returns io.EOF.
func (c *chunks) next() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	size, extension, _ := strings.Cut(line, ";")
	n, err := strconv.ParseUint(size, 16, 62)
	if err != nil || int64(n) > maxBody {
		return errChunk
	}
	c.claimed = strings.TrimPrefix(extension, "chunk-signature=")
	c.sum.Reset()
	c.left = int64(n)
	if n > 0 {
		return nil
	}
	if err := c.verify("PAYLOAD", c.claimed); err != nil {
		return err
	}
	if c.withTrailer {
		return c.readTrailer()
	}
	// The final line end of the last chunk.
	if line, err := c.line(); err != nil && err != io.ErrUnexpectedEOF || line != "" {
		return errChunk
	}
	return io.EOF
}

// close reads the line end after a chunk, and verifies its signature.
func (c *chunks) close() error {
	if line, err := c.line(); err != nil {
		return err
	} else if line != "" {
		return errChunk
	}
	return c.verify("PAYLOAD", c.claimed)
}

func (c *chunks) verify(kind, claimed string) error {
	if !c.signed {
		return nil
	}
	want := c.auth.Chunk(c.key, kind, c.date, c.previous, [32]byte(c.sum.Sum(nil)))
	if subtle.ConstantTimeCompare([]byte(want), []byte(claimed)) != 1 {
		return refusal("SignatureDoesNotMatch", "The signature of a chunk does not match.")
	}
	c.previous = want
	return nil
}

// readTrailer reads the trailing headers and their signature.
func (c *chunks) readTrailer() error {
	c.sum.Reset()
	for range 16 {
		line, err := c.line()
		if err == io.ErrUnexpectedEOF || err == nil && line == "" {
			// Some clients omit the final empty line.
			if c.signed && len(c.trailer) > 0 {
				continue
			}
			return io.EOF
		}
		if err != nil {
			return err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return errChunk
		}
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if name == "x-amz-trailer-signature" {
			if err := c.verify("TRAILER", value); err != nil {
				return err
			}
			return io.EOF
		}
		c.trailer.Set(name, value)
		io.WriteString(c.sum, name+":"+value+"\n")
	}
	return errChunk
}
