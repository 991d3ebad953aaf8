//go:build cgo && libdeflate

package main

/*
#cgo LDFLAGS: -ldeflate
#include <libdeflate.h>
*/
import "C"

import (
	"fmt"
	"unsafe"
)

func init() {
	c, d := C.libdeflate_alloc_compressor(6), C.libdeflate_alloc_decompressor()
	compress = func(b []byte) []byte {
		z := make([]byte, C.libdeflate_deflate_compress_bound(c, C.size_t(len(b))))
		return z[:C.libdeflate_deflate_compress(c, unsafe.Pointer(&b[0]), C.size_t(len(b)), unsafe.Pointer(&z[0]), C.size_t(len(z)))]
	}
	peers = append([]contender{{"libdeflate", func(dst []byte, src [][]byte) error {
		for i, z := range src {
			if r := C.libdeflate_deflate_decompress(d, unsafe.Pointer(&z[0]), C.size_t(len(z)), unsafe.Pointer(&dst[i*cluster]), cluster, nil); r != 0 {
				return fmt.Errorf("result %d", r)
			}
		}
		return nil
	}}}, peers...)
}
