package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/internal/term"
)

// hostile is text that would control a terminal: a title, a color, a bell, C1 codes, and a mark that reverses the
// direction of text.
const hostile = "\x1b]0;x\a\x1b[31m\u009b2J\u202e\nluksimg: error: no"

// shows runs the command and fails if it prints control characters.
func shows(t *testing.T, line ...string) (stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	run(context.Background(), line, &out, &err)
	for _, text := range []string{out.String(), err.String()} {
		if want := term.VisibleLines(text); text != want {
			t.Fatalf("%v: %q", line, text)
		}
	}
	if strings.Contains(out.String()+err.String(), "\nluksimg: error: no") {
		t.Fatalf("%v: the file wrote a line of its own: %s%s", line, out.String(), err.String())
	}
	if line[0] == "--json" {
		for _, text := range []string{out.String(), err.String()} {
			if i := strings.Index(text, "{"); i >= 0 && !json.Valid([]byte(text[i:])) {
				t.Fatalf("%v: no JSON: %s", line, text)
			}
		}
	}
	return out.String(), err.String()
}

// evilLUKS2 returns a LUKS2 image with hostile text in a field of its JSON, and in the fields of its binary headers.
func evilLUKS2(t *testing.T, good []byte, change func(j map[string]any)) []byte {
	t.Helper()
	b := bytes.Clone(good)
	size := int(binary.BigEndian.Uint64(b[8:]))
	var j map[string]any
	if err := json.Unmarshal(bytes.TrimRight(b[4096:size], "\x00"), &j); err != nil {
		t.Fatal(err)
	}
	change(j)
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	for at := range []int{0, 1} {
		h := b[at*size : (at+1)*size]
		for field, n := range map[int]int{24: 48, 208: 48} { // label and subsystem
			clear(h[field : field+n])
			copy(h[field:field+n-1], "x\xff"+hostile)
		}
		clear(h[4096:])
		copy(h[4096:], text)
		clear(h[448:512])
		sum := sha256.Sum256(h)
		copy(h[448:], sum[:])
	}
	return b
}

