package signature

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// The following checks confirm a match whose magic number is short or missing.

var le, be = binary.LittleEndian, binary.BigEndian

// at returns n bytes of the head at off, or zeros if the head is shorter.
func (f *file) at(off, n int) []byte {
	if off < 0 || off+n > len(f.head) {
		return make([]byte, n)
	}
	return f.head[off : off+n]
}

func (f *file) byte(off int) byte { return f.at(off, 1)[0] }

// gzip checks that the three reserved bits of the flags are clear (RFC 1952, section 2.3.1).
func gzip(f *file) bool { return f.byte(3)&0xe0 == 0 }

// lzw checks the maximum width of a code, 9 to 16 bits, in the third byte. The first codes have 9
// bits. Each is a byte or a code that earlier codes defined.
func lzw(f *file) bool {
	if b := f.byte(2); b&0x60 != 0 || b&0x1f < 9 || b&0x1f > 16 {
		return false
	}
	const codes, bits = 64, 9
	for i := range codes {
		at := i * bits
		if 3+at/8+2 > len(f.head) {
			return i > 0
		}
		if code := le.Uint16(f.head[3+at/8:]) >> (at % 8) & (1<<bits - 1); int(code) > 256+i || i == 0 && code > 255 {
			return false
		}
	}
	return true
}

// bzip2 checks that the level is followed by the mark of a block or of the end.
func bzip2(f *file) bool {
	mark := string(f.at(4, 6))
	return f.byte(3) >= '1' && f.byte(3) <= '9' && (mark == "1AY&SY" || mark == "\x17\x72\x45\x38\x50\x90")
}

// lzma checks the header as XZ Utils does, as the format has no magic number. The properties are
// valid, the dictionary size is 2^n or 2^n + 2^(n-1) bytes, and the length is unknown or below 256
// GiB. The range coder starts with a zero byte.
func lzma(f *file) bool {
	if len(f.head) < 18 || f.byte(0) >= 225 || f.byte(13) != 0 {
		return false
	}
	lc, lp := f.byte(0)%9, f.byte(0)/9%5
	dict, size := le.Uint32(f.at(1, 4)), le.Uint64(f.at(5, 8))
	top := uint32(1) << 31
	for top > dict && top > 1 {
		top >>= 1
	}
	return lc+lp <= 4 && dict >= 4096 && (dict == top || dict == top|top>>1 || dict == 1<<32-1) &&
		size != 0 && (size == 1<<64-1 || size < 256<<30)
}

// zstd accepts 0x28 as the first byte, and 0x22 to 0x27, which versions before 0.8 wrote.
func zstd(f *file) bool { return f.byte(0) >= 0x22 && f.byte(0) <= 0x28 }

// skippable checks that a skippable frame ends within the file.
func skippable(f *file) bool {
	return f.byte(0)&0xf0 == 0x50 && int64(le.Uint32(f.at(4, 4))) <= f.size-8
}

// ova checks that the first file is an OVF descriptor, as in every OVA.
func ova(f *file) bool {
	name, _, _ := strings.Cut(string(f.at(0, 100)), "\x00")
	return strings.HasSuffix(strings.ToLower(name), ".ovf")
}

// oldTar checks the header of a seventh-edition Unix tar. Its checksum is the sum of its 512 bytes,
// with spaces in place of the checksum field.
func oldTar(f *file) bool {
	if len(f.head) < 512 || f.byte(0) == 0 {
		return false
	}
	const offSum, sumSize = 148, 8
	want, ok := octal(f.at(offSum, sumSize))
	for _, field := range [][]byte{f.at(100, 8), f.at(124, 12)} { // mode and size
		_, valid := octal(field)
		ok = ok && valid
	}
	sum := int64(sumSize * ' ')
	for i, b := range f.head[:512] {
		if i < offSum || i >= offSum+sumSize {
			sum += int64(b)
		}
	}
	return ok && sum == want
}

