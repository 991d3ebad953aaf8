// Package signature tells what a file is that is not a disk image, or a disk image of a
// format that has no reader here: an archive, a compressed file, an error page.
//
// A raw disk may start with any bytes, so a signature counts only if no disk that a
// machine can start from, and no filesystem, has it in that place.
package signature

import (
	"io"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/luksimg/luksimg/image"
)

// Advice is what to do with such a file.
type Advice string

// The kinds of advice.
const (
	Decompress Advice = "decompress"
	Extract    Advice = "extract"  // the image is one of the files in it
	Download   Advice = "download" // again: this is what came in place of the image
	Convert    Advice = "convert"  // it is a disk in a format that is not read here
	Decrypt    Advice = "decrypt"
	Finish     Advice = "finish"  // what changes it was cut off
	NoDisk     Advice = "no disk" // nothing in it is a disk
)

// A Signature tells one kind of file.
type Signature struct {
	Name   string // with its article: "a 7z archive"
	Advice Advice
	Tool   string // a command that does what is advised; it may be ""

	// At is where Magic is, in bytes from the start of the file, or, if it is negative, from
	// its end.
	At    int64
	Magic string

	// Text says that Magic is text: it is at the first byte that is neither white space nor
	// a byte order mark, in letters of either case. With must be in the first KiB too.
	Text bool
	With string

	// Below, if not zero, is the length that a file of this kind does not reach.
	Below int64

	// Weak says that a disk may start with Magic by chance: in a boot sector, or in front of
	// a GPT, it does not count.
	Weak bool

	check func(*file) bool // nil, or what else must be true
}

const (
	headSize = 4096
	tailSize = 512
	textSize = 1024
)

// A file is what is looked at.
type file struct {
	head, tail []byte // head is the first bytes, tail the last ones: all of a short file each
	size       int64
	text       string // the first bytes in small letters, without white space in front; "" if they are no text
}

// Find returns the signature of the file in r, of size bytes, and its offset. It returns nil
// if there is none. The error is that of r. It reads 4608 bytes at most.
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

// hasAt tells whether b has a string at an offset.
func hasAt(b []byte, off int64, s string) bool {
	return off >= 0 && off <= int64(len(b)) && strings.HasPrefix(string(b[off:min(off+int64(len(s)), int64(len(b)))]), s)
}

// startsDisk tells whether the file has the mark of a boot sector, or a GPT.
func (f *file) startsDisk() bool {
	return hasAt(f.head, 510, "\x55\xaa") || hasAt(f.head, 512, "EFI PART")
}

// text returns the start of a text in small letters, "" if b does not start as one. UTF-16
// with a byte order mark is text too.
func text(b []byte) string {
	b = b[:min(len(b), textSize)]
	switch {
	case hasAt(b, 0, "\xff\xfe"), hasAt(b, 0, "\xfe\xff"):
		var units []uint16
		high := int(b[0] & 1) // 1 in FF FE, where the second byte is the high one
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

// start returns the first n bytes of s, or fewer.
func start(s string, n int) string {
	for n = min(n, len(s)); n > 0 && n < len(s) && !utf8.RuneStart(s[n]); n-- {
	}
	return s[:n]
}

// All are the signatures, those that say more before those that say less.
var All = slices.Concat(compressed, disks, archives, encrypted, machines, texts, files, anyText)

// anyText is for a text of which nothing else is known.
var anyText = []Signature{{Magic: "", Name: "a text file", Advice: NoDisk, Weak: true, check: plainText}}
