package s3

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"os"
	"strings"
)

// algorithms are the checksum algorithms for bodies, besides MD5 and the signed
// SHA-256: "Checking object integrity" in the Amazon S3 User Guide.
var algorithms = map[string]func() hash.Hash{
	"CRC32":     func() hash.Hash { return crc32.NewIEEE() },
	"CRC32C":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"CRC64NVME": func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
	"SHA1":      sha1.New,
	"SHA256":    sha256.New,
}

// sumHeader returns the header and trailer name of an algorithm.
func sumHeader(algorithm string) string { return "X-Amz-Checksum-" + algorithm }

// Types of the checksum of a multipart object: over all its bytes, or over the checksums of its parts.
const (
	fullObject = "FULL_OBJECT"
	composite  = "COMPOSITE"
)

// A checksum is the checksum of a body or an object.
type checksum struct {
	algorithm string // key of algorithms; "" means no checksum
	value     []byte
	parts     int // number of parts of a composite checksum
}

// String returns the value in the format of headers and XML.
func (s checksum) String() string {
	text := base64.StdEncoding.EncodeToString(s.value)
	if s.parts > 0 {
		text += fmt.Sprintf("-%d", s.parts)
	}
	return text
}

func (s checksum) kind() string {
	if s.parts > 0 {
		return composite
	}
	return fullObject
}

// set sets the headers of a response.
func (s checksum) set(h http.Header, withType bool) {
	if s.algorithm == "" {
		return
	}
	h.Set(sumHeader(s.algorithm), s.String())
	if withType {
		h.Set("X-Amz-Checksum-Type", s.kind())
	}
}

// MarshalXML writes an element such as ChecksumCRC32, or nothing.
func (s checksum) MarshalXML(e *xml.Encoder, _ xml.StartElement) error {
	if s.algorithm == "" {
		return nil
	}
	return e.EncodeElement(s.String(), xml.StartElement{Name: xml.Name{Local: "Checksum" + s.algorithm}})
}

// claimed returns the algorithm and value in a checksum header; "" if there is none.
func claimed(h http.Header) (algorithm, value string, err error) {
	for header := range h {
		name, ok := strings.CutPrefix(strings.ToUpper(header), strings.ToUpper(sumHeader("")))
		switch {
		case !ok || name == "ALGORITHM" || name == "TYPE" || name == "MODE":
		case algorithms[name] == nil:
			return "", "", refusal("NotImplemented", "The checksum algorithm "+strings.ToLower(name)+" is not implemented.")
		case algorithm != "":
			return "", "", refusal("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		default:
			algorithm, value = name, h.Get(header)
		}
	}
	return algorithm, value, nil
}

func errSum(algorithm string) error {
	return refusal("InvalidRequest", "Value for "+strings.ToLower(sumHeader(algorithm))+" header is invalid.")
}

// A sumPlan is the checksum algorithm and type of a multipart upload or a copy.
type sumPlan struct{ algorithm, kind string }

// parsePlan parses X-Amz-Checksum-Algorithm and X-Amz-Checksum-Type.
func parsePlan(h http.Header) (sumPlan, error) {
	p := sumPlan{strings.ToUpper(h.Get("X-Amz-Checksum-Algorithm")), strings.ToUpper(h.Get("X-Amz-Checksum-Type"))}
	switch {
	case p.algorithm == "" && p.kind != "":
		return p, refusal("InvalidRequest", "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	case p.algorithm == "":
		return p, nil
	case algorithms[p.algorithm] == nil:
		return p, refusal("InvalidRequest", "Checksum algorithm provided is unsupported.")
	case p.kind == "" && p.algorithm == "CRC64NVME":
		p.kind = fullObject
	case p.kind == "":
		p.kind = composite
	}
	if p.kind != fullObject && p.kind != composite || p.kind == composite && p.algorithm == "CRC64NVME" || p.kind == fullObject && strings.HasPrefix(p.algorithm, "SHA") {
		return p, refusal("InvalidRequest", fmt.Sprintf("The %s checksum type cannot be used with the %s checksum algorithm.", p.kind, strings.ToLower(p.algorithm)))
	}
	return p, nil
}

// sum computes the checksum of an object from its blobs.
func (p sumPlan) sum(blobs []*blobFile) (checksum, error) {
	if p.algorithm == "" {
		return checksum{}, nil
	}
	all, s := algorithms[p.algorithm](), checksum{algorithm: p.algorithm}
	for _, b := range blobs {
		if p.kind == fullObject {
			if err := b.hash(all); err != nil {
				return s, err
			}
			continue
		}
		one, err := b.checksum(p.algorithm)
		if err != nil {
			return s, err
		}
		all.Write(one)
		s.parts++
	}
	s.value = all.Sum(nil)
	return s, nil
}

// hash writes the content to h.
func (b *blobFile) hash(h hash.Hash) error {
	f, err := os.Open(b.name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(h, f)
	return err
}

// checksum returns the stored checksum of a blob, or computes it.
func (b *blobFile) checksum(algorithm string) ([]byte, error) {
	if b.sum.algorithm == algorithm {
		return b.sum.value, nil
	}
	h := algorithms[algorithm]()
	err := b.hash(h)
	return h.Sum(nil), err
}