// octal parses a field of octal digits, after optional spaces and before a space or NUL.
func octal(b []byte) (n int64, ok bool) {
	b = bytes.TrimRight(bytes.TrimLeft(b, " "), " \x00")
	for _, c := range b {
		if c < '0' || c > '7' {
			return 0, false
		}
		n = n<<3 | int64(c-'0')
	}
	return n, len(b) > 0
}

func cpioLittle(f *file) bool { return cpio(f, le) }
func cpioBig(f *file) bool    { return cpio(f, be) }

// cpio checks that the mode gives a type of file, and that the only NUL of the name is its last
// byte.
func cpio(f *file, order binary.ByteOrder) bool {
	mode, n := order.Uint16(f.at(6, 2)), int(order.Uint16(f.at(20, 2)))
	if n < 2 || n > 1024 || !slices.Contains([]uint16{1, 2, 4, 6, 8, 10, 12}, mode>>12) {
		return false
	}
	return bytes.IndexByte(f.at(26, n), 0) == n-1
}

// arj checks the checksum of the first header.
func arj(f *file) bool {
	n := int(le.Uint16(f.at(2, 2)))
	return n >= 30 && n <= 2600 && crc32.ChecksumIEEE(f.at(4, n)) == le.Uint32(f.at(4+n, 4))
}

// lha checks the method, such as "-lh5-" or "-lzs-".
func lha(f *file) bool { return f.byte(6) == '-' && strings.IndexByte("01234567ds", f.byte(5)) >= 0 }

// bootMark checks for a boot signature in front of the header of a Linux kernel.
func bootMark(f *file) bool { return hasAt(f.head, 510, "\x55\xaa") }

// ghost checks the compression in the fourth byte.
func ghost(f *file) bool { return f.byte(3) <= 10 }

// json checks that a name follows a brace, or a value a bracket.
func json(f *file) bool {
	rest := strings.TrimLeft(f.text[1:], " \t\r\n")
	if f.text[0] == '{' {
		return strings.HasPrefix(rest, `"`) || strings.HasPrefix(rest, "}")
	}
	return strings.HasPrefix(rest, "{") || strings.HasPrefix(rest, `"`) || strings.HasPrefix(rest, "]")
}

// checksums checks that the first line starts with a hexadecimal digest and a space.
func checksums(f *file) bool {
	n := strings.IndexFunc(f.text, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) })
	return slices.Contains([]int{32, 40, 56, 64, 96, 128}, n) && strings.IndexByte(" *", f.text[n]) >= 0
}

// uuencoded checks that the three digits of a file mode follow.
func uuencoded(f *file) bool {
	mode := start(strings.TrimPrefix(f.text, "begin "), 4)
	_, ok := octal([]byte(mode))
	return ok && len(mode) == 4 && mode[3] == ' '
}

// plainText checks that the file is text at its start and its end. A disk can be full of text, but
// it consists of whole sectors, and a text file does not.
func plainText(f *file) bool {
	const sector = 512
	return f.size%sector != 0 && isText(f.head) && isText(f.tail)
}

// isText reports whether b is ASCII or UTF-8 text. The first and the last character can be
// incomplete.
func isText(b []byte) bool {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	for i := 0; i < utf8.UTFMax-1 && len(b) > 0 && !utf8.RuneStart(b[0]); i++ {
		b = b[1:]
	}
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1:
			return !utf8.FullRune(b)
		case r < ' ' && !strings.ContainsRune("\t\r\n\f", r), r == 0x7f:
			return false
		}
		b = b[n:]
	}
	return true
}

// zlib checks the header (RFC 1950): deflate, a 32 KiB window, no dictionary, and a check value.
// The first block must decode as far as the head reaches.
func zlib(f *file) bool {
	return zlibHeader(be.Uint16(f.at(0, 2))) && inflates(f.head[2:])
}

func zlibHeader(h uint16) bool { return h>>8 == 0x78 && h&0x20 == 0 && h%31 == 0 }

