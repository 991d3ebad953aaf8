package xts_test

import (
	"crypto/rand"
	"fmt"

	"github.com/luksimg/luksimg/xts"
)

func Example() {
	key := make([]byte, 64)
	rand.Read(key) // never fails
	c, err := xts.New(key, xts.Options{SectorSize: 4096})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	data := make([]byte, 16*4096) // sectors 100 to 115
	copy(data[4096:], "hello from sector 101")
	c.Encrypt(data, data, 100)

	// Any run of sectors can be decrypted alone.
	sector := make([]byte, 4096)
	c.Decrypt(sector, data[4096:8192], 101)
	fmt.Printf("%s\n", sector[:21])
	// Output: hello from sector 101
}

// This example passes a tweak that is not a plain sector number.
func ExampleCipher_EncryptUnit() {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	c, err := xts.New(key, xts.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	tweak := [16]byte{0xfe, 0xed, 15: 0x01}
	unit := []byte("thirty-two bytes are two blocks.")
	c.EncryptUnit(unit, unit, &tweak)
	c.DecryptUnit(unit, unit, &tweak)
	fmt.Printf("%s\n", unit)
	// Output: thirty-two bytes are two blocks.
}
