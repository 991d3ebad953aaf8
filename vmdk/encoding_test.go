package vmdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
)

func encodedDescriptor(name, file string) string {
	return fmt.Sprintf("# Disk DescriptorFile\nversion=1\nencoding=\"%s\"\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\nRW 10 FLAT \"%s\" 0\n", name, file)
}

// TestEncodings opens disks with file names in every encoding that VMware writes. The names in Shift_JIS, GBK
// and Big5 contain backslash and | as second bytes of characters.
func TestEncodings(t *testing.T) {
	flat := imagetest.Noise(10*sectorSize, 1)
	for _, c := range []struct {
		name string
		e    encoding.Encoding
		file string
	}{
		{"windows-1252", charmap.Windows1252, "Größe €.vmdk"},
		{"windows-1251", charmap.Windows1251, "диск.vmdk"},
		{"ISO-8859-1", charmap.ISO8859_1, "Größe.vmdk"},
		{"ISO-8859-15", charmap.ISO8859_15, "10 €.vmdk"},
		{"KOI8-R", charmap.KOI8R, "диск.vmdk"},
		{"GBK", simplifiedchinese.GBK, "磁盘誠.vmdk"},
		{"gbk", simplifiedchinese.GBK, "磁盘.vmdk"},
		{"windows-936", simplifiedchinese.GBK, "磁盘.vmdk"},
		{"GB18030", simplifiedchinese.GB18030, "磁盘𠀀.vmdk"},
		{"Shift_JIS", japanese.ShiftJIS, "表ポディスク.vmdk"},
		{"windows-932", japanese.ShiftJIS, "ディスク.vmdk"},
		{"EUC-JP", japanese.EUCJP, "ディスク.vmdk"},
		{"Big5", traditionalchinese.Big5, "磁碟功.vmdk"},
		{"windows-950", traditionalchinese.Big5, "磁碟.vmdk"},
		{"EUC-KR", korean.EUCKR, "디스크.vmdk"},
		{"windows-949", korean.EUCKR, "디스크.vmdk"},
		{"UTF-8", encoding.Nop, "Größe 磁盘.vmdk"},
		{"utf8", encoding.Nop, "磁盘.vmdk"},
		{"", encoding.Nop, "\xff\xfe of no encoding.vmdk"},
		{"EBCDIC-of-Mars", encoding.Nop, "ascii.vmdk"},
		{"UTF-16", encoding.Nop, "ascii.vmdk"},
		{"IBM037", encoding.Nop, "ascii.vmdk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, err := c.e.NewEncoder().String(encodedDescriptor(c.name, c.file))
			if err != nil {
				t.Fatal(err)
			}
			asked := ""
			d, err := Open(context.Background(), strings.NewReader(text), int64(len(text)), Options{Resolve: func(r image.Ref) (image.Source, error) {
				asked = r.Name()
				return bytes.NewReader(flat), nil
			}})
			if err != nil || asked != c.file {
				t.Fatalf("resolved %q, want %q: %v", asked, c.file, err)
			}
			if i, err := d.Info(t.Context()); err != nil || i.Encoding != c.name || i.Extents[0].File != c.file {
				t.Errorf("Info: got %+v, %v", i, err)
			}
		})
	}
}

// TestByteOrderMark checks that a byte order mark selects UTF-8 and is not part of the first line.
func TestByteOrderMark(t *testing.T) {
	flat := imagetest.Noise(10*sectorSize, 1)
	for _, first := range []string{"# Disk DescriptorFile\n", "", "\n"} {
		text := byteOrderMark + first + strings.TrimPrefix(encodedDescriptor("windows-1252", "Größe"), "# Disk DescriptorFile\n")
		if !Detect(strings.NewReader(text), int64(len(text))) {
			t.Errorf("%q was not detected as VMDK", text)
		}
		asked := ""
		_, err := Open(context.Background(), strings.NewReader(text), int64(len(text)), Options{Resolve: func(r image.Ref) (image.Source, error) {
			asked = r.Name()
			return bytes.NewReader(flat), nil
		}})
		if err != nil || asked != "Größe" {
			t.Errorf("resolved %q: %v", asked, err)
		}
	}
	text := byteOrderMark + "version=1\nCID=x\n"
	var fe *image.FormatError
	if _, err := Open(context.Background(), strings.NewReader(text), int64(len(text)), Options{}); !errors.As(err, &fe) || fe.Offset != 13 {
		t.Errorf("the offset of a line after the mark: %v", err)
	}
}

