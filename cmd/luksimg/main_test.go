package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/luksimg/luksimg/internal/golden"
)

// The folders of images that qemu-img made. Scripts run in other folders.
var (
	vhdGolden, _  = filepath.Abs("../../testdata/vhd")
	qcowGolden, _ = filepath.Abs("../../testdata/qcow")
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"luksimg": main, "luksimg-killed": mainKilled})
}

// TestScripts runs the scripts in testdata.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Cmds: scriptCommands})
}

// scriptCommands are additional commands for scripts.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"disk":         cmdDisk,
	"gpt":          cmdGPT,
	"flip":         cmdFlip,
	"magic":        cmdMagic,
	"partition":    cmdPartition,
	"put":          cmdPut,
	"golden":       cmdGolden,
	"cut":          cmdCut,
	"sha256":       cmdSHA256,
	"sparse":       cmdSparse,
	"smaller":      cmdSmaller,
	"measured":     cmdMeasured,
	"slice":        cmdSlice,
	"qcow":         cmdQCOW,
	"differencing": cmdDifferencing,
	"same":         cmdSame,
	"code":         cmdCode,
	"json":         cmdJSON,
	"mode":         cmdMode,
	"verify-size":  cmdSize,
	"leftovers":    cmdLeftovers,
	"for-each":     cmdForEach,
	"complete":     cmdComplete,
	"typed":        cmdTyped,
}

// TestReadme checks that the table in the README lists exactly the verbs of the command.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	root := newRoot()
	root.InitDefaultCompletionCmd()
	listed := make(map[string]bool)
	_, table, _ := strings.Cut(string(readme), "\n## Verbs\n")
	table, _, _ = strings.Cut(table, "\n## ")
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*`) \\| ").FindAllStringSubmatch(table, -1) {
		for _, m := range regexp.MustCompile("`([a-z]+)[^`]*`").FindAllStringSubmatch(row[1], -1) {
			listed[m[1]] = true
		}
	}
	for _, c := range root.Commands() {
		if !listed[c.Name()] {
			t.Errorf("README.md does not have the verb %s", c.Name())
		}
		if c.Name() != "completion" && c.Example == "" && c.Name() != "version" {
			t.Errorf("%s --help has no example", c.Name())
		}
	}
	for verb := range listed {
		if c, _, err := root.Find([]string{verb}); err != nil || c.Name() != verb {
			t.Errorf("README.md has %s, which is not a verb", verb)
		}
	}
}

// cmdCode runs a command that must end with an exit code: "code 12 luksimg decrypt ...".
func cmdCode(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if e := new(exec.ExitError); errors.As(err, &e) {
		code = e.ExitCode()
	} else if err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	if code != number(ts, args[0]) {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

func number(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

// cmdDisk makes a disk of the given size: random data with holes.
func cmdDisk(ts *testscript.TestScript, _ bool, args []string) {
	b := make([]byte, number(ts, args[0]))
	rand.NewChaCha8([32]byte{byte(len(b))}).Read(b)
	clear(b[:min(len(b), 1000)]) // so that the start never looks like a magic number
	clear(b[len(b)/3 : len(b)/2])
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o644))
}

// editFile changes a file in place.
func editFile(ts *testscript.TestScript, name string, change func(b []byte)) {
	b := []byte(ts.ReadFile(name))
	change(b)
	ts.Check(os.WriteFile(ts.MkAbs(name), b, 0o644))
}

func cmdGPT(ts *testscript.TestScript, _ bool, args []string) {
	editFile(ts, args[0], func(b []byte) {
		copy(b[510:], "\x55\xaaEFI PART")
	})
}

// cmdMagic makes a file look like a VHDX image.
func cmdMagic(ts *testscript.TestScript, _ bool, args []string) {
	editFile(ts, args[0], func(b []byte) { copy(b, "vhdxfile") })
}

// cmdPut writes a text at an offset of a file.
func cmdPut(ts *testscript.TestScript, _ bool, args []string) {
	editFile(ts, args[0], func(b []byte) { copy(b[number(ts, args[1]):], args[2]) })
}

func cmdFlip(ts *testscript.TestScript, _ bool, args []string) {
	editFile(ts, args[0], func(b []byte) {
		i := number(ts, args[1])
		if i < 0 { // counted from the end
			i += len(b)
		}
		b[i] ^= 1
	})
}

// cmdGolden unpacks a VHD that qemu-img made, and cmdQCOW a qcow2 image.
func cmdGolden(ts *testscript.TestScript, _ bool, args []string) { unpack(ts, vhdGolden, args) }
func cmdQCOW(ts *testscript.TestScript, _ bool, args []string)   { unpack(ts, qcowGolden, args) }

func unpack(ts *testscript.TestScript, dir string, args []string) {
	b := golden.Read(filepath.Join(dir, args[0]+".gz"))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o644))
}

