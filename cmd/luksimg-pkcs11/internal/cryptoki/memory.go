package cryptoki

import (
	"encoding/binary"
	"runtime"
	"unsafe"
)

// The layout of structures: PKCS#11 Base Specification 2.40, section 2.1. On Windows a CK_ULONG has 4 bytes and
// structures are packed. Elsewhere a CK_ULONG has the size of a pointer and structures have the layout of C. The
// structures made here consist of pointers and CK_ULONGs, so neither layout needs padding.
const (
	pointerSize = int(unsafe.Sizeof(uintptr(0)))
	onWindows   = runtime.GOOS == "windows"
)

// ulongSize returns the size of a CK_ULONG in bytes.
func ulongSize(windows bool) int {
	if windows {
		return 4
	}
	return pointerSize
}

// listOffset returns the offset of the first pointer in a CK_FUNCTION_LIST. A version of two bytes precedes the
// pointers.
func listOffset(windows bool) int {
	if windows {
		return 2
	}
	return pointerSize
}

var ulong = ulongSize(onWindows)

// A memory pins the buffers that one call passes to a module, so that the garbage collector does not move them before
// free.
type memory struct{ pins runtime.Pinner }

func (m *memory) free() { m.pins.Unpin() }

// at returns the address of b, or 0 if b is empty.
func (m *memory) at(b []byte) uintptr {
	if len(b) == 0 {
		return 0
	}
	m.pins.Pin(&b[0])
	return uintptr(unsafe.Pointer(&b[0]))
}

// words is a structure under construction.
type words []byte

func (w words) pointer(p uintptr) words { return appendWord(w, uint64(p), pointerSize) }
func (w words) number(n uint) words     { return appendWord(w, uint64(n), ulong) }

func appendWord(w []byte, n uint64, size int) []byte {
	if size == 4 {
		return binary.NativeEndian.AppendUint32(w, uint32(n))
	}
	return binary.NativeEndian.AppendUint64(w, n)
}

// number returns the CK_ULONG at the start of b.
func number(b []byte) uint {
	if ulong == 4 {
		return uint(binary.NativeEndian.Uint32(b))
	}
	return uint(binary.NativeEndian.Uint64(b))
}

// A counter is a CK_ULONG that a module writes.
type counter []byte

func newCounter(n uint) counter { return counter(words(nil).number(n)) }

func (c counter) value() uint { return number(c) }

// unavailable reports whether n is CK_UNAVAILABLE_INFORMATION: the module does not reveal the length.
func unavailable(n uint) bool {
	return ulong == 4 && uint32(n) == ^uint32(0) || n == ^uint(0)
}