// inflates reports whether b starts a deflate stream.
func inflates(b []byte) bool {
	const enough = 64 // random bytes hardly ever decode to this many
	n, err := io.CopyN(io.Discard, flate.NewReader(bytes.NewReader(b)), enough)
	return n == enough && err == nil
}

// zipEnd checks that the file ends with an end of central directory record and its comment.
func zipEnd(f *file) bool {
	at := bytes.LastIndex(f.tail, []byte("PK\x05\x06"))
	const size = 22
	if at < 0 || at+size > len(f.tail) {
		return false
	}
	end := f.tail[at:]
	entries, length, off := le.Uint16(end[10:]), le.Uint32(end[12:]), le.Uint32(end[16:])
	return int(le.Uint16(end[20:])) == len(end)-size && entries > 0 && int64(length) < f.size && (length >= 46 || off == 1<<32-1)
}

// der checks that the outer sequence has the length of the file, and starts with a CMS content type
// or another sequence.
func der(f *file) bool {
	var length int64
	var in []byte
	switch f.byte(1) {
	case 0x80:
		length, in = f.size-2, f.at(2, len(pkcs7)) // indefinite length
		if !hasAt(f.head, 2, pkcs7) {
			return false
		}
	case 0x82:
		length, in = int64(be.Uint16(f.at(2, 2)))+2, f.at(4, len(pkcs7))
	case 0x83:
		length, in = int64(be.Uint32(f.at(1, 4))&0xffffff)+3, f.at(5, len(pkcs7))
	case 0x84:
		length, in = int64(be.Uint32(f.at(2, 4)))+4, f.at(6, len(pkcs7))
	default:
		return false
	}
	return length+2 == f.size && (string(in) == pkcs7 || in[0] == 0x30)
}

// pkcs7 is the start of the object identifier of a CMS content type, 1.2.840.113549.1.7 (RFC 5652).
const pkcs7 = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"

// aesCrypt checks for version 1 to 3 and the zero byte that follows it.
func aesCrypt(f *file) bool { return f.byte(3) >= 1 && f.byte(3) <= 3 && f.byte(4) == 0 }

// pgp checks that the first packet holds a session key, encrypted with a passphrase (RFC 9580,
// section 5.3) or with a public key (section 5.1).
func pgp(f *file) bool {
	var length, at int
	tag := f.byte(0)
	switch n := f.at(1, 2); {
	case tag == 0x84 || tag == 0x8c: // old format, one length byte
		length, at = int(n[0]), 2
	case tag == 0x85: // old format, two length bytes
		length, at = int(be.Uint16(n)), 3
	case (tag == 0xc1 || tag == 0xc3) && n[0] < 192:
		length, at = int(n[0]), 2
	case tag == 0xc1 && n[0] < 224:
		length, at = int(n[0]-192)<<8+int(n[1])+192, 3
	default:
		return false
	}
	b := f.at(at, 16)
	if tag == 0x8c || tag == 0xc3 {
		known := b[1] >= 1 && b[1] <= 13 && (b[2] == 0 || b[2] == 1 || b[2] == 3) && b[3] >= 1 && b[3] <= 14
		return b[0] == 4 && known && length == map[byte]int{0: 4, 1: 12, 3: 13}[b[2]]
	}
	bits := int(be.Uint16(b[10:]))
	switch b[9] {
	case 1, 2: // RSA: one integer
		return b[0] == 3 && length == 10+2+(bits+7)/8
	case 16: // ElGamal: two integers
		return b[0] == 3 && bits > 0 && length > 10+2+(bits+7)/8
	case 18: // ECDH: a point
		return b[0] == 3 && bits > 0 && length > 10+2+(bits+7)/8 && length < 256
	}
	return false
}