// TestEncodingRefuses checks that an undecodable name is an error only if its file is needed.
func TestEncodingRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		is    error
		field string
		want  string
	}{
		"unknown":          {encodedDescriptor("EBCDIC-of-Mars", "Gr\xf6\xdfe"), image.ErrUnsupported, "", `the unknown encoding "EBCDIC-of-Mars"`},
		"UTF-16":           {encodedDescriptor("UTF-16LE", "Gr\xf6\xdfe"), image.ErrUnsupported, "", "unknown encoding"},
		"invalid GBK":      {encodedDescriptor("GBK", "a\xff\xff"), image.ErrFormat, "descriptor name", `encoding "GBK"`},
		"half a character": {encodedDescriptor("Shift_JIS", "a\x83"), image.ErrFormat, "descriptor", ""},
		"two encodings":    {encodedDescriptor("GBK", "a") + "encoding=\"Big5\"\n", image.ErrFormat, "descriptor encoding", "as before"},
		"parent": {"# Disk DescriptorFile\nversion=1\nencoding=\"EBCDIC\"\nCID=1\nparentCID=2\nparentFileNameHint=\"\xf6\"\ncreateType=\"x\"\nRW 1 ZERO\n",
			image.ErrUnsupported, "", `the name "\xf6" in the unknown encoding "EBCDIC"`},
	} {
		asked := false
		_, err := Open(context.Background(), strings.NewReader(c.text), int64(len(c.text)), Options{Resolve: func(r image.Ref) (image.Source, error) {
			asked = true
			return nil, errors.New("asked")
		}})
		if !errors.Is(err, c.is) || asked || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: resolver called: %v; error %v", name, asked, err)
		}
		var fe *image.FormatError
		if errors.As(err, &fe) && !strings.HasPrefix(fe.Field, c.field) {
			t.Errorf("%s: field %q", name, fe.Field)
		}
	}
	for _, e := range []string{"EBCDIC", "GBK"} {
		text := strings.Replace(encodedDescriptor(e, "a\xff\xff"), "FLAT", "SPARSE", 1)
		if _, err := Open(context.Background(), strings.NewReader(text), int64(len(text)), Options{MetadataOnly: true}); err != nil {
			t.Errorf("%s, metadata only: %v", e, err)
		}
	}
}

// TestVmdkinfoDecodes checks that vmdkinfo prints the same names.
func TestVmdkinfoDecodes(t *testing.T) {
	need.Judge(t, "vmdkinfo")
	for name, c := range map[string]struct {
		e    encoding.Encoding
		file string
	}{"windows-1252": {charmap.Windows1252, "Größe.vmdk"}, "GBK": {simplifiedchinese.GBK, "磁盘.vmdk"}, "windows-932": {japanese.ShiftJIS, "ディスク.vmdk"}, "Big5": {traditionalchinese.Big5, "磁碟.vmdk"}} {
		text, err := c.e.NewEncoder().String(encodedDescriptor(name, c.file))
		if err != nil {
			t.Fatal(err)
		}
		// vmdkinfo requires the comments.
		text = strings.Replace(text, "RW", "\n# Extent description\nRW", 1) + "\n# The Disk Data Base\n#DDB\n\nddb.adapterType = \"ide\"\n"
		dir := t.TempDir()
		disk := filepath.Join(dir, "disk.vmdk")
		for path, b := range map[string][]byte{disk: []byte(text), filepath.Join(dir, c.file): imagetest.Noise(10*sectorSize, 1)} {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if out := need.Run(t, "", "vmdkinfo", disk); !strings.Contains(out, c.file) {
			t.Errorf("%s: vmdkinfo did not print %q\n%s", name, c.file, out)
		}
	}
}
