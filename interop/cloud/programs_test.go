package cloud

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

// A program is a client that is a command. It uses only the given settings.
type program struct {
	none
	path string
	args []string // common first arguments
	env  []string
	dir  string
}

func newProgram(t testing.TB, name string, env ...string) *program {
	t.Helper()
	need.Program(t, name)
	path, err := need.Path(name)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &program{path: path, dir: dir, env: append(env, "HOME="+dir, "PATH="+os.Getenv("PATH"), "LANG=C.UTF-8")}
}

// run returns the output of the program.
func (p *program) run(args ...string) ([]byte, error) { return p.pipe(nil, args...) }

func (p *program) pipe(in []byte, args ...string) ([]byte, error) {
	c := exec.Command(p.path, append(p.args[:len(p.args):len(p.args)], args...)...)
	c.Env, c.Dir = p.env, p.dir
	var errs bytes.Buffer
	c.Stderr = &errs
	if in != nil {
		c.Stdin = bytes.NewReader(in)
	}
	out, err := c.Output()
	if err != nil {
		err = fmt.Errorf("%s %.200q: %w: %.2000s %.2000s", filepath.Base(p.path), args, err, errs.Bytes(), out)
	}
	return out, err
}

// file returns the name of a file with this content in the folder of the program.
func (p *program) file(body []byte) (string, error) {
	f, err := os.CreateTemp(p.dir, "body")
	if err != nil {
		return "", err
	}
	defer f.Close()
	_, err = f.Write(body)
	return f.Name(), err
}

var codeWord = regexp.MustCompile(`\b(NoSuchKey|NoSuchBucket|BucketNotEmpty|PreconditionFailed|SignatureDoesNotMatch|AccessDenied|NotImplemented)\b`)

// code finds an error code in the output of the program.
func (p *program) code(err error) string {
	if m := codeWord.FindString(err.Error()); m != "" {
		return m
	}
	return err.Error()
}

func lines(b []byte) []string {
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
}
