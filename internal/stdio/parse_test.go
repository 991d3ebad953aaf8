package stdio_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/stdio"
)

func TestParse(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := stdio.Parse(t.Context(), name, io.ReadAll); err != nil || string(b) != "text" {
		t.Errorf("Parse: got %q, %v", b, err)
	}
	bad := errors.New("malformed")
	b, err := stdio.Parse(t.Context(), name, func(io.Reader) ([]byte, error) { return []byte("half"), bad })
	if b != nil || !errors.Is(err, bad) || !strings.HasPrefix(err.Error(), name+": ") {
		t.Errorf("Parse: got %q, %v", b, err)
	}
	if _, err := stdio.Parse(t.Context(), name+"x", io.ReadAll); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	stop := make(chan struct{})
	defer close(stop)
	if _, err := stdio.Parse(ctx, name, func(io.Reader) ([]byte, error) { <-stop; return nil, nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
