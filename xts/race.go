//go:build race && (amd64 || arm64) && !purego

package xts

import (
	"runtime"
	"unsafe"
)

// raceReadWrite reports the accesses of a call to the race detector, which cannot see into assembly.
func raceReadWrite(src, dst []byte) {
	runtime.RaceReadRange(unsafe.Pointer(unsafe.SliceData(src)), len(src))
	runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(dst)), len(src))
}
