package sandbox_test

import (
	"context"
	"fmt"

	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

// Wrap a key and unwrap it again, without an account.
func ExampleStart() {
	ctx := context.Background()
	cloud, err := sandbox.Start(ctx, sandbox.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cloud.Close()
	at := cloud.Settings()

	tokens, err := iam.New(iam.Options{URL: at.IAM, APIKey: []byte(at.APIKey)})
	if err != nil {
		fmt.Println(err)
		return
	}
	root, err := keyprotect.New(keyprotect.Options{CRN: at.RootKey, Tokens: tokens, URL: at.KMS})
	if err != nil {
		fmt.Println(err)
		return
	}
	wdek, err := root.Wrap(ctx, []byte("c2VjcmV0"))
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := root.Unwrap(ctx, wdek)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer key.Clear()
	fmt.Printf("%s\n", key.Plaintext)
	// Output: c2VjcmV0
}
