package dmcrypt

import "unsafe"

// checkBuffers panics unless src is a multiple of the sector size and dst is large enough. It returns
// dst cut to the length of src.
func checkBuffers(dst, src []byte, sectorSize int) []byte {
	if len(src)%sectorSize != 0 {
		panic("dmcrypt: input is not a multiple of the sector size")
	}
	if len(dst) < len(src) {
		panic("dmcrypt: output is shorter than input")
	}
	dst = dst[:len(src)]
	if inexactOverlap(dst, src) {
		panic("dmcrypt: invalid buffer overlap")
	}
	return dst
}

// inexactOverlap reports whether x and y, of equal length, overlap but do not start at the same byte.
func inexactOverlap(x, y []byte) bool {
	if len(x) == 0 || &x[0] == &y[0] {
		return false
	}
	return uintptr(unsafe.Pointer(&x[0])) <= uintptr(unsafe.Pointer(&y[len(y)-1])) &&
		uintptr(unsafe.Pointer(&y[0])) <= uintptr(unsafe.Pointer(&x[len(x)-1]))
}
