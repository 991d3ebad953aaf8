package softlayer_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/luksimg/luksimg/ibm/softlayer"
)

// Import turns an encrypted image in object storage into a template.
func ExampleClient_Import() {
	client, err := softlayer.New(softlayer.Options{User: "SL1234", APIKey: "the key of classic infrastructure"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	template, err := client.Import(ctx, softlayer.ImportRequest{
		Name: "web-2026-11", Note: "build 4711",
		OSCode: "UBUNTU_22_64", URI: "cos://us-south/images/web.raw",
		APIKey:     "the key of a service ID",
		RootKeyCRN: "crn:v1:bluemix:public:kms:us-south:a/ACCOUNT:INSTANCE:key:KEY",
		WrappedDEK: "what the key service returned",
		Encrypted:  true, CloudInit: true,
	})
	if err == nil {
		template, err = client.WaitImport(ctx, template.ID, softlayer.WaitOptions{
			Timeout:  time.Hour,
			Progress: func(p softlayer.Progress) { fmt.Println(p.Elapsed, p.Step) },
		})
	}
	var hint interface{ Hint() string }
	if errors.As(err, &hint) {
		fmt.Println(err, hint.Hint())
		return
	}
	// The wrapped key contains spaces, so that this example sends no request.
	fmt.Println(template, err)
	// Output: softlayer: import: the wrapped key contains white space give the ciphertext exactly as the key service returned it, without a newline
}
