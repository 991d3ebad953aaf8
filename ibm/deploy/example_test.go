package deploy_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/sandbox"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/vhd"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// A disk becomes a template in the sandbox. A second run with the same plan finds nothing
// left to do.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "deploy")
	check(err)
	defer os.RemoveAll(dir)
	at := func(name string) string { return filepath.Join(dir, name) }
	disk := make([]byte, 4<<20)
	disk[510], disk[511] = 0x55, 0xaa // boot signature
	check(os.WriteFile(at("web.raw"), disk, 0o600))

	cloud, err := sandbox.Start(ctx, sandbox.Options{Bucket: "images", Authorize: true})
	check(err)
	defer cloud.Close()
	set := cloud.Settings()
	plan, err := deploy.Plan{
		Source: at("web.raw"), Image: at("image"), Envelope: at("envelope.json"), OSCode: "UBUNTU_22_64",
		Object: "cos://us-south/images/", RootKeyCRN: set.RootKey,
	}.Complete()
	check(err)
	for range 2 {
		d, err := deploy.Begin(ctx, deploy.Options{
			Plan: plan, Source: deploy.Local{}.Source(plan.Source), Files: deploy.Local{},
			State: cos.StateFile(at("state.json")), Upload: cos.StateFile(at("upload.json")),
			Wait:  softlayer.WaitOptions{Interval: 10 * time.Millisecond, Progress: func(softlayer.Progress) {}},
			Event: func(e deploy.Event) { fmt.Println(filepath.Base(e.Text)) },
		})
		check(err)
		var c deploy.Clients
		c.Identity, err = iam.New(iam.Options{URL: set.IAM, APIKey: []byte(set.APIKey)})
		check(err)
		c.RootKey, err = keyprotect.New(keyprotect.Options{CRN: set.RootKey, Tokens: c.Identity, URL: set.KMS, CorrelationID: d.ID})
		check(err)
		c.Store, err = cos.New(cos.Options{Endpoint: set.COS, Tokens: c.Identity})
		check(err)
		classic, err := softlayer.New(softlayer.Options{Endpoint: set.SoftLayer, User: set.User, APIKey: set.UserKey})
		check(err)
		c.Cloud = deploy.NewClassic(classic, func() ([]byte, error) { return []byte(set.APIKey), nil })
		r, err := d.Run(ctx, c)
		check(err)
		fmt.Println(r.Target, r.Name, r.TemplateID > 0, r.Object)
	}
	// Output:
	// deploy: check
	// deploy: key
	// deploy: encrypt
	// deploy: upload
	// deploy: import
	// deploy: wait for import
	// classic web true cos://us-south/images/web.raw
	// state.json has nothing left to do
	// classic web true cos://us-south/images/web.raw
}

// An object in Object Storage becomes a template, and the template a server.
func ExampleImportImage() {
	ctx := context.Background()
	cloud, err := sandbox.Start(ctx, sandbox.Options{Bucket: "images", Authorize: true})
	check(err)
	defer cloud.Close()
	set := cloud.Settings()
	f, err := os.CreateTemp("", "disk")
	check(err)
	defer os.Remove(f.Name())
	defer f.Close()
	disk := make([]byte, 4<<20)
	disk[510], disk[511] = 0x55, 0xaa // boot signature
	_, err = vhd.Create(ctx, f, bytes.NewReader(disk), vhd.CreateOptions{})
	check(err)
	check(cloud.Objects().Put(set.Account, "images", "web-0.vhd", f))
	client, err := softlayer.New(softlayer.Options{Endpoint: set.SoftLayer, User: set.User, APIKey: set.UserKey})
	check(err)
	classic := deploy.NewClassic(client, func() ([]byte, error) { return []byte(set.APIKey), nil })
	o := deploy.CallOptions{Wait: softlayer.WaitOptions{Interval: 10 * time.Millisecond}}
	image, err := deploy.ImportImage(ctx, classic, deploy.ImageRequest{Name: "web", URI: "cos://us-south/images/web-0.vhd", OSCode: "UBUNTU_22_64"}, o)
	check(err)
	server := &deploy.Server{Hostname: "web1", Domain: "example.com", CPUs: 2, MemoryMB: 4096, Datacenter: "dal13"}
	r, err := deploy.OrderServer(ctx, classic, image.ID, server, false, o)
	check(err)
	fmt.Println(image.Template.Name, image.Ready, r.Server.Hostname, r.Ready)
	// Output: web true web1 true
}
