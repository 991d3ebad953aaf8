package wrap_test

import (
	"fmt"
	"log"

	"github.com/luksimg/luksimg/wrap"
)

// A passphrase has two forms: the bytes that open the disk, and the text that the keeper of the root key wraps. Each
// convention defines both.
func ExampleConvention_Keys() {
	keys, err := wrap.VPCQCOW2.Keys([]byte("abc123"))
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Clear()
	fmt.Printf("opens the disk: %s\n", keys.Disk)
	fmt.Printf("is wrapped: %s\n", keys.Plaintext)

	_, err = wrap.VPCQCOW2.Keys([]byte("abc123\n"))
	fmt.Println(err)
	// Output:
	// opens the disk: abc123
	// is wrapped: YWJjMTIz
	// key material breaks the rule of key convention vpc-qcow2: it ends with a newline, which would become a part of the passphrase
}
