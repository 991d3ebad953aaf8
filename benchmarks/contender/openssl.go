//go:build cgo && openssl

package contender

/*
#cgo LDFLAGS: -lcrypto
#include <stdint.h>
#include <stddef.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

static EVP_CIPHER_CTX *start(int encrypt, const unsigned char *key, size_t keyLen) {
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	const EVP_CIPHER *cipher = keyLen == 32 ? EVP_aes_128_xts() : EVP_aes_256_xts();
	if (ctx && EVP_CipherInit_ex(ctx, cipher, NULL, key, NULL, encrypt) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

// One call from Go handles many sectors, so that the cost of cgo is negligible.
static int sectors(EVP_CIPHER_CTX *ctx, unsigned char *dst, const unsigned char *src, size_t n, int size, uint64_t first) {
	for (; n > 0; n--, first++, dst += size, src += size) {
		unsigned char iv[16] = {0};
		for (int i = 0; i < 8; i++) iv[i] = (unsigned char)(first >> 8 * i);
		int out;
		if (EVP_CipherInit_ex(ctx, NULL, NULL, NULL, iv, -1) != 1 ||
		    EVP_CipherUpdate(ctx, dst, &out, src, size) != 1) return 0;
	}
	return 1;
}

static int unit(EVP_CIPHER_CTX *ctx, unsigned char *dst, const unsigned char *src, int size, const unsigned char *iv) {
	int out;
	return EVP_CipherInit_ex(ctx, NULL, NULL, NULL, iv, -1) == 1 &&
	       EVP_CipherUpdate(ctx, dst, &out, src, size) == 1 && out == size;
}

static const char *version(void) { return OpenSSL_version(OPENSSL_VERSION); }
*/
import "C"

import (
	"errors"
	"runtime"
	"unsafe"
)

func init() {
	cgo = append(cgo, Contender{
		Name:    "openssl",
		Version: C.GoString(C.version()),
		New: func(op string, key []byte, sectorSize int) (Crypt, error) {
			ctx, err := newOpenSSL(op, key)
			if err != nil {
				return nil, err
			}
			return func(dst, src []byte, first uint64) {
				n := len(src) / sectorSize
				if C.sectors(ctx.ctx, bytePointer(dst), bytePointer(src), C.size_t(n), C.int(sectorSize), C.uint64_t(first)) != 1 {
					panic("openssl failed")
				}
				runtime.KeepAlive(ctx)
			}, nil
		},
	})
}

type openSSL struct{ ctx *C.EVP_CIPHER_CTX }

func newOpenSSL(op string, key []byte) (*openSSL, error) {
	encrypt := C.int(0)
	if op == "enc" {
		encrypt = 1
	}
	ctx := C.start(encrypt, bytePointer(key), C.size_t(len(key)))
	if ctx == nil {
		return nil, errors.New("openssl rejects the key")
	}
	o := &openSSL{ctx}
	runtime.AddCleanup(o, func(ctx *C.EVP_CIPHER_CTX) { C.EVP_CIPHER_CTX_free(ctx) }, ctx)
	return o, nil
}

// OpenSSLUnit encrypts or decrypts one data unit of at least 16 bytes with libcrypto.
func OpenSSLUnit(op string, key, dst, src []byte, tweak *[16]byte) error {
	o, err := newOpenSSL(op, key)
	if err != nil {
		return err
	}
	if C.unit(o.ctx, bytePointer(dst), bytePointer(src), C.int(len(src)), bytePointer(tweak[:])) != 1 {
		return errors.New("openssl failed")
	}
	runtime.KeepAlive(o)
	return nil
}

func bytePointer(b []byte) *C.uchar { return (*C.uchar)(unsafe.Pointer(&b[0])) }
