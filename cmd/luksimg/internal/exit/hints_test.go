package exit

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/luks"
)

// TestFit checks that a hint names no flag that the verb lacks, except those of a command that it names.
func TestFit(t *testing.T) {
	has := func(flag string) bool { return flag == "header" }
	for hint, want := range map[string]string{
		"look at it; --partition opens LUKS in it; --header names a header": "look at it; --header names a header",
		"use --source-format raw":                                     "",
		"luksimg key add --key-file FILE adds it":                     "luksimg key add --key-file FILE adds it",
		"give another name with --object":                             "give another name with --object", // of the verb, not of the table
		"--partition or --header":                                     "--partition or --header",
		"get it again; if it is a raw disk, use --source-format raw":  "get it again",
		"choose another name, or use --force to replace it; or wait ": "or wait ",
	} {
		if got := fit(hint, has); got != want {
			t.Errorf("%q: %q, want %q", hint, got, want)
		}
		if got := fit(hint, nil); got != hint {
			t.Errorf("%q: %q without a verb", hint, got)
		}
	}
}

// TestLeftOut checks that the hint is about the memory if the key can be that of a key slot that was left out.
func TestLeftOut(t *testing.T) {
	for _, tried := range []error{luks.ErrPassphrase, luks.ErrNotTried} {
		left := fmt.Errorf("%w; key slot 1 was left out: %w", tried, luks.ErrMemory)
		if got := hint(new(keys.Flags).Explain(left, []byte("key"))); !strings.HasPrefix(got, "free memory") {
			t.Errorf("%v: %q", left, got)
		}
	}
	if got := hint(luks.ErrPassphrase); !strings.Contains(got, "newline") {
		t.Error(got)
	}
}

// TestDenied checks the hints for denied access to a file, a folder and a port.
func TestDenied(t *testing.T) {
	for want, err := range map[string]error{
		"check the permissions of the file and its folder":                               &fs.PathError{Op: "open", Path: "file", Err: fs.ErrPermission},
		"write to a folder where you can create files":                                   &fs.PathError{Op: "open", Path: t.TempDir(), Err: fs.ErrPermission},
		"only root can use ports below 1024: choose another port, or 0 for any free one": &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", fs.ErrPermission)},
		"name a file in it": fmt.Errorf("x: %w", output.ErrFolder),
		"an output is a file, - for standard output, or an object: cos://REGION/BUCKET/OBJECT": &fs.PathError{Op: "open", Path: "s3:/b", Err: output.ErrNoFolder},
		"make the folder first, or name another one":                                           &fs.PathError{Op: "open", Path: "b", Err: output.ErrNoFolder},
	} {
		if got := hint(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
