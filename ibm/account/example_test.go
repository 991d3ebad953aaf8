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
			fmt.Printf("%s %s: exists %v, created %v\n", x.What, x.Name, x.Exists, x.Made)
		}
	}
	// Output:
	// root key images: exists false, created true
	// bucket images: exists false, created true
	// service id importer: exists false, created true
	// policy of the service id to read Object Storage: exists false, created true
	// policy of the service id to use the root key: exists false, created true
	// authorization of Cloud Block Storage to use the root key: exists false, created true
	// root key images: exists true, created false
	// bucket images: exists true, created false
	// service id importer: exists true, created false
	// policy of the service id to read Object Storage: exists true, created false
	// policy of the service id to use the root key: exists true, created false
	// authorization of Cloud Block Storage to use the root key: exists true, created false
}
