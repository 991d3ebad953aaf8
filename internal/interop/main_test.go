package interop_test

import (
	"os"
	"testing"

	"github.com/luksimg/luksimg/internal/interop"
)

func TestMain(m *testing.M) {
	// Where tests are run for every change, none may be skipped unseen.
	interop.Strict = os.Getenv("CI") == "true"
	code := m.Run()
	if buildDir != "" {
		os.RemoveAll(buildDir)
	}
	os.Exit(code)
}
