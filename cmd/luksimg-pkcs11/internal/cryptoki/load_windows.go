package cryptoki

import "syscall"

// Loads reports whether this platform can load modules.
const Loads = true

// load loads a library and returns the address of C_GetFunctionList.
func load(path string) (uintptr, error) {
	lib, err := syscall.LoadLibrary(path)
	if err != nil {
		return 0, err
	}
	return syscall.GetProcAddress(lib, getFunctionList)
}

func call(fn uintptr, args ...uintptr) uintptr {
	r, _, _ := syscall.SyscallN(fn, args...)
	return r
}
