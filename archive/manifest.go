package archive

import (
	"crypto/fips140"
	"encoding/hex"
	"fmt"
	"hash"
	"path"
	"strings"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/checksum"
)

// maxManifest bounds the length of a manifest in bytes.
const maxManifest = 1 << 20

// A digest is the expected digest of a file, from a manifest or from the file's name.
type digest struct {
	algorithm string // "sha256"
	sum       []byte
}

// String returns the digest in the form of OCI images.
func (d digest) String() string {
	if d.sum == nil {
		return ""
	}
	return d.algorithm + ":" + hex.EncodeToString(d.sum)
}

// strength returns the rank of an algorithm; the weakest has 0.
func strength(algorithm string) int {
	_, i := checksum.Named(algorithm)
	return i
}

// newDigest parses a digest.
func newDigest(algorithm, text string) (digest, error) {
	algorithm = strings.ReplaceAll(strings.ToLower(algorithm), "-", "")
	a, _ := checksum.Named(algorithm)
	if a.New == nil {
		return digest{}, fmt.Errorf("%w: digest algorithm %q", image.ErrUnsupported, algorithm)
	}
	if algorithm == "sha1" && fips140.Enforced() { // SHA-1 panics in this mode
		return digest{}, fmt.Errorf("%w: digest algorithm SHA-1 in Go's mode fips140=only", image.ErrUnsupported)
	}
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != a.Size {
		return digest{}, fmt.Errorf("%w: %q is no %s digest", image.ErrFormat, text, algorithm)
	}
	return digest{algorithm, sum}, nil
}

func (d digest) hash() hash.Hash {
	a, _ := checksum.Named(d.algorithm)
	return a.New()
}

// parseManifest reads the manifest of an OVF package (DSP0243, section 6.1). Its lines are like
// "SHA256(disk.vmdk)= 9f86d0..."; VirtualBox puts spaces in other places. File names are relative to
// folder; the keys of the result are normalized member names. If a file has several digests, the
// strongest is used. Two digests with the same algorithm must be equal.
func parseManifest(text []byte, folder string) (map[string]digest, error) {
	sums := map[string]digest{}
	type entry struct{ name, algorithm string }
	all := map[entry]string{}
	off := int64(0)
	for line := range strings.Lines(string(text)) {
		at := off
		off += int64(len(line))
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		bad := func(value any, want string) error {
			return &image.FormatError{Format: "manifest", Offset: at, Field: "line", Value: value, Want: want}
		}
		algorithm, rest, ok := strings.Cut(line, "(")
		end := strings.LastIndexByte(rest, ')')
		if !ok || end < 0 {
			return nil, bad(fmt.Sprintf("%.80q", line), `as in "SHA256(FILE)= DIGEST"`)
		}
		name, value := memberName(folder, rest[:end]), strings.TrimSpace(rest[end+1:])
		value, ok = strings.CutPrefix(value, "=")
		d, err := newDigest(strings.TrimSpace(algorithm), strings.TrimSpace(value))
		if !ok || err != nil {
			return nil, bad(fmt.Sprintf("%.80q", line), "one with a SHA-1, SHA-256 or SHA-512 digest")
		}
		e := entry{name, d.algorithm}
		if old, have := all[e]; have && old != string(d.sum) {
			return nil, bad(fmt.Sprintf("%.80q", line), "the same digest as in an earlier line for the file")
		}
		all[e] = string(d.sum)
		if old, have := sums[name]; !have || strength(d.algorithm) > strength(old.algorithm) {
			sums[name] = d
		}
	}
	return sums, nil
}

// memberName returns the member name for a name in a descriptor or manifest, which is relative to the
// folder of the descriptor. All spellings of a name give the same result.
func memberName(folder, name string) string { return cleanName(path.Join(folder, cleanName(name))) }
