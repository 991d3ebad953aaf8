package checksum

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/internal/advice"
)

// maxList bounds the length of a list in bytes. The lists of whole distributions are shorter.
const maxList = 8 << 20

// A List is the content of a file of checksums.
type List struct {
	// Signed reports that the list is a message with a PGP signature (RFC 9580, section 7). The
	// signature is not verified, but text outside the message is refused.
	Signed bool

	entries []entry
}

type entry struct {
	Sum
	name string // "" if the file contains only a checksum
}

// Read reads a list in the formats of sha256sum and similar programs ("HEX  NAME", "HEX *NAME", or
// "SHA256 (NAME) = HEX" with --tag). The list can have comments and a PGP signature, or be a single
// checksum.
func Read(r io.Reader) (*List, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxList+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxList {
		return nil, fmt.Errorf("%w list: it has more than %d bytes", ErrFormat, maxList)
	}
	lines := strings.Split(string(bytes.TrimPrefix(text, []byte("\ufeff"))), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	l := new(List)
	first, last, err := l.message(lines)
	if err != nil {
		return nil, err
	}
	for i := first; i < last; i++ {
		line := lines[i]
		if l.Signed {
			line = strings.TrimPrefix(line, "- ") // dash-escaped
		}
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, ok := parseLine(line)
		if !ok {
			return nil, fmt.Errorf("%w list: line %d is %.80q", ErrFormat, i+1, line)
		}
		l.entries = append(l.entries, e)
	}
	if len(l.entries) == 0 {
		return nil, fmt.Errorf("%w list: it has no checksums", ErrFormat)
	}
	if len(l.entries) > 1 && slices.ContainsFunc(l.entries, func(e entry) bool { return e.name == "" }) {
		return nil, fmt.Errorf("%w list: a checksum without a name is not the only one", ErrFormat)
	}
	return l, nil
}

const (
	beginMessage   = "-----BEGIN PGP SIGNED MESSAGE-----"
	beginSignature = "-----BEGIN PGP SIGNATURE-----"
	endSignature   = "-----END PGP SIGNATURE-----"
)

// message returns the range of lines of the list: all of them, or those of the signed message. A user
// who has verified the signature trusts only those.
func (l *List) message(lines []string) (first, last int, err error) {
	blank := func(line string) bool { return strings.TrimSpace(line) == "" }
	begin := slices.IndexFunc(lines, func(line string) bool { return !blank(line) })
	if begin < 0 || strings.TrimRight(lines[begin], " \t") != beginMessage {
		return 0, len(lines), nil
	}
	l.Signed = true
	bad := func(what string) (int, int, error) {
		return 0, 0, fmt.Errorf("%w list: its PGP message %s", ErrFormat, what)
	}
	first = begin + 1
	for first < len(lines) && !blank(lines[first]) {
		if !strings.HasPrefix(lines[first], "Hash: ") { // the only header there is
			return bad("has an unknown header")
		}
		first++
	}
	if first == len(lines) {
		return bad("has no text")
	}
	last = first
	for ; last < len(lines) && strings.TrimRight(lines[last], " \t") != beginSignature; last++ {
		if strings.HasPrefix(lines[last], "-") && !strings.HasPrefix(lines[last], "- ") {
			return bad("has a line that starts with a dash")
		}
	}
	end := last
	for end < len(lines) && strings.TrimRight(lines[end], " \t") != endSignature {
		end++
	}
	if end >= len(lines) {
		return bad("has no end")
	}
	if slices.ContainsFunc(lines[end+1:], func(line string) bool { return !blank(line) }) {
		return bad("is followed by text that is not signed")
	}
	return first, last, nil
}

var (
	gnuLine = regexp.MustCompile(`^(\\?)([0-9A-Fa-f]{32,128}) [ *](.+)$`)
	bsdLine = regexp.MustCompile(`^(\\?)([A-Za-z0-9/-]{3,16}) ?\((.+)\) ?= ?([0-9A-Fa-f]+)$`)
	loose   = regexp.MustCompile(`^([0-9A-Fa-f]{32,128})[ \t]+\*?(\S.*)$`) // the format of other programs
)

func parseLine(line string) (entry, bool) {
	if m := bsdLine.FindStringSubmatch(line); m != nil {
		// "SHA2-256" is another name for SHA256.
		named := strings.ReplaceAll(strings.Replace(strings.ToUpper(m[2]), "SHA2-", "SHA", 1), "-", "")
		if !slices.ContainsFunc(algorithms, func(a Algorithm) bool { return a.Name == named }) {
			return entry{Sum{}, unescape(m[1], m[3])}, true // an algorithm that Find never returns
		}
		s, err := parse(m[4])
		return entry{s, unescape(m[1], m[3])}, err == nil && s.Name == named
	}
	if m := gnuLine.FindStringSubmatch(line); m != nil {
		s, err := parse(m[2])
		return entry{s, unescape(m[1], m[3])}, err == nil
	}
	if m := loose.FindStringSubmatch(line); m != nil {
		s, err := parse(m[1])
		return entry{s, m[2]}, err == nil
	}
	s, err := parse(strings.TrimSpace(line))
	return entry{s, ""}, err == nil
}

// unescape decodes a name. In a line that starts with a backslash, some characters are escaped.
func unescape(mark, name string) string {
	if mark == "" {
		return name
	}
	return strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r").Replace(name)
}

// Find returns the checksum of a file by its name without folders. If there are several algorithms, it
// returns the strongest. If there is no checksum, the error matches [ErrNotListed]. Two different
// checksums with the same algorithm are an error.
func (l *List) Find(name string) (Sum, error) {
	if len(l.entries) == 1 && l.entries[0].name == "" {
		return l.entries[0].Sum, l.entries[0].proves(name)
	}
	var found Sum
	for _, e := range l.entries {
		if name == "" || path.Base(strings.ReplaceAll(e.name, `\`, "/")) != name && e.name != name {
			continue
		}
		if e.Size == found.Size && !bytes.Equal(e.want, found.want) {
			return Sum{}, fmt.Errorf("%w list: it has two different checksums of %q", ErrFormat, name)
		}
		if e.Size > found.Size {
			found = e.Sum
		}
	}
	if found.Size == 0 {
		return Sum{}, advice.With(fmt.Errorf("%q is %w; the list has %s", name, ErrNotListed, l.names()), "--source-sha256 HEX gives the checksum itself")
	}
	return found, found.proves(name)
}

// proves returns an error if the algorithm of s proves nothing.
func (s Sum) proves(name string) error {
	if !s.Proves {
		return fmt.Errorf("%w that proves anything: the algorithm for %q is %s", ErrFormat, name, s.Name)
	}
	return nil
}

// names returns some of the names in the list.
func (l *List) names() string {
	const most = 8
	var names []string
	for _, e := range l.entries {
		if q := fmt.Sprintf("%.80q", e.name); !slices.Contains(names, q) {
			names = append(names, q)
		}
		if len(names) > most {
			return strings.Join(names[:most], ", ") + " and others"
		}
	}
	return strings.Join(names, ", ")
}