func TestEscapesOfLUKS2(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name string, b []byte) {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("disk", make([]byte, 8192))
	write("key", []byte("secret"))
	shows(t, "encrypt", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file", "key", "disk", "good")
	good, err := os.ReadFile("good")
	if err != nil {
		t.Fatal(err)
	}
	in := func(j map[string]any, path ...string) map[string]any {
		for _, p := range path {
			j = j[p].(map[string]any)
		}
		return j
	}
	for name, change := range map[string]func(j map[string]any){
		"binary": func(map[string]any) {},
		"token": func(j map[string]any) {
			j["tokens"] = map[string]any{"0": map[string]any{"type": hostile, "keyslots": []string{}}}
		},
		"flag": func(j map[string]any) { in(j, "config")["flags"] = []string{hostile} },
		"requirement": func(j map[string]any) {
			in(j, "config")["requirements"] = map[string]any{"mandatory": []string{hostile}}
		},
		"cipher":    func(j map[string]any) { in(j, "segments", "0")["encryption"] = "aes-" + hostile },
		"segment":   func(j map[string]any) { in(j, "segments", "0")["type"] = hostile },
		"kdf":       func(j map[string]any) { in(j, "keyslots", "0", "kdf")["type"] = hostile },
		"kdf hash":  func(j map[string]any) { in(j, "keyslots", "0", "kdf")["hash"] = hostile },
		"af":        func(j map[string]any) { in(j, "keyslots", "0", "af")["hash"] = hostile },
		"area":      func(j map[string]any) { in(j, "keyslots", "0", "area")["encryption"] = hostile },
		"offset":    func(j map[string]any) { in(j, "keyslots", "0", "area")["offset"] = hostile },
		"digest":    func(j map[string]any) { in(j, "digests", "0")["hash"] = hostile },
		"salt":      func(j map[string]any) { in(j, "digests", "0")["salt"] = hostile },
		"name":      func(j map[string]any) { j[hostile] = 1 },
		"slot name": func(j map[string]any) { in(j, "keyslots")[hostile] = in(j, "keyslots", "0") },
	} {
		t.Run(name, func(t *testing.T) {
			write("evil", evilLUKS2(t, good, change))
			shows(t, "inspect", "evil")
			shows(t, "--json", "inspect", "evil")
			shows(t, "key", "list", "evil")
			shows(t, "--json", "key", "list", "evil")
			shows(t, "key", "test", "--key-file", "key", "evil")
			shows(t, "decrypt", "--force", "--key-file", "key", "evil", "plain")
			if name == "binary" {
				if out, _ := shows(t, "inspect", "evil"); !strings.Contains(out, `x\xff\x1b]0;x\x07`) {
					t.Errorf("the label is not shown: %s", out)
				}
			}
		})
	}
}

// TestEscapesOfLUKS1 puts hostile text in each text field of the header (LUKS1 On-Disk Format Specification 1.2.3,
// figure 1).
func TestEscapesOfLUKS1(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name string, b []byte) {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("disk", make([]byte, 8192))
	write("key", []byte("secret"))
	shows(t, "encrypt", "--format", "luks1", "--pbkdf-force-iterations", "1000", "--key-file", "key", "disk", "good")
	good, err := os.ReadFile("good")
	if err != nil {
		t.Fatal(err)
	}
	for name, field := range map[string][2]int{"cipher": {8, 32}, "mode": {40, 32}, "hash": {72, 32}, "UUID": {168, 40}} {
		t.Run(name, func(t *testing.T) {
			evil := bytes.Clone(good)
			f := evil[field[0] : field[0]+field[1]]
			clear(f)
			copy(f[:len(f)-1], "x"+hostile)
			write("evil", evil)
			out, stderr := shows(t, "inspect", "evil")
			if !strings.Contains(out+stderr, `\x1b]0;x\x07`) {
				t.Errorf("the text is not shown: %s%s", out, stderr)
			}
			shows(t, "--json", "inspect", "--check", "evil")
			shows(t, "key", "list", "evil")
			shows(t, "key", "test", "--key-file", "key", "evil")
			shows(t, "decrypt", "--force", "--key-file", "key", "evil", "plain")
		})
	}
}

// TestEscapesOfAudit puts hostile text in each text of an event.
func TestEscapesOfAudit(t *testing.T) {
	all, err := filepath.Glob("../../ibm/audit/testdata/*")
	if err != nil || len(all) < 5 {
		t.Fatalf("%q, %v", all, err)
	}
	value := regexp.MustCompile(`"[^"\\]*"`)
	evil, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "log")
	tried := 0
	for _, name := range all {
		good, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range value.FindAllIndex(good, 200) {
			tried++
			if err := os.WriteFile(file, slices.Concat(good[:at[0]], evil, good[at[1]:]), 0o600); err != nil {
				t.Fatal(err)
			}
			shows(t, "audit", file)
			shows(t, "--json", "audit", file)
		}
	}
	if tried < 200 {
		t.Errorf("only %d texts were tried", tried)
	}
}

// TestEscapesOfFormats puts hostile text in each text in the headers of images of all formats: names, versions,
// descriptors, partitions, filesystems.
func TestEscapesOfFormats(t *testing.T) {
	var all []string
	for _, pattern := range []string{"../../testdata/vhd/*.gz", "../../testdata/qcow/*.gz", "../../testdata/vhdx/*.gz", "../../testdata/vdi/*.gz", "../../testdata/vmdk/*.gz", "../../testdata/contents/*.gz"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) < 10 {
		t.Fatalf("only %d images", len(all))
	}
	for i := range all {
		all[i], _ = filepath.Abs(all[i])
	}
	t.Chdir(t.TempDir())
	tried := 0
	for _, name := range all {
		good := golden.Read(name)
		file := strings.TrimSuffix(filepath.Base(name), ".gz")
		evil := bytes.Clone(good)
		for _, at := range texts(good) {
			tried++
			copy(evil[at[0]:at[1]], hostile)
			if err := os.WriteFile(file, evil, 0o600); err != nil {
				t.Fatal(err)
			}
			shows(t, "inspect", file)
			shows(t, "--json", "inspect", "--check", file)
			copy(evil[at[0]:at[1]], good[at[0]:at[1]])
		}
	}
	if tried < 100 {
		t.Errorf("only %d texts were tried", tried)
	}
}

// texts returns the ranges of text in the first and last bytes of a file: the first runs of letters in each.
func texts(b []byte) (all [][2]int) {
	const look, most = 1 << 20, 20
	run := func(from, to int) {
		start, found := from, 0
		for i := from; i <= to && found < most; i++ {
			if i < to && (b[i] >= ' ' && b[i] < 0x7f || i > start && b[i] == 0 && b[i-1] != 0) {
				continue
			}
			if i-start >= 6 {
				all = append(all, [2]int{start + 3, i}) // keeps the start of a valid text
				found++
			}
			start = i + 1
		}
	}
	run(0, min(look, len(b)))
	if len(b) > look {
		run(max(look, len(b)-look), len(b))
	}
	return all
}

