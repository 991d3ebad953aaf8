package checksum

import (
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/internal/rest"
)

var (
	a256 = fmt.Sprintf("%x", sha256.Sum256([]byte("a")))
	b256 = fmt.Sprintf("%x", sha256.Sum256([]byte("b")))
	a512 = fmt.Sprintf("%x", sha512.Sum512([]byte("a")))
	md5  = strings.Repeat("0a", 16)
)

const signature = "-----BEGIN PGP SIGNATURE-----\n\niHUEARYKAB0=\n=abcd\n-----END PGP SIGNATURE-----\n"

// signed returns a signed message with a text.
func signed(text string) string {
	return "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + text + signature
}

func TestFind(t *testing.T) {
	for name, c := range map[string]struct {
		list, file string
		want       string // "sha256:..." or a part of the error
	}{
		"GNU":               {b256 + "  other\n" + a256 + "  disk.img\n", "disk.img", "sha256:" + a256},
		"binary":            {a256 + " *disk.img\r\n" + b256 + " *other\r\n", "disk.img", "sha256:" + a256},
		"upper case":        {strings.ToUpper(a256) + "  disk.img", "disk.img", "sha256:" + a256},
		"BSD":               {"SHA256 (disk.img) = " + a256 + "\nSHA256 (other) = " + b256, "disk.img", "sha256:" + a256},
		"OpenSSL":           {"SHA2-256(disk.img)= " + a256, "disk.img", "sha256:" + a256},
		"SHA-512":           {a512 + "  disk.img\n", "disk.img", "sha512:" + a512},
		"the longest":       {"SHA256 (disk.img) = " + b256 + "\nSHA512 (disk.img) = " + a512, "disk.img", "sha512:" + a512},
		"others unknown":    {"BLAKE2b (disk.img) = " + a512 + "\nSHA3-256 (disk.img) = " + b256 + "\nSHA256 (disk.img) = " + a256, "disk.img", "sha256:" + a256},
		"a folder":          {a256 + "  ./images/disk.img\n" + b256 + "  xdisk.img\n", "disk.img", "sha256:" + a256},
		"Windows":           {"\ufeff" + a256 + ` *images\disk.img`, "disk.img", "sha256:" + a256},
		"spaces in it":      {a256 + "  a  disk (1).img\n", "a  disk (1).img", "sha256:" + a256},
		"escaped":           {`\` + a256 + `  a\\b\nc` + "\n", "a\\b\nc", "sha256:" + a256},
		"alone":             {a256 + "\n", "whatever", "sha256:" + a256},
		"tab":               {a256 + "\tdisk.img", "disk.img", "sha256:" + a256},
		"comments":          {"# disk.img: 5 bytes\nSHA256 (disk.img) = " + a256 + "\n\n", "disk.img", "sha256:" + a256},
		"signed":            {signed("# x\nSHA256 (disk.img) = " + a256 + "\n"), "disk.img", "sha256:" + a256},
		"signed, dash":      {signed("- # a line of dashes: ---\n" + a256 + "  disk.img\n"), "disk.img", "sha256:" + a256},
		"twice":             {a256 + "  a/disk.img\n" + a256 + "  b/disk.img", "disk.img", "sha256:" + a256},
		"contradiction":     {a256 + "  a/disk.img\n" + b256 + "  b/disk.img", "disk.img", "two different"},
		"not there":         {a256 + "  disk.iso\n" + b256 + "  disk.vhd\n", "disk.img", `not in the list; the list has "disk.iso", "disk.vhd"`},
		"no name":           {a256 + "  disk.iso\n", "", "not in the list"},
		"MD5":               {md5 + "  disk.img", "disk.img", "is MD5"},
		"MD5 alone":         {md5, "disk.img", "is MD5"},
		"MD5 and more":      {md5 + "  disk.img\n" + a256 + "  disk.img", "disk.img", "sha256:" + a256},
		"empty":             {"\n\n", "disk.img", "has no checksums"},
		"a page":            {"<!DOCTYPE html>\n", "disk.img", "line 1"},
		"too short":         {a256[1:] + "  disk.img", "disk.img", "line 1"},
		"wrong algorithm":   {"SHA256 (disk.img) = " + a512, "disk.img", "line 1"},
		"two alone":         {a256 + "\n" + b256 + "\n", "disk.img", "not the only one"},
		"text behind":       {signed(b256+"  disk.img\n") + a256 + "  disk.img\n", "disk.img", "not signed"},
		"text before":       {a256 + "  disk.img\n" + signed(b256+"  disk.img\n"), "disk.img", "line 2"},
		"other header":      {strings.Replace(signed(a256+"  disk.img\n"), "Hash: SHA256", a256+"  disk.img", 1), "disk.img", "header"},
		"nothing signed":    {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256", "disk.img", "has no text"},
		"no end":            {strings.TrimSuffix(signed(a256+"  disk.img\n"), "-----END PGP SIGNATURE-----\n"), "disk.img", "has no end"},
		"another signature": {signed(a256 + "  disk.img\n-----BEGIN PGP MESSAGE-----\n"), "disk.img", "dash"},
		"many":              {strings.Repeat(a256+"  x\n", 3) + manyNames(), "disk.img", "and others"},
		"too long":          {strings.Repeat("\n", maxList+1), "disk.img", "more than"},
	} {
		l, err := Read(strings.NewReader(c.list))
		got := ""
		if err == nil {
			var s Sum
			if s, err = l.Find(c.file); err == nil {
				got = s.String()
				if h := s.New(); strings.HasSuffix(name, "GNU") {
					h.Write([]byte("a"))
					if err := s.Check(h.Sum(nil)); err != nil {
						t.Error(err)
					}
					h.Write([]byte("b"))
					if err := s.Check(h.Sum(nil)); !errors.Is(err, ErrMismatch) || rest.Hint(err) == "" {
						t.Errorf("another digest: %v", err)
					}
				}
			}
			if l.Signed != strings.Contains(c.list, "PGP SIGNED") {
				t.Errorf("%s: signed: %v", name, l.Signed)
			}
		}
		if err != nil {
			got = err.Error()
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrNotListed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got != c.want && (strings.HasPrefix(c.want, "sha") || !strings.Contains(got, c.want)) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func manyNames() string {
	var b strings.Builder
	for i := range 20 {
		fmt.Fprintf(&b, "%s  file%d\n", a256, i)
	}
	return b.String()
}

func TestParse(t *testing.T) {
	for text, good := range map[string]bool{a256: true, strings.ToUpper(a512): true, md5: false, "": false, a256 + "0": false, a256 + " ": false, "0x" + a256[2:]: false} {
		s, err := Parse(text)
		if (err == nil) != good || good && !strings.HasSuffix(s.String(), ":"+strings.ToLower(text)) || !good && !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestPrograms reads the output of coreutils and OpenSSL.
func TestPrograms(t *testing.T) {
	dir := t.TempDir()
	names := []string{"disk.img", "a b.img", `back\slash`, "new\nline", "(round) = x"}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range [][]string{{"sha256sum"}, {"sha512sum", "-b"}, {"sha256sum", "--tag"}, {"sha384sum", "--tag"}} {
		need.Program(t, c[0])
		cmd := exec.Command(c[0], append(c[1:], names...)...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		l, err := Read(strings.NewReader(string(out)))
		if err != nil {
			t.Errorf("%v: %v", c, err)
			continue
		}
		for _, name := range names {
			s, err := l.Find(name)
			if err != nil {
				t.Errorf("%v: %v", c, err)
				continue
			}
			h := s.New()
			h.Write([]byte(name))
			if err := s.Check(h.Sum(nil)); err != nil {
				t.Errorf("%v: %q: %v", c, name, err)
			}
		}
	}
}

// FuzzRead reads lists. A checksum that is found must be in the text, and within the signed part.
func FuzzRead(f *testing.F) {
	for _, s := range []string{a256 + "  disk.img\n", "SHA256 (disk.img) = " + a256, signed(a256 + "  disk.img\n"), a256, md5, "- \n", `\` + a256 + `  a\n`, "BLAKE2b (x) = 00", "\ufeff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Read(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, e := range l.entries {
			s, err := l.Find(e.name)
			if err != nil {
				continue
			}
			_, sum, _ := strings.Cut(s.String(), ":")
			at := strings.Index(strings.ToLower(text), sum)
			if at < 0 || l.Signed && (strings.LastIndex(text, endSignature) < at || strings.Index(text, beginMessage) > at) {
				t.Errorf("%q: %s", e.name, s)
			}
		}
	})
}
