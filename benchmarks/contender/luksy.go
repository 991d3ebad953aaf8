package contender

import (
	"sync"

	"github.com/containers/luksy"
)

// luksyPath is the function that github.com/containers/luksy returns for the data of a new volume. It
// generates a random key and counts sectors itself, so its output cannot be compared. It only encrypts
// here, because luksy decrypts only files.
var luksyPath = Contender{
	Name: "luksy",
	New: func(op string, key []byte, sectorSize int) (Crypt, error) {
		if op != "enc" || len(key) != 64 {
			return nil, ErrUnsupported
		}
		var encrypt func([]byte) ([]byte, error)
		var err error
		switch sectorSize {
		case 512:
			encrypt, err = luksyV1()
		case 4096:
			encrypt, err = luksyV2()
		default:
			return nil, ErrUnsupported
		}
		return func(dst, src []byte, _ uint64) {
			out, err := encrypt(src)
			if err != nil {
				panic(err)
			}
			copy(dst, out)
		}, err
	},
}

// The key derivation takes seconds, so each function is made once.
var (
	luksyV1 = sync.OnceValues(func() (func([]byte) ([]byte, error), error) {
		_, encrypt, _, err := luksy.EncryptV1([]string{"passphrase"}, "aes-xts-plain64")
		return encrypt, err
	})
	luksyV2 = sync.OnceValues(func() (func([]byte) ([]byte, error), error) {
		_, encrypt, _, err := luksy.EncryptV2([]string{"passphrase"}, "aes-xts-plain64", 4096)
		return encrypt, err
	})
)
