package guides

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

var declaration = regexp.MustCompile("(?ms)^```go\n((?:// [^\n]*\n)?(?:func|type) .*?)^```$")

// TestLibrary builds the declarations in the library guide, and runs a program that uses them.
func TestLibrary(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	text, err := os.ReadFile("../../docs/library.md")
	if err != nil {
		t.Fatal(err)
	}
	program := `package main

import (
	"context"
	"io"
	"iter"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/nbd"
	"github.com/luksimg/luksimg/qcow"
)

func main() {
	_, _ = convert, serve
	const text = "a file in front of zeros"
	disk := Padded{io.NewSectionReader(strings.NewReader(text), 0, int64(len(text))), 1 << 20}
	f, err := os.Create("disk.luks")
	if err != nil {
		log.Fatal(err)
	}
	key := []byte("key")
	if _, err := luksimg.Encrypt(context.Background(), f, disk, key, luksimg.EncryptOptions{}); err != nil {
		log.Fatal(err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		log.Fatal(err)
	}
	back, err := luksimg.OpenImage(context.Background(), f, size, luksimg.ImageOptions{Key: key})
	if err != nil {
		log.Fatal(err)
	}
	got := make([]byte, 1<<20)
	if _, err := back.ReadAt(got, 0); err != nil && err != io.EOF {
		log.Fatal(err)
	}
	if string(got) != text+strings.Repeat("\x00", 1<<20-len(text)) {
		log.Fatal("the disk in the image differs")
	}
	kinds := ""
	for e, err := range image.Extents(disk, 0, disk.Size()) {
		if err != nil {
			log.Fatal(err)
		}
		kinds += e.Kind.String() + " "
	}
	if kinds != "data hole " {
		log.Fatal(kinds)
	}
}
`
	blocks := declaration.FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 3 {
		t.Fatalf("the guide has %d blocks of declarations, want 3", len(blocks))
	}
	for _, b := range blocks {
		program += "\n" + b[1]
	}
	dir := t.TempDir()
	main, bin := filepath.Join(dir, "main.go"), filepath.Join(dir, "guide.exe")
	if err := os.WriteFile(main, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", bin, main).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := exec.Command(bin)
	run.Dir = dir
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestReadme checks that the function in the README is the one in the examples of the root package.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := os.ReadFile("../../example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	block := declaration.FindSubmatch(readme)
	if block == nil || !bytes.Contains(examples, block[1]) {
		t.Errorf("example_test.go does not have the function of README.md:\n%s", block)
	}
}
