//go:build cgo && isal

package main

/*
#cgo LDFLAGS: -lisal
#include <stdlib.h>
#include <isa-l.h>

static int inflateOne(struct inflate_state *s, unsigned char *src, unsigned n, unsigned char *dst, unsigned size) {
	isal_inflate_init(s);
	s->next_in = src;
	s->avail_in = n;
	s->next_out = dst;
	s->avail_out = size;
	s->crc_flag = ISAL_DEFLATE;
	int r = isal_inflate_stateless(s);
	return r ? r : s->total_out == size ? 0 : -100;
}
*/
import "C"

import (
	"fmt"
	"unsafe"
)

func init() {
	state := (*C.struct_inflate_state)(C.malloc(C.sizeof_struct_inflate_state))
	peers = append(peers, contender{"isa-l", func(dst []byte, src [][]byte) error {
		for i, z := range src {
			if r := C.inflateOne(state, (*C.uchar)(&z[0]), C.uint(len(z)), (*C.uchar)(unsafe.Pointer(&dst[i*cluster])), cluster); r != 0 {
				return fmt.Errorf("result %d", r)
			}
		}
		return nil
	}})
}
