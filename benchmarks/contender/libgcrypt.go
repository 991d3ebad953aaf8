//go:build cgo && libgcrypt

package contender

/*
#cgo LDFLAGS: -lgcrypt
#include <stdint.h>
#include <stddef.h>
#include <gcrypt.h>

static const char *gcryptVersion(void) { return gcry_check_version(NULL); }

static gcry_cipher_hd_t gcryptStart(const void *key, size_t keyLen) {
	gcry_cipher_hd_t h;
	gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
	if (gcry_cipher_open(&h, keyLen == 32 ? GCRY_CIPHER_AES128 : GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_XTS, 0)) return NULL;
	if (gcry_cipher_setkey(h, key, keyLen)) {
		gcry_cipher_close(h);
		return NULL;
	}
	return h;
}

static int gcryptSectors(gcry_cipher_hd_t h, int encrypt, unsigned char *dst, const unsigned char *src, size_t n, size_t size, uint64_t first) {
	for (; n > 0; n--, first++, dst += size, src += size) {
		unsigned char iv[16] = {0};
		for (int i = 0; i < 8; i++) iv[i] = (unsigned char)(first >> 8 * i);
		if (gcry_cipher_setiv(h, iv, 16)) return 0;
		if (encrypt ? gcry_cipher_encrypt(h, dst, size, src, size) : gcry_cipher_decrypt(h, dst, size, src, size)) return 0;
	}
	return 1;
}
*/
import "C"

import (
	"errors"
	"runtime"
	"unsafe"
)

type gcrypt struct{ handle C.gcry_cipher_hd_t }

func init() {
	cgo = append(cgo, Contender{
		Name:    "libgcrypt",
		Version: C.GoString(C.gcryptVersion()),
		New: func(op string, key []byte, sectorSize int) (Crypt, error) {
			handle := C.gcryptStart(unsafe.Pointer(&key[0]), C.size_t(len(key)))
			if handle == nil {
				return nil, errors.New("libgcrypt rejects the key")
			}
			g := &gcrypt{handle}
			runtime.AddCleanup(g, func(h C.gcry_cipher_hd_t) { C.gcry_cipher_close(h) }, handle)
			encrypt := C.int(0)
			if op == "enc" {
				encrypt = 1
			}
			return func(dst, src []byte, first uint64) {
				n := len(src) / sectorSize
				if C.gcryptSectors(g.handle, encrypt, (*C.uchar)(&dst[0]), (*C.uchar)(&src[0]), C.size_t(n), C.size_t(sectorSize), C.uint64_t(first)) != 1 {
					panic("libgcrypt failed")
				}
				runtime.KeepAlive(g)
			}, nil
		},
	})
}
