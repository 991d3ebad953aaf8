//go:build !windows && !(darwin && (amd64 || arm64)) && !(linux && !android && (386 || amd64 || arm || arm64 || loong64 || ppc64le || riscv64))

package cryptoki

import (
	"fmt"
	"runtime"
)

// Loads reports whether this platform can load modules.
const Loads = false

func load(string) (uintptr, error) {
	return 0, fmt.Errorf("luksimg-pkcs11 cannot load modules on %s/%s", runtime.GOOS, runtime.GOARCH)
}

func call(uintptr, ...uintptr) uintptr { return uintptr(FunctionNotSupported) }
