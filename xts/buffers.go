package xts

import "unsafe"

// checkBuffers panics unless src is a multiple of unit bytes and dst is large enough. It returns dst
// cut to the length of src.
func checkBuffers(dst, src []byte, unit int) []byte {
	if len(src)%unit != 0 {
		panic("xts: input is not a multiple of the sector size")
	}
	return checkOverlap(dst, src)
}

// checkUnit is like checkBuffers, for a single data unit of any size.
func checkUnit(dst, src []byte) []byte {
	if len(src)%blockSize != 0 {
		panic("xts: input is not a multiple of the block size")
	}
	if len(src) > maxUnitSize {
		panic("xts: data unit is longer than 16 MiB")
	}
	return checkOverlap(dst, src)
}

// checkStealing is like checkUnit, for ciphertext stealing.
func checkStealing(dst, src []byte) []byte {
	if len(src) < blockSize {
		panic("xts: data unit is shorter than a block")
	}
	if len(src) > maxUnitSize {
		panic("xts: data unit is longer than 16 MiB")
	}
	return checkOverlap(dst, src)
}

func checkOverlap(dst, src []byte) []byte {
	if len(dst) < len(src) {
		panic("xts: output is shorter than input")
	}
	dst = dst[:len(src)]
	if inexactOverlap(dst, src) {
		panic("xts: invalid buffer overlap")
	}
	return dst
}

// inexactOverlap reports whether x and y, of equal length, overlap but do not start at the same byte.
// crypto/cipher uses the same function but does not export it.
func inexactOverlap(x, y []byte) bool {
	if len(x) == 0 || &x[0] == &y[0] {
		return false
	}
	return uintptr(unsafe.Pointer(&x[0])) <= uintptr(unsafe.Pointer(&y[len(y)-1])) &&
		uintptr(unsafe.Pointer(&y[0])) <= uintptr(unsafe.Pointer(&x[len(x)-1]))
}
