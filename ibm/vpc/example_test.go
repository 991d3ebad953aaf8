package vpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/luksimg/luksimg/ibm/vpc"
)

// The error explains why an image failed.
func ExampleClient_WaitImage() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"id":"r006-1","name":"web","status":"failed","status_reasons":[{"code":"encryption_key_disabled","message":"The root key is disabled."}]}`)
	}))
	defer srv.Close()
	client, err := vpc.New(vpc.Options{Endpoint: srv.URL, Tokens: tokens("a token of IAM")})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.WaitImage(context.Background(), "r006-1", vpc.WaitOptions{})
	fmt.Println(err)
	if e := new(vpc.StatusError); errors.As(err, &e) {
		fmt.Println(e.Hint())
	}
	// Output:
	// vpc: image r006-1: failed, status failed: the root key is disabled (encryption_key_disabled): The root key is disabled.
	// enable the root key; while it is disabled no instance of the image starts
}
