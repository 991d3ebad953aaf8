/* xts-decrypt KEYFILE <CIPHERTEXT >PLAINTEXT
 * Decrypts sectors of 512 bytes with OpenSSL's AES-XTS. The tweak is the little-endian number
 * of the sector. The key has 32 or 64 bytes. Sectors of zeros are not decrypted. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
	unsigned char key[65], iv[16], in[512], out[512], zeros[512] = {0};
	FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
	size_t n = f ? fread(key, 1, sizeof key, f) : 0;
	const EVP_CIPHER *cipher = n == 32 ? EVP_aes_128_xts() : n == 64 ? EVP_aes_256_xts() : NULL;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	if (!cipher || !ctx)
		return 1;
	for (unsigned long long sector = 0; fread(in, 1, sizeof in, stdin) == sizeof in; sector++) {
		int len;
		memset(iv, 0, sizeof iv);
		for (int i = 0; i < 4; i++)
			iv[i] = sector >> 8 * i;
		memset(out, 0, sizeof out);
		if (memcmp(in, zeros, sizeof in) != 0 &&
		    (EVP_DecryptInit_ex(ctx, cipher, NULL, key, iv) != 1 || EVP_DecryptUpdate(ctx, out, &len, in, sizeof in) != 1))
			return 1;
		if (fwrite(out, 1, sizeof out, stdout) != sizeof out)
			return 1;
	}
	return fflush(stdout) != 0;
}