// cmdSparse makes a file that consists of one hole.
func cmdSparse(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	defer f.Close()
	ts.Check(f.Truncate(int64(number(ts, args[0]))))
}

// cmdSHA256 checks that the second file holds the SHA-256 of the first one.
func cmdSHA256(ts *testscript.TestScript, _ bool, args []string) {
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(ts.ReadFile(args[0]))))
	if !strings.Contains(ts.ReadFile(args[1]), sum) {
		ts.Fatalf("%s does not have %s, the SHA-256 of %s", args[1], sum, args[0])
	}
}

// cmdSmaller checks that the first file uses less storage than the second one.
func cmdSmaller(ts *testscript.TestScript, _ bool, args []string) {
	a, b := room(ts, args[0]), room(ts, args[1])
	if a >= b {
		ts.Fatalf("%s takes %d bytes, %s %d", args[0], a, args[1], b)
	}
}

// cmdMeasured checks that the last output begins with the size of a file.
func cmdMeasured(ts *testscript.TestScript, _ bool, args []string) {
	fi, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if out := ts.ReadFile("stdout"); !strings.HasPrefix(out, fmt.Sprintf("%d bytes ", fi.Size())) {
		ts.Fatalf("%s has %d bytes, but the output is %s", args[0], fi.Size(), out)
	}
}

// cmdSlice copies a part of a file: "slice FROM OFFSET LENGTH TO".
func cmdSlice(ts *testscript.TestScript, _ bool, args []string) {
	off := number(ts, args[1])
	part := ts.ReadFile(args[0])[off:][:number(ts, args[2])]
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), []byte(part), 0o644))
}

// cmdCut truncates a file.
func cmdCut(ts *testscript.TestScript, _ bool, args []string) {
	part, err := strconv.ParseFloat(args[1], 64)
	ts.Check(err)
	name := ts.MkAbs(args[0])
	fi, err := os.Stat(name)
	ts.Check(err)
	ts.Check(os.Truncate(name, int64(float64(fi.Size())*part)))
}

// cmdDifferencing changes the type of a dynamic VHD to differencing.
func cmdDifferencing(ts *testscript.TestScript, _ bool, args []string) {
	editFile(ts, args[0], func(b []byte) {
		for _, footer := range [][]byte{b[:512], b[len(b)-512:]} {
			footer[63] = 4
			clear(footer[64:68])
			var sum uint32
			for _, c := range footer {
				sum += uint32(c)
			}
			binary.BigEndian.PutUint32(footer[64:], ^sum)
		}
	})
}

// cmdSame checks that the second file is the first one followed by zeros.
func cmdSame(ts *testscript.TestScript, _ bool, args []string) {
	a, b := ts.ReadFile(args[0]), ts.ReadFile(args[1])
	rest, ok := strings.CutPrefix(b, a)
	if !ok || strings.Trim(rest, "\x00") != "" {
		ts.Fatalf("%s is not %s followed by zeros", args[1], args[0])
	}
}

func cmdJSON(ts *testscript.TestScript, _ bool, args []string) {
	d := json.NewDecoder(bytes.NewReader([]byte(ts.ReadFile(args[0]))))
	var v map[string]any
	ts.Check(d.Decode(&v))
	if d.More() {
		ts.Fatalf("more than one object")
	}
}

func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	fi, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(fi.Mode().Perm()), 8); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}

func cmdSize(ts *testscript.TestScript, _ bool, args []string) {
	fi, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if fi.Size() != int64(number(ts, args[1])) {
		ts.Fatalf("%s has %d bytes, want %s", args[0], fi.Size(), args[1])
	}
}

// cmdLeftovers checks the number of files, and that none is temporary.
func cmdLeftovers(ts *testscript.TestScript, _ bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs("."))
	ts.Check(err)
	n := 0
	for _, e := range entries {
		if e.Name() == ".tmp" { // testscript's own
			continue
		}
		if n++; strings.Contains(e.Name(), "luksimg-partial") {
			ts.Fatalf("%s remains", e.Name())
		}
	}
	if n != number(ts, args[0]) {
		ts.Fatalf("%d files, want %s: %v", n, args[0], entries)
	}
}

// cmdForEach runs a command for each of several names: "for-each a b: luksimg verify %".
func cmdForEach(ts *testscript.TestScript, _ bool, args []string) {
	i := slices.IndexFunc(args, func(a string) bool { return strings.HasSuffix(a, ":") })
	for _, name := range args[:i+1] {
		var call []string
		for _, a := range args[i+1:] {
			call = append(call, strings.ReplaceAll(a, "%", strings.TrimSuffix(name, ":")))
		}
		if call[0] == "code" {
			cmdCode(ts, false, call[1:])
			continue
		}
		ts.Check(ts.Exec(call[0], call[1:]...))
	}
}