// TestEscapesOfNames uses hostile names of files.
func TestEscapesOfNames(t *testing.T) {
	t.Chdir(t.TempDir())
	name := "x\x1b[31m\a\u202ename"
	if err := os.WriteFile(name, make([]byte, 4096), 0o600); err != nil {
		t.Skip(err)
	}
	shows(t, "inspect", name)
	shows(t, "--json", "inspect", name)
	shows(t, "decrypt", name, "y")
	shows(t, "--json", "decrypt", "--key-file", name+"2", name, "y")
	shows(t, "encrypt", "--key-file", name, "--format", hostile, name, "y")
	shows(t, "--"+hostile)
	if _, stderr := shows(t, "encrypt", "--generate-key", "a", "--key-file", "b", "--pbkdf", hostile, name, "y"); !strings.Contains(stderr, "exclude") {
		t.Error(stderr)
	}
}

// TestLinesOfNames uses names with a line feed in the messages and results of the verbs.
func TestLinesOfNames(t *testing.T) {
	t.Chdir(t.TempDir())
	const key, disk, x, y = "key\nluksimg: error: no", "disk\nluksimg: error: no", "x\nluksimg: error: no", "y\nluksimg: error: no"
	if err := os.WriteFile(disk, bytes.Repeat([]byte("d"), 8192), 0o600); err != nil {
		t.Skip(err)
	}
	for _, line := range [][]string{
		{"keygen", key},
		{"encrypt", "--format", "luks1", "--pbkdf-force-iterations", "1000", "--key-file", key, "--source-format", "raw", disk, x},
		{"inspect", x},
		{"verify", "--key-file", key, "--source-format", "raw", disk, x},
		{"decrypt", "--key-file", key, x, y},
		{"convert", "--format", "vhd", "--source-format", "raw", disk, "vhd\n"},
		{"header", "backup", x, "h\nluksimg: error: no"},
		{"header", "restore", x, "h\nluksimg: error: no"},
		{"header", "repair", x},
		{"key", "add", "--pbkdf-force-iterations", "1000", "--key-file", key, "--new-key-file", disk, x},
		{"key", "remove", "--key-file", disk, x},
		{"header", "convert", "--format", "luks2", x},
		{"header", "erase", "--yes", x},
		{"decrypt", "--key-file", key, x, "nothing\n"},
	} {
		out, _ := shows(t, line...)
		if n := strings.Count(out, "\n"); line[0] != "inspect" && n > 1 {
			t.Errorf("%q: %d lines: %s", line, n, out)
		}
	}
	shows(t, "--json", "inspect", x)
}

// TestEscapesOfFiles uses hostile names of files and targets of links in the image.
func TestEscapesOfFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	put := func(b []byte, old string) []byte {
		return bytes.ReplaceAll(b, []byte(old), append([]byte(hostile), old[len(hostile):]...))
	}
	for _, name := range []string{"ext2", "xfs5"} {
		b := golden.Read(filepath.Join(filepath.Dir(vhdGolden), "contents", name+".img.gz"))
		b = put(put(b, "0001-"+strings.Repeat("0", 40)), strings.Repeat("0", 58)+"7")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, line := range [][]string{
			{"ls", name, "/var/many"},
			{"ls", "-lR", name},
			{"--json", "ls", "-R", name},
			{"ls", name, "/" + hostile},
			{"--json", "ls", name, "/" + hostile},
			{"cp", "-r", "--max-size", "0", name + ":/var/many", "none"},
			{"cp", "-r", name + ":/var/many", name + "-" + strings.ReplaceAll(hostile, "/", "")},
			{"cp", name + ":/" + hostile, "none"},
		} {
			out, _ := shows(t, line...)
			if want := map[string]int{"ls /var/many": 200}[line[0]+" "+line[len(line)-1]]; want > 0 && strings.Count(out, "\n") != want {
				t.Errorf("%q: %d lines", line, strings.Count(out, "\n"))
			}
		}
		if out, _ := shows(t, "ls", "-l", name, "/links"); !strings.Contains(out, `-> \x1b]0;x`) {
			t.Errorf("%s: %s", name, out)
		}
	}
}
