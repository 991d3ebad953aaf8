//go:build race && (amd64 || arm64) && !purego

package xts

import (
	"runtime"
	"unsafe"
)

// raceReadWrite tells the race detector, which does not see into assembly, what a
// call is going to do.
func raceReadWrite(src, dst []byte) {
	runtime.RaceReadRange(unsafe.Pointer(unsafe.SliceData(src)), len(src))
	runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(dst)), len(src))
}
