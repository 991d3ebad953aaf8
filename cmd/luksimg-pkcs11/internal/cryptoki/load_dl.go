//go:build (darwin && (amd64 || arm64)) || (linux && !android && (386 || amd64 || arm || arm64 || loong64 || ppc64le || riscv64))

package cryptoki

import "github.com/ebitengine/purego"

// Loads reports whether this platform can load modules.
const Loads = true

// load loads a library and returns the address of C_GetFunctionList.
func load(path string) (uintptr, error) {
	lib, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return 0, err
	}
	return purego.Dlsym(lib, getFunctionList)
}

func call(fn uintptr, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(fn, args...)
	return r
}
