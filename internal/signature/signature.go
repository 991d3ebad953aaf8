// Package signature identifies files that are not disk images, such as archives, compressed files
// and error pages, and disk images in formats that this module cannot read.
//
// A raw disk can start with any bytes. A signature therefore counts only if no bootable disk and no
// filesystem has it in that place.
package signature

import (
	"io"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/luksimg/luksimg/image"
)

// Advice says what to do with a file that is not a readable disk image.
type Advice string

// The values of Advice.
const (
	Decompress Advice = "decompress"
	Extract    Advice = "extract"  // the image is one of the files in the archive
	Download   Advice = "download" // download the image again: this file came in its place
	Convert    Advice = "convert"  // a disk in a format that this module cannot read
	Decrypt    Advice = "decrypt"
	Finish     Advice = "finish"  // finish the operation on the image that was interrupted
	NoDisk     Advice = "no disk" // the file holds no disk
)

// A Signature identifies one kind of file.
type Signature struct {
	Name   string // with its article: "a 7z archive"
	Advice Advice
	Tool   string // command that does what Advice says, or ""

	// At is the offset of Magic in bytes from the start of the file, or from its end if negative.
	At    int64
	Magic string

	// Text means that Magic is text. It must be at the first byte that is neither white space nor a
	// byte order mark; case is ignored. The first KiB must contain With too.
	Text bool
	With string

	// Below, if not zero, is the size in bytes that a file of this kind never reaches.
	Below int64

	// Weak means that a disk can start with Magic by chance. It does not count in a boot sector or
	// in front of a GPT.
	Weak bool

	check func(*file) bool // a further condition, or nil
}

const (
	headSize = 4096
	tailSize = 512
	textSize = 1024
)

// A file holds the parts of a file that signatures are compared with.
type file struct {
	head, tail []byte // the first and the last bytes; each is the whole of a short file
	size       int64
	text       string // the first bytes in lower case, without leading white space; "" if not text
}

// Find returns the signature of the file in r, of size bytes, and its offset. It returns nil if
// there is none. Errors are those of r. Find reads at most 4608 bytes.
func Find(r io.ReaderAt, size int64) (*Signature, int64, error) {
	f := file{
		head: make([]byte, min(headSize, max(size, 0))),
		tail: make([]byte, min(tailSize, max(size, 0))),
		size: size,
	}
	if _, err := image.ReadFull(r, f.head, 0); err != nil {
		return nil, 0, err
	}
	if _, err := image.ReadFull(r, f.tail, size-int64(len(f.tail))); err != nil {
		return nil, 0, err
	}
	f.text = text(f.head)
	for i := range All {
		if s := &All[i]; s.matches(&f) {
			off := s.At
			if off < 0 {
				off += size
			}
			return s, off, nil
		}
	}
	return nil, 0, nil
}

func (s *Signature) matches(f *file) bool {
	switch {
	case s.Below > 0 && f.size >= s.Below, s.Weak && f.startsDisk():
		return false
	case s.Text:
		if !strings.HasPrefix(f.text, s.Magic) || !strings.Contains(f.text, s.With) {
			return false
		}
	case s.At < 0:
		if !hasAt(f.tail, int64(len(f.tail))+s.At, s.Magic) {
			return false
		}
	default:
		if !hasAt(f.head, s.At, s.Magic) {
			return false
		}
	}
	return s.check == nil || s.check(f)
}

// hasAt reports whether b contains s at offset off.
func hasAt(b []byte, off int64, s string) bool {
	return off >= 0 && off <= int64(len(b)) && strings.HasPrefix(string(b[off:min(off+int64(len(s)), int64(len(b)))]), s)
}

// startsDisk reports whether the file has a boot signature or a GPT.
func (f *file) startsDisk() bool {
	return hasAt(f.head, 510, "\x55\xaa") || hasAt(f.head, 512, "EFI PART")
}

// text returns the start of a text in lower case, or "" if b is not text. UTF-16 with a byte order
// mark is text too.
func text(b []byte) string {
	b = b[:min(len(b), textSize)]
	switch {
	case hasAt(b, 0, "\xff\xfe"), hasAt(b, 0, "\xfe\xff"):
		var units []uint16
		high := int(b[0] & 1) // 1 after FF FE, where the second byte of each pair is the high one
		for b = b[2:]; len(b) >= 2; b = b[2:] {
			units = append(units, uint16(b[high])<<8|uint16(b[1-high]))
		}
		b = []byte(string(utf16.Decode(units)))
	case hasAt(b, 0, "\xef\xbb\xbf"):
		b = b[3:]
	}
	s := strings.TrimLeft(string(b), " \t\r\n\f")
	const enough = 64
	if strings.ContainsFunc(start(s, enough), func(r rune) bool {
		return r < ' ' && !strings.ContainsRune("\t\r\n\f", r) || r == 0x7f
	}) {
		return ""
	}
	return strings.ToLower(s)
}

// start returns at most the first n bytes of s, cut at a character.
func start(s string, n int) string {
	for n = min(n, len(s)); n > 0 && n < len(s) && !utf8.RuneStart(s[n]); n-- {
	}
	return s[:n]
}

// All lists the signatures, specific ones before general ones.
var All = slices.Concat(compressed, disks, archives, encrypted, machines, texts, files, anyText)

// anyText matches any text file.
var anyText = []Signature{{Magic: "", Name: "a text file", Advice: NoDisk, Weak: true, check: plainText}}
