package cryptoki

import (
	"encoding/binary"
	"runtime"
	"unsafe"
)

// The layout of structures, section 2.1 of PKCS#11 Base Specification 2.40: on Windows a CK_ULONG has
// 4 bytes and structures are packed; elsewhere a CK_ULONG is as long as a pointer, and structures are
// laid out as C does. All structures that are made here consist of pointers and CK_ULONGs, so that
// there is no padding in either.
const (
	pointerSize = int(unsafe.Sizeof(uintptr(0)))
	onWindows   = runtime.GOOS == "windows"
)

// ulongSize is the length of a CK_ULONG.
func ulongSize(windows bool) int {
	if windows {
		return 4
	}
	return pointerSize
}

// listOffset is where the pointers of a CK_FUNCTION_LIST begin, behind the two bytes of its version.
func listOffset(windows bool) int {
	if windows {
		return 2
	}
	return pointerSize
}

var ulong = ulongSize(onWindows)

// A memory pins the buffers that one call passes to a module. The garbage collector does not move them
// before free.
type memory struct{ pins runtime.Pinner }

func (m *memory) free() { m.pins.Unpin() }

// at returns the address of b, 0 if it is empty.
func (m *memory) at(b []byte) uintptr {
	if len(b) == 0 {
		return 0
	}
	m.pins.Pin(&b[0])
	return uintptr(unsafe.Pointer(&b[0]))
}

// words is a structure in the making.
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

// A counter is a CK_ULONG that a module writes to.
type counter []byte

func newCounter(n uint) counter { return counter(words(nil).number(n)) }

func (c counter) value() uint { return number(c) }

// unavailable is CK_UNAVAILABLE_INFORMATION: the length of what a module does not tell.
func unavailable(n uint) bool {
	return ulong == 4 && uint32(n) == ^uint32(0) || n == ^uint(0)
}