// pgpSigned checks for a compressed data packet of indeterminate length (RFC 9580, section 5.6) or
// a one-pass signature packet (section 5.4).
func pgpSigned(f *file) bool {
	b := f.at(0, 15)
	switch b[0] {
	case 0xa3: // compressed data: ZIP, ZLIB or bzip2
		return b[1] == 1 && inflates(f.head[2:]) || b[1] == 2 && zlibHeader(be.Uint16(b[2:])) && inflates(f.head[4:]) || b[1] == 3 && hasAt(f.head, 2, "BZh")
	case 0x90: // one-pass signature, version 3
		return b[1] == 13 && b[2] == 3 && b[3] <= 1 && b[4] >= 1 && b[4] <= 14 && b[14] <= 1
	}
	return false
}

// pgpAlone checks that the first packet, of version 3 to 6, is a signature that fills the file, or
// a key (RFC 9580, sections 5.2 and 5.5).
func pgpAlone(f *file) bool {
	var length int64
	var b []byte
	switch f.byte(0) {
	case 0x88, 0x98, 0x94: // one length byte
		length, b = int64(f.byte(1))+2, f.at(2, 6)
	case 0x89, 0x99, 0x95: // two length bytes
		length, b = int64(be.Uint16(f.at(1, 2)))+3, f.at(3, 6)
	default:
		return false
	}
	if f.byte(0) <= 0x89 { // type of signature, public-key algorithm and hash
		return length == f.size && b[0] >= 3 && b[0] <= 6 && (b[2] >= 1 && b[2] <= 28) && (b[3] >= 1 && b[3] <= 14)
	}
	// A user ID or a signature follows a key.
	return length < f.size && b[0] >= 4 && b[0] <= 6 && b[5] >= 1 && b[5] <= 28 &&
		length < headSize && strings.IndexByte("\xb4\xb5\xcd\x88\x89\xc2", f.byte(int(length))) >= 0
}

// dar checks the ten-byte label and two flags: end of the archive, and extension.
func dar(f *file) bool {
	return strings.IndexByte("TNE", f.byte(14)) >= 0 && strings.IndexByte("TNS", f.byte(15)) >= 0
}

// markup checks that the name of an element follows, and that its tag is closed.
func markup(f *file) bool {
	const most = 64
	s := start(f.text[1:], most)
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	n := strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789:._-", r) })
	return n > 0 && strings.IndexByte(" \t\r\n/>", s[n]) >= 0
}

// elf checks the class and the byte order.
func elf(f *file) bool {
	return (f.byte(4) == 1 || f.byte(4) == 2) && (f.byte(5) == 1 || f.byte(5) == 2) && f.byte(6) == 1
}

// pe checks the header whose offset the MS-DOS stub gives.
func pe(f *file) bool {
	off := le.Uint32(f.at(60, 4))
	return off >= 64 && hasAt(f.head, int64(off), "PE\x00\x00")
}

// jpeg checks the next marker, and the name that follows in most files.
func jpeg(f *file) bool {
	name := string(f.at(6, 4))
	return name == "JFIF" || name == "Exif" || f.byte(3) == 0xdb && f.byte(4) == 0 || f.byte(3) == 0xee && name == "Adob"
}

// bmp checks the length of the file and two reserved fields.
func bmp(f *file) bool {
	return int64(le.Uint32(f.at(2, 4))) == f.size && le.Uint32(f.at(6, 4)) == 0 && f.size > 26
}

func riff(f *file) bool {
	return slices.Contains([]string{"WAVE", "AVI ", "WEBP", "CDDA", "RMID"}, string(f.at(8, 4)))
}

// id3 checks that each byte of the length has seven bits.
func id3(f *file) bool {
	return f.byte(3) >= 2 && f.byte(3) <= 4 && be.Uint32(f.at(6, 4))&0x80808080 == 0 && f.byte(5)&0x0f == 0
}

// parquet checks that the file ends with the magic number too.
func parquet(f *file) bool { return hasAt(f.tail, int64(len(f.tail))-4, "PAR1") }
