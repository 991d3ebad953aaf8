package account_test

import (
	"context"
	"fmt"
	"log"

	"github.com/luksimg/luksimg/ibm/account"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

// A new account lacks nearly everything. The second run finds nothing left to create.
func Example() {
	ctx := context.Background()
	cloud, err := sandbox.Start(ctx, sandbox.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cloud.Close()
	at := cloud.Settings()
	o := account.Options{
		KMSInstance: at.KMSInstance, RootKeyName: "images", COSInstance: at.COSInstance, Bucket: "images", ServiceID: "importer", IAMURL: at.IAM,
	}
	if o.Identity, err = iam.New(iam.Options{URL: at.IAM, APIKey: []byte(at.APIKey)}); err != nil {
		log.Fatal(err)
	}
	if o.Store, err = cos.New(cos.Options{Endpoint: at.COS, Tokens: o.Identity, ServiceInstanceID: at.COSInstance}); err != nil {
		log.Fatal(err)
	}
	if o.Keys, err = keyprotect.New(keyprotect.Options{CRN: at.KMSInstance, Tokens: o.Identity, URL: at.KMS}); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		r, err := account.Look(ctx, o)
		if err != nil {
			log.Fatal(err)
		}
		if err := r.Make(ctx, nil); err != nil {
			log.Fatal(err)
		}
		for _, x := range r.Things {
			fmt.Printf("%s %s: there %v, made %v\n", x.What, x.Name, x.Exists, x.Made)
		}
	}
	// Output:
	// root key images: there false, made true
	// bucket images: there false, made true
	// service id importer: there false, made true
	// policy of the service id to read Object Storage: there false, made true
	// policy of the service id to use the root key: there false, made true
	// authorization of Cloud Block Storage to use the root key: there false, made true
	// root key images: there true, made false
	// bucket images: there true, made false
	// service id importer: there true, made false
	// policy of the service id to read Object Storage: there true, made false
	// policy of the service id to use the root key: there true, made false
	// authorization of Cloud Block Storage to use the root key: there true, made false
}
