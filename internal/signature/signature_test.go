package signature

import (
	"bytes"
	compress "compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// pad returns 8 KiB of zeros with a mark at an offset.
func pad(at int, mark string) []byte {
	b := make([]byte, 8192)
	if at < 0 {
		at += len(b)
	}
	copy(b[at:], mark)
	return b
}

// zlibOf returns a zlib stream of a compression level.
func zlibOf(level int) []byte {
	var b bytes.Buffer
	w, err := compress.NewWriterLevel(&b, level)
	if err != nil {
		panic(err)
	}
	w.Write(bytes.Repeat([]byte("disk"), 4000))
	w.Close()
	return b.Bytes()
}

// examples holds starts and ends of files that need more than a mark to match.
var examples = []struct {
	name string // name of the expected signature
	b    []byte
}{
	{"a gzip-compressed file", pad(0, "\x1f\x8b\x08\x08")},
	{"a file compressed by compress (.Z)", pad(0, "\x1f\x9d\x90\x00\x00")},
	{"a bzip2-compressed file", pad(0, "BZh11AY&SY")},
	{"a bzip2-compressed file", pad(0, "BZh91AY&SY")},
	{"a bzip2-compressed file", pad(0, "BZh5\x17\x72\x45\x38\x50\x90")},
	{"an LZMA-compressed file", pad(0, "\x5d\x00\x00\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00")},
	{"an LZMA-compressed file", pad(0, "\x5d\x00\x00\x00\x01\x00\x00\x10\x00\x00\x00\x00\x00\x00")},
	{"a zstd-compressed file", pad(0, "\x28\xb5\x2f\xfd")},
	{"a zstd-compressed file", pad(0, "\x25\xb5\x2f\xfd")},
	{"a zstd- or LZ4-compressed file", pad(0, "\x50\x2a\x4d\x18\x04\x00\x00\x00")},
	{"an OVA, a tar archive", append(append([]byte("disk.ovf"), make([]byte, 249)...), pad(0, "ustar\x0000")...)},
	{"a tar archive", pad(257, "ustar  ")},
	{"a tar archive (old format)", oldTarOf("disk.raw")},
	{"a cpio archive (binary)", pad(0, "\xc7\x71\x00\x00\x00\x00\xa4\x81"+strings.Repeat("\x00", 12)+"\x02\x00\x00\x00\x00\x00d\x00")},
	{"a cpio archive (binary)", pad(0, "\x71\xc7\x00\x00\x00\x00\x81\xa4"+strings.Repeat("\x00", 12)+"\x00\x02\x00\x00\x00\x00d\x00")},
	{"an ARJ archive", arjOf(40)},
	{"an LHA archive", pad(2, "-lh5-")},
	{"a Norton Ghost image", pad(0, "\xfe\xef\x01\x02")},
	{"a Linux kernel", pad(510, "\x55\xaa\xeb\x66HdrS")},
	{"a program (ELF)", pad(0, "\x7fELF\x02\x01\x01")},
	{"a program (PE)", pad(0, "MZ"+strings.Repeat("\x00", 58)+"\x80\x00\x00\x00"+strings.Repeat("\x00", 64)+"PE\x00\x00")},
	{"a JPEG picture", pad(0, "\xff\xd8\xff\xe0\x00\x10JFIF")},
	{"a BMP picture", pad(0, "BM\x00\x20\x00\x00")},
	{"a sound, film or picture (RIFF)", pad(0, "RIFF\x00\x20\x00\x00WAVE")},
	{"an MP3 file", pad(0, "ID3\x03\x00\x00\x00\x00\x00\x0a")},
	{"a Parquet file", append(pad(0, "PAR1"), "PAR1"...)},
	{"a file encrypted with AES Crypt", pad(0, "AES\x02\x00")},
	{"a file encrypted with PGP", pad(0, "\x8c\x0d\x04\x09\x03\x02")},
	{"a file encrypted with PGP", pad(0, "\x85\x02\x0c\x0312345678\x01\x10\x00")},
	{"a file encrypted with PGP", pad(0, "\x85\x01\x0c\x0312345678\x01\x08\x00")},
	{"a file encrypted with PGP", pad(0, "\x84\x5e\x0312345678\x12\x01\x07")},
	{"a file encrypted with PGP", pad(0, "\xc1\xc1\x4c\x0312345678\x01\x10\x00")},

	{"a file signed with PGP", append([]byte("\xa3\x01"), zlibOf(6)[2:]...)},
	{"a file signed with PGP", append([]byte("\xa3\x02"), zlibOf(6)...)},
	{"a file signed with PGP", pad(0, "\xa3\x03BZh9")},
	{"a file signed with PGP", pad(0, "\x90\x0d\x03\x00\x08\x16\xde\x0b\x81\x8c\xa5\x3c\x4d\xfe\x01\xae")},
	{"a PGP signature or key", append([]byte("\x88\x75\x04\x00\x16\x08"), make([]byte, 0x71)...)},
	{"a PGP signature or key", append([]byte("\x89\x02\x33\x04\x00\x01\x0a"), make([]byte, 0x22f+3-4+4)...)[:0x233+3]},
	{"a PGP signature or key", append([]byte("\x98\x07\x04\x6b\x0b\x9e\x48\x16\x00\xb4"), make([]byte, 100)...)},
	{"a dar archive", pad(0, "\x00\x00\x00\x7b0123456789TT")},
	{"an OVF descriptor", []byte(`<ns:Envelope xmlns:ns="http://schemas.dmtf.org/ovf/envelope/1">`)},
	{"an HTML or XML page", []byte("<div class=x>" + strings.Repeat("x", 512-13))},
	{"an HTML or XML page", []byte("<h2>Gone</h2>" + strings.Repeat("\n", 512-13))},
	{"an HTML or XML page", []byte("<Response>\n" + strings.Repeat(" ", 1024-11))},

	{"a zlib-compressed stream", zlibOf(6)},
	{"a zlib-compressed stream", zlibOf(9)},
	{"the last part of a zip archive", append(pad(0, ""), "PK\x05\x06\x03\x00\x03\x00\x01\x00\x01\x00\x50\x00\x00\x00\x10\x00\x00\x00\x02\x00hi"...)},
	{"a CMS message or a certificate (DER)", append([]byte("\x30\x82\x01\x00"+pkcs7), make([]byte, 246)...)},
	{"a CMS message or a certificate (DER)", append([]byte("\x30\x83\x01\x00\x00\x30\x82"), make([]byte, 65534)...)},
	{"a CMS message or a certificate (DER)", append([]byte("\x30\x84\x00\x01\x00\x00\x30\x82"), make([]byte, 65534)...)},
	{"a CMS message or a certificate (DER)", []byte("\x30\x80" + pkcs7 + "\x03\xa0\x80")},
	{"a uuencoded file", []byte("begin 644 disk.raw\nM....")},
	{"a text file", []byte("\n")},
	{"a text file", []byte("Sorry, the page could not be found.")},
	{"a text file", bytes.Repeat([]byte("H4sIAAAAAAAA\n"), 1000)},
	{"a text file", bytes.Repeat([]byte("Gr\xc3\xb6\xc3\x9fe\r\n"), 1001)},

	{"a git-lfs pointer", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")},
	{"a git-annex pointer", []byte("/annex/objects/SHA256E-s1048576--abc.img\n")},
	{"a DVC pointer", []byte("outs:\n- md5: a304afb96060aad90176268345e10355\n  path: disk.raw\n")},
	{"an HTML page", []byte("<!DOCTYPE html><html>404")},
	{"an HTML page", []byte("\r\n \t<HTML><head>")},
	{"an HTML page", []byte("\xef\xbb\xbf\n<!doctype HTML PUBLIC")},
	{"an HTML page", []byte("\xff\xfe<\x00h\x00t\x00m\x00l\x00>\x00")},
	{"an HTML page", []byte("\xfe\xff\x00<\x00h\x00t\x00m\x00l\x00>")},
	{"an HTML page", []byte(`<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">`)},
	{"an XML error message", []byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<Error><Code>NoSuchKey</Code></Error>")},
	{"an XML error message", []byte("\xef\xbb\xbf" + `<?xml version="1.0" encoding="utf-8"?><Error><Code>BlobNotFound`)},
	{"an XML error message", []byte("<Error><Code>AccessDenied</Code></Error>")},
	{"an OVF descriptor", []byte(`<?xml version="1.0"?><Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">`)},
	{"an XML file", []byte(`<?xml version="1.0"?><a/>`)},
	{"a JSON error message", []byte(`{"errors": [{"code": "not_found"}]}`)},
	{"a JSON error message", []byte("{\n  \"message\": \"Not Found\"\n}")},
	{"a JSON file", []byte(" \n{ \"a\": 1 }")},
	{"a JSON file", []byte(`[{"a": 1}]`)},
	{"an error message", []byte("404: Not Found")},
	{"an error message", []byte("Not Found\n")},
	{"an error message", []byte("Access Denied")},
	{"an HTTP response", []byte("HTTP/1.1 403 Forbidden\r\n")},
	{"a list of checksums", []byte(strings.Repeat("0123456789abcdef", 4) + "  disk.raw\n")},
	{"a list of checksums", []byte("SHA256 (disk.raw) = 00\n")},
	{"a PEM file: a key or a certificate", []byte("-----BEGIN CERTIFICATE-----\nMIIB")},
	{"a PGP message", []byte("-----BEGIN PGP MESSAGE-----\n\nhQIM")},
	{"a file encrypted with age", []byte("age-encryption.org/v1\n-> X25519 abc\n")},
	{"a script", []byte("#!/usr/bin/env python3\nprint(1)\n")},
	{"a cloop image", []byte("#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n")},
}

func oldTarOf(name string) []byte {
	b := pad(0, name)
	copy(b[100:], " 100644 \x00   0 \x00   0 \x00    4000000 14624610731 ")
	copy(b[100:], fmt.Sprintf("%6o \x00%6o \x00%6o \x00%11o %11o ", 0o644, 0, 0, 1<<20, 1<<30))
	copy(b[148:], "        ")
	sum := 0
	for _, c := range b[:512] {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%6o\x00 ", sum))
	return b
}

func arjOf(n int) []byte {
	b := pad(0, "\x60\xea")
	binary.LittleEndian.PutUint16(b[2:], uint16(n))
	b[4] = 30
	binary.LittleEndian.PutUint32(b[4+n:], crc32.ChecksumIEEE(b[4:4+n]))
	return b
}

func find(t *testing.T, b []byte) (*Signature, int64) {
	t.Helper()
	s, off, err := Find(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return s, off
}

// TestFind checks that every signature of the table is found, by its mark alone or by an example.
func TestFind(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range examples {
		s, _ := find(t, c.b)
		if s == nil || s.Name != c.name {
			t.Errorf("%q: %+v, want %q", c.b[:min(len(c.b), 40)], s, c.name)
			continue
		}
		seen[s.Name] = true
	}
	for i := range All {
		want := &All[i]
		if want.check != nil || want.Below > 0 || want.With != "" {
			continue
		}
		b, off := pad(int(want.At), want.Magic), want.At
		if want.Text {
			b = []byte("\n" + want.Magic + " and more text")
		} else if off < 0 {
			off += int64(len(b))
		}
		s, got := find(t, b)
		if s == nil || s.Name != want.Name || !want.Text && got != off {
			t.Errorf("%s: %+v at %d, want it at %d", want.Name, s, got, off)
		}
		seen[want.Name] = true
	}
	for i := range All {
		if s := &All[i]; !seen[s.Name] && s.With == "" && s.Below == 0 {
			t.Errorf("no test covers %s", s.Name)
		}
	}
	if len(seen) < 60 {
		t.Errorf("%d kinds of file, want at least 60", len(seen))
	}
}

// TestFindNothing checks near misses of signatures and starts of raw disks.
func TestFindNothing(t *testing.T) {
	text := func(s string) []byte { return append([]byte(s), make([]byte, 64<<10)...) }
	for name, b := range map[string][]byte{
		"zeros":                     make([]byte, 8192),
		"a sector":                  make([]byte, 512),
		"a byte":                    {0x1f},
		"ones":                      bytes.Repeat([]byte{0xff}, 8192),
		"gzip with reserved flags":  pad(0, "\x1f\x8b\x08\xff"),
		"BZh and no level":          pad(0, "BZh01AY&SY"),
		"BZh and no block":          pad(0, "BZh9"),
		"properties of no LZMA":     pad(0, "\x5d\x00\x00\x81\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00"),
		"MZ alone":                  pad(0, "MZ"),
		"a kernel without its mark": pad(514, "HdrS"),
		"a Mach-O number elsewhere": pad(4, "\xfe\xed\xfa\xce"),
		"a frame past the end":      pad(0, "\x50\x2a\x4d\x18\xff\xff\xff\x7f"),
		"a brace":                   pad(0, "{"),
		"a brace in binary":         pad(0, "{\"\x00"),
		"a tag in binary":           pad(0, "<html>\x01\x02"),
		"text":                      bytes.Repeat([]byte("text of a disk\n\n"), 512),
		"a script and zeros":        text("#!/bin/sh\nexit\n")[:512],
		"text and a byte":           append(bytes.Repeat([]byte("text\n"), 99), 0),
		"text, cut off at random":   append(bytes.Repeat([]byte("text\n"), 99), 0xe0, 0x80),
		"DER of another length":     append([]byte("\x30\x82\x01\x00\x30"), make([]byte, 256)...),
		"a byte less than less":     []byte("< 1" + strings.Repeat("\n", 509)),
		"an element without an end": []byte("<" + strings.Repeat("a", 511)),
		"a signature and more":      append([]byte("\x88\x75\x04\x00\x16\x08"), make([]byte, 0x80)...),
		"a key and no user":         append([]byte("\x98\x07\x04\x6b\x0b\x9e\x48\x16\x00\x00"), make([]byte, 100)...),
		"a number of dar":           pad(0, "\x00\x00\x00\x7b"),
		"zlib and no deflate":       pad(0, "\x78\x9c\xff\xff"),
		"an end of a zip elsewhere": pad(-40, "PK\x05\x06\x03\x00\x03\x00\x01\x00\x01\x00\x50"),
		"the letter y":              bytes.Repeat([]byte("y\n"), 4096),
		"a word of an error":        text("error: " + strings.Repeat("x", 100)),
		"a tar header without name": oldTarOf(""),
		"half of a UTF-16 text":     pad(0, "\xff\xfe"),
		"koly elsewhere":            pad(-511, "koly"),
		"Weak in a boot sector":     append(pad(0, "\xff\xd8\xff\xe0\x00\x10JFIF")[:510], append([]byte{0x55, 0xaa}, make([]byte, 512)...)...),
		"Weak in front of a GPT":    append(pad(0, "\xfe\xef\x01\x02")[:512], append([]byte("EFI PART"), make([]byte, 512)...)...),
	} {
		if s, off := find(t, b); s != nil {
			t.Errorf("%s: %s at %d", name, s.Name, off)
		}
	}
	if s, _ := find(t, nil); s != nil {
		t.Errorf("an empty file is %s", s.Name)
	}
}

// TestFindRandom checks random bytes, which an encrypted disk starts with.
func TestFindRandom(t *testing.T) {
	rnd := rand.NewChaCha8([32]byte{1})
	b := make([]byte, 4608)
	for range 20_000 {
		rnd.Read(b)
		if s, off := find(t, b); s != nil {
			t.Fatalf("%s at %d of random bytes: % x", s.Name, off, b[:32])
		}
	}
}

func TestFindReadError(t *testing.T) {
	for _, size := range []int64{100, 10_000} {
		if _, _, err := Find(bytes.NewReader(make([]byte, size-1)), size); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// FuzzFind checks that Find does not panic and that the magic number it found is in the file.
func FuzzFind(f *testing.F) {
	for _, c := range examples {
		f.Add(c.b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, off, err := Find(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if s != nil && !s.Text && !bytes.HasPrefix(b[off:], []byte(s.Magic)) {
			t.Fatalf("%s is not at %d", s.Name, off)
		}
	})
}
