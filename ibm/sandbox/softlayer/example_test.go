package softlayer_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http/httptest"

	sandbox "github.com/luksimg/luksimg/ibm/sandbox/softlayer"
	"github.com/luksimg/luksimg/ibm/softlayer"
)

type nothing struct{}

func (nothing) Exchange(context.Context, string) (string, string, error) { return "", "", nil }
func (nothing) AuthorizationExists(context.Context, string, string) (bool, error) {
	return true, nil
}
func (nothing) Unwrap(context.Context, string, string, string) ([]byte, error) { return nil, nil }
func (nothing) Open(context.Context, string, string, string, string) (io.ReaderAt, int64, string, error) {
	return bytes.NewReader([]byte("noise")), 5, "", nil
}
func (nothing) Put(context.Context, string, string, string, string, io.Reader, int64) error {
	return nil
}

// The emulator is a net/http handler to which the client connects. An object that is not an
// image fails as in the cloud.
func Example() {
	cloud, err := sandbox.New(sandbox.Options{
		Users: map[string]string{"me": "key"}, Tokens: nothing{}, KMS: nothing{}, Store: nothing{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cloud.Close()
	srv := httptest.NewServer(cloud)
	defer srv.Close()

	client, err := softlayer.New(softlayer.Options{Endpoint: srv.URL + "/rest/v3.1", User: "me", APIKey: "key"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	template, err := client.Import(ctx, softlayer.ImportRequest{
		Name: "web", OSCode: "UBUNTU_22_64", URI: "cos://us-south/images/web.vhd-0.vhd", APIKey: "iam-key",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	cloud.Wait()
	_, err = client.WaitImport(ctx, template.ID, softlayer.WaitOptions{})
	fmt.Println(err)
	// Output:
	// softlayer: import 1001: the transaction failed, last step OPEN_IMAGE_FAILED: Open the image: vhd: file size at offset 0 is 5, want at least 512 bytes, the size of a footer
}
