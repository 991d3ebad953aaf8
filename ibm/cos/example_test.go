package cos_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/sandbox/s3"
)

func ExampleClient_Upload() {
	// A local service instead of the default endpoint.
	sandbox, err := s3.New(s3.Options{HMAC: func(key string) ([]byte, string, bool) { return []byte("secret"), "account", key == "key" }})
	if err != nil {
		log.Fatal(err)
	}
	defer sandbox.Close()
	server := httptest.NewServer(sandbox)
	defer server.Close()

	client, err := cos.New(cos.Options{
		Endpoint: server.URL,
		HMAC:     &cos.HMAC{AccessKeyID: "key", SecretAccessKey: []byte("secret")},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	object, err := cos.ParseURI("cos://us-south/my-images/disk.vhd-0.vhd")
	if err != nil {
		log.Fatal(err)
	}
	if err := client.CreateBucket(ctx, object.Region, object.Bucket, cos.BucketOptions{}); err != nil {
		log.Fatal(err)
	}
	disk := make([]byte, 40<<20) // any io.ReaderAt works, such as an *os.File
	r, err := client.Upload(ctx, object, bytes.NewReader(disk), int64(len(disk)), cos.UploadOptions{
		// State: cos.StateFile("disk.vhd.upload.json") would make it resumable.
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v: %d bytes in %d parts\n", object, r.Size, r.Parts)
	// Output:
	// cos://us-south/my-images/disk.vhd-0.vhd: 41943040 bytes in 3 parts
}
